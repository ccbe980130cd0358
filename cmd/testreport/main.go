// SPDX-License-Identifier: GPL-3.0-only

// Command testreport runs go test with the arguments it is given. It prints
// what go test says of each package, the output of tests that failed or were
// skipped, and how many cases ran. A suite that runs nothing must not look
// like one that passes, so it fails too when no black-box case passed.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// event is a line of go test -json; go doc test2json describes it.
type event struct{ Action, Package, Test, Output string }

// report counts cases: tests that have no subtests.
type report struct {
	output                            map[string]string // by package and test, until the verdict
	parents                           map[string]bool   // by package and test: it has subtests
	passed, failed, skipped, blackBox int
}

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err = errors.Join(err, cmd.Start()); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	r, lines := report{output: map[string]string{}, parents: map[string]bool{}}, json.NewDecoder(out)
	for e := (event{}); lines.Decode(&e) == nil; e = (event{}) {
		r.add(e, e.Package+" "+e.Test)
	}
	for _, text := range r.output {
		fmt.Print(text) // of a test that the time limit cut off
	}
	failed := cmd.Wait() != nil || r.blackBox == 0
	if failed && r.failed == 0 {
		r.failed = 1 // a package that did not build, a panic, the time limit, or nothing to run
	}
	fmt.Printf("%d black-box cases of the packed charm\n%d passed, %d failed, %d skipped\n", r.blackBox, r.passed, r.failed, r.skipped)
	if failed {
		os.Exit(1)
	}
}

func (r *report) add(e event, key string) {
	switch {
	case e.Action == "run" && strings.Contains(e.Test, "/"):
		r.parents[key[:strings.LastIndexByte(key, '/')]] = true
	case strings.HasSuffix(e.Action, "output") && e.Test != "":
		r.output[key] += e.Output
	case strings.HasSuffix(e.Action, "output") && e.Output != "PASS\n":
		fmt.Print(e.Output)
	case e.Action == "fail" || e.Action == "skip":
		fmt.Print(r.output[key])
		delete(r.output, key)
	case e.Action == "pass":
		delete(r.output, key)
	}
	switch {
	case e.Test == "" || r.parents[key]: // no case
	case e.Action == "fail":
		r.failed++
	case e.Action == "skip":
		r.skipped++
	case e.Action == "pass":
		r.passed++
		// TestSource… read the source; the others below tests/ drive the charm.
		if strings.Contains(e.Package+"/", "/tests/") && !strings.HasPrefix(e.Test, "TestSource") {
			r.blackBox++
		}
	}
}
