// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"time"

	"tls-authority/internal/juju"
	"tls-authority/internal/jujusim"
)

// transportCost is the time that a charm waits for one call of a hook tool,
// and not CPU time: half of it is the agent's.
type transportCost struct {
	Name string `json:"name"`
	Wall spread `json:"wall"`
}

// The names of the transports in the report.
const (
	byRPC  = "is-leader by RPC"
	byExec = "is-leader by exec of the hook tool"
	noTool = "exec of true(1), which calls nobody"
)

// Calls of each kind: an RPC costs next to nothing, a program milliseconds.
const (
	rpcCalls  = 1000
	execCalls = 40
)

// measureTransport calls the same tool over both transports of the charm, and
// runs a program that does nothing.
func (b *bench) measureTransport() error {
	rpc, err := b.callTool(byRPC, false, rpcCalls)
	if err != nil {
		return err
	}
	program, err := b.callTool(byExec, true, execCalls)
	if err != nil {
		return err
	}
	path, err := exec.LookPath("true")
	if err != nil {
		return err
	}
	empty, err := costs(execCalls, func() (hookCost, error) { return runCommand(exec.Command(path)) })
	if err != nil {
		return err
	}
	b.report.Transport = []transportCost{rpc, program, {Name: noTool, Wall: empty.wall()}}
	return nil
}

// callTool stands in for the charm's program in one hook and calls a tool
// again and again.
func (b *bench) callTool(name string, execOnly bool, calls int) (transportCost, error) {
	var walls []float64
	var failed error
	program := func(ctx context.Context, environ []string, dir string, _, _ io.Writer) int {
		if walls == nil {
			walls, failed = timeCalls(ctx, environ, dir, calls)
		}
		return 0
	}
	model, err := jujusim.New(jujusim.Options{Program: program, ExecOnly: execOnly})
	if err != nil {
		return transportCost{}, err
	}
	defer model.Close()
	err = model.Deploy(b.options.charm, authorityApplication, 1)
	if err == nil {
		_, err = model.Step()
	}
	return transportCost{Name: name, Wall: newSpread(walls)}, errors.Join(err, failed)
}

func timeCalls(ctx context.Context, environ []string, dir string, calls int) (walls []float64, err error) {
	runner, err := juju.Connect(ctx, environ, dir)
	if err != nil {
		return nil, err
	}
	if closer, ok := runner.(io.Closer); ok {
		defer closer.Close()
	}
	for range calls + 1 {
		start := time.Now()
		_, err = runner.Run(ctx, juju.Command{Name: "is-leader", Args: []string{"--format", "json"}})
		if err != nil {
			return nil, err
		}
		walls = append(walls, time.Since(start).Seconds())
	}
	return walls[1:], nil // the first may have been answered while connecting
}
