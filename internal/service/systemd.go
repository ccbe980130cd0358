// SPDX-License-Identifier: GPL-3.0-only

package service

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"tls-authority/internal/spool"
)

// hasSystemd tells whether systemd runs the machine, as sd_booted(3) does, and
// this user may give it units.
func (s Site) hasSystemd() bool {
	return s.host.superuser && isDirectory(filepath.Join(s.host.root, "run/systemd/system"))
}

// unitName is that of the systemd unit.
func (s Site) unitName() string {
	return "tls-authority-status-" + strings.ReplaceAll(s.unit, "/", "-") + ".service"
}

func (s Site) unitPath() string {
	return filepath.Join(s.host.root, "etc/systemd/system", s.unitName())
}

// runtimeDirectory is what systemd makes below / for the socket. Its name does
// not grow with that of the application, for which a socket has no room.
func (s Site) runtimeDirectory() string {
	digest := sha256.Sum256([]byte(s.state))
	return fmt.Sprintf("run/tls-authority-%x", digest[:6])
}

// owner is the user and group of the daemon.
func (s Site) owner() (*spool.Owner, error) {
	account, err := user.Lookup(s.host.account)
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

// makeAccount makes the user and group of the daemon, unless they exist. They
// are left for good: other units may be on the machine, and numbers of users
// should not come back as those of others.
func (s Site) makeAccount(ctx context.Context) error {
	if _, err := user.Lookup(s.host.account); !errors.Is(err, user.UnknownUserError(s.host.account)) {
		return err
	}
	return run(ctx, "useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", s.host.account)
}

// hasUnit tells whether the unit is the one that the plan needs. Where there is
// no systemd none is.
func (s Site) hasUnit(p Plan) bool {
	text, err := os.ReadFile(s.unitPath())
	return !s.hasSystemd() || (err == nil && string(text) == s.unitFile(p))
}

// startUnit starts Pebble, or starts it anew, now and whenever the machine
// starts.
func (s Site) startUnit(ctx context.Context, p Plan) error {
	if err := replace(s.unitPath(), []byte(s.unitFile(p)), 0o644); err != nil {
		return fmt.Errorf("cannot write its unit: %w", err)
	}
	// To enable it reloads what systemd knows, which takes seconds on a busy machine.
	for _, arguments := range [][]string{{"enable", s.unitName()}, {"restart", s.unitName()}} {
		if err := run(ctx, "systemctl", arguments...); err != nil {
			return err
		}
	}
	return nil
}

// barred tells which directory keeps the user of the daemon out, if one does:
// systemd says no more than that a program has failed.
func (s Site) barred() error {
	owner, err := s.owner()
	if err != nil || !s.hasSystemd() {
		return nil
	}
	for _, path := range []string{s.state, filepath.Dir(s.program())} {
		for ; path != filepath.Dir(path); path = filepath.Dir(path) {
			if state, err := os.Stat(path); err == nil && !mayEnter(state, *owner) {
				return fmt.Errorf("user %s may not enter %s", s.host.account, path)
			}
		}
	}
	return nil
}

// mayEnter judges by the mode alone.
func mayEnter(directory fs.FileInfo, who responder.Owner) bool {
	system, ok := directory.Sys().(*syscall.Stat_t)
	switch mode := directory.Mode().Perm(); {
	case !ok:
		return true
	case int(system.Uid) == who.UID:
		return mode&0o100 != 0
	case int(system.Gid) == who.GID:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

func (s Site) stopUnit(ctx context.Context) error {
	if _, err := os.Stat(s.unitPath()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return run(ctx, "systemctl", "disable", "--now", s.unitName())
}

func (s Site) removeUnit(ctx context.Context) error {
	if _, err := os.Stat(s.unitPath()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// A unit that failed would be listed for good, as one that is not found. One
	// that did not fail, or that systemd has forgotten, makes this an error.
	_ = run(ctx, "systemctl", "reset-failed", s.unitName())
	if err := os.Remove(s.unitPath()); err != nil {
		return err
	}
	return run(ctx, "systemctl", "daemon-reload")
}

// unitFile is the unit that runs Pebble, and the daemon below it. Pebble wants a
// directory that it may write, though it is told to keep nothing and has its
// socket there only: it gets one that systemd makes, with a link to the layers,
// which hooks write. Nothing else is writable. What Pebble's command remembers of
// its user it looks for there too: it may not look into a home, and would end
// with an error, which makes a unit that is stopped one that failed. What the
// daemon logs Pebble passes on, to the journal.
func (s Site) unitFile(p Plan) string {
	capabilities := ""
	if p.Port < 1024 {
		capabilities = "CAP_NET_BIND_SERVICE"
	}
	directory := "/" + s.runtimeDirectory()
	return fmt.Sprintf(`[Unit]
Description=Status service of %s
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStartPre=/bin/ln -sfn %s %s
ExecStart=%s run
Environment=%s %s PEBBLE_PERSIST=never PEBBLE_VERBOSE=1
WorkingDirectory=%s
Restart=always
RestartSec=1
TimeoutStopSec=15
User=%s
Group=%s
UMask=0077
RuntimeDirectory=%s
RuntimeDirectoryMode=0700
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
MemoryDenyWriteExecute=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
LimitCORE=0
CapabilityBoundingSet=%s
AmbientCapabilities=%s

[Install]
WantedBy=multi-user.target
`, s.unit, escape(filepath.Dir(s.layerPath())), escape(directory+"/layers"), escape(s.pebbleProgram()), escape("PEBBLE="+directory), escape("XDG_CONFIG_HOME="+directory), strings.ReplaceAll(s.state, "%", "%%"),
		s.host.account, s.host.account, filepath.Base(s.runtimeDirectory()), capabilities, capabilities)
}

// escape makes a word of a line of a unit (systemd.syntax(7)).
func escape(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(word) + `"`
}

// run calls a program of the machine. What it complains about first is the
// error.
func run(ctx context.Context, name string, arguments ...string) error {
	output, err := exec.CommandContext(ctx, name, arguments...).CombinedOutput()
	if err == nil {
		return nil
	}
	complaint, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
	if complaint == "" {
		complaint = err.Error()
	}
	return fmt.Errorf("cannot run %s: %s", strings.Join(append([]string{name}, arguments[:1]...), " "), complaint)
}
