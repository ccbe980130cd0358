// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Databags reach megabytes, and a hook reads one or two of them whole. The JSON
// that relation-get prints is therefore read as it arrives, into the one text
// that is kept; encoding/json wants all of it first and passes over it three
// times.

const (
	// chunk is how much of a databag is held besides its text.
	chunk = 64 << 10
	// maxBag is how much memory the agent's word alone can take: what the
	// controller keeps of one databag (MongoDB's limit for a document).
	maxBag = 16 << 20
)

// errBag tells of an answer that is no object of strings.
var errBag = errors.New("not a JSON object of strings")

// bagReader reads a JSON object of strings with the meaning that encoding/json
// gives it. What it reads after a failure means nothing.
type bagReader struct {
	in *bufio.Reader
	// text is all keys and values, one after the other. They are parts of it,
	// and so none is copied, however large.
	text   strings.Builder
	failed bool
}

// part is a place in the text of a bag.
type part struct{ from, to int }

// readBag reads an object of strings; nil for null. Its size is known, or 0. It
// reads ahead by in, which the next bag may use again.
func readBag(r io.Reader, size int, in *bufio.Reader) (map[string]string, error) {
	in.Reset(r)
	b := bagReader{in: in}
	b.text.Grow(min(size, maxBag))
	parts, isObject := b.object()
	b.space()
	if _, err := in.Peek(1); b.failed || err == nil {
		return nil, errBag
	}
	if !isObject {
		return nil, nil
	}
	bag, text := make(map[string]string, len(parts)/2), b.text.String()
	for ; len(parts) > 0; parts = parts[2:] {
		bag[text[parts[0].from:parts[0].to]] = text[parts[1].from:parts[1].to]
	}
	return bag, nil
}

// object reads keys and values in turns; false for null.
func (b *bagReader) object() (parts []part, isObject bool) {
	b.space()
	if b.peek() == 'n' {
		b.expect("null")
		return nil, false
	}
	b.expect("{")
	b.space()
	if b.accept('}') {
		return nil, true
	}
	for !b.failed {
		key := b.string()
		b.space()
		b.expect(":")
		b.space()
		value := part{b.text.Len(), b.text.Len()}
		if b.peek() == 'n' {
			b.expect("null") // no text
		} else {
			value = b.string()
		}
		parts = append(parts, key, value)
		b.space()
		if b.accept('}') {
			break
		}
		b.expect(",")
		b.space()
	}
	return parts, true
}

// string reads a string into the text.
func (b *bagReader) string() part {
	from := b.text.Len()
	b.expect(`"`)
	for !b.failed && !b.accept('"') {
		ahead, _ := b.in.Peek(b.in.Buffered())
		read := b.plain(ahead)
		b.in.Discard(read)
		if read == 0 {
			b.odd()
		}
	}
	return part{from, b.text.Len()}
}

// plain reads what stands for itself and the short escapes, and tells how many
// bytes that is: nearly all there is in a databag.
func (b *bagReader) plain(ahead []byte) (read int) {
	for {
		end := read
		for end < len(ahead) && isPlain(ahead[end]) {
			end++
		}
		b.text.Write(ahead[read:end])
		read = end
		if end+1 >= len(ahead) || ahead[end] != '\\' {
			return read
		}
		c := escaped(ahead[end+1])
		if c == 0 {
			return read
		}
		b.text.WriteByte(c)
		read += 2
	}
}

// odd reads one character of another kind: beyond ASCII, with a long escape, or
// with one that is not read ahead as a whole.
func (b *bagReader) odd() {
	c := b.peek()
	if c < ' ' { // or nothing
		b.failed = true
		return
	}
	if c == '\\' {
		b.escape()
		return
	}
	ahead, _ := b.in.Peek(utf8.UTFMax)
	r, size := utf8.DecodeRune(ahead) // U+FFFD for a byte that is no UTF-8
	b.text.WriteRune(r)
	b.in.Discard(size)
}

func (b *bagReader) escape() {
	if r, ok := b.unit(); ok {
		b.in.Discard(unitSize)
		// Half a character without its other half is U+FFFD.
		if low, ok := b.unit(); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
			b.in.Discard(unitSize)
			r = utf16.DecodeRune(r, low)
		}
		b.text.WriteRune(r)
		return
	}
	b.expect(`\`)
	c := escaped(b.peek())
	b.failed = b.failed || c == 0
	b.text.WriteByte(c)
	b.in.Discard(1)
}

// escaped is the meaning of a short escape; 0 for what is none.
func escaped(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// unitSize is the length of an escape like \u00e9.
const unitSize = 6

// unit looks at a unit of UTF-16 that is escaped.
func (b *bagReader) unit() (rune, bool) {
	ahead, _ := b.in.Peek(unitSize)
	digits, ok := strings.CutPrefix(string(ahead), `\u`)
	if !ok || len(ahead) < unitSize {
		return 0, false
	}
	unit, err := strconv.ParseUint(digits, 16, 16)
	return rune(unit), err == nil
}

// space steps over white space.
func (b *bagReader) space() {
	for c := b.peek(); c == ' ' || c == '\t' || c == '\r' || c == '\n'; c = b.peek() {
		b.in.Discard(1)
	}
}

func (b *bagReader) expect(token string) {
	for i := range len(token) {
		b.failed = b.failed || !b.accept(token[i])
	}
}

func (b *bagReader) accept(c byte) bool {
	if b.peek() != c {
		return false
	}
	b.in.Discard(1)
	return true
}

// peek is the next byte; 0 at the end. JSON has no byte 0.
func (b *bagReader) peek() byte {
	ahead, err := b.in.Peek(1)
	if err != nil {
		return 0
	}
	return ahead[0]
}
