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
	"strings"
	"syscall"

	"tls-authority/internal/control"
)

// makeAccount makes the user and group of the daemon, unless they exist. They
// are left for good: other units may be on the machine, and numbers of users
// should not come back as those of others.
func (s Keeper) makeAccount(ctx context.Context) error {
	if _, err := user.Lookup(s.site.Account); !errors.Is(err, user.UnknownUserError(s.site.Account)) {
		return err
	}
	return run(ctx, "useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", s.site.Account)
}

// hasUnit tells whether the unit is the one that the plan needs. Where there is
// no systemd none is.
func (s Keeper) hasUnit(p control.Plan) bool {
	text, err := os.ReadFile(s.site.UnitPath())
	return !s.site.HasSystemd() || (err == nil && string(text) == s.unitFile(p))
}

// startUnit starts Pebble, or starts it anew, now and whenever the machine
// starts.
func (s Keeper) startUnit(ctx context.Context, p control.Plan) error {
	if err := control.Replace(s.site.UnitPath(), []byte(s.unitFile(p)), 0o644); err != nil {
		return fmt.Errorf("cannot write its unit: %w", err)
	}
	// To enable it reloads what systemd knows, which takes seconds on a busy machine.
	for _, arguments := range [][]string{{"enable", s.site.UnitName()}, {"restart", s.site.UnitName()}} {
		if err := run(ctx, "systemctl", arguments...); err != nil {
			return err
		}
	}
	return nil
}

// barred tells which directory keeps the user of the daemon out, if one does:
// systemd says no more than that a program has failed.
func (s Keeper) barred() error {
	owner, err := s.site.Owner()
	if err != nil || !s.site.HasSystemd() {
		return nil
	}
	for _, path := range []string{s.site.State, filepath.Dir(s.site.Program())} {
		for ; path != filepath.Dir(path); path = filepath.Dir(path) {
			if state, err := os.Stat(path); err == nil && !mayEnter(state, owner.UID, owner.GID) {
				return fmt.Errorf("user %s may not enter %s", s.site.Account, path)
			}
		}
	}
	return nil
}

// mayEnter judges by the mode alone.
func mayEnter(directory fs.FileInfo, uid, gid int) bool {
	system, ok := directory.Sys().(*syscall.Stat_t)
	switch mode := directory.Mode().Perm(); {
	case !ok:
		return true
	case int(system.Uid) == uid:
		return mode&0o100 != 0
	case int(system.Gid) == gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

func (s Keeper) stopUnit(ctx context.Context) error {
	if _, err := os.Stat(s.site.UnitPath()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return run(ctx, "systemctl", "disable", "--now", s.site.UnitName())
}

func (s Keeper) removeUnit(ctx context.Context) error {
	if _, err := os.Stat(s.site.UnitPath()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// A unit that failed would be listed for good, as one that is not found. One
	// that did not fail, or that systemd has forgotten, makes this an error.
	_ = run(ctx, "systemctl", "reset-failed", s.site.UnitName())
	if err := os.Remove(s.site.UnitPath()); err != nil {
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
func (s Keeper) unitFile(p control.Plan) string {
	capabilities := ""
	if p.Port < 1024 {
		capabilities = "CAP_NET_BIND_SERVICE"
	}
	directory := "/" + s.site.RuntimeDirectory()
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
`, s.site.Unit, escape(filepath.Dir(s.layerPath())), escape(directory+"/layers"), escape(s.site.PebbleProgram()), escape("PEBBLE="+directory), escape("XDG_CONFIG_HOME="+directory), strings.ReplaceAll(s.site.State, "%", "%%"),
		s.site.Account, s.site.Account, filepath.Base(s.site.RuntimeDirectory()), capabilities, capabilities)
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
