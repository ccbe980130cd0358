// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/rpc"
)

// rpcRunner runs tools by calls to the unit agent, all on one connection. A
// call costs a fifth of a millisecond where a program costs four. A connection
// that broke stays broken: what came of the call in flight is not known, and
// the hook has to end so that Juju runs it again.
type rpcRunner struct {
	connection net.Conn
	client     *rpc.Client
	// call is what every request has in common.
	call Request
}

// Run sends the input with the first request. The stock client sends it only
// when asked, which costs a second call.
func (r *rpcRunner) Run(ctx context.Context, c Command) ([]byte, error) {
	err := ctx.Err()
	if err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", c.Name, err)
	}
	request := r.call
	request.CommandName = c.Name
	request.Args = c.Args
	request.StdinSet = c.HasStdin
	request.Stdin = c.Stdin

	// Closing ends a blocked write as well as a blocked read.
	stop := context.AfterFunc(ctx, func() { r.connection.Close() })
	var response Response
	err = r.client.Call(ServiceMethod, request, &response)
	stop()
	if err != nil {
		return nil, callError(ctx, c.Name, err)
	}
	if response.Code != 0 {
		return nil, newError(c, response.Code, response.Stderr)
	}
	return response.Stdout, nil
}

// Close ends the connection. The agent waits for that before it ends the hook.
func (r *rpcRunner) Close() error {
	return r.client.Close()
}

// callError tells the calls that certainly did not run from those that may
// have: a lost secret-add must not be repeated.
func callError(ctx context.Context, tool string, err error) error {
	refusal, refused := errors.AsType[rpc.ServerError](err)
	switch {
	case refused && refusal == NeedsStdin:
		return fmt.Errorf("cannot run %s: it reads standard input and was given none", tool)
	case refused:
		return fmt.Errorf("cannot run %s: unit agent refused the call: %w", tool, err)
	case errors.Is(err, rpc.ErrShutdown):
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
