// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"reflect"
)

// rpcRunner runs tools by calls to the unit agent, all on one connection. A
// call costs a fifth of a millisecond where a program costs four. A connection
// that broke stays broken: what came of the call in flight is not known, and
// the hook has to end so that Juju runs it again.
//
// It speaks the protocol of net/rpc for one call at a time. That package is
// not used because it brings net/http and the templates of its debug page:
// their initialisation would be on the path of every hook.
type rpcRunner struct {
	connection net.Conn
	out        *bufio.Writer
	encoder    *gob.Encoder
	decoder    *gob.Decoder
	sequence   uint64
	broken     bool
	// call is what every request has in common.
	call Request
	// probe is the answer to the call that chose this transport, until the
	// same is asked again: a hook asks at its beginning who leads.
	probe *probed
}

type probed struct {
	stdout []byte
	err    error
}

// probeCommand changes nothing, and every hook needs its answer.
func probeCommand() Command { return Command{Name: "is-leader", Args: []string{"--format", "json"}} }

// requestHeader goes before each request (net/rpc.Request).
type requestHeader struct {
	ServiceMethod string
	Seq           uint64
}

// responseHeader comes before each response (net/rpc.Response). Where Error is
// set, what follows is an empty value.
type responseHeader struct {
	ServiceMethod string
	Seq           uint64
	Error         string
}

// refusal is the error that the agent itself answers with: the call did not
// run.
type refusal string

func (r refusal) Error() string { return string(r) }

// errClosed tells that an earlier call broke the connection.
var errClosed = errors.New("connection is closed")

func newRPCRunner(connection net.Conn, call Request) *rpcRunner {
	out := bufio.NewWriter(connection)
	return &rpcRunner{
		connection: connection,
		out:        out,
		encoder:    gob.NewEncoder(out),
		decoder:    gob.NewDecoder(bufio.NewReader(connection)),
		call:       call,
	}
}

// Run sends the input with the first request. The stock client sends it only
// when asked, which costs a second call.
func (r *rpcRunner) Run(ctx context.Context, c Command) ([]byte, error) {
	err := ctx.Err()
	if err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", c.Name, err)
	}
	if probe := r.probe; probe != nil && c.Name == probeCommand().Name {
		r.probe = nil
		return probe.stdout, probe.err
	}
	request := r.call
	request.CommandName = c.Name
	request.Args = c.Args
	request.StdinSet = c.HasStdin
	request.Stdin = c.Stdin

	// Closing ends a blocked write as well as a blocked read.
	stop := context.AfterFunc(ctx, func() { r.connection.Close() })
	var response Response
	err = r.exchange(request, &response)
	stop()
	if err != nil {
		return nil, callError(ctx, c.Name, err)
	}
	if response.Code != 0 {
		return nil, newError(c, response.Code, response.Stderr)
	}
	return response.Stdout, nil
}

// exchange makes one call. After an error that is no refusal the stream is of
// no more use.
func (r *rpcRunner) exchange(request Request, response *Response) error {
	if r.broken {
		return errClosed
	}
	r.broken = true
	r.sequence++
	err := errors.Join(
		r.encoder.Encode(requestHeader{ServiceMethod: ServiceMethod, Seq: r.sequence}),
		r.encoder.Encode(request),
		r.out.Flush(),
	)
	if err != nil {
		return err
	}
	var header responseHeader
	if err := r.decoder.Decode(&header); err != nil {
		return err
	}
	if header.Seq != r.sequence {
		return fmt.Errorf("call %d was answered by %d", r.sequence, header.Seq)
	}
	if header.Error != "" {
		if err := r.decoder.DecodeValue(reflect.Value{}); err != nil {
			return err
		}
		r.broken = false
		return refusal(header.Error)
	}
	if err := r.decoder.Decode(response); err != nil {
		return err
	}
	r.broken = false
	return nil
}

// Close ends the connection. The agent waits for that before it ends the hook.
func (r *rpcRunner) Close() error {
	r.broken = true
	return r.connection.Close()
}

// callError tells the calls that certainly did not run from those that may
// have: a lost secret-add must not be repeated.
func callError(ctx context.Context, tool string, err error) error {
	refused, isRefusal := errors.AsType[refusal](err)
	switch {
	case isRefusal && refused == NeedsStdin:
		return fmt.Errorf("cannot run %s: it reads standard input and was given none", tool)
	case isRefusal:
		return fmt.Errorf("cannot run %s: unit agent refused the call: %w", tool, err)
	case errors.Is(err, errClosed):
		return fmt.Errorf("cannot run %s: connection to the unit agent is closed", tool)
	case ctx.Err() != nil:
		return uncertain(tool, ctx.Err())
	default:
		return uncertain(tool, err)
	}
}

// uncertain is the error of a tool whose answer was lost.
func uncertain(tool string, cause error) error {
	return fmt.Errorf("cannot tell whether %s took effect, its answer was lost: %w", tool, cause)
}
