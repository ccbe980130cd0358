// SPDX-License-Identifier: GPL-3.0-only

// Command tls-authority is bin/tls-authority of the charm: the status service,
// what starts and stops it, and the actions, which dispatch leaves to it.
package main

import "os"

func main() {
	if err := newCommand().Execute(); err != nil {
		os.Exit(1)
	}
}
