// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// maxAnswer bounds one message of the agent. A databag holds 16 MiB, and
	// JSON makes at most six bytes of one.
	maxAnswer = 128 << 20
	// maxTypes bounds what the agent may define. It needs three structs.
	maxTypes = 64
)

// errAnswer tells of bytes that are not the structs expected.
var errAnswer = errors.New("answer is not in the form expected")

// gobReader reads the agent's answers, which are structs of numbers and texts.
// All else that gob can say is refused. The first error stays, and from then on
// all that is read is empty.
type gobReader struct {
	in *bufio.Reader
	// left is how many bytes the message has left.
	left int
	// types are the structs that the agent has defined.
	types map[int64][]gobField
	err   error
}

// gobField is a field of a struct. Both sides match fields by their names.
type gobField struct {
	name string
	kind int64
}

// gobKnown is a field that somebody wants, and how it is read.
type gobKnown struct {
	gobField
	read func()
}

func newGobReader(in *bufio.Reader) *gobReader {
	return &gobReader{in: in, types: map[int64][]gobField{}}
}

// value reads the next struct: of the fields that the agent has sent, those that
// are known. A field without content is not sent.
func (g *gobReader) value(known ...gobKnown) error {
	fields, defined := g.types[g.nextType()]
	if !defined {
		g.fail(errAnswer)
	}
	readers := g.match(fields, known)
	g.eachField(len(fields), func(number int) { readers[number-1]() })
	g.end()
	return g.err
}

// match returns how each field is read. As with encoding/gob, a name has one
// type, and one name at least must be known.
func (g *gobReader) match(fields []gobField, known []gobKnown) (readers []func()) {
	matched := len(known) == 0 || len(fields) == 0
	for _, field := range fields {
		read := g.skip(field.kind)
		for _, k := range known {
			switch {
			case k.gobField == field:
				matched, read = true, k.read
			case k.name == field.name:
				g.fail(errAnswer)
			}
		}
		readers = append(readers, read)
	}
	if !matched {
		g.fail(errAnswer)
	}
	return readers
}

// skip returns how a field is read that nobody wants.
func (g *gobReader) skip(kind int64) func() {
	switch kind {
	case gobBool, gobInt, gobUint:
		return func() { g.uint() }
	case gobBytes, gobString:
		return func() { g.stream(func(io.Reader, int) {}) }
	}
	g.fail(errAnswer)
	return nil
}

// nextType begins a message and returns the type of its value. Messages that
// define types come before it.
func (g *gobReader) nextType() int64 {
	for g.err == nil {
		g.left = 9 // of the length itself
		size := g.uint()
		if size > maxAnswer {
			g.fail(fmt.Errorf("answer of %d bytes is too long", size))
		}
		g.left = int(min(size, maxAnswer))
		id := g.int()
		if id >= 0 {
			return id
		}
		g.define(-id)
		g.end()
	}
	return 0
}

// define reads the definition of a struct: gob's wireType with a structType,
// which has a commonType and a list of fieldTypes.
func (g *gobReader) define(id int64) {
	_, defined := g.types[id]
	if defined || id < gobFirst || len(g.types) == maxTypes {
		g.fail(errAnswer)
	}
	var fields []gobField
	g.eachField(3, func(kind int) {
		if kind != 3 { // an array or a slice
			g.fail(errAnswer)
		}
		g.eachField(2, func(part int) {
			if part == 1 {
				g.named()
				return
			}
			for count := g.uint(); count > 0 && g.err == nil; count-- {
				field := g.named()
				if slices.ContainsFunc(fields, func(f gobField) bool { return f.name == field.name }) {
					g.fail(errAnswer)
				}
				fields = append(fields, field)
			}
		})
	})
	g.types[id] = fields
}

// named reads a struct of a name and the number of a type.
func (g *gobReader) named() (field gobField) {
	g.eachField(2, func(part int) {
		if part == 1 {
			field.name = string(g.bytes())
		} else {
			field.kind = g.int()
		}
	})
	return field
}

// eachField calls read for the fields that a struct has, by their numbers from
// 1 to last.
func (g *gobReader) eachField(last int, read func(number int)) {
	for number := 0; g.err == nil; {
		delta := g.uint()
		if delta == 0 {
			return
		}
		if delta > uint64(last-number) {
			g.fail(errAnswer)
			return
		}
		number += int(delta)
		read(number)
	}
}

// end is where a message must end.
func (g *gobReader) end() {
	if g.left != 0 {
		g.fail(errAnswer)
	}
}

// stream has a text read as it arrives. What read leaves is skipped.
func (g *gobReader) stream(read func(text io.Reader, size int)) {
	size := g.uint()
	if size > uint64(g.left) {
		g.fail(errAnswer)
	}
	if g.err != nil {
		return
	}
	text := &io.LimitedReader{R: g.in, N: int64(size)}
	read(text, int(size))
	if _, err := io.Copy(io.Discard, text); err != nil {
		g.fail(err)
	}
	if text.N > 0 {
		g.fail(io.ErrUnexpectedEOF)
	}
	g.left -= int(size)
}

// bytes reads a text that is short. Memory is taken as bytes arrive.
func (g *gobReader) bytes() (text []byte) {
	g.stream(func(r io.Reader, size int) { text, _ = io.ReadAll(r) })
	return text
}

// uint is the inverse of appendUint.
func (g *gobReader) uint() uint64 {
	first := g.byte()
	if first <= 0x7f {
		return uint64(first)
	}
	size := -int(int8(first))
	if size > 8 {
		g.fail(errAnswer)
		return 0
	}
	var n uint64
	for range size {
		n = n<<8 | uint64(g.byte())
	}
	return n
}

func (g *gobReader) int() int64 {
	n := g.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (g *gobReader) byte() byte {
	if g.left == 0 {
		g.fail(errAnswer)
	}
	if g.err != nil {
		return 0
	}
	c, err := g.in.ReadByte()
	if err != nil {
		g.fail(err)
	}
	g.left--
	return c
}

func (g *gobReader) fail(err error) {
	if g.err == nil {
		g.err = err
	}
}
