// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// What a caller may branch on. An *Error matches by its exit status and a few
// words of its text: the words around those differ between versions of Juju.
var (
	// ErrNotFound says that Juju knows no secret with the label or id asked
	// for. It is an answer, never a failure to reach Juju, and no other tool
	// gives it: a new CA may be made because of it.
	ErrNotFound = errors.New("not found")
	// ErrDenied says that Juju refuses the unit what it asked for: a secret
	// that is not granted to it, a databag that it may not read.
	ErrDenied = errors.New("permission denied")
	// ErrNotLeader says that only the leader may do it.
	ErrNotLeader = errors.New("not the leader")
)

// Error is a hook tool that ran and failed. Any other error from a Runner
// means that the tool did not run, or that its answer was lost.
type Error struct {
	// Command is the tool's name: neither arguments nor input are kept.
	Command string
	// Code is the exit status: 1 failed, 2 bad arguments.
	Code int
	// Message is what the tool wrote to standard error, without "ERROR ".
	Message string
}

// maxErrorMessage leaves room for every text of Juju's that is known, and
// none for a tool that repeats a databag.
const maxErrorMessage = 1000

// newError keeps the tool's message unless it repeats the standard input,
// which for relation-set holds the private keys of the legacy dialect.
func newError(c Command, code int, stderr []byte) *Error {
	message := strings.TrimSpace(string(stderr))
	// Notes may precede the error, on its line even.
	if _, cause, found := strings.Cut(message, "ERROR "); found {
		message = cause
	}
	message = cut(message, maxErrorMessage)
	if c.Stdin != nil && repeats(message, c.Stdin) {
		message = "(not shown: the message repeats the tool's input)"
	}
	return &Error{Command: c.Name, Code: code, Message: message}
}

// repeats finds every run of 31 bytes that text has in common with input:
// such a run covers one of the 16-byte pieces looked for. A line of a PEM key
// is 64 bytes.
func repeats(text string, stdin *Settings) bool {
	var input bytes.Buffer
	stdin.WriteTo(&input)
	const piece = 16
	for ; len(text) >= piece; text = text[piece:] {
		if bytes.Contains(input.Bytes(), []byte(text[:piece])) {
			return true
		}
	}
	return false
}

func (e *Error) Error() string {
	return fmt.Sprintf("cannot run %s: %s (exit status %d)", e.Command, e.Message, e.Code)
}

// Is makes errors.Is recognise the three sentinels of this package.
func (e *Error) Is(target error) bool {
	if e.Code != 1 || e.beforeJuju() {
		return false
	}
	switch target {
	case ErrNotFound:
		return e.unknownSecret()
	case ErrDenied:
		return strings.Contains(e.Message, "permission denied")
	case ErrNotLeader:
		return strings.Contains(e.Message, "not the leader") ||
			strings.Contains(e.Message, "is not leader of") ||
			strings.Contains(e.Message, "cannot write relation settings")
	}
	return false
}

// beforeJuju tells that the tool failed on its way to Juju. Its words are
// then the operating system's or the agent's, and answer nothing.
func (e *Error) beforeJuju() bool {
	return strings.HasPrefix(e.Message, "dial ") ||
		strings.HasPrefix(e.Message, "open ") ||
		strings.HasPrefix(e.Message, "bad request: ")
}

func (e *Error) unknownSecret() bool {
	if e.Command != "secret-get" && e.Command != "secret-info-get" {
		return false
	}
	verdict := e.Message[strings.LastIndex(e.Message, ": ")+1:]
	name, missing := findUnknown(verdict)
	return missing && !isContentName(name) && !strings.Contains(verdict, "secret revision ")
}

// cut shortens text to at most limit bytes, the last of them an ellipsis.
func cut(text string, limit int) string {
	const ellipsis = "…"
	if len(text) <= limit {
		return text
	}
	end := limit - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}
