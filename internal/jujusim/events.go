// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// event is a hook to run, with everything that a retry must repeat.
type event struct {
	kind     string // "install", "relation-changed", …
	endpoint string // relation events only
	relation int    // -1 when none

	remoteUnit, remoteApplication, departing string
	// version is what the event tells the unit about: of a bag for relation
	// events, of the configuration or the leader settings for theirs.
	version int

	secret         string // id
	secretURI      string // as in JUJU_SECRET_ID
	secretRevision int    // of expired and remove, else 0
	secretLatest   int
}

func plain(kind string) *event { return &event{kind: kind, relation: -1} }

func (e *event) name() string {
	if e.endpoint != "" {
		return e.endpoint + "-" + e.kind
	}
	return e.kind
}

// queueable are the hooks that a test may ask for, with their rank: 0 comes
// before relation-created, as the start after a reboot does.
var queueable = map[string]int{"start": 0, "stop": 0, "upgrade-charm": 1, "config-changed": 2, "update-status": 3}

// Queue asks for a hook that no state explains: "upgrade-charm" (a refresh
// with the same charm; config-changed follows), "start" (a reboot),
// "config-changed", "stop", "update-status".
func (m *Model) Queue(unit, hook string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.charmedUnit(unit)
	if err != nil {
		return err
	}
	if _, found := queueable[hook]; !found {
		return fmt.Errorf("cannot queue hook %q: it must follow from the model's state", hook)
	}
	if !u.installed {
		return fmt.Errorf("cannot queue hook %q: unit %q is not installed", hook, unit)
	}
	u.queue = append(u.queue, hook)
	return nil
}

// nextEvent returns the first event that is due for a unit, in the order of
// worker/uniter/resolver.go, or nil. It changes nothing that would make a
// second call answer differently, but for the order among equals.
func (m *Model) nextEvent(u *unit) *event {
	if u.isLeader && (!u.leads() || u.dying) {
		u.isLeader = false // resigning fires no hook
	}
	if u.pending != nil && u.pending.kind == "leader-elected" && !u.leads() {
		u.pending, u.inError, u.attempts = nil, false, 0
	}
	if u.pending != nil {
		return u.pending
	}
	if u.dying {
		return m.nextLastEvent(u)
	}
	if u.installed {
		for _, find := range []func(*unit) *event{m.queuedEvent(0), m.createdEvent, m.leadershipEvent, m.secretEvent} {
			if e := find(u); e != nil {
				return e
			}
		}
	} else {
		return plain("install")
	}
	for _, find := range []func(*unit) *event{m.queuedEvent(1), m.configEvent, m.relationEvent, m.queuedEvent(3)} {
		if e := find(u); e != nil {
			return e
		}
	}
	return nil
}

// nextLastEvent is the order of a unit that is being removed.
func (m *Model) nextLastEvent(u *unit) *event {
	e := m.relationEvent(u)
	switch {
	case e != nil:
		return e
	case u.started && !u.stopped:
		return plain("stop")
	case u.installed && !u.removed:
		return plain("remove")
	}
	return nil
}

func (m *Model) queuedEvent(rank int) func(*unit) *event {
	return func(u *unit) *event {
		for _, kind := range u.queue {
			if queueable[kind] == rank {
				return plain(kind)
			}
		}
		return nil
	}
}

func (m *Model) leadershipEvent(u *unit) *event {
	if u.leads() && !u.isLeader {
		return plain("leader-elected")
	}
	if m.version.hasLeaderSettings() && !u.isLeader && u.leaderSettingsSeen != u.application.leaderSettingsVersion {
		return plain("leader-settings-changed")
	}
	return nil
}

func (m *Model) configEvent(u *unit) *event {
	if u.configSeen != u.application.configVersion || slices.Contains(u.queue, "config-changed") {
		return plain("config-changed")
	}
	return nil
}

// enterScopes lets a unit into the relations that it does not know yet. An
// agent does it for all of them before the first relation-created.
func (m *Model) enterScopes(u *unit) {
	for id, r := range m.relations {
		if u.views[id] != nil || r.dying || !r.joins(u.application.name) {
			continue
		}
		m.enterScope(r, u)
		u.views[id] = &relationView{
			relation:     r,
			members:      map[string]int{},
			applications: map[string]int{},
			cache:        map[string]map[string]string{},
		}
	}
}

// viewOrder returns a unit's relations in arbitrary order, peers last where
// Juju does so.
func (m *Model) viewOrder(u *unit) []*relationView {
	var views []*relationView
	for _, id := range shuffled(m, u.views) {
		views = append(views, u.views[id])
	}
	if m.version.peersLast() {
		slices.SortStableFunc(views, func(a, b *relationView) int {
			switch {
			case a.relation.isPeer() == b.relation.isPeer():
				return 0
			case a.relation.isPeer():
				return 1
			}
			return -1
		})
	}
	return views
}

func (m *Model) createdEvent(u *unit) *event {
	m.enterScopes(u)
	for _, view := range m.viewOrder(u) {
		if !view.created && !view.relation.dying {
			e := view.event(u, "relation-created")
			e.remoteApplication = view.relation.far(u.application.name).application
			return e
		}
	}
	return nil
}

func (m *Model) relationEvent(u *unit) *event {
	for _, view := range m.viewOrder(u) {
		if e := view.next(u); e != nil {
			return e
		}
	}
	return nil
}

func (v *relationView) event(u *unit, kind string) *event {
	return &event{kind: kind, endpoint: v.relation.near(u.application.name).name, relation: v.relation.id}
}

// next compares a view with its relation (worker/uniter/relation/resolver.go,
// nextHookForRelation). The first difference wins.
func (v *relationView) next(u *unit) *event {
	r := v.relation
	if v.owed != "" {
		e := v.event(u, "relation-changed")
		e.remoteUnit, e.remoteApplication = v.owed, applicationOf(v.owed)
		e.version = r.version(v.owed)
		return e
	}
	members, applications := map[string]int{}, map[string]int{}
	gone := u.dying || r.dying
	if !gone {
		members, applications = v.remote(u)
	}
	for _, name := range slices.Sorted(maps.Keys(v.members)) {
		if _, found := members[name]; found {
			continue
		}
		e := v.event(u, "relation-departed")
		e.remoteUnit, e.remoteApplication, e.departing = name, applicationOf(name), name
		if u.dying {
			e.departing = u.name
		}
		return e
	}
	if gone {
		if r.isPeer() {
			return nil
		}
		e := v.event(u, "relation-broken")
		e.remoteApplication = r.far(u.application.name).application
		return e
	}
	for _, name := range slices.Sorted(maps.Keys(applications)) {
		if v.applications[name] != applications[name] {
			e := v.event(u, "relation-changed")
			e.remoteApplication, e.version = name, applications[name]
			return e
		}
	}
	return v.nextMember(u, members)
}

func (v *relationView) nextMember(u *unit, members map[string]int) *event {
	names := slices.Sorted(maps.Keys(members))
	told := func(name string) bool { _, found := v.members[name]; return found }
	for _, kind := range []string{"relation-joined", "relation-changed"} {
		for _, name := range names {
			if kind == "relation-joined" && !told(name) || kind == "relation-changed" && v.members[name] != members[name] {
				e := v.event(u, kind)
				e.remoteUnit, e.remoteApplication, e.version = name, applicationOf(name), members[name]
				return e
			}
		}
	}
	return nil
}

// remote returns what the controller shows a unit of a relation: the versions
// of the other side's bags. In a peer relation the own application is the
// other side, which is why its leader is told of its own writes.
func (v *relationView) remote(u *unit) (members, applications map[string]int) {
	far := v.relation.far(u.application.name).application
	members = map[string]int{}
	for name := range v.relation.present {
		if name != u.name && applicationOf(name) == far {
			members[name] = v.relation.version(name)
		}
	}
	return members, map[string]int{far: v.relation.version(far)}
}

// begin notes that an event's hook is about to run. What the charm will read
// is settled now, also for a retry, so later changes cause another event.
func (m *Model) begin(u *unit, e *event) {
	if u.pending == nil {
		for i, kind := range u.queue {
			if kind == e.kind {
				u.queue = slices.Delete(u.queue, i, i+1)
				break
			}
		}
	}
	u.pending, u.inError, u.busy = e, false, true
	u.attempts++
	switch e.kind {
	case "leader-elected":
		u.isLeader = true
	case "config-changed":
		e.version = u.application.configVersion
	case "leader-settings-changed":
		e.version = u.application.leaderSettingsVersion
	}
}

// finish notes that an event's hook has ended well and was committed.
func (m *Model) finish(u *unit, e *event) error {
	u.pending, u.inError, u.attempts = nil, false, 0
	switch e.kind {
	case "install":
		u.installed = true
	case "config-changed":
		u.configSeen = e.version
		if u.startFollows() {
			u.pending = plain("start")
		}
	case "start":
		u.started, u.stopped, u.newPod = true, false, false
	case "upgrade-charm":
		u.pending = plain("config-changed")
	case "leader-settings-changed":
		u.leaderSettingsSeen = e.version
	case "stop":
		u.stopped = true
	case "remove":
		u.removed = true
		return m.bury(u)
	}
	if e.relation >= 0 {
		m.finishRelation(u, e)
	}
	if e.secret != "" {
		m.finishSecret(u, e)
	}
	return nil
}

func (m *Model) finishRelation(u *unit, e *event) {
	view := u.views[e.relation]
	switch e.kind {
	case "relation-created":
		view.created = true
	case "relation-joined":
		view.members[e.remoteUnit] = e.version
		view.owed = e.remoteUnit
	case "relation-changed":
		if e.remoteUnit == "" {
			view.applications[e.remoteApplication] = e.version
			return
		}
		view.members[e.remoteUnit] = e.version
		view.owed = ""
	case "relation-departed":
		delete(view.members, e.remoteUnit)
	case "relation-broken":
		delete(u.views, e.relation)
		m.leaveScope(view.relation, u.name)
	}
}

// variables returns the environment that only this event has.
func (e *event) variables() []string {
	var vars []string
	if e.relation >= 0 {
		vars = append(vars,
			"JUJU_RELATION="+e.endpoint,
			"JUJU_RELATION_ID="+e.endpoint+":"+strconv.Itoa(e.relation),
			"JUJU_REMOTE_UNIT="+e.remoteUnit,
			"JUJU_REMOTE_APP="+e.remoteApplication,
		)
	}
	if e.departing != "" {
		vars = append(vars, "JUJU_DEPARTING_UNIT="+e.departing)
	}
	return vars
}
