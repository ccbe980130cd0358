// SPDX-License-Identifier: GPL-3.0-only

// Package operator is the charm with all that operators may ask of it: it joins
// to the hooks of package charm the actions, and the files in which a CA leaves
// the model and comes back.
//
// It is apart since hooks run all the time and actions hardly ever: what only
// actions need, such as encryption of files, costs a program that links it time
// whenever it starts.
package operator

import (
	"context"
	"io"
	"time"

	"tls-authority/internal/action"
	"tls-authority/internal/charm"
)

// Dispatch runs the hook or the action that an environment tells of, at the
// time of the clock, and returns the exit status of the process.
func Dispatch(ctx context.Context, environ []string, clock func() time.Time, stderr io.Writer) int {
	desk := charm.Desk{Answer: action.Answer, Seal: seal, Restore: restore}
	return charm.Program{Clock: clock, Stderr: stderr, Desk: &desk}.Dispatch(ctx, environ)
}
