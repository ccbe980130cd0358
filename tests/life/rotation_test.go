// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/tests/life"
)

// changes is how many seeds each way of changing the CA is played with;
// tests/heavy plays fifty.
const changes = 1

func TestNoHandshakeFails(t *testing.T) {
	t.Parallel()
	for name, change := range life.Changes {
		for seed := range uint64(changes) {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				t.Parallel()
				handshakes, err := life.Change(charmPath(t), seed, change)
				require.NoError(t, err)
				require.Greater(t, handshakes, 60)
			})
		}
	}
}

// TestOpenSSLTalksThroughARotation lets the programs of openssl connect at
// every stage, with what the databags say and with what they said a stage
// before.
func TestOpenSSLTalksThroughARotation(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	l, err := life.New(charmPath(t), 5)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, l.SetOption("rotation-hold", "24h"))
	require.NoError(t, l.Crowd())
	probe, err := l.NewProbe()
	require.NoError(t, err)
	require.NoError(t, l.Rotate("staged"))
	for stage := 0; ; stage++ {
		require.Less(t, stage, 12)
		require.NoError(t, probe.Follow())
		require.NoError(t, probe.OpenSSL(t.TempDir()), "some have the stage, some the one before")
		rotates, err := l.Rotates()
		require.NoError(t, err)
		if !rotates {
			return
		}
		require.NoError(t, probe.Days(1))
	}
}
