// SPDX-License-Identifier: GPL-3.0-only

package responder

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
	keysName   = "responder.key"
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

// Spool is the directory through which hooks tell the daemon what it serves.
// The files in it are written by hooks alone, one hook at a time.
type Spool struct {
	Directory string
	// Owner is nil when hooks and daemon are the same user.
	Owner *Owner
}

// WriteStatus replaces the status. When it fails, the old one is untouched.
func (s Spool) WriteStatus(status Status) error {
	text, err := Encode(status)
	if err != nil {
		return err
	}
	return s.write(statusName, text, 0o640)
}

// Withdraw removes the status, for when it can be removed and not replaced, as
// where a disk is full: the daemon then tells nobody that a certificate is good.
func (s Spool) Withdraw() error {
	err := os.Remove(filepath.Join(s.Directory, statusName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s: %w", statusName, err)
	}
	return nil
}

// WriteKeys replaces the private keys of the unit's responders, at most four:
// beside the one in use, one whose certificates have yet to come.
func (s Spool) WriteKeys(keys []pki.PrivateKey) error {
	if len(keys) > maxKeys {
		return fmt.Errorf("cannot write %s: %d keys are more than the %d allowed", keysName, len(keys), maxKeys)
	}
	var text []byte
	for _, key := range keys {
		text = append(text, key.EncodePEM()...)
	}
	defer clear(text)
	return s.write(keysName, text, 0o600)
}

// ReadKeys returns the keys that WriteKeys wrote; none when there is no file.
func (s Spool) ReadKeys() ([]pki.PrivateKey, error) {
	keys, _, err := s.readKeys()
	return keys, err
}

func (s Spool) readKeys() ([]pki.PrivateKey, fs.FileInfo, error) {
	text, state, err := s.read(keysName, maxKeysSize)
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
func (s Spool) write(name string, content []byte, mode fs.FileMode) error {
	path := filepath.Join(s.Directory, name)
	fresh := filepath.Join(s.Directory, "."+name+".new")
	err := os.Remove(fresh)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = s.create(fresh, content, mode)
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

func (s Spool) create(path string, content []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = file.Chmod(mode) // not narrowed by the umask of the hook
	if err == nil && s.Owner != nil {
		owner := s.Owner.UID
		if mode&0o040 != 0 {
			owner = -1 // the group reads it, and nobody but hooks may write
		}
		err = file.Chown(owner, s.Owner.GID)
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
func (s Spool) read(name string, limit int64) ([]byte, fs.FileInfo, error) {
	file, err := os.Open(filepath.Join(s.Directory, name))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	defer file.Close()
	state, err := file.Stat()
	switch {
	case err != nil:
	case !state.Mode().IsRegular():
		err = errors.New("it is not a regular file")
	case name == keysName && state.Mode().Perm()&0o077 != 0:
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

// look returns what tells a file from the one that takes its place; nil when
// there is none.
func (s Spool) look(name string) fs.FileInfo {
	state, err := os.Stat(filepath.Join(s.Directory, name))
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

func parseKeys(text []byte) ([]pki.PrivateKey, error) {
	var keys []pki.PrivateKey
	for rest := bytes.TrimSpace(text); len(rest) > 0; {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "PRIVATE KEY" || len(keys) == maxKeys {
			return nil, fmt.Errorf("cannot read %s: it is not 1 to %d keys", keysName, maxKeys)
		}
		key, err := pki.ParsePrivateKeyDER(block.Bytes)
		clear(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", keysName, err)
		}
		keys = append(keys, key)
		rest = bytes.TrimSpace(after)
	}
	return keys, nil
}
