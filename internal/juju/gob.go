// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bufio"
	"math/bits"
)

// The agent speaks gob (encoding/gob, which is its specification). What
// follows is the part of it that one call needs: two structs out, two structs
// in. That package holds every message whole, once more than its caller does,
// and a databag's message has megabytes.

// Types of gob. What is not built in has a number from gobFirst on.
const (
	gobBool   = 1
	gobInt    = 2
	gobUint   = 3
	gobBytes  = 5
	gobString = 6
	gobFirst  = 64
)

// Types of the structs that are sent, and the messages that define them: a
// requestHeader, a Request and a list of strings.
const (
	headerType  = gobFirst
	requestType = gobFirst + 1

	defineHeader = "4\x7f\x03\x01\x01\rrequestHeader\x01\xff\x80\x00\x01\x02" +
		"\x01\rServiceMethod\x01\f\x00\x01\x03Seq\x01\x06\x00\x00\x00"
	defineRequest = "f\xff\x81\x03\x01\x01\aRequest\x01\xff\x82\x00\x01\a" +
		"\x01\tContextId\x01\f\x00\x01\x03Dir\x01\f\x00\x01\vCommandName\x01\f\x00" +
		"\x01\x04Args\x01\xff\x84\x00\x01\bStdinSet\x01\x02\x00\x01\x05Stdin\x01\n\x00" +
		"\x01\x05Token\x01\f\x00\x00\x00" +
		"\x16\xff\x83\x02\x01\x01\b[]string\x01\xff\x84\x00\x01\f\x00\x00"
)

// writeHeader writes what goes before each request (net/rpc.Request).
func writeHeader(out *bufio.Writer, sequence uint64) error {
	m := gobMessage{text: appendInt(nil, headerType)}
	m.string(1, ServiceMethod)
	m.field(2)
	m.text = appendUint(m.text, sequence)
	return writeMessage(out, append(m.text, 0), nil, nil)
}

// writeRequest writes a request whose standard input is not in it but in
// stdin, which may be nil.
func writeRequest(out *bufio.Writer, r Request, stdin *Settings) error {
	m := gobMessage{text: appendInt(nil, requestType)}
	m.string(1, r.ContextId)
	m.string(2, r.Dir)
	m.string(3, r.CommandName)
	if len(r.Args) > 0 {
		m.field(4)
		m.text = appendUint(m.text, uint64(len(r.Args)))
		for _, arg := range r.Args {
			m.text = append(appendUint(m.text, uint64(len(arg))), arg...)
		}
	}
	if r.StdinSet {
		m.field(5)
		m.text = append(m.text, 1)
	}
	split := len(m.text)
	if stdin != nil {
		m.field(6)
		m.text = appendUint(m.text, uint64(stdin.Len()))
		split = len(m.text)
	}
	m.string(7, r.Token)
	m.text = append(m.text, 0)
	return writeMessage(out, m.text[:split], stdin, m.text[split:])
}

// writeMessage writes a message that has stdin in its middle.
func writeMessage(out *bufio.Writer, before []byte, stdin *Settings, after []byte) error {
	size := len(before) + len(after)
	if stdin != nil {
		size += stdin.Len()
	}
	out.Write(appendUint(nil, uint64(size)))
	out.Write(before)
	if stdin != nil {
		stdin.WriteTo(out)
	}
	_, err := out.Write(after)
	return err // the first that any of them had
}

// gobMessage is the value of a struct as it is put together. Fields are
// numbered from 1, and those without content are left out.
type gobMessage struct {
	text []byte
	last int
}

func (m *gobMessage) field(number int) {
	m.text = appendUint(m.text, uint64(number-m.last))
	m.last = number
}

func (m *gobMessage) string(number int, text string) {
	if text == "" {
		return
	}
	m.field(number)
	m.text = append(appendUint(m.text, uint64(len(text))), text...)
}

// appendUint writes small numbers as one byte, others as the negated count of
// their bytes and these.
func appendUint(text []byte, n uint64) []byte {
	if n <= 0x7f {
		return append(text, byte(n))
	}
	size := (bits.Len64(n) + 7) / 8
	text = append(text, byte(-size))
	for shift := 8 * (size - 1); shift >= 0; shift -= 8 {
		text = append(text, byte(n>>shift))
	}
	return text
}

// appendInt has the sign in the lowest bit.
func appendInt(text []byte, n int64) []byte {
	return appendUint(text, uint64(n<<1)^uint64(n>>63))
}
