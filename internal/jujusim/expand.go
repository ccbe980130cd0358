// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/juju/charm/v12"
)

// expand unpacks a charm into the folder of a unit, or links it there from
// the cache of the model.
func (m *Model) expand(archive *charm.CharmArchive, folder string) error {
	if m.options.Cache == "" {
		return archive.ExpandTo(folder)
	}
	unpacked, err := m.unpack(archive)
	if err != nil {
		return err
	}
	return filepath.WalkDir(unpacked, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(unpacked, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(folder, name), 0o755)
		}
		return os.Link(path, filepath.Join(folder, name)) // of a symbolic link too
	})
}

// unpack returns the folder of the cache that holds a charm. Another model
// may do the same at the same time: the first to rename wins.
func (m *Model) unpack(archive *charm.CharmArchive) (string, error) {
	file, err := os.Stat(archive.Path)
	if err != nil {
		return "", err
	}
	key := fmt.Sprintf("%s %d %d", archive.Path, file.Size(), file.ModTime().UnixNano())
	folder := filepath.Join(m.options.Cache, fmt.Sprintf("%x", sha256.Sum256([]byte(key))))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(m.options.Cache, 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(m.options.Cache, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if err := archive.ExpandTo(fresh); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return folder, nil
}
