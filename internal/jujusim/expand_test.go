// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

func TestModelsShareACache(t *testing.T) {
	t.Parallel()
	archive := packCharm(t, "#!/bin/sh\n")
	cache := filepath.Join(t.TempDir(), "unpacked")
	var dispatches []os.FileInfo
	for range 2 {
		directory, err := os.MkdirTemp("", "jujusim")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(directory)) })
		m, err := jujusim.New(jujusim.Options{Cache: cache, Directory: directory})
		require.NoError(t, err)
		require.NoError(t, m.Deploy(archive, "ca", 1))
		require.NoError(t, m.Settle(), "the linked charm runs")
		dispatch, err := os.Stat(filepath.Join(directory, "agents", "unit-ca-0", "charm", "dispatch"))
		require.NoError(t, err)
		dispatches = append(dispatches, dispatch)
		require.NoError(t, m.Close())
	}
	require.True(t, os.SameFile(dispatches[0], dispatches[1]))
	entries, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, entries, 1, "one charm, and nothing half unpacked")
}
