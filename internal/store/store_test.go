// SPDX-License-Identifier: GPL-3.0-only

package store_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/store"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "a", "b")

	path, err := store.Write(directory, "one.age", []byte("content"))
	require.NoError(t, err)

	t.Run("only the owner reads it", func(t *testing.T) {
		state, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), state.Mode().Perm())
		state, err = os.Stat(directory)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), state.Mode().Perm())
	})
	t.Run("nothing is written over and nothing is left", func(t *testing.T) {
		_, err := store.Write(directory, "one.age", []byte("other"))
		require.ErrorIs(t, err, os.ErrExist)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "content", string(text))
		entries, err := os.ReadDir(directory)
		require.NoError(t, err)
		require.Len(t, entries, 1)
	})
	t.Run("a directory that cannot be made is an error", func(t *testing.T) {
		_, err := store.Write(path, "two.age", nil)
		require.ErrorContains(t, err, "cannot make the directory")
	})
}

func TestPrune(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	for _, name := range []string{"app-3.age", "app-1.age", "app-2.age", "app-eu-1.age", "oth-0.age", "app-0.txt"} {
		_, err := store.Write(directory, name, nil)
		require.NoError(t, err)
	}

	left, err := store.Prune(directory, "app-3.age", 4, 0)
	require.NoError(t, err)
	require.Equal(t, []string{"app-1.age", "app-2.age", "app-3.age"}, left, "0 keeps all")

	left, err = store.Prune(directory, "app-3.age", 4, 2)
	require.NoError(t, err)
	require.Equal(t, []string{"app-2.age", "app-3.age"}, left)

	entries, err := os.ReadDir(directory)
	require.NoError(t, err)
	require.Len(t, entries, 5, "files of others stay")

	_, err = store.Prune(filepath.Join(directory, "absent"), "app-3.age", 4, 1)
	require.ErrorContains(t, err, "cannot list the directory")
}

func TestOpen(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path, err := store.Write(directory, "one.age", []byte("content"))
	require.NoError(t, err)

	file, err := store.Open(path)
	require.NoError(t, err)
	defer file.Close()
	text, err := io.ReadAll(file)
	require.NoError(t, err)
	require.Equal(t, "content", string(text))

	_, err = store.Open("one.age")
	require.ErrorContains(t, err, "not absolute")
	_, err = store.Open(directory)
	require.ErrorContains(t, err, "not a regular file")
	_, err = store.Open(filepath.Join(directory, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)

	big := filepath.Join(directory, "big")
	require.NoError(t, os.WriteFile(big, nil, 0o600))
	require.NoError(t, os.Truncate(big, store.MaxSize+1))
	_, err = store.Open(big)
	require.ErrorContains(t, err, "at most")
}
