// SPDX-License-Identifier: GPL-3.0-only

// Command jujusim runs the packed charm in a simulated Juju model, with no
// cloud and no controller. It is for newcomers and developers and is not part
// of the charm. Called by the name of a hook tool it acts as that tool, which
// is how the charm in the model finds its tools.
package main

import (
	"fmt"
	"os"

	"tls-authority/internal/jujusim"
)

func main() {
	code, isTool := jujusim.Shim(os.Args[0], os.Args[1:])
	if isTool {
		os.Exit(code)
	}
	err := newRootCommand().Execute()
	if err != nil {
		fmt.Fprintln(os.Stderr, "jujusim:", err)
		os.Exit(1)
	}
}
