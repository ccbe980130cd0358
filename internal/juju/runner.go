// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
)

// Command is one call of a hook tool.
type Command struct {
	Name string
	Args []string
	// Stdin is the tool's standard input, nil for none, and may be secret.
	Stdin *Settings `json:"-"`
	// Stdout, if set, reads standard output as it arrives, of a size that is
	// known, or 0. What it leaves is thrown away, and so is what it made of it
	// when the tool failed.
	Stdout func(stdout io.Reader, size int) error `json:"-"`
}

// read reads standard output by Stdout, or else returns it.
func (c Command) read(stdout io.Reader, size int) ([]byte, error) {
	if c.Stdout == nil {
		return io.ReadAll(stdout)
	}
	return nil, c.Stdout(stdout, size)
}

// Format prints the tool's name only, with every verb.
func (c Command) Format(f fmt.State, _ rune) {
	io.WriteString(f, c.Name+" [redacted]")
}

// Runner runs hook tools, one at a time.
type Runner interface {
	// Run returns what the tool wrote to standard output, unless c.Stdout reads
	// it. The error is an *Error when the tool ran and failed, or that of
	// c.Stdout. Any other error says that it did not run, or that nobody knows;
	// nothing is ever run twice.
	Run(ctx context.Context, c Command) (stdout []byte, err error)
}

// Connect chooses how this process runs hook tools, from the environment of
// the hook and the charm directory, which must be absolute. It calls one tool
// that changes nothing over the agent's socket, and stays there if the tool
// answers. The socket is no documented interface for charms, so whatever else
// happens means the programs on PATH. The runner may be an io.Closer.
func Connect(ctx context.Context, environ []string, dir string) (Runner, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("cannot connect to the unit agent: charm directory %q is not absolute", dir)
	}
	variables := newVariables(environ).values
	agent, err := probeAgent(ctx, variables, dir)
	if err == nil {
		return agent, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("cannot connect to the unit agent: %w", ctx.Err())
	}
	return &execRunner{environ: environ, path: variables["PATH"], dir: dir}, nil
}

func probeAgent(ctx context.Context, variables map[string]string, dir string) (*rpcRunner, error) {
	if variables["JUJU_AGENT_SOCKET_NETWORK"] != "unix" {
		// TCP is for podspec charms, with TLS, and gone in Juju 4.
		return nil, errors.New("not a unix socket")
	}
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", variables["JUJU_AGENT_SOCKET_ADDRESS"])
	if err != nil {
		return nil, err
	}
	agent := newRPCRunner(connection, Request{
		ContextId: variables["JUJU_CONTEXT_ID"],
		Dir:       dir,
		Token:     variables["JUJU_AGENT_TOKEN"],
	})
	stdout, err := agent.Run(ctx, probeCommand())
	if _, failed := errors.AsType[*Error](err); err != nil && !failed {
		agent.Close()
		return nil, err
	}
	agent.probe = &probed{stdout, err}
	return agent, nil
}
