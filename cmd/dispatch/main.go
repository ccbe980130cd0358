// SPDX-License-Identifier: GPL-3.0-only

// Command dispatch is what Juju runs for every hook and action of the charm. It
// runs hooks itself. Actions, and what the status service needs, are those of
// bin/tls-authority: they are seldom, and a program that starts for every event
// is the quicker the less it links.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"tls-authority/internal/charm"
)

func main() {
	environ := os.Environ()
	if os.Getenv("JUJU_ACTION_NAME") != "" {
		// It returns only if it cannot be: the action then fails by itself.
		err := become(filepath.Join(os.Getenv("JUJU_CHARM_DIR"), "bin", "tls-authority"), environ)
		fmt.Fprintln(os.Stderr, "cannot run the action:", err)
	}
	os.Exit(charm.Program{Clock: time.Now, Stderr: os.Stderr}.Dispatch(context.Background(), environ))
}

// become replaces this process by the program with all that an action needs.
// Everything that it has to know is in the environment, as Juju gave it.
func become(program string, environ []string) error {
	return &os.PathError{Op: "exec", Path: program, Err: syscall.Exec(program, []string{program, "dispatch"}, environ)}
}
