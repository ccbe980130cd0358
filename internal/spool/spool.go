// SPDX-License-Identifier: GPL-3.0-only

// Package spool is the directory through which hooks tell the daemon of the
// status service what it serves: which certificates there are and which are
// revoked, with the keys of the unit's OCSP responder.
//
// It is all that the two programs share. It neither serves nor decides, and
// does not look into certificates.
package spool

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tls-authority/internal/pki"
)

// Names of the files in a spool. They are apart because hooks may let a group
// read the one, and only the daemon the other.
const (
	statusName = "status.json"
	KeysName   = "responder.key"
)

const (
	// maxKeys are two more than a change of keys needs: the old and the new.
	maxKeys     = 4
	maxKeysSize = maxKeys * 4 << 10
)

// Owner is the user and group that a daemon which is not root runs as.
type Owner struct {
	UID, GID int
}

// Folder is a spool. The files in it are written by hooks alone, one hook at a
// time.
type Folder struct {
	Path string
	// Owner is nil when hooks and daemon are the same user.
	Owner *Owner
}

// WriteStatus replaces the status. When it fails, the old one is untouched.
func (f Folder) WriteStatus(status Status) error {
	text, err := Encode(status)
	if err != nil {
		return err
	}
	return f.write(statusName, text, 0o640)
}

// Withdraw removes the status, for when it can be removed and not replaced, as
// where a disk is full: the daemon then tells nobody that a certificate is good.
func (f Folder) Withdraw() error {
	err := os.Remove(filepath.Join(f.Path, statusName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s: %w", statusName, err)
	}
	return nil
}

// WriteKeys replaces the private keys of the unit's responders, at most four:
// beside the one in use, one whose certificates have yet to come.
func (f Folder) WriteKeys(keys []pki.PrivateKey) error {
	if len(keys) > maxKeys {
		return fmt.Errorf("cannot write %s: %d keys are more than the %d allowed", KeysName, len(keys), maxKeys)
	}
	var text []byte
	for _, key := range keys {
		text = append(text, key.EncodePEM()...)
	}
	defer clear(text)
	return f.write(KeysName, text, 0o600)
}

// ReadKeys returns the keys that WriteKeys wrote; none when there is no file.
func (f Folder) ReadKeys() ([]pki.PrivateKey, error) {
	keys, _, err := f.readKeys()
	return keys, err
}

func (f Folder) readKeys() ([]pki.PrivateKey, fs.FileInfo, error) {
	text, state, err := f.read(KeysName, maxKeysSize)
	defer clear(text)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	keys, err := parseKeys(text)
	return keys, state, err
}

// write makes a new file and puts it in the place of the old one, so that a
// reader finds either, whole, even after a loss of power. The name of the new
// one is always the same, so that what killed hooks leave does not pile up.
func (f Folder) write(name string, content []byte, mode fs.FileMode) error {
	path := filepath.Join(f.Path, name)
	fresh := filepath.Join(f.Path, "."+name+".new")
	err := os.Remove(fresh)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = f.create(fresh, content, mode)
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh)
		return fmt.Errorf("cannot write %s: %w", name, withoutPath(err))
	}
	return nil
}

// withoutPath leaves out the path of a file that is named already: it would fill
// the line of the status in which the reason is to be read.
func withoutPath(err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return at.Err
	}
	return err
}

func (f Folder) create(path string, content []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = file.Chmod(mode) // not narrowed by the umask of the hook
	if err == nil && f.Owner != nil {
		owner := f.Owner.UID
		if mode&0o040 != 0 {
			owner = -1 // the group reads it, and nobody but hooks may write
		}
		err = file.Chown(owner, f.Owner.GID)
	}
	if err == nil {
		_, err = file.Write(content)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// read returns a file and what tells it from the one that takes its place.
func (f Folder) read(name string, limit int64) ([]byte, fs.FileInfo, error) {
	file, err := os.Open(filepath.Join(f.Path, name))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	defer file.Close()
	state, err := file.Stat()
	switch {
	case err != nil:
	case !state.Mode().IsRegular():
		err = errors.New("it is not a regular file")
	case name == KeysName && state.Mode().Perm()&0o077 != 0:
		err = fmt.Errorf("its mode is %#o: others than its owner can use it", state.Mode().Perm())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("longer than %d bytes", limit)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	return content, state, nil
}

func parseKeys(text []byte) ([]pki.PrivateKey, error) {
	var keys []pki.PrivateKey
	for rest := bytes.TrimSpace(text); len(rest) > 0; {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "PRIVATE KEY" || len(keys) == maxKeys {
			return nil, fmt.Errorf("cannot read %s: it is not 1 to %d keys", KeysName, maxKeys)
		}
		key, err := pki.ParsePrivateKeyDER(block.Bytes)
		clear(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", KeysName, err)
		}
		keys = append(keys, key)
		rest = bytes.TrimSpace(after)
	}
	return keys, nil
}
