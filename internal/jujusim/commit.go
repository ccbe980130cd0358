// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	// bagLimit is explicit in Juju 4 (core/quota/fixed_limits.go). Before, it
	// is what a document of the controller's database may hold.
	bagLimit = 16 << 20
	// stateLimit is the default of max-charm-state-size; Juju 4 has the
	// option but does not check it yet.
	stateLimit = 2 << 20
)

// commit applies what a hook has buffered. Juju 3 applies the secrets one by
// one, then all the rest in one transaction (apiserver/facades/agent/uniter,
// commitHookChangesForOneUnit); Juju 4 does everything in one.
func (m *Model) commit(c *hookContext, fault CommitFault) error {
	saved := m.secrets
	if m.version.commitsAtOnce() {
		saved = cloneSecrets(m.secrets)
	}
	err := m.commitSecrets(c)
	if err == nil {
		err = m.commitRest(c, fault)
	}
	if err != nil {
		m.secrets = saved
		return err
	}
	if fault == AgentDiesAfter {
		return errors.New("jujusim: the agent died after the commit")
	}
	return nil
}

// commitRest is the transaction of databags, ports and charm state.
func (m *Model) commitRest(c *hookContext, fault CommitFault) error {
	switch fault {
	case RefuseCommit:
		return errors.New("jujusim: the controller refused the transaction")
	case AgentDies:
		return errors.New("jujusim: the agent died during the commit")
	}
	err := m.checkRest(c)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(c.relations)) {
		r := c.relations[id]
		r.view.relation.merge(c.unit.name, r.unitChanges)
		r.view.relation.merge(c.unit.application.name, r.applicationChanges)
	}
	if c.stateSet {
		c.unit.state = maps.Clone(c.state)
	}
	c.unit.ports = c.ports.apply(c.unit.ports)
	return nil
}

func (m *Model) checkRest(c *hookContext) error {
	for _, id := range slices.Sorted(maps.Keys(c.relations)) {
		r := c.relations[id]
		if len(r.unitChanges)+len(r.applicationChanges) == 0 {
			continue
		}
		if m.relations[id] == nil {
			return errors.New("permission denied")
		}
		if len(r.applicationChanges) > 0 && !c.unit.leads() {
			if m.version.commitsAtOnce() {
				return c.unit.notLeader()
			}
			return fmt.Errorf("checking leadership continuity: %w", c.unit.notLeader())
		}
		for owner, changes := range map[string]map[string]string{c.unit.name: r.unitChanges, c.unit.application.name: r.applicationChanges} {
			size := r.view.relation.sizeWith(owner, changes)
			if size > bagLimit {
				return fmt.Errorf("max allowed size (%d) exceeded by the databag of %q: %d bytes", bagLimit, owner, size)
			}
		}
	}
	size := 0
	for key, value := range c.state {
		size += len(key) + len(value)
	}
	if c.stateSet && size > stateLimit && !m.version.commitsAtOnce() {
		return fmt.Errorf("persisting charm state: max allowed size (%d) exceeded", stateLimit)
	}
	return nil
}

// sizeWith is the size in bytes of a bag after changes.
func (r *relation) sizeWith(owner string, changes map[string]string) int {
	values, _ := r.read(owner)
	size := 0
	for key, value := range values {
		if _, changed := changes[key]; !changed {
			size += len(key) + len(value)
		}
	}
	for key, value := range changes {
		if value != "" {
			size += len(key) + len(value)
		}
	}
	return size
}

// commitSecrets applies the secret changes in Juju's order. Each step goes
// through all of its secrets before it reports what failed.
func (m *Model) commitSecrets(c *hookContext) error {
	steps := []struct {
		name  string
		apply func() error
	}{
		{"creating secrets", func() error {
			return each(m, c.secrets.creates, func(a *secretArgs) error { return m.createSecret(c, a) })
		}},
		{"updating secrets", func() error {
			return each(m, c.secrets.updates, func(a *secretArgs) error { return m.updateSecret(c, a) })
		}},
		{"updating secret tracked revisions", func() error { return m.trackLatest(c) }},
		{"granting secrets access", func() error { return m.applyGrants(c) }},
		{"revoking secrets access", func() error { return m.applyRevokes(c) }},
		{"removing secrets", func() error {
			return each(m, c.secrets.deletes, func(d secretDelete) error { return m.deleteSecret(c, d) })
		}},
	}
	for _, step := range steps {
		err := step.apply()
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func each[V any](m *Model, changes map[string]V, apply func(V) error) error {
	var failed []error
	for _, id := range shuffled(m, changes) {
		failed = append(failed, apply(changes[id]))
	}
	return errors.Join(failed...)
}

func (m *Model) createSecret(c *hookContext, a *secretArgs) error {
	if a.owner != c.unit.name && !c.unit.leads() {
		return c.unit.notLeader()
	}
	if len(a.content) == 0 {
		return errors.New("empty secret value not valid")
	}
	if a.label != nil {
		err := m.checkOwnerLabel(a.owner, *a.label)
		if err != nil {
			return err
		}
	}
	s := &secret{id: a.id, owner: a.owner, rotate: "never", revisions: map[int]*secretRevision{}, consumers: map[string]*secretConsumer{}}
	m.secrets[s.id] = s
	s.change(a)
	s.addRevision(a)
	if a.rotate != nil && *a.rotate != "never" {
		s.nextRotate = rotateAfter(*a.rotate, m.now())
	}
	return nil
}

// checkManage tells whether the unit may change a secret now.
func (m *Model) checkManage(u *unit, id string) (*secret, error) {
	s := m.secrets[id]
	switch {
	case s == nil:
		return nil, fmt.Errorf("secret %q not found", id)
	case s.owner == u.name || s.owner == u.application.name && u.leads():
		return s, nil
	case s.owner == u.application.name:
		return nil, u.notLeader()
	}
	return nil, errors.New("permission denied")
}

func (m *Model) updateSecret(c *hookContext, a *secretArgs) error {
	if a.rotate == nil && a.description == nil && a.label == nil && a.expires == nil && len(a.content) == 0 {
		return errors.New("at least one attribute to update must be specified")
	}
	s, err := m.checkManage(c.unit, a.id)
	if err != nil {
		return err
	}
	rotates := s.rotate != "never"
	if rotates && a.rotate != nil && *a.rotate != "never" && !m.version.rotatesAgain() {
		return errors.New("must specify a secret rotate time")
	}
	if a.label != nil && *a.label != s.label {
		err = m.checkOwnerLabel(s.owner, *a.label)
		if err != nil {
			return err
		}
	}
	switch {
	case a.rotate == nil:
	case *a.rotate == "never":
		s.nextRotate = time.Time{}
	case !rotates:
		s.nextRotate = rotateAfter(*a.rotate, m.now())
	default: // only a more frequent policy moves the due time
		if next := rotateAfter(*a.rotate, m.now()); next.Before(s.nextRotate) {
			s.nextRotate = next
		}
	}
	s.change(a)
	if len(a.content) > 0 {
		s.addRevision(a)
	} else if r := s.revisions[s.latest]; r != nil && a.expires != nil {
		r.expires, r.expiredAgain = *a.expires, time.Time{}
	}
	return nil
}

func (m *Model) trackLatest(c *hookContext) error {
	for id := range c.secrets.trackLatest {
		s := m.secrets[id]
		if s == nil {
			return fmt.Errorf("secret %q not found", id)
		}
		s.consumer(c.unit.name).revision = s.latest
	}
	return nil
}

func (m *Model) applyGrants(c *hookContext) error {
	for _, id := range shuffled(m, c.secrets.grants) {
		if c.secrets.creates[id] != nil && m.version.losesEarlyGrants() {
			continue
		}
		for _, relation := range slices.Sorted(maps.Keys(c.secrets.grants[id])) {
			grant := c.secrets.grants[id][relation]
			s, err := m.checkManage(c.unit, id)
			if err != nil {
				return err
			}
			r := m.relations[grant.relation]
			if r == nil || r.dying {
				return fmt.Errorf("cannot change access to %q for %q: relation not alive", id, grant.tag())
			}
			if unitRule.MatchString(grant.subject) && isRemoteName(applicationOf(grant.subject)) {
				return fmt.Errorf("cannot change access to %q for %q: sharing secrets with a unit across a cross model relation not supported", id, grant.tag())
			}
			if !slices.Contains(s.grants, grant) {
				s.grants = append(s.grants, grant)
			}
		}
	}
	return nil
}

func (m *Model) applyRevokes(c *hookContext) error {
	for _, id := range shuffled(m, c.secrets.revokes) {
		for _, subject := range c.secrets.revokes[id] {
			s, err := m.checkManage(c.unit, id)
			if err != nil {
				return err
			}
			s.grants = slices.DeleteFunc(s.grants, func(g secretGrant) bool { return g.subject == subject })
		}
	}
	return nil
}

// deleteSecret removes revisions; the last one takes the secret with it.
func (m *Model) deleteSecret(c *hookContext, d secretDelete) error {
	s, err := m.checkManage(c.unit, d.id)
	if err != nil {
		if m.secrets[d.id] == nil && m.version.forgivesMissingSecrets() {
			return nil
		}
		return err
	}
	if d.revision == 0 {
		delete(m.secrets, d.id)
		return nil
	}
	if s.revisions[d.revision] == nil && !m.version.forgivesMissingSecrets() {
		return fmt.Errorf("secret revision %d not found", d.revision)
	}
	delete(s.revisions, d.revision)
	if len(s.revisions) == 0 {
		delete(m.secrets, d.id)
	}
	return nil
}
