// SPDX-License-Identifier: GPL-3.0-only

// Package systemd lets the packed charm run on a machine whose first process is
// a real systemd: a container that these tests boot from the programs of the
// machine they run on, with an /etc and a /var of its own. Hooks run in it; the
// model is outside, as a controller is, so that it outlives a restart of the
// machine.
//
// What it needs is told when it is not there, and the tests are skipped. The
// programs may be those of another distribution, as debootstrap(8) makes one in
// a directory, with another systemd: SYSTEMD_TEST_ROOT names it.
package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == bootWord {
		fmt.Fprintln(os.Stderr, boot(layout{root: os.Args[2], shared: os.Args[3], system: os.Args[4]}))
		os.Exit(1)
	}
	if code, isTool := jujusim.Shim(os.Args[0], os.Args[1:]); isTool {
		os.Exit(code)
	}
	code := m.Run()
	if path, err := packed(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// packed packs the charm once.
var packed = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "tls-authority-systemd-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "run", "./cmd/packcharm", "--out", folder)
	cmd.Dir = filepath.Join("..", "..", "..")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot pack the charm: %w\n%s", err, text)
	}
	archives, err := filepath.Glob(filepath.Join(folder, "*.charm"))
	if err != nil || len(archives) != 1 {
		return "", fmt.Errorf("cannot find the one archive: %v, %w", archives, err)
	}
	return archives[0], nil
})

func charmPath(t *testing.T) string {
	t.Helper()
	path, err := packed()
	require.NoError(t, err)
	return path
}
