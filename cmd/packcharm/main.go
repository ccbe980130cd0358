// SPDX-License-Identifier: GPL-3.0-only

// Command packcharm builds the charm archive of each architecture asked for:
// static programs, packed with what Juju reads of a charm, byte for byte the
// same whoever builds it with the same Go. It is run in the folder of
// metadata.yaml and needs no network beyond the modules of the build.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
)

func main() {
	out := flag.String("out", "build", "folder the archives are written to")
	arch := flag.String("arch", "", "architectures by Juju's names, separated by spaces: amd64 arm64 ppc64el s390x (default: this machine's)")
	flag.Parse()
	if err := run(*out, strings.Fields(*arch)); err != nil {
		fmt.Fprintln(os.Stderr, "packcharm:", err)
		os.Exit(1)
	}
}

func run(out string, names []string) error {
	targets, err := parseTargets(names, runtime.GOARCH)
	if err != nil {
		return err
	}
	for _, t := range targets {
		a, err := pack(t, out)
		if err != nil {
			return fmt.Errorf("cannot pack the charm for %s: %w", t.name, err)
		}
		fmt.Printf("%s  %d bytes  sha256:%x\n", a.path, a.size, a.digest)
	}
	return nil
}
