// SPDX-License-Identifier: GPL-3.0-only

package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"tls-authority/internal/responder"
)

// userName is the user and group that the service runs as where systemd does.
const userName = "tls-authority"

// unitTemplate is the unit of systemd. What the service may do is what a program
// needs that listens on a port and reads a folder (systemd.exec(5)).
const unitTemplate = `[Unit]
Description=Status service of the certificate authority %[1]s
After=network.target

[Service]
User=` + userName + `
Group=` + userName + `
WorkingDirectory=%[2]s
Environment=PEBBLE=%[3]s PEBBLE_SOCKET=%[4]s PEBBLE_PERSIST=never
ExecStart=%[5]s run
Restart=always
RestartSec=1
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
CapabilityBoundingSet=%[6]s
AmbientCapabilities=%[6]s
ProtectSystem=strict
ReadWritePaths=%[3]s
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
`

// hasSystemd tells whether systemd runs this machine and we may talk to it
// (sd_booted(3)).
func (s Site) hasSystemd() bool {
	state, err := os.Stat(filepath.Join(s.root, "/run/systemd/system"))
	return err == nil && state.IsDir() && os.Geteuid() == 0
}

func (s Site) unitName() string {
	return "tls-authority-status-" + strings.ReplaceAll(s.unit, "/", "-") + ".service"
}

func (s Site) unitFile() string {
	return filepath.Join(s.root, "/etc/systemd/system", s.unitName())
}

// unitText is the unit for a port: those below 1024 need a capability.
func (s Site) unitText(port int) string {
	capability := ""
	if port < 1024 {
		capability = "CAP_NET_BIND_SERVICE"
	}
	return fmt.Sprintf(unitTemplate, s.unit, s.state, s.pebbleDir(), s.socket(), s.pebble(), capability)
}

// startUnit makes systemd run Pebble, and returns when that answers.
func (s Site) startUnit(ctx context.Context) error {
	p, err := s.readPlan()
	if err != nil {
		return err
	}
	if err := s.makeSocketFolder(); err != nil {
		return fmt.Errorf("cannot make the folder of the socket: %w", err)
	}
	if err := replace(s.unitFile(), []byte(s.unitText(p.Port)), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", s.unitName()}, {"restart", s.unitName()}} {
		if err := command(ctx, "systemctl", args...); err != nil {
			return err
		}
	}
	return nil
}

func (s Site) stopUnit(ctx context.Context) error {
	if _, err := os.Stat(s.unitFile()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return command(ctx, "systemctl", "stop", s.unitName())
}

// removeUnit makes systemd forget the service.
func (s Site) removeUnit(ctx context.Context) error {
	if !s.hasSystemd() {
		return nil
	}
	if _, err := os.Stat(s.unitFile()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := command(ctx, "systemctl", "disable", s.unitName())
	if err == nil {
		err = os.Remove(s.unitFile())
	}
	if err == nil {
		err = command(ctx, "systemctl", "daemon-reload")
	}
	return err
}

// owner is the user of the service; nil where it is that of the hook.
func (s Site) owner() *responder.Owner {
	if !s.hasSystemd() {
		return nil
	}
	account, err := user.Lookup(userName)
	if err != nil {
		return nil
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return nil
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return nil
	}
	return &responder.Owner{UID: uid, GID: gid}
}

// publicMode is that of files which Pebble reads and hooks write.
func (s Site) publicMode() fs.FileMode {
	if s.hasSystemd() {
		return 0o640
	}
	return 0o600
}

// makeFolders makes the user, if one is needed, and folders that nobody but it
// and hooks can look into. Only Pebble's is for it to write.
func (s Site) makeFolders() error {
	if s.hasSystemd() && s.owner() == nil {
		err := command(context.Background(), "useradd", "--system", "--user-group", "--no-create-home",
			"--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", userName)
		if err != nil {
			return err
		}
	}
	owner := s.owner()
	for _, folder := range []struct {
		path string
		own  bool
	}{{s.state, false}, {s.Spool().Directory, false}, {s.pebbleDir(), true}, {filepath.Join(s.pebbleDir(), "layers"), false}} {
		mode := fs.FileMode(0o700)
		if owner != nil {
			mode = 0o750
		}
		if err := os.MkdirAll(folder.path, mode); err != nil {
			return err
		}
		if owner == nil {
			continue
		}
		uid := 0
		if folder.own {
			uid = owner.UID
		}
		if err := errors.Join(os.Chown(folder.path, uid, owner.GID), os.Chmod(folder.path, mode)); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program of the system. What it prints when it fails is short.
func command(ctx context.Context, name string, args ...string) error {
	text, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot run %s %s: %w: %s", name, args[0], err, strings.TrimSpace(string(text)))
	}
	return nil
}
