// SPDX-License-Identifier: GPL-3.0-only

// Command testreport runs go test with the arguments it is given. It prints
// what go test says of each package, the output of tests that failed or were
// skipped, and how many cases ran. A suite that runs nothing must not look
// like one that passes, so it fails too when no black-box case passed.
//
// After -table every argument is a suite of its own: the folder of a module and
// the arguments of go test there, separated by spaces. All suites run, whatever
// becomes of one, and a table at the end tells of each how many cases passed,
// failed and were skipped, and why those were. A folder that is not there is
// told too.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-table" {
		if !tabulate(os.Stdout, os.Args[2:]) {
			os.Exit(1)
		}
		return
	}
	r := runSuite(os.Stdout, ".", os.Args[1:])
	ok := r.ok && r.blackBox > 0
	if !ok && r.failed == 0 {
		r.failed = 1 // nothing to run
	}
	fmt.Printf("%d black-box cases of the packed charm\n%d passed, %d failed, %d skipped\n", r.blackBox, r.passed, r.failed, len(r.skipped))
	if !ok {
		os.Exit(1)
	}
}

// tabulate runs all suites and reports whether each passed something and
// failed nothing.
func tabulate(out io.Writer, suites []string) bool {
	ok := len(suites) > 0
	rows, skipped := "", ""
	for _, suite := range suites {
		words := strings.Fields(suite)
		if len(words) == 0 {
			continue
		}
		if _, err := os.Stat(words[0]); err != nil {
			rows += fmt.Sprintf("%-24s %s\n", words[0], "not run: there is no such folder")
			continue
		}
		r := runSuite(out, words[0], words[1:])
		ok = ok && r.ok && r.passed > 0
		rows += fmt.Sprintf("%-24s %7d %7d %7d %7d\n", words[0], r.passed+r.failed+len(r.skipped), r.passed, r.failed, len(r.skipped))
		for _, s := range r.skipped {
			skipped += fmt.Sprintf("%s: %s: %s\n", words[0], s.test, s.reason)
		}
	}
	fmt.Fprintf(out, "\n%-24s %7s %7s %7s %7s\n%s", "suite", "cases", "passed", "failed", "skipped", rows)
	if skipped != "" {
		fmt.Fprintf(out, "\nskipped, and why\n%s", skipped)
	}
	return ok
}
