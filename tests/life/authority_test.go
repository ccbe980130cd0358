// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/tests/life"
)

// TestTheRootIsRenewedUnderItsLeaves renews the root with its own key while
// certificates that it signed before are in service.
//
// MUST 14: no answer to a CSR changes, since no state may change only `ca` or
// `chain` and some libraries would not see it. MUST 8 and 16: certificates are
// renewed before they expire, and none outlives the CA or is handed out old;
// Check holds every certificate to that.
func TestTheRootIsRenewedUnderItsLeaves(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	l, err := life.New(charmPath(t), 8)
	require.NoError(t, err)
	defer l.Close()
	for name, value := range map[string]string{"ca-validity": "40d", "certificate-validity": "30d", "legacy-certificate-validity": "30d"} {
		require.NoError(t, l.SetOption(name, value))
	}
	require.NoError(t, l.Rest())
	require.NoError(t, l.Fleet(true, 2))
	require.NoError(t, l.Fleet(false, 2))
	require.NoError(t, l.Rest())
	root, answers := l.Root(), l.Answers()
	require.Len(t, answers, 1)

	l.Now = l.Now.Add(26 * day)
	require.NoError(t, l.Rest())
	renewed := l.Root()
	require.False(t, renewed.Equal(root), "the root is past two thirds of its life")
	require.Equal(t, root.RawSubjectPublicKeyInfo, renewed.RawSubjectPublicKeyInfo)
	require.Equal(t, root.RawSubject, renewed.RawSubject)
	require.Equal(t, root.SubjectKeyId, renewed.SubjectKeyId)
	require.Equal(t, answers, l.Answers())

	for range 100 {
		l.Now = l.Now.Add(day)
		require.NoError(t, l.Rest())
		require.True(t, l.Now.Before(l.Root().NotAfter), "the root never ends")
	}
}
