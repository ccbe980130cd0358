// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/tests/life"
)

// TestAKeyThatStaysRevokesForItsOldCertificate follows the CA above to another
// root, which leaves two generations with one key: what was issued under the
// first can be revoked as long as there is the key, and both get their last
// lists when it goes.
func TestAKeyThatStaysRevokesForItsOldCertificate(t *testing.T) {
	t.Parallel()
	l, err := life.New(charmPath(t), 1)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, l.SetOption("rotation-hold", "24h"))
	require.NoError(t, l.Crowd())
	probe, err := l.NewProbe()
	require.NoError(t, err)
	require.NoError(t, life.Changes["the CA above is rotated"](l, probe))
	require.NoError(t, l.Rest())
	require.NoError(t, l.RevokeReplaced())
	require.NoError(t, l.Rest())

	require.NoError(t, l.SetOption("ca-source", "self-signed"))
	// Our certificate lets no CA be below it, so that there can be no bridge.
	require.NoError(t, l.Rotate("emergency"))
	require.NoError(t, l.Rest())
}
