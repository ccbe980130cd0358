// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// event is a line of go test -json; go doc test2json describes it.
type event struct{ Action, Package, Test, Output string }

// report counts cases: tests that have no subtests.
type report struct {
	out                      io.Writer
	output                   map[string]string // by package and test, until the verdict
	parents                  map[string]bool   // by package and test: it has subtests
	passed, failed, blackBox int
	skipped                  []skip
	ok                       bool // go test says so
}

// skip is a case that did not run.
type skip struct{ test, reason string }

// runSuite runs go test in a folder and prints what matters of it.
func runSuite(out io.Writer, folder string, args []string) *report {
	r := newReport(out)
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir, cmd.Stderr = folder, os.Stderr
	lines, err := cmd.StdoutPipe()
	if err = errors.Join(err, cmd.Start()); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		r.failed++
		return r
	}
	decoder := json.NewDecoder(lines)
	for e := (event{}); decoder.Decode(&e) == nil; e = (event{}) {
		r.add(e)
	}
	for _, text := range r.output {
		fmt.Fprint(out, text) // of a test that the time limit cut off
	}
	r.ok = cmd.Wait() == nil
	if !r.ok && r.failed == 0 {
		r.failed = 1 // a package that did not build, a panic, the time limit
	}
	return r
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[string]string{}, parents: map[string]bool{}}
}

func (r *report) add(e event) {
	key := e.Package + " " + e.Test
	text := r.output[key]
	switch {
	case e.Action == "run" && strings.Contains(e.Test, "/"):
		r.parents[key[:strings.LastIndexByte(key, '/')]] = true
	case strings.HasSuffix(e.Action, "output") && e.Test != "":
		r.output[key] += e.Output
	case strings.HasSuffix(e.Action, "output") && e.Output != "PASS\n":
		fmt.Fprint(r.out, e.Output)
	case e.Action == "fail" || e.Action == "skip":
		fmt.Fprint(r.out, text)
		delete(r.output, key)
	case e.Action == "pass":
		delete(r.output, key)
	}
	switch {
	case e.Test == "" || r.parents[key]: // no case
	case e.Action == "fail":
		r.failed++
	case e.Action == "skip":
		r.skipped = append(r.skipped, skip{e.Test, reason(text)})
	case e.Action == "pass":
		r.passed++
		// TestSource… read the source; the others below tests/ drive the charm.
		if strings.Contains(e.Package+"/", "/tests/") && !strings.HasPrefix(e.Test, "TestSource") {
			r.blackBox++
		}
	}
}

// position is how package testing begins what a test says: file and line.
var position = regexp.MustCompile(`^\s+\S+\.go:\d+: `)

// reason is what a test that was skipped said last.
func reason(output string) string {
	said := "no reason given"
	for line := range strings.Lines(output) {
		if at := position.FindStringIndex(line); at != nil {
			said = strings.TrimSpace(line[at[1]:])
		}
	}
	return said
}
