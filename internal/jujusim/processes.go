// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endWait is how long killed processes may take to go. It is long because a
// busy machine is no failure, and only a process stuck in the kernel stays.
const endWait = 30 * time.Second

// process is one line of the table of processes.
type process struct {
	id, parent, group, session int
	state                      byte // as in proc(5): 'Z' is dead, and waits for its parent
}

// endProcesses kills what a charm left running in a folder, as the loss of its
// machine does: processes whose program, working folder or first argument is
// in it, and with them what they started. It returns when they are gone.
func endProcesses(folder string) error {
	resolved, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil // there is no such folder, so nothing runs in it
	}
	h := hunt{folders: []string{resolved, folder}, groups: map[int]bool{}, sessions: map[int]bool{}}
	limit := time.Now().Add(endWait)
	for {
		left := h.look()
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("cannot end the processes in %s: %v are still there", folder, left)
		}
		for _, id := range left {
			// It may be gone by now. What it started since, the next look finds.
			_ = syscall.Kill(id, syscall.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// hunt finds the processes of a folder. It remembers their process groups and
// sessions, so that none escapes that a process starts while it is killed.
//
// Our own group and session are not among them: a hook that starts something
// without giving it one of its own leaves it in ours. Neither are those of a
// process that merely stands in the folder, such as somebody's shell.
type hunt struct {
	folders          []string
	groups, sessions map[int]bool
}

// look returns the processes that are alive.
func (h *hunt) look() []int {
	table := processes()
	us := table[os.Getpid()]
	delete(table, us.id)
	found := map[int]bool{}
	for _, p := range table {
		runs, stands := h.find(p.id)
		if runs || stands {
			found[p.id] = true
		}
		if runs && p.group != us.group {
			h.groups[p.group] = true
		}
		if runs && p.session != us.session {
			h.sessions[p.session] = true
		}
	}
	for before := -1; before != len(found); {
		before = len(found)
		for _, p := range table {
			if found[p.parent] || h.groups[p.group] || h.sessions[p.session] {
				found[p.id] = true
			}
		}
	}
	var alive []int
	for id := range found {
		if state := table[id].state; state != 'Z' && state != 'X' {
			alive = append(alive, id)
		}
	}
	return alive
}

// find tells whether a process runs a program of the folder, and whether its
// working folder is in it. A process that cannot be dumped shows neither to
// others of its user; its arguments it does.
func (h *hunt) find(id int) (runs, stands bool) {
	path := func(name string) string { return filepath.Join("/proc", strconv.Itoa(id), name) }
	program, _ := os.Readlink(path("exe")) // "… (deleted)" after an upgrade of the charm
	working, _ := os.Readlink(path("cwd"))
	arguments, _ := os.ReadFile(path("cmdline"))
	for _, folder := range h.folders {
		runs = runs || strings.HasPrefix(program, folder+"/") || bytes.HasPrefix(arguments, []byte(folder+"/"))
		stands = stands || strings.HasPrefix(working+"/", folder+"/")
	}
	return runs, stands
}

// processes reads the table of processes, but for those that end meanwhile.
func processes() map[int]process {
	table := map[int]process{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return table // not Linux
	}
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			continue
		}
		if p, ok := parseProcess(id, string(text)); ok {
			table[id] = p
		}
	}
	return table
}

// parseProcess reads /proc/ID/stat. The name of the program is in brackets and
// may hold anything, brackets too.
func parseProcess(id int, text string) (process, bool) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 4 {
		return process{}, false
	}
	p := process{id: id, state: fields[0][0]}
	for i, number := range []*int{&p.parent, &p.group, &p.session} {
		n, err := strconv.Atoi(fields[i+1])
		if err != nil {
			return process{}, false
		}
		*number = n
	}
	return p, true
}
