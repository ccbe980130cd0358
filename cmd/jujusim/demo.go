// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tls-authority/internal/jujusim"
)

// authorityApplication is the name under which the demo deploys the charm.
const authorityApplication = "tls-authority"

// extraSANs is what the demo's operator adds to every server certificate.
const extraSANs = "api.example.com 10.0.0.100"

type demoOptions struct {
	charm   string
	json    bool
	seed    uint64
	version string
}

func newDemoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Deploy the packed charm in a simulated model and watch it issue and revoke certificates and rotate its CA",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(o, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.charm, "charm", "", "the .charm file to deploy")
	flags.BoolVar(&o.json, "json", false, "print one JSON document instead of text")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of what Juju leaves to chance; 0 is a fixed one")
	flags.StringVar(&o.version, "juju", "", "version of Juju to simulate, for example 3.6.11 or 4.1")
	if err := cmd.MarkFlagRequired("charm"); err != nil {
		panic(err) // the flag is declared above
	}
	return cmd
}

// runDemo plays the whole life of a small model and fails if anything that it
// shows is not as it should be.
func runDemo(o demoOptions, out io.Writer) error {
	show := newShow(o.json, out)
	// Demonstrations that run at the same time listen on addresses of their own.
	const first, count = 121, 130
	subnet := fmt.Sprintf("127.%d", first+os.Getpid()%count)
	model, err := jujusim.New(jujusim.Options{Seed: o.seed, Version: o.version, Subnet: subnet, Observe: show.event})
	if err != nil {
		return err
	}
	defer model.Close()
	if err := play(model, o.charm, show); err != nil {
		return err
	}
	return show.finish()
}

// play deploys and relates, then looks at what the requirers got.
func play(model *jujusim.Model, charm string, show *show) error {
	show.heading("juju deploy %s --config extra_sans=%q", authorityApplication, extraSANs)
	if err := model.Deploy(charm, authorityApplication, 1); err != nil {
		return err
	}
	if err := model.Configure(authorityApplication, map[string]any{"extra_sans": extraSANs}); err != nil {
		return err
	}
	if err := model.Settle(); err != nil {
		return err
	}
	requirers, err := newRequirers()
	if err != nil {
		return err
	}
	for _, r := range requirers {
		show.heading("juju integrate %s %s   # %s", authorityApplication, r.application, r.about)
		if err := r.join(model); err != nil {
			return err
		}
	}
	issued, err := collectAll(model, requirers)
	if err != nil {
		return err
	}
	name, message := model.Status(authorityApplication + "/0")
	show.status(name, message)
	if err := show.authority(model); err != nil {
		return err
	}
	show.certificates(issued)
	show.handshakes(shakeHands(issued))
	if err := revoke(model, requirers[len(requirers)-1], show); err != nil {
		return err
	}
	if err := rotate(model, requirers, show); err != nil {
		return err
	}
	name, message = model.Status(authorityApplication + "/0")
	show.status(name, message)
	return nil
}

func collectAll(model *jujusim.Model, requirers []*requirer) ([]certificate, error) {
	global, err := requirers[0].collectGlobal(model)
	if err != nil {
		return nil, err
	}
	issued := []certificate{global}
	for _, r := range requirers {
		got, err := r.collect(model)
		if err != nil {
			return nil, fmt.Errorf("cannot read the answers of %s: %w", r.application, err)
		}
		issued = append(issued, got...)
	}
	return issued, nil
}

// isTerminal tells whether colours will be seen rather than stored.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
