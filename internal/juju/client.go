// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Client has one method for each use of a hook tool. Its methods return the
// tool's own error, wrapped, so that errors.Is finds the sentinels. It is for
// one goroutine at a time: a hook is one conversation, in order.
type Client struct {
	runner Runner
	// scratch is the folder for secret content; empty means to choose one.
	scratch string
	// calls counts the tools that were called.
	calls int
	// bags reads databags ahead, one after the other.
	bags *bufio.Reader
}

// NewClient makes a client that runs its tools by r. Folders for secret
// content are made below scratch and removed again. It must be absolute, as
// the agent reads them too; empty means /dev/shm where that can be written to,
// else the folder of temporary files.
func NewClient(r Runner, scratch string) *Client {
	return &Client{runner: r, scratch: scratch}
}

// Calls is how many hook tools the client has called.
func (c *Client) Calls() int { return c.calls }

// IsLeader tells whether the unit leads its application, and will for another
// 30 seconds.
func (c *Client) IsLeader(ctx context.Context) (bool, error) {
	return query[bool](ctx, c, "is-leader")
}

// Config returns every option of the charm; one that has neither a value nor a
// default is null. A secret option is a string with the secret's URI.
func (c *Client) Config(ctx context.Context) (map[string]json.RawMessage, error) {
	return queryMap[json.RawMessage](ctx, c, "config-get", "--all")
}

// ahead is made when the first databag is read.
func (c *Client) ahead() *bufio.Reader {
	if c.bags == nil {
		c.bags = bufio.NewReaderSize(nil, chunk)
	}
	return c.bags
}

// LogLevel is Juju's name of a level of the model's log.
type LogLevel string

// The levels a charm uses. A model shows Info and above unless its
// logging-config says otherwise.
const (
	Debug      LogLevel = "DEBUG"
	Info       LogLevel = "INFO"
	Warning    LogLevel = "WARNING"
	ErrorLevel LogLevel = "ERROR"
)

// Log writes to the model's log, at once: the record stays when the hook
// fails. A text of more than 4,000 bytes is cut.
func (c *Client) Log(ctx context.Context, level LogLevel, text string) error {
	return c.run(ctx, "juju-log", "--log-level", string(level), "--", message(text))
}

func (c *Client) call(ctx context.Context, command Command) (stdout []byte, err error) {
	c.calls++
	return c.runner.Run(ctx, command)
}

// run is for tools that print nothing worth reading.
func (c *Client) run(ctx context.Context, tool string, args ...string) error {
	_, err := c.call(ctx, Command{Name: tool, Args: args})
	return err
}

// query reads a tool's JSON. The other formats lose what is a string and what
// is a number. Where Juju has nothing it writes null, whatever the type, and
// that is the zero value.
func query[T any](ctx context.Context, c *Client, tool string, args ...string) (T, error) {
	var answer, none T
	stdout, err := c.call(ctx, Command{Name: tool, Args: append([]string{"--format", "json"}, args...)})
	if err != nil {
		return none, err
	}
	err = json.Unmarshal(stdout, &answer)
	if err != nil {
		return none, unexpectedAnswer(tool)
	}
	return answer, nil
}

// unexpectedAnswer does not tell the cause, which would quote the text: it may
// be secret-get's.
func unexpectedAnswer(tool string) error {
	return fmt.Errorf("cannot read the answer of %s: not the JSON expected", tool)
}

// queryMap is query for an object, and makes null an empty one.
func queryMap[V any](ctx context.Context, c *Client, tool string, args ...string) (map[string]V, error) {
	answer, err := query[map[string]V](ctx, c, tool, args...)
	if err == nil && answer == nil {
		answer = map[string]V{}
	}
	return answer, err
}

// queryList is query for an array of strings that are all parsed.
func queryList[V any](ctx context.Context, c *Client, parse func(string) (V, error), tool string, args ...string) ([]V, error) {
	texts, err := query[[]string](ctx, c, tool, args...)
	if err != nil {
		return nil, err
	}
	answer := make([]V, len(texts))
	for i, text := range texts {
		answer[i], err = parse(text)
		if err != nil {
			return nil, fmt.Errorf("cannot read the answer of %s: %w", tool, err)
		}
	}
	return answer, nil
}

// maxMessage keeps a message within one 4,096-byte line of the agent's log
// reader (worker/common/charmrunner) and far from the 128 KiB that Linux
// allows one argument, so that both transports treat it alike.
const maxMessage = 4000

// message makes any text fit to be an argument: a NUL would end it.
func message(text string) string {
	return cut(strings.ReplaceAll(text, "\x00", "\uFFFD"), maxMessage)
}
