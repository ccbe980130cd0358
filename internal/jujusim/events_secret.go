// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"maps"
	"slices"
	"time"
)

// expiryRetry is how long a due secret event waits before it is fired again.
const expiryRetry = 5 * time.Minute

// secretEvent looks for expired, rotate, changed and remove, in this order
// (worker/uniter/secrets/resolver.go).
func (m *Model) secretEvent(u *unit) *event {
	ids := shuffled(m, m.secrets)
	for _, find := range []func(*unit, *secret) *event{m.expired, m.rotated, m.changed, m.obsoleted} {
		for _, id := range ids {
			if e := find(u, m.secrets[id]); e != nil {
				e.secret, e.relation, e.secretLatest = id, -1, m.secrets[id].latest
				return e
			}
		}
	}
	return nil
}

// tends tells whether the unit gets the events of a secret's owner.
func (u *unit) tends(s *secret) bool {
	return s.owner == u.name || s.owner == u.application.name && u.leads()
}

func (m *Model) expired(u *unit, s *secret) *event {
	if !u.tends(s) {
		return nil
	}
	for _, number := range slices.Sorted(maps.Keys(s.revisions)) {
		due := s.revisions[number].expires
		if again := s.revisions[number].expiredAgain; again.After(due) {
			due = again
		}
		if !s.revisions[number].expires.IsZero() && !m.now().Before(due) {
			// The bare id, unlike every other secret event (secretexpire.go).
			return &event{kind: "secret-expired", secretURI: s.id, secretRevision: number}
		}
	}
	return nil
}

func (m *Model) rotated(u *unit, s *secret) *event {
	if !u.tends(s) || s.nextRotate.IsZero() || m.now().Before(s.nextRotate) {
		return nil
	}
	return &event{kind: "secret-rotate", secretURI: "secret:" + s.id}
}

// changed tells consumers of a new revision. A first read at revision 2 or
// later causes one event too: the agent has no recorded revision then.
func (m *Model) changed(u *unit, s *secret) *event {
	if s.consumers[u.name] == nil || s.latest < 2 || u.secretsSeen[s.id] == s.latest || !s.readableBy(u) {
		return nil
	}
	return &event{kind: "secret-changed", secretURI: "secret:" + s.id}
}

func (m *Model) obsoleted(u *unit, s *secret) *event {
	if !u.tends(s) {
		return nil
	}
	for _, number := range slices.Sorted(maps.Keys(s.revisions)) {
		if number != s.latest && !s.tracked(number) && !slices.Contains(u.obsolete[s.id], number) {
			return &event{kind: "secret-remove", secretURI: "secret:" + s.id, secretRevision: number}
		}
	}
	return nil
}

func (m *Model) finishSecret(u *unit, e *event) {
	s := m.secrets[e.secret]
	switch {
	case e.kind == "secret-changed":
		u.secretsSeen[e.secret] = e.secretLatest
	case e.kind == "secret-remove":
		u.obsolete[e.secret] = append(u.obsolete[e.secret], e.secretRevision)
	case s == nil:
		return // the hook removed it
	case e.kind == "secret-expired":
		if r := s.revisions[e.secretRevision]; r != nil {
			r.expiredAgain = m.now().Add(expiryRetry)
		}
	case e.kind == "secret-rotate":
		m.scheduleRotation(s, s.latest > e.secretLatest)
	}
}

// scheduleRotation sets the next due time after a secret-rotate. Without a
// new revision, or when that would expire first, the event comes back soon.
func (m *Model) scheduleRotation(s *secret, renewed bool) {
	next := rotateAfter(s.rotate, s.nextRotate)
	expires := time.Time{}
	if r := s.revisions[s.latest]; r != nil {
		expires = r.expires
	}
	if !renewed || !expires.IsZero() && expires.Before(next) {
		next = m.now().Add(expiryRetry)
	}
	s.nextRotate = next
}
