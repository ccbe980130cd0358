// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"tls-authority/internal/bench"
)

// newRootCommand returns the command with its subcommands. New ones are added
// here.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "jujusim",
		Short:         "Run the packed charm in a simulated Juju model",
		SilenceUsage:  true,
		SilenceErrors: true, // main prints them
	}
	root.AddCommand(newVersionCommand(), newDemoCommand(), bench.NewCommand())
	return root
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which build this is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			version := "unknown"
			if build, ok := debug.ReadBuildInfo(); ok {
				version = build.Main.Version
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	}
}
