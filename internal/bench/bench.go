// SPDX-License-Identifier: GPL-3.0-only

// Package bench measures what the packed charm costs: a hook in models of
// growing size, beside what a plain program pays for the same work and beside
// other CAs, all in one run. It asserts no figure.
package bench

import (
	"crypto"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// authorityApplication is the name under which the charm is deployed.
const authorityApplication = "tls-authority"

type options struct {
	charm      string
	json       string
	quick      bool
	only       []string
	peers      string
	peersLimit time.Duration
}

// NewCommand is the command line of the benchmark.
func NewCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what the packed charm costs, beside its limits and its peers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := o.check()
			if err != nil {
				return err
			}
			return runBench(o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.charm, "charm", "", "the .charm file to measure")
	flags.StringVar(&o.json, "json", "", "file to write every figure to, as JSON")
	flags.BoolVar(&o.quick, "quick", false, "small fleets and few runs: a minute, and figures that say less")
	flags.StringSliceVar(&o.only, "only", nil, "parts to measure, of "+strings.Join(stepNames(), ", ")+" (default all)")
	flags.StringVar(&o.peers, "peers", "auto", "auto: measure other CAs too, as far as they are here or can be built; none: only the charm")
	flags.DurationVar(&o.peersLimit, "peers-limit", 3*time.Minute, "the most that the building of each peer may take")
	if err := cmd.MarkFlagRequired("charm"); err != nil {
		panic(err) // the flag is declared above
	}
	cmd.AddCommand(newBaselineCommand())
	return cmd
}

// sizes is how much a run measures.
type sizes struct {
	csr         []int // certificates issued in one relation when the next is asked for
	relations   int   // relations of the wide model
	perRelation int   // certificates issued in each of them
	legacy      []int // units that have a legacy certificate when the next asks
	fleet       []int // units after which a joining fleet is looked at
	batch       int   // requests that come in one hook
	runs        int   // of a hook
	keyRuns     int   // of what makes an RSA key, whose cost is a matter of luck
	startUps    int
}

func newSizes(quick bool) sizes {
	if quick {
		return sizes{
			csr: []int{10, 50, 200}, relations: 10, perRelation: 50, legacy: []int{10, 20, 50}, fleet: []int{10, 50},
			batch: 200, runs: 3, keyRuns: 7, startUps: 10,
		}
	}
	return sizes{
		csr: []int{10, 100, 1000, 2500}, relations: 10, perRelation: 1000, legacy: []int{10, 100, 1000}, fleet: []int{10, 100, 1000},
		batch: 1000, runs: 5, keyRuns: 21, startUps: 30,
	}
}

// bench is one run of the benchmark.
type bench struct {
	options  options
	sizes    sizes
	progress io.Writer
	program  string // this one, which also serves as baseline and hook tool
	keys     []crypto.Signer
	report   report
}

// runBench measures, prints the tables and writes the JSON. It fails when
// something could not be measured; no figure is too slow to be a figure.
func runBench(o options, out, progress io.Writer) error {
	start := time.Now()
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program to use it as baseline: %w", err)
	}
	b := &bench{options: o, sizes: newSizes(o.quick), progress: progress, program: program}
	b.report.Machine, b.report.Quick = newMachine(), o.quick
	b.keys, err = newRequesterKeys()
	if err != nil {
		return err
	}
	err = b.measure()
	if err != nil {
		return err
	}
	b.report.Formula = predictAll(b.report)
	b.report.Ratios = newRatios(b.report)
	b.report.Seconds = time.Since(start).Seconds()
	if err := writeTables(out, b.report.tables()); err != nil {
		return err
	}
	return b.writeJSON()
}

// benchStep is a part of the benchmark that can be run by itself.
type benchStep struct {
	name string
	run  func(*bench) error
}

// benchSteps are the parts. Peers are last: building them may take long.
func benchSteps() []benchStep {
	return []benchStep{
		{"start-up", (*bench).measureStartUp},
		{"transport", (*bench).measureTransport},
		{"signing", (*bench).measureSigning},
		{"csr", (*bench).measureCSR},
		{"wide", (*bench).measureWide},
		{"legacy", (*bench).measureLegacy},
		{"fleet", (*bench).measureFleet},
		{"peers", (*bench).measurePeers},
	}
}

func stepNames() []string {
	var names []string
	for _, step := range benchSteps() {
		names = append(names, step.name)
	}
	return names
}

// check refuses what would otherwise measure nothing.
func (o options) check() error {
	if o.peers != "auto" && o.peers != "none" {
		return fmt.Errorf("--peers is %q: it must be auto or none", o.peers)
	}
	for _, name := range o.only {
		if !slices.Contains(stepNames(), name) {
			return fmt.Errorf("--only has %q: it takes %s", name, strings.Join(stepNames(), ", "))
		}
	}
	return nil
}

func (b *bench) measure() error {
	for _, step := range benchSteps() {
		if len(b.options.only) > 0 && !slices.Contains(b.options.only, step.name) {
			continue
		}
		start := time.Now()
		b.say("%s", step.name)
		err := step.run(b)
		if err != nil {
			return fmt.Errorf("cannot measure %s: %w", step.name, err)
		}
		b.say("%s took %s", step.name, time.Since(start).Round(100*time.Millisecond))
	}
	return nil
}

// say tells who waits what is being measured.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "bench: %s\n", fmt.Sprintf(format, args...))
}

func (b *bench) writeJSON() error {
	if b.options.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(b.report, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode the figures: %w", err)
	}
	err = os.MkdirAll(filepath.Dir(b.options.json), 0o755)
	if err != nil {
		return fmt.Errorf("cannot write the figures: %w", err)
	}
	err = os.WriteFile(b.options.json, append(text, '\n'), 0o644)
	if err != nil {
		return fmt.Errorf("cannot write the figures: %w", err)
	}
	return nil
}
