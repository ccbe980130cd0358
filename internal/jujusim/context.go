// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"encoding/hex"
	"maps"
	"slices"
	"sync"
)

// hookContext is what the agent holds for one hook or action: what the charm
// has read, so that it reads the same again, and what it has written, to be
// committed at the end or dropped. Nothing in it outlives the hook.
//
// All fields but serving are guarded by Model.mu.
type hookContext struct {
	model  *Model
	unit   *unit
	id     string
	event  *event  // nil for an action
	action *action // nil for a hook

	serving sync.Mutex // tools are run one at a time (runner/jujuc/server.go)
	ended   bool
	killed  bool
	kill    func() // ends the charm's process or call
	cut     func() // breaks its connections
	calls   []Call
	writes  int

	// deposed is set by the first look that finds the unit not leading, and
	// stays: a charm never sees itself become leader within a hook.
	deposed   bool
	config    map[string]any
	status    *status
	relations map[int]*contextRelation
	state     map[string]string // nil until read or written
	stateSet  bool
	ports     portChanges
	leaders   map[string]string // leader settings as first read
	secrets   secretChanges
	// managed is the metadata of the secrets that the unit could manage when
	// the hook started.
	managed map[string]secretMetadata
}

// contextRelation is a relation as one hook sees it.
type contextRelation struct {
	view    *relationView
	name    string // the local endpoint
	remote  string // the remote application
	broken  bool   // left out of relation-ids
	members []string

	// unitBag and applicationBag are own bags with this hook's writes, nil
	// until looked at. The changes are what to commit.
	unitBag, applicationBag         map[string]string
	unitChanges, applicationChanges map[string]string
	others                          map[string]map[string]string // bags of non-members and applications
}

// newContext makes the context of a hook or an action. The caller holds m.mu.
func (m *Model) newContext(u *unit, e *event, a *action) *hookContext {
	c := &hookContext{
		model:     m,
		unit:      u,
		event:     e,
		action:    a,
		relations: map[int]*contextRelation{},
		secrets:   newSecretChanges(),
		managed:   m.manageable(u),
		kill:      func() {},
		cut:       func() {},
	}
	name := ""
	if a != nil {
		name = a.name
	} else {
		name = e.name()
	}
	c.id = u.name + "-" + name + "-" + hex.EncodeToString(m.randomBytes(16))
	for id, view := range u.views {
		c.relations[id] = newContextRelation(u, view)
	}
	if e != nil && e.relation >= 0 {
		c.relations[e.relation].renew(e)
	}
	return c
}

func newContextRelation(u *unit, view *relationView) *contextRelation {
	r := view.relation
	for name := range view.cache {
		if _, member := view.members[name]; !member {
			delete(view.cache, name)
		}
	}
	return &contextRelation{
		view:               view,
		name:               r.near(u.application.name).name,
		remote:             r.far(u.application.name).application,
		broken:             r.dying && len(view.members) == 0,
		members:            slices.Collect(maps.Keys(view.members)),
		unitChanges:        map[string]string{},
		applicationChanges: map[string]string{},
		others:             map[string]map[string]string{},
	}
}

// renew makes the bag of the unit that an event is about fresh, and the unit
// a member unless it departs.
func (r *contextRelation) renew(e *event) {
	if e.remoteUnit == "" {
		return
	}
	delete(r.view.cache, e.remoteUnit)
	i := slices.Index(r.members, e.remoteUnit)
	switch {
	case e.kind == "relation-departed" && i >= 0:
		r.members = slices.Delete(r.members, i, i+1)
	case e.kind != "relation-departed" && i < 0:
		r.members = append(r.members, e.remoteUnit)
	}
}

// leads answers is-leader.
func (c *hookContext) leads() bool {
	if !c.unit.leads() {
		c.deposed = true
	}
	return !c.deposed
}

// ownBag returns a bag of the unit or its application with this hook's
// writes. The application's is read once, so writes of a later leader do not
// show.
func (r *contextRelation) ownBag(u *unit, ofApplication bool) map[string]string {
	bag, owner := &r.unitBag, u.name
	if ofApplication {
		bag, owner = &r.applicationBag, u.application.name
	}
	if *bag == nil {
		values, found := r.view.relation.read(owner)
		if !found {
			values = map[string]string{}
		}
		*bag = values
	}
	return *bag
}

// write buffers a change of an own bag; "" deletes.
func (r *contextRelation) write(u *unit, ofApplication bool, key, value string) {
	bag, changes := r.ownBag(u, ofApplication), r.unitChanges
	if ofApplication {
		changes = r.applicationChanges
	}
	changes[key] = value
	if value == "" {
		delete(bag, key)
		return
	}
	bag[key] = value
}

// readMember returns another unit's bag, from the cache when it is a member.
func (r *contextRelation) readMember(name string) (map[string]string, bool) {
	cache := r.others
	if slices.Contains(r.members, name) {
		cache = r.view.cache
	}
	if values, found := cache[name]; found {
		return values, true
	}
	values, found := r.view.relation.read(name)
	if found {
		cache[name] = values
	}
	return values, found
}

func (r *contextRelation) readApplication(name string) (map[string]string, bool) {
	if values, found := r.others[name]; found {
		return values, true
	}
	values, found := r.view.relation.read(name)
	if found {
		r.others[name] = values
	}
	return values, found
}

// hookRelation is the relation of a relation hook, nil otherwise.
func (c *hookContext) hookRelation() *contextRelation {
	if c.event == nil || c.event.relation < 0 {
		return nil
	}
	return c.relations[c.event.relation]
}

func (c *hookContext) attempt() int {
	if c.action != nil {
		return 1
	}
	return c.unit.attempts
}
