// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/juju/charm/v12"
)

// relation is a relation with its databags.
type relation struct {
	id    int
	sides []endpoint // one for a peer relation, else the requirer first
	dying bool
	bags  map[string]*bag // by unit or application
	// present holds the units that the other side is told of.
	present map[string]bool
	// scope holds the units that have not left; the last to leave a dying
	// relation ends it.
	scope map[string]bool
}

// endpoint is one side of a relation. face is its interface.
type endpoint struct {
	application, name string
	role              charm.RelationRole
	face              string
}

// bag is a databag. The version grows with each change; 0 means that nothing
// was ever written.
type bag struct {
	values  map[string]string
	version int
}

func (e endpoint) String() string { return e.application + ":" + e.name }

func (r *relation) isPeer() bool { return len(r.sides) == 1 }

// key is Juju's name of a relation, as in "etcd:certificates ca:certificates".
func (r *relation) key() string {
	var parts []string
	for _, side := range r.sides {
		parts = append(parts, side.String())
	}
	return strings.Join(parts, " ")
}

// tag is the form of key that secret access is shown with.
func (r *relation) tag() string {
	return "relation-" + strings.NewReplacer(":", ".", " ", "#").Replace(r.key())
}

func (r *relation) joins(application string) bool {
	return slices.ContainsFunc(r.sides, func(e endpoint) bool { return e.application == application })
}

// near returns the application's own side, far the other; they are the same
// side of a peer relation.
func (r *relation) near(application string) endpoint {
	if r.sides[0].application == application {
		return r.sides[0]
	}
	return r.sides[1]
}

func (r *relation) far(application string) endpoint {
	if r.isPeer() || r.sides[0].application != application {
		return r.sides[0]
	}
	return r.sides[1]
}

// merge writes changes into a bag; an empty value deletes. It makes a new
// version only when something changed.
func (r *relation) merge(owner string, changes map[string]string) {
	b := r.bags[owner]
	if b == nil {
		b = &bag{values: map[string]string{}}
		r.bags[owner] = b
	}
	changed := false
	for key, value := range changes {
		old, found := b.values[key]
		switch {
		case value == "" && found:
			delete(b.values, key)
			changed = true
		case value != "" && value != old:
			b.values[key] = value
			changed = true
		}
	}
	if changed {
		b.version++
	}
}

func (r *relation) version(owner string) int {
	if b := r.bags[owner]; b != nil {
		return b.version
	}
	return 0
}

// read returns a copy of a bag; nil and false when the owner never had one.
func (r *relation) read(owner string) (map[string]string, bool) {
	b := r.bags[owner]
	if b == nil {
		return nil, false
	}
	return maps.Clone(b.values), true
}

// Relate relates two endpoints, given as "application:endpoint", and returns
// the relation's number. The charmed side must declare its endpoint.
func (m *Model) Relate(endpointA, endpointB string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.parseEndpoint(endpointA)
	if err != nil {
		return 0, err
	}
	b, err := m.parseEndpoint(endpointB)
	if err != nil {
		return 0, err
	}
	if a.application == b.application {
		return 0, fmt.Errorf("cannot relate %q to itself", a.application)
	}
	a, b, err = pair(a, b)
	if err != nil {
		return 0, fmt.Errorf("cannot relate %q and %q: %w", endpointA, endpointB, err)
	}
	err = m.checkNew(a, b)
	if err != nil {
		return 0, fmt.Errorf("cannot relate %q and %q: %w", endpointA, endpointB, err)
	}
	r := m.addRelation(a, b)
	for _, side := range r.sides {
		app := m.applications[side.application]
		if app.charm != nil {
			continue
		}
		for _, u := range app.units {
			m.enterScope(r, u)
		}
	}
	return r.id, nil
}

// parseEndpoint leaves role and face empty for a stand-in.
func (m *Model) parseEndpoint(text string) (endpoint, error) {
	application, name, found := strings.Cut(text, ":")
	if !found || name == "" {
		return endpoint{}, fmt.Errorf("endpoint %q is not of the form application:endpoint", text)
	}
	app := m.applications[application]
	if app == nil {
		return endpoint{}, fmt.Errorf("no application %q in the model", application)
	}
	e := endpoint{application: application, name: name}
	if app.charm == nil {
		return e, nil
	}
	declared, found := app.charm.Meta().CombinedRelations()[name]
	if !found || declared.Role == charm.RolePeer {
		return endpoint{}, fmt.Errorf("the charm of %q declares no endpoint %q to relate", application, name)
	}
	e.role, e.face = declared.Role, declared.Interface
	return e, nil
}

// pair returns the two sides with the requirer first.
func pair(a, b endpoint) (requirer, provider endpoint, err error) {
	if a.role == "" && b.role == "" {
		return a, b, nil // two stand-ins: nobody looks
	}
	if a.role == "" {
		a.role, a.face = counterpart(b.role), b.face
	}
	if b.role == "" {
		b.role, b.face = counterpart(a.role), a.face
	}
	if a.role == b.role {
		return a, b, fmt.Errorf("both are a %s", a.role)
	}
	if a.face != b.face {
		return a, b, fmt.Errorf("interfaces %q and %q differ", a.face, b.face)
	}
	if a.role == charm.RoleProvider {
		a, b = b, a
	}
	return a, b, nil
}

func counterpart(role charm.RelationRole) charm.RelationRole {
	if role == charm.RoleProvider {
		return charm.RoleRequirer
	}
	return charm.RoleProvider
}

// checkNew refuses a relation that exists and one above an endpoint's limit. A
// relation counts until its last unit has left it.
func (m *Model) checkNew(sides ...endpoint) error {
	for _, side := range sides {
		inUse := 0
		for _, r := range m.relations {
			if slices.Equal(r.sides, sides) {
				return fmt.Errorf("relation %q exists", r.key())
			}
			if slices.Contains(r.sides, side) {
				inUse++
			}
		}
		app := m.applications[side.application]
		if app.charm == nil {
			continue
		}
		limit := app.charm.Meta().CombinedRelations()[side.name].Limit
		if limit > 0 && inUse >= limit {
			return fmt.Errorf("establishing a new relation for %s would exceed its maximum relation limit of %d", side, limit)
		}
	}
	return nil
}

func (m *Model) addRelation(sides ...endpoint) *relation {
	m.lastRelation++
	r := &relation{
		id:      m.lastRelation,
		sides:   sides,
		bags:    map[string]*bag{},
		present: map[string]bool{},
		scope:   map[string]bool{},
	}
	for _, side := range sides {
		r.bags[side.application] = &bag{values: map[string]string{}}
	}
	m.relations[r.id] = r
	return r
}

// enterScope makes a unit part of a relation and writes what Juju writes into
// its bag (apiserver/facades/agent/uniter, EnterScope).
func (m *Model) enterScope(r *relation, u *unit) {
	if r.scope[u.name] {
		return
	}
	r.scope[u.name] = true
	r.present[u.name] = true
	settings := map[string]string{
		"egress-subnets":  u.address() + "/32",
		"ingress-address": u.address(),
	}
	if m.version.writesPrivateAddress() {
		settings["private-address"] = u.address()
	}
	r.merge(u.name, settings)
}

// leaveScope takes a unit out of a relation and ends the relation when it is
// dying and nobody is left.
func (m *Model) leaveScope(r *relation, name string) {
	delete(r.scope, name)
	delete(r.present, name)
	m.maybeEnd(r)
}

func (m *Model) maybeEnd(r *relation) {
	if !r.dying || len(r.scope) > 0 {
		return
	}
	delete(m.relations, r.id)
	for _, s := range m.secrets {
		s.grants = slices.DeleteFunc(s.grants, func(g secretGrant) bool { return g.relation == r.id })
	}
}

// RemoveRelation removes a relation: charmed units get departed and broken.
func (m *Model) RemoveRelation(id int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.relations[id]
	if r == nil {
		return fmt.Errorf("no relation %d in the model", id)
	}
	if r.isPeer() {
		return fmt.Errorf("cannot remove relation %d: it is a peer relation", id)
	}
	if r.dying {
		return fmt.Errorf("relation %d is being removed already", id)
	}
	r.dying = true
	for _, side := range r.sides {
		app := m.applications[side.application]
		if app.charm != nil {
			continue
		}
		for _, u := range app.units {
			delete(r.scope, u.name)
			delete(r.present, u.name)
		}
	}
	m.maybeEnd(r)
	return nil
}

// SetBag merges values into a bag of a stand-in; "" deletes a key. The owner
// is a unit or an application.
func (m *Model) SetBag(id int, owner string, values map[string]string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.relations[id]
	if r == nil || r.dying {
		return fmt.Errorf("cannot write a bag: no relation %d in the model", id)
	}
	app := m.applications[applicationOf(owner)]
	if app == nil || !r.joins(app.name) {
		return fmt.Errorf("cannot write a bag of %q: it is not part of relation %d", owner, id)
	}
	if app.charm != nil {
		return fmt.Errorf("cannot write a bag of %q: its charm writes it", owner)
	}
	if owner != app.name && !r.present[owner] {
		return fmt.Errorf("cannot write the bag of %q: it is not in relation %d", owner, id)
	}
	for key := range values {
		if key == "" {
			return fmt.Errorf("cannot write a bag of %q: a key is empty", owner)
		}
	}
	r.merge(owner, values)
	return nil
}

// Bag returns a copy of a committed bag, nil when there is none.
func (m *Model) Bag(id int, owner string) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.relations[id]
	if r == nil {
		return nil
	}
	values, _ := r.read(owner)
	return values
}
