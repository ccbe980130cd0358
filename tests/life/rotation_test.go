// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/tests/life"
)

// changes is how many seeds each way of changing the CA is played with;
// tests/heavy plays fifty.
const changes = 2

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
