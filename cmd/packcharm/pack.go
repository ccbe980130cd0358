// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/juju/charm/v12"
)

// archive is a charm archive that was written.
type archive struct {
	path   string
	size   int
	digest [sha256.Size]byte
}

// pack builds the programs for the target and writes the charm archive to the
// folder. The archive is read back and checked by Juju's own code before it
// takes its name, so a file with that name is a charm that Juju accepts.
func pack(t target, folder string) (archive, error) {
	staged, err := os.MkdirTemp("", "tls-authority-charm-")
	if err != nil {
		return archive{}, err
	}
	defer os.RemoveAll(staged)
	if err := stage(t, staged); err != nil {
		return archive{}, err
	}
	content, err := compress(staged)
	if err != nil {
		return archive{}, err
	}
	a := archive{
		path:   filepath.Join(folder, "tls-authority_"+t.name+".charm"),
		size:   len(content),
		digest: sha256.Sum256(content),
	}
	return a, write(a.path, content)
}

// compress returns the archive of the charm in the folder. Entries carry no
// times and are in the order of their names.
func compress(folder string) ([]byte, error) {
	if err := hideRepository(folder); err != nil {
		return nil, err
	}
	dir, err := charm.ReadCharmDir(folder)
	if err != nil {
		return nil, err
	}
	if err := charm.CheckMeta(dir); err != nil {
		return nil, err
	}
	dir.SetRevision(-1) // no file "revision": Juju numbers what it is given
	var content bytes.Buffer
	if err := dir.ArchiveTo(&content); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

// hideRepository keeps ArchiveTo from describing the commit of a repository
// that happens to be around the folder, or named in the environment as it is
// in a git hook: it would write that to a file "version" of the charm.
func hideRepository(folder string) error {
	return errors.Join(os.Unsetenv("GIT_DIR"), os.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(folder)))
}

// write puts the archive at the path once Juju's reader accepts it.
func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".*.charm")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, writeErr := file.Write(content)
	if err := errors.Join(writeErr, file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	if err := check(file.Name()); err != nil {
		return fmt.Errorf("cannot accept the archive: %w", err)
	}
	return os.Rename(file.Name(), path)
}

// check reads the archive as Juju does when a charm is deployed.
func check(path string) error {
	read, err := charm.ReadCharmArchive(path)
	if err != nil {
		return err
	}
	return charm.CheckMeta(read)
}
