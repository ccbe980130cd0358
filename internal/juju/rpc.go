// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
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
	in         *gobReader
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

// refusal is the error that the agent itself answers with: the call did not
// run.
type refusal string

func (r refusal) Error() string { return string(r) }

// errClosed tells that an earlier call broke the connection.
var errClosed = errors.New("connection is closed")

func newRPCRunner(connection net.Conn, call Request) *rpcRunner {
	return &rpcRunner{
		connection: connection,
		out:        bufio.NewWriterSize(connection, chunk),
		in:         newGobReader(bufio.NewReader(connection)),
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
	// Closing ends a blocked write as well as a blocked read.
	stop := context.AfterFunc(ctx, func() { r.connection.Close() })
	a, err := r.exchange(c)
	stop()
	if err != nil {
		return nil, callError(ctx, c.Name, err)
	}
	if a.code != 0 {
		return nil, newError(c, a.code, a.stderr)
	}
	return a.stdout, a.unread
}

// answered is what became of a call that ran.
type answered struct {
	code           int
	stdout, stderr []byte
	// silent tells that there was no standard output: gob leaves out what is
	// empty.
	silent bool
	// unread is the error of Command.Stdout.
	unread error
}

// exchange makes one call. After an error that is no refusal the stream is of
// no more use.
func (r *rpcRunner) exchange(c Command) (answered, error) {
	if r.broken {
		return answered{}, errClosed
	}
	r.broken = true
	if err := r.send(c); err != nil {
		return answered{}, err
	}
	a, err := r.receive(c)
	_, refused := errors.AsType[refusal](err)
	r.broken = err != nil && !refused
	return a, err
}

func (r *rpcRunner) send(c Command) error {
	request := r.call
	request.CommandName = c.Name
	request.Args = c.Args
	request.StdinSet = c.Stdin != nil
	r.sequence++
	if r.sequence == 1 {
		r.out.WriteString(defineHeader)
	}
	writeHeader(r.out, r.sequence)
	if r.sequence == 1 {
		r.out.WriteString(defineRequest)
	}
	writeRequest(r.out, request, c.Stdin)
	return r.out.Flush() // or the error before
}

// receive reads the answer as it arrives (net/rpc.Response, and Response).
// Where the agent refuses, what follows is an empty value.
func (r *rpcRunner) receive(c Command) (answered, error) {
	var sequence uint64
	var refused string
	err := r.in.value(
		gobKnown{gobField{"Seq", gobUint}, func() { sequence = r.in.uint() }},
		gobKnown{gobField{"Error", gobString}, func() { refused = string(r.in.bytes()) }},
	)
	switch {
	case err != nil:
		return answered{}, err
	case sequence != r.sequence:
		return answered{}, fmt.Errorf("call %d was answered by %d", r.sequence, sequence)
	case refused != "":
		if err := r.in.value(); err != nil {
			return answered{}, err
		}
		return answered{}, refusal(refused)
	}
	a := answered{silent: true}
	err = r.in.value(
		gobKnown{gobField{"Code", gobInt}, func() { a.code = int(r.in.int()) }},
		gobKnown{gobField{"Stderr", gobBytes}, func() { a.stderr = r.in.bytes() }},
		gobKnown{gobField{"Stdout", gobBytes}, func() {
			a.silent = false
			r.in.stream(func(stdout io.Reader, size int) { a.stdout, a.unread = c.read(stdout, size) })
		}},
	)
	if err == nil && a.silent {
		a.stdout, a.unread = c.read(strings.NewReader(""), 0)
	}
	return a, err
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
