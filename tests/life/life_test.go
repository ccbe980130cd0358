// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
	"tls-authority/tests/life"
)

func TestMain(m *testing.M) {
	if code, isTool := jujusim.Shim(os.Args[0], os.Args[1:]); isTool {
		os.Exit(code)
	}
	code := m.Run()
	if folder, err := packed(); err == nil {
		os.RemoveAll(folder)
	}
	os.Exit(code)
}

// packed packs the charm once; the lives take its metadata from the archive.
var packed = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "tls-authority-life-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "run", "./cmd/packcharm", "--out", folder)
	cmd.Dir = filepath.Join("..", "..")
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot pack the charm: %w\n%s", err, text)
	}
	return folder, nil
})

func charmPath(t *testing.T) string {
	t.Helper()
	folder, err := packed()
	require.NoError(t, err)
	archives, err := filepath.Glob(filepath.Join(folder, "*.charm"))
	require.NoError(t, err)
	require.Len(t, archives, 1)
	return archives[0]
}

// Size of the sample that every run of the fast suite takes; tests/heavy plays
// thousands.
const (
	lives = 10
	steps = 20
)

func TestRandomLives(t *testing.T) {
	t.Parallel()
	for seed := range uint64(lives) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			l, err := life.New(charmPath(t), seed)
			require.NoError(t, err)
			defer l.Close()
			require.NoError(t, l.Play(steps))
		})
	}
}
