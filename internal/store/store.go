// SPDX-License-Identifier: GPL-3.0-only

// Package store keeps files of a unit: backups, which operators take away and
// bring back. A file is there whole or not at all, readable by its owner only.
//
// It does not know what is in them.
package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// MaxSize is the largest file that Open gives, in bytes.
const MaxSize = 128 << 20

// Write makes a file in a directory, which it makes too, and returns its path.
// A name that is taken is an error: nothing is ever written over.
func Write(directory, name string, content []byte) (path string, err error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return "", fmt.Errorf("cannot make the directory: %w", err)
	}
	temporary, err := os.CreateTemp(directory, ".new-*") // 0600
	if err != nil {
		return "", fmt.Errorf("cannot write the file: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	if err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err != nil {
		return "", fmt.Errorf("cannot write the file: %w", err)
	}
	path = filepath.Join(directory, name)
	// A link, unlike a rename, fails where the name is taken.
	if err := os.Link(temporary.Name(), path); err != nil {
		return "", fmt.Errorf("cannot write the file: %w", err)
	}
	return path, nil
}

// list returns the regular files of a directory that are of the kind of the
// named one: their names begin with its first stem bytes, are as long and end
// alike. What lies between tells when they were made, so that their order is
// that of time.
func list(directory, name string, stem int) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, fmt.Errorf("cannot list the directory: %w", err)
	}
	var names []string
	for _, entry := range entries {
		other := entry.Name()
		alike := len(other) == len(name) && strings.HasPrefix(other, name[:stem]) && filepath.Ext(other) == filepath.Ext(name)
		if entry.Type().IsRegular() && alike {
			names = append(names, other)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Prune removes the oldest files of the kind of the named one until keep are
// left, and returns those. 0 keeps all.
func Prune(directory, name string, stem, keep int) ([]string, error) {
	names, err := list(directory, name, stem)
	if err != nil || keep <= 0 || len(names) <= keep {
		return names, err
	}
	old := names[:len(names)-keep]
	for _, name := range old {
		if err := os.Remove(filepath.Join(directory, name)); err != nil {
			return nil, fmt.Errorf("cannot remove an old file: %w", err)
		}
	}
	return names[len(old):], nil
}

// Open opens a regular file for reading, up to MaxSize.
func Open(path string) (io.ReadCloser, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("cannot open %q: the path is not absolute", path)
	}
	state, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot open the file: %w", err)
	case !state.Mode().IsRegular():
		return nil, fmt.Errorf("cannot open %q: it is not a regular file", path)
	case state.Size() > MaxSize:
		return nil, fmt.Errorf("cannot open %q: it has %d bytes, at most %d are read", path, state.Size(), MaxSize)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the file: %w", err)
	}
	return file, nil
}
