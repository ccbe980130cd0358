// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"slices"

	"tls-authority/internal/juju"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// Sweeps tells whether an event looks at everything. What a relation event
// tells is about one requirer; actions and the coming and going of our own
// units concern no requirer. Our own record and the clock ask for a sweep only
// while something is under way. All other events do, so that whatever an
// earlier hook could not finish is finished.
func (s Snapshot) Sweeps() bool {
	switch s.Event.Kind {
	case juju.Action:
		return false
	case juju.UpdateStatus:
		return s.Leader && (s.underWay() || s.clientDue())
	case juju.RelationCreated, juju.RelationJoined, juju.RelationChanged, juju.RelationDeparted, juju.RelationBroken:
		return s.recordChanged() && (!s.Leader || s.underWay())
	}
	return true
}

// underWay tells whether every relation may have to be told something.
func (s Snapshot) underWay() bool {
	r := s.Record()
	return r.CA == nil || r.CA.Rotation != nil || r.Agenda.Everything
}

// recordChanged tells whether the event says that the peer databag changed.
func (s Snapshot) recordChanged() bool {
	return s.Peer != nil && s.Event.Relation == s.Peer.ID && s.Event.RemoteUnit == ""
}

func (s Snapshot) clientDue() bool {
	client := s.Record().Client
	return client != nil && newWave(s, 1).due(*client)
}

// ReviewsAuthority tells whether an event looks at where the CA comes from: the
// CA above, and the one that the operator brings.
func (s Snapshot) ReviewsAuthority() bool {
	return s.Sweep || s.Event.Kind == juju.UpdateStatus || s.Record().CA == nil
}

// Due are the relations that an event looks at though it is about none: those
// in which a certificate is to be replaced by now, or which an earlier hook
// left for this one.
func (s Snapshot) Due() []int {
	clock := s.Event.Kind == juju.UpdateStatus
	if !s.Leader || s.Sweep || !clock && !s.recordChanged() {
		return nil
	}
	r := s.Record()
	due := slices.Clone(r.Agenda.Relations)
	if clock {
		due = append(due, r.Agenda.Later...)
	}
	revocations := r.Revocations()
	for _, number := range r.Relations() {
		if shows(r.Legacy[number], revocations) || s.legacyDue(r.Legacy[number]) || s.requestsDue(r.CSR[number]) || clock && refusedForNow(r, number) {
			due = append(due, number)
		}
	}
	slices.Sort(due)
	return slices.Compact(due)
}

// shows tells whether a revoked pair is in service: one that came back with a
// restore, or whose unit had not been met.
func shows(legacy *record.Legacy, revocations record.Revocations) bool {
	if legacy == nil {
		return false
	}
	if legacy.Shared != nil && revocations.Forbid(legacy.Shared.Issued) {
		return true
	}
	return slices.ContainsFunc(legacy.Units, func(unit record.Unit) bool {
		return slices.ContainsFunc(unit.Pairs, func(answer record.Answer) bool { return revocations.Forbid(answer.Issued) })
	})
}

func (s Snapshot) legacyDue(legacy *record.Legacy) bool {
	if legacy == nil {
		return false
	}
	wave := newWave(s, 1)
	if legacy.Shared != nil && wave.due(legacy.Shared.Pair) {
		return true
	}
	return slices.ContainsFunc(legacy.Units, func(unit record.Unit) bool {
		return slices.ContainsFunc(unit.Pairs, func(answer record.Answer) bool { return wave.due(answer.Pair) })
	})
}

func (s Snapshot) requestsDue(requests *record.Requests) bool {
	return requests != nil && slices.ContainsFunc(requests.Certificates, func(entry record.Certificate) bool {
		return s.requestDue(entry)
	})
}

// requestDue tells whether the answer to a CSR is to be replaced: its requirer
// let the time pass in which it should have asked anew, an operator asked, or
// it cannot be used yet.
func (s Snapshot) requestDue(entry record.Certificate) bool {
	return entry.Asked || passed(s.Now, entry.Issued, requestDue) || early(s.Now, entry.NotBefore)
}

// refusedForNow tells whether a request was refused for a reason that passes.
func refusedForNow(r record.Record, number int) bool {
	passes := func(p record.Problem) bool { return p.Code == int(tlscertificates.ServerNotAvailable) }
	if legacy := r.Legacy[number]; legacy != nil && slices.ContainsFunc(legacy.Problems, passes) {
		return true
	}
	requests := r.CSR[number]
	return requests != nil && slices.ContainsFunc(requests.Refused, func(refused record.Refused) bool {
		return refused.Code == int(tlscertificates.ServerNotAvailable)
	})
}

// Concerns tells whether our databag of the CSR dialect may change by what an
// Owner shows now. Where it cannot, it is not read.
func (s Snapshot) Concerns(relation Relation) bool {
	r, number := s.Record(), relation.ID.Number
	shown, problems := relation.shown()
	requests := r.CSR[number]
	if requests == nil {
		return r.Legacy[number] == nil || len(shown) > 0 || len(problems) > 0
	}
	concerned := len(problems) > 0
	concerned = concerned || slices.ContainsFunc(requests.Problems, func(p record.Problem) bool { return p.Requester == relation.Owner })
	concerned = concerned || slices.ContainsFunc(requests.Refused, func(r record.Refused) bool { return slices.Contains(r.Requesters, relation.Owner) })
	answered := 0
	for _, entry := range requests.Certificates {
		if !slices.Contains(entry.Requesters, relation.Owner) {
			continue
		}
		answered++
		ca, there := shown[entry.Request]
		concerned = concerned || !there || ca != entry.CA || s.requestDue(entry)
	}
	return concerned || answered != len(shown)
}

// shown are the requests of an Owner, by the digests of their CSRs, and what
// could not be read.
func (r Relation) shown() (requests map[string]bool, problems []tlscertificates.Problem) {
	requests = map[string]bool{}
	note := func(shown []tlscertificates.CSRRequest, unread []tlscertificates.Problem) {
		for _, request := range shown {
			requests[record.Digest(request.CSR)] = request.CA
		}
		problems = append(problems, unread...)
	}
	note(r.Requests.CSR, r.Requests.Problems)
	for _, unit := range r.Units {
		note(unit.Requests.CSR, unit.Requests.Problems)
	}
	return requests, problems
}

// ExpectedStatus is what the status says if it was set by a hook that found
// the record as it is. Relation events compare with it instead of asking.
func (s Snapshot) ExpectedStatus() juju.Status {
	switch {
	case s.Peer == nil:
		return juju.Status{}
	case !s.Leader:
		return standbyStatus(s)
	case len(s.ConfigProblems) > 0:
		return ConfigStatus(s)
	case s.Record().CA == nil:
		return juju.Status{}
	}
	d := Decision{Record: s.Record()}
	a, err := NewAuthority(d.Record.CA.Target())
	if err != nil {
		return juju.Status{Name: juju.Blocked, Message: err.Error()}
	}
	return authorityStatus(s, a, d)
}
