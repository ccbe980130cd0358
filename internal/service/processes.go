// SPDX-License-Identifier: GPL-3.0-only

package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// halt ends Pebble and the daemon, which outlives a Pebble that was killed.
func (s Site) halt(ctx context.Context) error {
	if s.hasSystemd() {
		return s.stopUnit(ctx)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		running, err := s.processes()
		if err != nil {
			return err
		}
		for _, pid := range running {
			if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("cannot end process %d: %w", pid, err)
			}
		}
		if gone, err := s.awaitEnd(ctx); gone || err != nil {
			return err
		}
	}
	return errors.New("processes of it do not end")
}

// awaitEnd tells whether all processes have ended within what a daemon needs
// for the requests that it is answering.
func (s Site) awaitEnd(ctx context.Context) (gone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		running, err := s.processes()
		if err != nil || len(running) == 0 {
			return err == nil, err
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-ticker.C:
		}
	}
}

// processes are Pebble and the daemon: whatever a hook started with the folder
// of this site in its environment. Nothing else knows of that folder.
func (s Site) processes() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		environ, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err != nil {
			continue // somebody else's, or it has just ended
		}
		if slices.Contains(strings.Split(string(environ), "\x00"), "PEBBLE="+s.pebbleDir()) {
			found = append(found, pid)
		}
	}
	return found, nil
}
