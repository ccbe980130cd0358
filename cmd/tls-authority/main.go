// SPDX-License-Identifier: GPL-3.0-only

// Command tls-authority is the charm. Juju runs it as `dispatch` for every hook
// and action. Under its own name, bin/tls-authority in the charm, it has
// commands, of which one is the status service.
package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"tls-authority/internal/operator"
)

func main() {
	// Juju's way comes first and past cobra: the cost of a hook is the cost
	// of starting this process.
	if filepath.Base(os.Args[0]) == "dispatch" {
		os.Exit(operator.Dispatch(context.Background(), os.Environ(), time.Now, os.Stderr))
	}
	if err := newCommand().Execute(); err != nil {
		os.Exit(1)
	}
}
