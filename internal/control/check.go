// SPDX-License-Identifier: GPL-3.0-only

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	// answerWithin bounds the question to Pebble.
	answerWithin = 3 * time.Second
	// maxAnswer is far above what Pebble tells of one service, in bytes.
	maxAnswer = 64 << 10
)

// Check tells why the service does not run; nil when it does. It asks Pebble,
// which asks the daemon all the time.
func (s Site) Check(ctx context.Context) error {
	if !s.Exists() {
		return errors.New("the status service has not been started")
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return s.Sentence("the status service is down", s.ask(ctx))
}

// ask puts one question in HTTP/1.0 (RFC 1945), after whose answer Pebble
// closes the connection: net/http would cost a hook more than the answer.
func (s Site) ask(ctx context.Context) error {
	socket, err := s.Socket()
	if err != nil {
		return err
	}
	connection, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return errors.New("pebble does not run")
	}
	defer connection.Close()
	if deadline, ok := ctx.Deadline(); ok {
		err = connection.SetDeadline(deadline)
	}
	if err == nil {
		_, err = io.WriteString(connection, "GET /v1/services?names="+ServiceName+" HTTP/1.0\r\n\r\n")
	}
	var answer []byte
	if err == nil {
		answer, err = io.ReadAll(io.LimitReader(connection, maxAnswer))
	}
	if err != nil {
		return fmt.Errorf("pebble does not answer: %w", err)
	}
	return checkAnswer(answer)
}

// checkAnswer reads what Pebble tells of the service.
func checkAnswer(answer []byte) error {
	head, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	status, _, _ := strings.Cut(string(head), "\r\n")
	words := strings.Fields(status)
	if len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/1.") || words[1] != "200" {
		return fmt.Errorf("pebble does not answer: it says %.40q", status)
	}
	var reply struct {
		Result []struct {
			Current string `json:"current"`
		} `json:"result"`
	}
	err := json.Unmarshal(body, &reply)
	switch {
	case err != nil:
		return fmt.Errorf("pebble does not answer: %w", err)
	case len(reply.Result) == 0:
		return errors.New("pebble does not know it")
	case reply.Result[0].Current != "active":
		return fmt.Errorf("pebble says that it is in state %.40s", reply.Result[0].Current)
	}
	return nil
}
