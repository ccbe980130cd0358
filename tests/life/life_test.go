// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"fmt"
	"os"
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
	if path, err := packed(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// packed packs the charm once; the lives take its metadata from the archive.
var packed = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "tls-authority-life-")
	if err != nil {
		return "", err
	}
	return life.Pack(filepath.Join("..", ".."), folder)
})

func charmPath(t *testing.T) string {
	t.Helper()
	path, err := packed()
	require.NoError(t, err)
	return path
}

// Size of the sample that every run of the fast suite takes; tests/heavy plays
// thousands.
const (
	lives = 6
	steps = 15
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
