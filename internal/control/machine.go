// SPDX-License-Identifier: GPL-3.0-only

package control

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"tls-authority/internal/spool"
)

// maxSocketPath is what sun_path of unix(7) holds beside the NUL that ends it.
const maxSocketPath = 107

// HasSystemd tells whether systemd runs the machine, as sd_booted(3) does, and
// this user may give it units.
func (s Site) HasSystemd() bool {
	return s.Superuser && isDirectory(filepath.Join(s.Root, "run/systemd/system"))
}

// UnitName is that of the systemd unit.
func (s Site) UnitName() string {
	return "tls-authority-status-" + strings.ReplaceAll(s.Unit, "/", "-") + ".service"
}

// UnitPath is where the systemd unit is.
func (s Site) UnitPath() string {
	return filepath.Join(s.Root, "etc/systemd/system", s.UnitName())
}

// RuntimeDirectory is what systemd makes below / for the socket. Its name does
// not grow with that of the application, for which a socket has no room.
func (s Site) RuntimeDirectory() string {
	digest := sha256.Sum256([]byte(s.State))
	return fmt.Sprintf("run/tls-authority-%x", digest[:6])
}

// Owner is the user and group of the daemon where systemd runs.
func (s Site) Owner() (*spool.Owner, error) {
	account, err := user.Lookup(s.Account)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(account.Gid)
	return &spool.Owner{UID: uid, GID: gid}, err
}

// Socket is where Pebble listens.
func (s Site) Socket() (string, error) {
	if s.HasSystemd() {
		return filepath.Join(s.Root, s.RuntimeDirectory(), ".pebble.socket"), nil
	}
	if path, fits := s.OwnSocket(); fits {
		return path, nil
	}
	folder, err := os.ReadFile(s.SocketNote())
	if err != nil {
		return "", errors.New("pebble has never been started")
	}
	return filepath.Join(string(folder), "pebble.socket"), nil
}

// OwnSocket is where Pebble listens if the path of the state is short enough.
func (s Site) OwnSocket() (path string, fits bool) {
	path = filepath.Join(s.PebbleDirectory(), ".pebble.socket")
	return path, len(path) <= maxSocketPath
}

// SocketNote is the file that names the folder of the socket otherwise.
func (s Site) SocketNote() string { return filepath.Join(s.State, "socket") }
