// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
	"tls-authority/tests/life"
)

// TestARevocationIsRememberedAWeekLonger revokes a certificate of ninety days
// and looks at the lists day by day until it is long forgotten. One that lasts
// keeps lists being signed.
func TestARevocationIsRememberedAWeekLonger(t *testing.T) {
	t.Parallel()
	l, err := life.New(charmPath(t), 3)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, l.Crowd())
	require.NoError(t, l.Rest())
	require.NoError(t, l.RevokeOne(false, pki.Superseded))
	require.NoError(t, l.RevokeOne(true, pki.Superseded))
	require.NoError(t, l.Rest())
	l.Now = l.Now.Add(88 * 24 * time.Hour)
	for range 24 {
		require.NoError(t, l.Rest())
		l.Now = l.Now.Add(24 * time.Hour)
	}
}
