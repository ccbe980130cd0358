// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tls-authority/internal/juju"
)

// Dispatch runs the event that the environment of a hook or an action tells
// of, and returns the exit status of the process. An error goes to the model's
// log, and to stderr in case the log is what failed; none of both ever holds a
// key.
func (p Program) Dispatch(ctx context.Context, environ []string) int {
	event, err := juju.ParseEvent(environ)
	if err != nil {
		fmt.Fprintf(p.Stderr, "cannot read the event: %v\n", err)
		return 1
	}
	runner, err := juju.Connect(ctx, environ, event.CharmDirectory)
	if err != nil {
		fmt.Fprintf(p.Stderr, "cannot reach the unit agent: %v\n", err)
		return 1
	}
	if closer, ok := runner.(io.Closer); ok {
		defer closer.Close()
	}
	client := juju.NewClient(runner, "")
	if err := p.Run(ctx, client, event); err != nil {
		return report(ctx, client, event, err, p.Stderr)
	}
	return 0
}

// report tells an error. An action ends with it as its message, which an exit
// status would replace; a hook must exit non-zero, so that Juju drops what it
// wrote and runs it again, and so must an action that has begun to write.
func report(ctx context.Context, client *juju.Client, event juju.Event, err error, stderr io.Writer) int {
	message := fmt.Sprintf("%s: %v", event.Name, err)
	if logErr := client.Log(ctx, juju.ErrorLevel, message); logErr != nil {
		fmt.Fprintln(stderr, message)
	}
	begun := (*writeError)(nil)
	if event.Kind == juju.Action && !errors.As(err, &begun) && client.FailAction(ctx, err.Error()) == nil {
		return 0
	}
	return 1
}
