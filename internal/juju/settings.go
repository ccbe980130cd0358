// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Settings are what relation-set reads of its standard input: changes of a
// databag, in YAML. A value is in pieces, because the one that has megabytes is
// mostly what was there already; they are written one after the other and never
// put together.
type Settings struct {
	list []setting
	size int
}

type setting struct {
	key    string
	pieces []string
	quote  bool // by quotation marks that leave the text as it is
}

// Format prints no value, with every verb.
func (s *Settings) Format(f fmt.State, _ rune) { io.WriteString(f, "settings [redacted]") }

// newSettings sorts the changes by their keys.
func newSettings(changes map[string][]string) *Settings {
	s := &Settings{list: make([]setting, 0, len(changes))}
	for key, pieces := range changes {
		s.list = append(s.list, setting{key, pieces, isQuotable(pieces)})
	}
	slices.SortFunc(s.list, func(a, b setting) int { return strings.Compare(a.key, b.key) })
	var size counter
	s.WriteTo(&size)
	s.size = int(size)
	return s
}

// counter is an io.Writer that keeps only how much was written.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Len is how many bytes WriteTo writes.
func (s *Settings) Len() int { return s.size }

// WriteTo writes a map of YAML in one line, the keys and most values as JSON
// strings. What JSON would have to escape may go in single quotes, in which
// only these are special: a list of answers is 7 % shorter for it.
func (s *Settings) WriteTo(w io.Writer) (int64, error) {
	out := bufio.NewWriter(w)
	out.WriteByte('{')
	for i, setting := range s.list {
		if i > 0 {
			out.WriteByte(',')
		}
		writeJSON(out, setting.key)
		out.WriteByte(':')
		if setting.quote {
			writeQuoted(out, setting.pieces)
		} else {
			writeJSON(out, strings.Join(setting.pieces, ""))
		}
	}
	out.WriteByte('}')
	return int64(s.size), out.Flush()
}

// isQuotable tells a text that is shorter in single quotes than in JSON, and in
// which YAML sees neither a break of a line nor a character that it refuses.
func isQuotable(pieces []string) bool {
	special := false
	for _, piece := range pieces {
		for i := range len(piece) {
			c := piece[i]
			if c < ' ' || c > '~' {
				return false
			}
			special = special || c == '"' || c == '\\'
		}
	}
	return special
}

// writeQuoted writes a single-quoted scalar (YAML 1.1, section 9.1.2).
func writeQuoted(out *bufio.Writer, pieces []string) {
	out.WriteByte('\'')
	for _, piece := range pieces {
		for {
			before, after, found := strings.Cut(piece, "'")
			out.WriteString(before)
			if !found {
				break
			}
			out.WriteString("''")
			piece = after
		}
	}
	out.WriteByte('\'')
}

// writeJSON writes a JSON string that is YAML too. YAML refuses some characters
// that JSON leaves alone, or takes them for line breaks (YAML 1.1, section 5.1),
// and one of them in a requirer's text must not make the hook fail; escaped
// they pass.
func writeJSON(out *bufio.Writer, text string) {
	out.WriteByte('"')
	for text != "" {
		plain := 0
		for plain < len(text) && isPlain(text[plain]) {
			plain++
		}
		out.WriteString(text[:plain])
		if text = text[plain:]; text == "" {
			break
		}
		r, size := utf8.DecodeRuneInString(text)
		writeRune(out, r, size)
		text = text[size:]
	}
	out.WriteByte('"')
}

// isPlain tells the bytes that stand for themselves.
func isPlain(c byte) bool {
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\'
}

func writeRune(out *bufio.Writer, r rune, size int) {
	switch {
	case r == '"' || r == '\\':
		out.WriteByte('\\')
		out.WriteByte(byte(r))
	case r == '\n':
		out.WriteString(`\n`)
	case r == utf8.RuneError && size == 1, r < ' ', r >= 0x7f && r <= 0x9f, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
		const digits = "0123456789abcdef"
		out.Write([]byte{'\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15]})
	default:
		out.WriteRune(r)
	}
}
