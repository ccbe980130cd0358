// SPDX-License-Identifier: GPL-3.0-only

// Package heavy plays thousands of random lives and sweeps faults closely over
// every kind of event. It is what tests/life takes a sample of: the same lives
// and the same checks, and nothing that only this package knows. It is a module
// of its own, so that go test ./... in the root leaves it out.
package heavy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
	"tls-authority/tests/life"
)

// Size of the sample: faults strike at every call of a hook tool. -short takes
// a hundredth of the lives and a wide stride.
const (
	lives       = 2000
	steps       = 15
	stride      = 1
	shortLives  = 20
	shortStride = 97
	// changes is how many seeds each way of changing the CA is played with.
	changes      = 50
	shortChanges = 1
	// firstSeed keeps clear of the seeds that tests/life plays.
	firstSeed = 1000
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

// packed packs the charm once.
var packed = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "tls-authority-heavy-")
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

// size picks what testing.Short allows.
func size(long, short int) int {
	if testing.Short() {
		return short
	}
	return long
}

func TestProperties(t *testing.T) {
	var played, hooks, swept, handshakes atomic.Int64
	t.Run("lives", func(t *testing.T) {
		for seed := range uint64(size(lives, shortLives)) {
			t.Run(fmt.Sprintf("seed %d", firstSeed+seed), func(t *testing.T) {
				t.Parallel()
				l, err := life.New(charmPath(t), firstSeed+seed)
				require.NoError(t, err)
				defer l.Close()
				require.NoError(t, l.Play(steps))
				played.Add(1)
				hooks.Add(int64(len(l.Model.Hooks())))
			})
		}
	})
	t.Run("changes", func(t *testing.T) {
		for name, change := range life.Changes {
			for seed := range uint64(size(changes, shortChanges)) {
				t.Run(fmt.Sprintf("%s, seed %d", name, firstSeed+seed), func(t *testing.T) {
					t.Parallel()
					made, err := life.Change(charmPath(t), firstSeed+seed, change)
					require.NoError(t, err)
					handshakes.Add(int64(made))
				})
			}
		}
	})
	t.Run("faults", func(t *testing.T) {
		stride := size(stride, shortStride)
		for i, name := range slices.Sorted(maps.Keys(life.Scenarios)) {
			for called, fault := range life.Faults {
				t.Run(name+", "+called+" a call", func(t *testing.T) {
					t.Parallel()
					require.NoError(t, life.Sweep(charmPath(t), life.Scenarios[name], fault, i%stride, stride))
					swept.Add(1)
				})
			}
		}
	})
	fmt.Printf("%d handshakes while CAs changed; %d lives of %d steps ran %d hooks; %d sweeps of %d scenarios, at every %dth call\n",
		handshakes.Load(), played.Load(), steps, hooks.Load(), swept.Load(), len(life.Scenarios), size(stride, shortStride))
}
