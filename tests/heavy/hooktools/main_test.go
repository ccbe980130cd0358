// SPDX-License-Identifier: GPL-3.0-only

package hooktools_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/juju/juju/worker/uniter/runner/jujuc"
	"github.com/stretchr/testify/require"
)

// root is the folder of the repository, seen from this package.
var root = filepath.Join("..", "..", "..")

// scratch is a folder for what tests share; TestMain makes and removes it.
var scratch string

func TestMain(m *testing.M) {
	// The simulated Juju puts this very program on the charm's PATH under the
	// names of the hook tools.
	if name := filepath.Base(os.Args[0]); slices.Contains(jujuc.CommandNames(), name) {
		os.Exit(runTool(name, os.Args[1:]))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	scratch, err = os.MkdirTemp("", "tls-authority-hooktools-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot make a folder for the tests:", err)
		return 1
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

// packed packs the charm as it ships, once.
var packed = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("go", "run", "./cmd/packcharm", "--out", scratch)
	cmd.Dir = root
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot pack the charm: %w\n%s", err, text)
	}
	archives, err := filepath.Glob(filepath.Join(scratch, "*.charm"))
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
