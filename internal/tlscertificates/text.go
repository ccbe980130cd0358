// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// encodeJSON returns v as JSON with sorted map keys, no final newline and no HTML
// escapes, so that equal values give equal text whoever compares it.
func encodeJSON(v any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	if err != nil {
		// The types of this package are text, booleans and numbers.
		panic(fmt.Sprintf("cannot encode JSON: %v", err))
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// writeQuoted writes text as encodeJSON does.
func writeQuoted(list *strings.Builder, text string) {
	isSpecial := func(r rune) bool { return r < ' ' && r != '\n' || r > '~' || r == '"' || r == '\\' }
	if strings.ContainsFunc(text, isSpecial) {
		list.WriteString(encodeJSON(text)) // no PEM
		return
	}
	list.WriteByte('"')
	for line := range strings.Lines(text) {
		plain, ends := strings.CutSuffix(line, "\n")
		list.WriteString(plain)
		if ends {
			list.WriteString(`\n`)
		}
	}
	list.WriteByte('"')
}

// documentKind returns the first character of a JSON document, which tells its type:
// { [ " n t f, a digit or a minus sign; 0 when text is none.
func documentKind(text string) byte {
	if !json.Valid([]byte(text)) {
		return 0
	}
	return strings.TrimLeft(text, " \t\r\n")[0]
}

// eachValue calls visit with the JSON text of the first members of a valid object, or
// of the first elements of a valid array (key is then empty), at most most of them.
// It returns how many there were and whether there are more. Unlike a struct it
// tells "ca" from "CA", and unlike a map or a slice it need not hold them all.
func eachValue(document string, most int, visit func(key, value string)) (read int, more bool) {
	s := scanner{rest: document}
	s.space()
	object := s.accept("{")
	if !object {
		s.expect("[")
	}
	for !s.failed {
		s.space()
		if s.accept("}") || s.accept("]") {
			return read, false
		}
		if read == most {
			return read, true
		}
		if s.accept(",") {
			s.space()
		}
		var key string
		if object {
			key, _ = stringValue(s.quoted())
			s.space()
			s.expect(":")
			s.space()
		}
		value := s.value()
		if !s.failed {
			read++
			visit(key, value)
		}
	}
	return read, false
}

// member returns the JSON text of an object's last member called key, or "".
func member(object, key string) string {
	var found string
	eachValue(object, maxMembers, func(name, value string) {
		if name == key {
			found = value
		}
	})
	return found
}

// stringValue returns the text of a JSON string; false for every other value.
func stringValue(value string) (string, bool) {
	if len(value) > 1 && value[0] == '"' && utf8.ValidString(value) {
		// In PEM only the ends of lines are escaped.
		plain := strings.ReplaceAll(value[1:len(value)-1], `\n`, "\n")
		if !strings.Contains(plain, `\`) {
			return plain, true
		}
	}
	var text string
	err := json.Unmarshal([]byte(value), &text)
	return text, err == nil && value != "null"
}

// isText tells whether text can be written back byte for byte. U+FFFD is what a
// JSON decoder makes of bytes that are not UTF-8 and of half a surrogate pair: the
// requirer would not recognise its own text.
func isText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, utf8.RuneError)
}

// quote makes foreign text fit for a log line: printable and short.
func quote(foreign string) string { return strconv.Quote(cut(foreign, 80)) }

// cut returns at most the first most characters of text.
func cut(text string, most int) string {
	for i := range text {
		if most == 0 {
			return text[:i]
		}
		most--
	}
	return text
}
