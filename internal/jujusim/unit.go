// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"fmt"
	"path/filepath"
)

// unit is one unit and what its agent remembers between hooks.
type unit struct {
	application    *application
	name           string
	machine        int
	subnet         string // the first half of its address
	directory      string
	charmDirectory string
	tools          string

	dying                                bool
	installed, started, stopped, removed bool
	newPod                               bool // start is owed, see startFollows
	// isLeader is the leadership the agent has accepted; the model's own view
	// is application.leader.
	isLeader           bool
	configSeen         int
	leaderSettingsSeen int

	// pending is a hook that must run before any other: one that failed, or
	// one that follows the last. attempts counts its runs so far.
	pending  *event
	inError  bool
	busy     bool // a hook or action of the unit runs
	attempts int
	// queue holds hooks that the test asked for.
	queue []string

	views       map[int]*relationView
	secretsSeen map[string]int   // last revision a secret-changed was for
	obsolete    map[string][]int // revisions a secret-remove was for

	state     map[string]string
	ports     portSet
	status    status
	statusSet bool // by the charm, ever
}

// relationView is a unit's knowledge of a relation: events are the difference
// between it and the relation (worker/uniter/relation/state.go).
type relationView struct {
	relation     *relation
	created      bool
	members      map[string]int // unit → version of its bag when last told
	applications map[string]int
	// owed is the unit that must get changed next, because it joined.
	owed string
	// cache holds members' bags as last read. It outlives hooks and is
	// renewed only by an event about the unit (runner/context/cache.go), so a
	// charm that looks at another unit's bag may see an old one.
	cache map[string]map[string]string
}

func (u *unit) socket() string { return filepath.Join(u.directory, "agent.socket") }

func (u *unit) address() string {
	return fmt.Sprintf("%s.%d.%d", u.subnet, u.machine/200, u.machine%200+10)
}

// leads tells whether the model takes the unit for its application's leader.
func (u *unit) leads() bool { return u.application.leader == u.name }

func (u *unit) notLeader() error {
	return fmt.Errorf("%q is not leader of %q", u.name, u.application.name)
}
