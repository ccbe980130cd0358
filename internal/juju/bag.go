// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Databags reach megabytes, and a hook reads and writes one or two of them
// whole. What follows does it in one pass and one copy; encoding/json takes
// three passes and three.

// decodeBag reads a JSON object of strings, as relation-get prints it. What is
// not quite that, if only by its spaces, is left to encoding/json.
func decodeBag(text []byte) (map[string]string, error) {
	if bag, ok := scanBag(text); ok {
		return bag, nil
	}
	var bag map[string]string
	err := json.Unmarshal(text, &bag)
	return bag, err
}

func scanBag(text []byte) (map[string]string, bool) {
	rest, ok := bytes.CutPrefix(bytes.TrimRight(text, "\n"), []byte("{"))
	if !ok {
		return nil, false
	}
	bag := map[string]string{}
	for first := true; ; first = false {
		if string(rest) == "}" {
			return bag, true
		}
		if !first {
			if rest, ok = bytes.CutPrefix(rest, []byte(",")); !ok {
				return nil, false
			}
		}
		var key, value string
		if key, rest, ok = scanString(rest); !ok {
			return nil, false
		}
		if rest, ok = bytes.CutPrefix(rest, []byte(":")); !ok {
			return nil, false
		}
		if value, rest, ok = scanString(rest); !ok {
			return nil, false
		}
		bag[key] = value
	}
}

// scanString reads the JSON string at the beginning of text.
func scanString(text []byte) (value string, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return "", nil, false
	}
	end := stringEnd(text)
	if end < 0 {
		return "", nil, false
	}
	quoted, rest := text[:end+1], text[end+1:]
	if value, ok = unquote(quoted[1:end]); ok {
		return value, rest, true
	}
	err := json.Unmarshal(quoted, &value)
	return value, rest, err == nil
}

// stringEnd is the place of the quote that ends the string which begins with
// text; -1 without one.
func stringEnd(text []byte) int {
	for end := 1; ; end++ {
		i := bytes.IndexByte(text[end:], '"')
		if i < 0 {
			return -1
		}
		end += i
		backslashes := 0
		for text[end-1-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return end
		}
	}
}

// unquote returns the text of the inside of a JSON string that has no escapes
// but the short ones, and no bytes that JSON or UTF-8 does not allow; false for
// any other.
func unquote(inside []byte) (string, bool) {
	if !utf8.Valid(inside) {
		return "", false
	}
	var text strings.Builder
	text.Grow(len(inside))
	for {
		i := bytes.IndexByte(inside, '\\')
		plain := inside
		if i >= 0 {
			plain = inside[:i]
		}
		if slices.ContainsFunc(plain, isControl) {
			return "", false
		}
		text.Write(plain)
		if i < 0 {
			return text.String(), true
		}
		const escapes, meanings = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
		meaning := strings.IndexByte(escapes, inside[i+1])
		if meaning < 0 {
			return "", false
		}
		text.WriteByte(meanings[meaning])
		inside = inside[i+2:]
	}
}

func isControl(c byte) bool { return c < ' ' }

// encodeBag writes JSON that is YAML too, which is what relation-set reads,
// with sorted keys. YAML refuses some characters that JSON leaves alone, or
// takes them for line breaks (YAML 1.1, section 5.1), and one of them in a
// requirer's text must not make the hook fail; escaped they pass.
func encodeBag(bag map[string]string) []byte {
	size := 2
	keys := make([]string, 0, len(bag))
	for key, value := range bag {
		keys = append(keys, key)
		size += len(key) + len(value) + len(value)/16 + 8
	}
	slices.Sort(keys)
	text := append(make([]byte, 0, size), '{')
	for i, key := range keys {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendQuoted(text, key)
		text = append(text, ':')
		text = appendQuoted(text, bag[key])
	}
	return append(text, '}')
}

// appendQuoted appends a JSON string.
func appendQuoted(text []byte, value string) []byte {
	text = append(text, '"')
	for len(value) > 0 {
		plain := 0
		for plain < len(value) && isPlain(value[plain]) {
			plain++
		}
		text = append(text, value[:plain]...)
		if value = value[plain:]; value == "" {
			break
		}
		r, size := utf8.DecodeRuneInString(value)
		text = appendRune(text, r, size)
		value = value[size:]
	}
	return append(text, '"')
}

// isPlain tells the bytes that stand for themselves.
func isPlain(c byte) bool {
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\'
}

func appendRune(text []byte, r rune, size int) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(text, '\\', byte(r))
	case r == '\n':
		return append(text, '\\', 'n')
	case r == utf8.RuneError && size == 1, r < ' ', r >= 0x7f && r <= 0x9f, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
		const digits = "0123456789abcdef"
		return append(text, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
	}
	return utf8.AppendRune(text, r)
}
