// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tls-authority/internal/responder"
	"tls-authority/internal/spool"
)

func newServeCommand() *cobra.Command {
	var directory, address string
	cmd := &cobra.Command{
		Use:   "serve --spool DIR --listen ADDRESS:PORT",
		Short: "Run the status service, which answers from what hooks write into the spool",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), directory, address, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&directory, "spool", "", "folder that hooks write into")
	cmd.Flags().StringVar(&address, "listen", "", "address and port to answer on")
	require(cmd, "spool", "listen")
	return cmd
}

// serve runs the status service until SIGTERM or SIGINT. A second signal ends
// it at once.
func serve(ctx context.Context, directory, address string, log io.Writer) error {
	// Before the key of the responder is read.
	if err := forbidDumps(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop)

	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("cannot start the status service: %w", err)
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	logger.Info("the status service listens", "address", listener.Addr())
	err = responder.New(spool.Folder{Path: directory}, time.Now, logger).Serve(ctx, listener)
	if err == nil {
		logger.Info("the status service has ended")
	}
	return err
}

// forbidDumps keeps the responder's key out of core dumps, also those that a
// program takes which the kernel pipes them to (core(5)), and out of reach of
// other processes of the same user (ptrace(2)).
func forbidDumps() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("cannot set the limit of core dumps: %w", err)
	}
	_, _, failure := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0)
	if failure != 0 {
		return fmt.Errorf("cannot forbid dumps of this process: %w", failure)
	}
	return nil
}
