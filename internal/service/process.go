// SPDX-License-Identifier: GPL-3.0-only

package service

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tls-authority/internal/control"
)

// endWithin is how long processes have to end by themselves: Pebble gives the
// daemon six seconds.
const endWithin = 8 * time.Second

// makeSocketFolder makes a short directory for the socket, if the path of the
// state is too long for one, unless there is one. The socket may be reached by
// its owner alone, and Pebble lets in that user and root only.
func (s Keeper) makeSocketFolder() error {
	if _, fits := s.site.OwnSocket(); fits {
		return nil
	}
	if socket, err := s.site.Socket(); err == nil && isPrivate(filepath.Dir(socket)) {
		return nil
	}
	folder, err := os.MkdirTemp("/tmp", "tls-authority-") // 0700; TMPDIR may be long
	if err == nil {
		err = control.Replace(s.site.SocketNote(), []byte(folder), 0o600)
	}
	return err
}

func (s Keeper) removeSocket() error {
	folder, err := os.ReadFile(s.site.SocketNote())
	if err != nil || !isPrivate(string(folder)) {
		return nil
	}
	return os.RemoveAll(string(folder))
}

// isPrivate tells whether a path is a directory of this user alone: names in
// /tmp can be taken by others after a restart of the machine.
func isPrivate(path string) bool {
	state, err := os.Lstat(path)
	if err != nil || !state.IsDir() || state.Mode().Perm() != 0o700 {
		return false
	}
	system, ok := state.Sys().(*syscall.Stat_t)
	return ok && int(system.Uid) == os.Geteuid()
}

// spawn starts Pebble apart from the hook: what ends the hook does not end it,
// and it holds nothing open of what the hook has, or Juju would wait for it.
func (s Keeper) spawn() (pid int, err error) {
	socket, err := s.site.Socket()
	if err != nil {
		return 0, err
	}
	if err := closeOnExec(); err != nil {
		return 0, err
	}
	log, err := os.OpenFile(s.logPath(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	command := exec.Command(s.site.PebbleProgram(), "run")
	command.Dir = s.site.State
	command.Env = []string{"PEBBLE=" + s.site.PebbleDirectory(), "PEBBLE_SOCKET=" + socket, "PEBBLE_PERSIST=never"}
	command.Stdout, command.Stderr = log, log // stdin is /dev/null
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return 0, fmt.Errorf("cannot run Pebble: %w", err)
	}
	pid = command.Process.Pid
	return pid, command.Process.Release()
}

// closeOnExec marks what this process has inherited: Go marks only what it has
// opened itself.
func closeOnExec() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if n, err := strconv.Atoi(entry.Name()); err == nil && n > 2 {
			syscall.CloseOnExec(n) // it may be closed by now, which is as well
		}
	}
	return nil
}

// ended tells why a Pebble that spawn started has ended; nil while it runs.
func (s Keeper) ended(pid int) error {
	var status syscall.WaitStatus
	if ended, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); err != nil || ended != pid {
		return nil
	}
	text, _ := os.ReadFile(s.logPath()) // without it there is less to say
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("pebble has ended: %s", lines[len(lines)-1])
}

// killAll ends Pebble, then the daemon: asks, then kills. Pebble goes first,
// since it would start the daemon again, and takes the daemon with it; but one
// that was killed leaves the daemon behind, which keeps the port.
func (s Keeper) killAll(ctx context.Context) error {
	if len(s.all()) == 0 {
		return nil // as in every hook where there is to be no service
	}
	patience, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	err := end(patience, syscall.SIGTERM, func() []int { pebbles, _ := s.processes(); return pebbles })
	if err == nil {
		err = end(patience, syscall.SIGTERM, s.all)
	}
	if err == nil {
		return nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	return end(last, syscall.SIGKILL, s.all)
}

// end signals processes once, and waits until there are none.
func end(ctx context.Context, number syscall.Signal, find func() []int) error {
	for _, pid := range find() {
		_ = syscall.Kill(pid, number) // it is gone, or the wait tells
	}
	return poll(ctx, "its processes do not end", func() (bool, error) { return len(find()) == 0, nil })
}

func (s Keeper) all() []int {
	pebbles, daemons := s.processes()
	return append(pebbles, daemons...)
}

// processes are those of Pebble and of the daemon. They are told by their
// command lines, which name this unit's charm.
func (s Keeper) processes() (pebbles, daemons []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, nil
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil {
			continue
		}
		words := strings.Split(string(line), "\x00")
		switch {
		case words[0] == s.site.PebbleProgram() && slices.Contains(words, "run"):
			pebbles = append(pebbles, pid)
		case words[0] == s.site.Program() && slices.Contains(words, "serve") && slices.Contains(words, s.site.SpoolPath()):
			daemons = append(daemons, pid)
		}
	}
	return pebbles, daemons
}
