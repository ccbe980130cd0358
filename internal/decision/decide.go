// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"maps"
	"slices"

	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// Make decides one hook. It is the behaviour of the charm on one page: the
// first rule that applies wins. Actions are package action's.
func Make(s Snapshot) Decision {
	d := Decision{Record: s.Record()}
	d.Record.Agenda = d.Record.Agenda.Clone()
	switch {
	case s.Peer == nil:
		// Without the peer databag no CA could be recorded, and the next
		// hook would make another.
		d.Status = juju.Status{Name: juju.Waiting, Message: "waiting for the peer relation"}
	case !s.Leader:
		d.Status = standbyStatus(s)
	case s.Dying:
		// What this unit sees of the relations shrinks, although nobody has
		// left: the next leader decides.
		d.Status = s.Status
	case len(s.ConfigProblems) > 0:
		d.noteKeys(s)
		d.Status = ConfigStatus(s)
	case d.Record.CA == nil:
		d.destroy()
		d.noteKeys(s)
		establish(s, &d)
		d.plan(s)
	default:
		d.destroy()
		serve(s, &d)
		d.plan(s)
	}
	return d
}

// Doom notes that a key is needed no more.
func (d *Decision) Doom(generation int) {
	if !slices.Contains(d.Record.Keys(), generation) && !slices.Contains(d.Record.Doomed, generation) {
		d.Record.Doomed = append(slices.Clone(d.Record.Doomed), generation)
	}
}

// destroy orders the end of the keys that an earlier hook recorded as needed
// no more.
func (d *Decision) destroy() {
	inUse := d.Record.Keys()
	for _, generation := range d.Record.Doomed {
		if !slices.Contains(inUse, generation) {
			d.Destroy = append(d.Destroy, generation)
		}
	}
	d.Record.Doomed = nil
}

// serve answers the relations of the snapshot, forgets those that are gone,
// and takes a rotation one step further.
func serve(s Snapshot, d *Decision) {
	d.Record = d.Record.Clone()
	d.Record.CA = d.Record.CA.Clone()
	d.Answers = map[int]RelationAnswers{}
	d.keys = keysPerHook
	d.revoked = d.Record.Revocations()
	d.noteKeys(s)
	d.measureRoom(s)
	for _, number := range slices.Sorted(maps.Keys(s.Unread)) {
		d.Log = append(d.Log, warning("cannot read relation %d: %s", number, s.Unread[number]))
	}
	forget(s, d)
	followUpstream(s, d)
	notePending(s, d)
	advance(s, d)
	a, err := NewAuthority(d.Record.CA.Target())
	if err != nil {
		d.Status = juju.Status{Name: juju.Blocked, Message: err.Error()}
		return
	}
	if d.Making == nil {
		renewAuthority(s, a, d)
	}
	if d.Making != nil || d.Renew != nil {
		// The record that this writes wakes the unit again, which then
		// serves with what is new.
		d.Status = authorityStatus(s, a, *d)
		return
	}
	for _, relation := range s.Relations {
		if !d.turn(relation) {
			continue
		}
		serveLegacy(s, a, relation, d)
		serveRequests(s, a, relation, d)
	}
	serveClient(s, a, d)
	complete(s, d)
	serveStatus(s, d)
	d.Status = authorityStatus(s, a, *d)
}

// forget drops the records of relations that Juju lists no more.
func forget(s Snapshot, d *Decision) {
	if !s.Listed {
		return
	}
	for _, number := range d.Record.Relations() {
		if slices.Contains(s.Live, number) {
			continue
		}
		delete(d.Record.Legacy, number)
		delete(d.Record.CSR, number)
		d.Log = append(d.Log, info("withdrawing what was issued for relation %d, which is gone", number))
	}
}

// serveClient sees to the global client certificate, which every relation of
// the legacy dialect shares. It goes with the last of them: it is a client
// identity for everything that trusts this CA.
func serveClient(s Snapshot, a Authority, d *Decision) {
	if len(d.Record.Legacy) == 0 {
		d.Record.Client = nil
		return
	}
	client := d.Record.Client
	revoked := client != nil && d.isRevoked(client.Issued)
	if client != nil && !s.Sweep && d.Record.CA.Rotation == nil {
		return // every relation shows it: a sweep renews it
	}
	current := client != nil && !revoked && a.current(s.Now, client.Issued)
	if current && !newWave(s, 1).of(a).due(*client) {
		return
	}
	if client == nil {
		if spare := takeSpare(s, a, d, record.Spare{Kind: ClientKind, CommonName: GlobalClientName}); spare != nil {
			d.Record.Client = spare
			return
		}
	}
	template, err := a.LegacyTemplate(s, pki.Client, GlobalClientName, pki.Names{})
	if current && err == nil && !client.Asked && !gains(s.Now, template.Validity, client.Issued) {
		return
	}
	if err != nil {
		d.Log = append(d.Log, failure("cannot issue the global client certificate: %v", err))
		return
	}
	order := &record.Order{Reason: "the legacy dialect needs a global client certificate", Template: template, KeyType: s.Config.KeyType}
	d.Record.Client = &record.Pair{Order: order}
	if client != nil && !current && !revoked && !client.Asked && s.Now.Before(client.NotAfter) {
		order.Reason, order.KeepKey = "the CA changed", true
		d.Record.Client.Key = client.Key
	}
}

// GlobalClientName is the common name of the global client certificate.
// Charmed Kubernetes lists it among the names of its request-header proxy.
const GlobalClientName = "client"
