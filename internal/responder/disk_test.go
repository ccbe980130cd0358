// SPDX-License-Identifier: GPL-3.0-only

package responder_test

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/spool"
)

// TestFullDisk writes a status that does not fit, in a process of its own, as
// the limit is one of processes.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if directory := os.Getenv("TEST_FULL_DISK"); directory != "" {
		signal.Ignore(syscall.SIGXFSZ) // or the process would not live to see the error
		limit := syscall.Rlimit{Cur: 100, Max: 100}
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
		a := newAuthorityWithout(t, now)
		err := spool.Folder{Path: directory}.WriteStatus(a.status(t))
		require.ErrorContains(t, err, "cannot write status.json: ")
		require.ErrorIs(t, err, syscall.EFBIG)
		return
	}
	at, a := now, newAuthority(t, now)
	server := a.start(t, a.status(t), &at)
	before, err := os.ReadFile(filepath.Join(a.spool.Path, "status.json"))
	require.NoError(t, err)
	command := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
	command.Env = append(os.Environ(), "TEST_FULL_DISK="+a.spool.Path)
	output, err := command.CombinedOutput()
	require.NoError(t, err, string(output))

	after, err := os.ReadFile(filepath.Join(a.spool.Path, "status.json"))
	require.NoError(t, err)
	require.Equal(t, before, after)
	entries, err := os.ReadDir(a.spool.Path)
	require.NoError(t, err)
	require.Len(t, entries, 2, "nothing is left behind")
	server.Reload()
	requireHealth(t, server)
}
