// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// execRunner runs tools as the programs that the agent puts on PATH, without a
// shell: the way Juju documents, and the one that is left when the agent's
// socket does not answer as expected.
type execRunner struct {
	// environ is handed on as it is: the tools find the agent by it.
	environ []string
	path    string
	dir     string
}

func (r *execRunner) Run(ctx context.Context, c Command) ([]byte, error) {
	err := ctx.Err()
	if err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", c.Name, err)
	}
	program, err := r.find(c.Name)
	if err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", c.Name, err)
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, program, c.Args...)
	command.Env = r.environ
	command.Dir = r.dir
	command.Stdout = &stdout
	command.Stderr = &stderr
	command.WaitDelay = 5 * time.Second // a killed tool's children may hold its pipes
	if c.Stdin != nil {
		// Without this a tool that reads its input finds the end at once.
		var stdin bytes.Buffer
		stdin.Grow(c.Stdin.Len())
		c.Stdin.WriteTo(&stdin)
		command.Stdin = &stdin
	}

	err = command.Start()
	if err != nil {
		return nil, fmt.Errorf("cannot run %s: %w", c.Name, err)
	}
	err = command.Wait()
	if err == nil {
		return c.read(&stdout, stdout.Len())
	}
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return nil, uncertain(c.Name, ctx.Err())
	case exited && exit.Exited():
		return nil, newError(c, exit.ExitCode(), stderr.Bytes())
	default:
		return nil, uncertain(c.Name, err)
	}
}

// find looks along the PATH that the tools themselves will see. Relative
// folders are left out, as os/exec does.
func (r *execRunner) find(tool string) (string, error) {
	for _, folder := range filepath.SplitList(r.path) {
		program, err := exec.LookPath(filepath.Join(folder, tool))
		if err == nil && filepath.IsAbs(program) {
			return program, nil
		}
	}
	return "", exec.ErrNotFound
}
