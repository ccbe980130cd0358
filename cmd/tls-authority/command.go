// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"tls-authority/internal/operator"
)

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:          "tls-authority",
		Short:        "The TLS certificate authority of a Juju model",
		SilenceUsage: true,
	}
	root.AddCommand(newDispatchCommand(), newServeCommand(), newServiceCommand(), newVersionCommand())
	return root
}

func newDispatchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dispatch",
		Short: "Run the action or hook that the environment tells of, as dispatch does",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			os.Exit(operator.Dispatch(context.Background(), os.Environ(), time.Now, cmd.ErrOrStderr()))
		},
	}
}

// require makes flags of a command required.
func require(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // there is no flag of that name
		}
	}
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this build",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			build, ok := debug.ReadBuildInfo()
			if !ok {
				return fmt.Errorf("cannot read build information: the program was built without it")
			}
			fmt.Fprintf(cmd.OutOrStdout(), "tls-authority %s (%s)\n", build.Main.Version, build.GoVersion)
			return nil
		},
	}
}
