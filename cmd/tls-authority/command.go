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
	root.AddCommand(newDispatchCommand(), newServeCommand(), newVersionCommand())
	return root
}

func newDispatchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dispatch",
		Short: "Run the hook or action that the environment tells of, as Juju does",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			os.Exit(operator.Dispatch(context.Background(), os.Environ(), time.Now, cmd.ErrOrStderr()))
		},
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
