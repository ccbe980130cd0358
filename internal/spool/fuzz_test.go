// SPDX-License-Identifier: GPL-3.0-only

package spool_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/spool"
)

// FuzzParse reads what a program of another version may have written.
func FuzzParse(f *testing.F) {
	text, err := spool.Encode(fullStatus())
	require.NoError(f, err)
	f.Add(text)
	f.Add(bytes.Replace(text, []byte(`"id":1`), []byte(`"id":-1`), 1))
	f.Add([]byte(`{"schema": 1, "generations": [null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		status, err := spool.Parse(text)
		if err != nil {
			return
		}
		again, err := spool.Encode(status)
		require.NoError(t, err)
		same, err := spool.Parse(again)
		require.NoError(t, err)
		encoded, err := spool.Encode(same)
		require.NoError(t, err)
		require.Equal(t, again, encoded)
	})
}
