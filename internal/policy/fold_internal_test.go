// SPDX-License-Identifier: GPL-3.0-only

package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzIsFolded holds the shortcut to what it saves: a name that it recognises
// would have been left as it is.
func FuzzIsFolded(f *testing.F) {
	for _, text := range []string{"system:masters", "a.example", "10.0.0.1", "010.1.1.1", "a-b.c:d", "xn--bcher-kva", "a.", ".a", "a..b", "::1", "A", "0x7f.1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if isFolded(text) {
			require.Equal(t, text, foldFully(text))
		}
	})
}

func TestIsFoldedRecognisesOrdinaryNames(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"system:masters", "db-1.example", "10.0.0.1"} {
		require.True(t, isFolded(text), text)
	}
}
