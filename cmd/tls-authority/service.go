// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"tls-authority/internal/control"
	"tls-authority/internal/service"
)

// maxPlan is far above a plan with as many Lokis as a model may have, in bytes.
const maxPlan = 1 << 20

// newServiceCommand makes what hooks call. An error is the sentence that goes
// into the status, and the only line on stderr.
func newServiceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "service", Short: "Start and stop the status service of a unit, as hooks do"}
	start := newVerb("start", "Have the status service do what the plan on stdin says", func(cmd *cobra.Command, keeper service.Keeper) error {
		var plan control.Plan
		if err := json.NewDecoder(io.LimitReader(cmd.InOrStdin(), maxPlan)).Decode(&plan); err != nil {
			return fmt.Errorf("cannot start the status service: cannot read its plan: %w", err)
		}
		return keeper.Start(cmd.Context(), plan)
	})
	restart := newVerb("restart", "Have the status service do what it was told last", func(cmd *cobra.Command, keeper service.Keeper) error {
		return keeper.Restart(cmd.Context())
	})
	stop := newVerb("stop", "Take the status service away", func(cmd *cobra.Command, keeper service.Keeper) error {
		return keeper.Stop(cmd.Context())
	})
	cmd.AddCommand(start, restart, stop)
	return cmd
}

func newVerb(verb, short string, run func(*cobra.Command, service.Keeper) error) *cobra.Command {
	var charm, unit string
	cmd := &cobra.Command{
		Use:   verb + " --charm DIR --unit UNIT",
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			cmd.SetContext(ctx)
			err := run(cmd, service.New(control.At(charm, unit)))
			if err != nil {
				cmd.SilenceErrors = true // cobra would put a word before it
				fmt.Fprintln(cmd.ErrOrStderr(), err)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&charm, "charm", "", "directory of the charm")
	cmd.Flags().StringVar(&unit, "unit", "", "name of the unit")
	require(cmd, "charm", "unit")
	return cmd
}
