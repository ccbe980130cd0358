// SPDX-License-Identifier: GPL-3.0-only

package spool

import (
	"io/fs"
	"os"
	"path/filepath"

	"tls-authority/internal/pki"
)

// Content is what a spool holds.
type Content struct {
	Status Status
	Keys   []pki.PrivateKey
}

// Stamp tells the files of a spool from those that take their places.
type Stamp struct{ status, keys fs.FileInfo }

// Look returns the stamp of what is there now, without reading it.
func (f Folder) Look() Stamp {
	return Stamp{f.look(statusName), f.look(KeysName)}
}

// Read returns what is there, and its stamp, also with an error: a bad file is
// bad until another takes its place. One that cannot be read has none, so that
// it is tried again.
func (f Folder) Read() (Content, Stamp, error) {
	text, state, err := f.read(statusName, maxSpoolSize)
	stamp := Stamp{status: state}
	if err != nil {
		return Content{}, stamp, err
	}
	var c Content
	if c.Keys, stamp.keys, err = f.readKeys(); err != nil {
		return Content{}, stamp, err
	}
	c.Status, err = Parse(text)
	return c, stamp, err
}

// Is tells whether two looks saw the same files.
func (s Stamp) Is(other Stamp) bool {
	return isSame(s.status, other.status) && isSame(s.keys, other.keys)
}

// look returns what tells a file from the one that takes its place; nil when
// there is none.
func (f Folder) look(name string) fs.FileInfo {
	state, err := os.Stat(filepath.Join(f.Path, name))
	if err != nil {
		return nil
	}
	return state
}

// isSame compares two looks at the same name.
func isSame(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
