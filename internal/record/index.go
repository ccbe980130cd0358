// SPDX-License-Identifier: GPL-3.0-only

package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Certificates is an index of certificates. There may be thousands, and nearly
// every hook reads them all: as text each is an array without names, and its
// times are seconds since 1970. Schema 1 wrote an object, which is still read.
//
//	["digest",["db/0"],"name",generation,"serial",not-before,not-after,"key digest"]
//
// What few of them have follows in an object.
type Certificates []Certificate

// rare are the fields of a Certificate that are seldom set.
type rare struct {
	CA     bool `json:"ca,omitempty"`
	Anchor int  `json:"anchor,omitempty"`
	Asked  bool `json:"asked,omitempty"`
}

func (c Certificate) rare() rare { return rare{CA: c.CA, Anchor: c.Anchor, Asked: c.Asked} }

// plainFields is how many fields stand in the array before the rare ones.
const plainFields = 8

// MarshalJSON writes the index. Times are cut to seconds, which is all that a
// certificate has.
func (c Certificates) MarshalJSON() ([]byte, error) {
	text := append(make([]byte, 0, 160*len(c)+2), '[')
	for i, entry := range c {
		if i > 0 {
			text = append(text, ',')
		}
		var err error
		if text, err = entry.appendTo(text); err != nil {
			return nil, err
		}
	}
	return append(text, ']'), nil
}

func (c Certificate) appendTo(text []byte) ([]byte, error) {
	text = appendText(append(text, '['), c.Request)
	text = append(text, ",["...)
	for i, requester := range c.Requesters {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendText(text, requester)
	}
	text = appendText(append(text, "],"...), c.Name)
	text = strconv.AppendInt(append(text, ','), int64(c.Generation), 10)
	text = appendText(append(text, ','), c.Serial)
	text = strconv.AppendInt(append(text, ','), c.NotBefore.Unix(), 10)
	text = strconv.AppendInt(append(text, ','), c.NotAfter.Unix(), 10)
	text = appendText(append(text, ','), c.KeyDigest)
	if c.rare() != (rare{}) {
		more, err := json.Marshal(c.rare())
		if err != nil {
			return nil, err
		}
		text = append(append(text, ','), more...)
	}
	return append(text, ']'), nil
}

// appendText appends a JSON string.
func appendText(list []byte, text string) []byte {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		quoted, _ := json.Marshal(strings.ToValidUTF8(text, "\uFFFD")) // a string can always be encoded
		return append(list, quoted...)
	}
	return append(append(append(list, '"'), text...), '"')
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (c *Certificates) UnmarshalJSON(text []byte) error {
	if index, ok := scanIndex(string(text)); ok {
		*c = index
		return nil
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(text, &entries); err != nil {
		return err
	}
	index := make(Certificates, len(entries))
	for i, entry := range entries {
		if err := index[i].decode(entry); err != nil {
			return fmt.Errorf("certificate %d: %w", i+1, err)
		}
	}
	*c = index
	return nil
}

func (c *Certificate) decode(text json.RawMessage) error {
	if len(text) > 0 && text[0] == '{' {
		return json.Unmarshal(text, c) // schema 1
	}
	var fields []json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	if len(fields) != plainFields && len(fields) != plainFields+1 {
		return fmt.Errorf("it has %d fields", len(fields))
	}
	var begin, end int64
	var more rare
	var errs []error
	for i, into := range []any{&c.Request, &c.Requesters, &c.Name, &c.Generation, &c.Serial, &begin, &end, &c.KeyDigest, &more} {
		if i < len(fields) {
			errs = append(errs, json.Unmarshal(fields[i], into))
		}
	}
	c.NotBefore, c.NotAfter = time.Unix(begin, 0).UTC(), time.Unix(end, 0).UTC()
	c.CA, c.Anchor, c.Asked = more.CA, more.Anchor, more.Asked
	return errors.Join(errs...)
}

// scanIndex reads an index as MarshalJSON writes it, in one pass; false for
// any other text, and where a string has escapes or a certificate rare fields.
func scanIndex(text string) (Certificates, bool) {
	s := indexScanner{rest: text}
	s.expect("[")
	if s.accept("]") {
		return Certificates{}, s.rest == ""
	}
	index := make(Certificates, 0, strings.Count(text, `,["`)) // a guess: names may have it too
	for !s.failed {
		var c Certificate
		s.expect("[")
		c.Request = s.text()
		s.expect(",[")
		for !s.failed {
			c.Requesters = append(c.Requesters, s.text())
			if !s.accept(",") {
				break
			}
		}
		s.expect("],")
		c.Name = s.text()
		s.expect(",")
		c.Generation = int(s.number())
		s.expect(",")
		c.Serial = s.text()
		s.expect(",")
		c.NotBefore = time.Unix(s.number(), 0).UTC()
		s.expect(",")
		c.NotAfter = time.Unix(s.number(), 0).UTC()
		s.expect(",")
		c.KeyDigest = s.text()
		s.expect("]")
		index = append(index, c)
		if !s.accept(",") {
			break
		}
	}
	s.expect("]")
	return index, !s.failed && s.rest == ""
}

// indexScanner walks over text of one form.
type indexScanner struct {
	rest   string
	failed bool
}

func (s *indexScanner) accept(token string) bool {
	rest, ok := strings.CutPrefix(s.rest, token)
	s.rest = rest
	return ok
}

func (s *indexScanner) expect(token string) {
	if !s.accept(token) {
		s.failed = true
	}
}

// text reads a string without escapes.
func (s *indexScanner) text() string {
	s.expect(`"`)
	text, rest, ok := strings.Cut(s.rest, `"`)
	if !ok || strings.Contains(text, `\`) {
		s.failed = true
	}
	s.rest = rest
	return text
}

func (s *indexScanner) number() int64 {
	end := strings.IndexAny(s.rest, ",]")
	if end < 0 {
		s.failed = true
		return 0
	}
	number, err := strconv.ParseInt(s.rest[:end], 10, 64)
	if err != nil || strconv.FormatInt(number, 10) != s.rest[:end] {
		s.failed = true
	}
	s.rest = s.rest[end:]
	return number
}
