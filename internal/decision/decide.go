// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"slices"

	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// Make decides one event. It is the behaviour of the charm on one page: the
// first rule that applies wins.
func Make(s Snapshot) Decision {
	d := Decision{Record: s.Record()}
	switch {
	case s.Event.Kind == juju.Action:
		answer(s, &d)
		d.Status = s.Status
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
		d.Status = configStatus(s)
	case d.Record.CA == nil:
		establish(s, &d)
	default:
		serve(s, &d)
	}
	return d
}

// establish gives the model its CA: the one whose secret is there already, or
// a new one. It is reached only when the peer databag knows none.
func establish(s Snapshot, d *Decision) {
	d.Status = juju.Status{Name: juju.Maintenance, Message: "recording the certificate authority"}
	if s.Found != nil {
		d.Record.CA = record.NewAuthority(s.Found.Raw)
		d.Log = append(d.Log, info("adopting the CA %q whose secret was left by an unfinished hook", s.Found.Subject))
		return
	}
	d.Create = &record.Order{
		Reason: "the model has no CA",
		Template: pki.Template{
			Profile:  pki.Root,
			Subject:  policy.GenerationSubject(s.Config.CASubject, record.FirstGeneration),
			Validity: pki.NewValidity(s.Now, s.Config.CAValidity),
		},
		KeyType: s.Config.CAKeyType,
	}
	d.Log = append(d.Log, info("creating a root CA: the model has none"))
}

// serve answers the relations of the snapshot and forgets those that are gone.
func serve(s Snapshot, d *Decision) {
	d.Record = d.Record.Clone()
	d.Answers = map[int]RelationAnswers{}
	forget(s, d)
	a, err := newAuthority(d.Record.CA)
	if err != nil {
		d.Status = juju.Status{Name: juju.Blocked, Message: err.Error()}
		return
	}
	if d.Renew = renewAuthority(s, a); d.Renew != nil {
		// The record that this writes wakes the unit again, which then
		// serves with the new root.
		d.Record = s.Record()
		d.Status = s.Status
		d.Log = append(d.Log, info("renewing the root CA with the same key: %s", d.Renew.Reason))
		return
	}
	for _, reason := range s.Unread {
		d.Log = append(d.Log, warning("cannot read %s", reason))
	}
	for _, relation := range s.Relations {
		serveLegacy(s, a, relation, d)
		serveRequests(s, a, relation, d)
	}
	serveClient(s, a, d)
	d.Status = authorityStatus(s, a, d.Record)
}

// forget drops the records of relations that Juju lists no more.
func forget(s Snapshot, d *Decision) {
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
func serveClient(s Snapshot, a authority, d *Decision) {
	if len(d.Record.Legacy) == 0 {
		d.Record.Client = nil
		return
	}
	client := d.Record.Client
	young := client != nil && a.current(s.Now, client.Issued) && !newWave(s, 1).due(*client)
	if young {
		return
	}
	template, err := a.legacyTemplate(s, pki.Client, globalClientName, pki.Names{})
	if client != nil && err == nil && !client.Asked && a.current(s.Now, client.Issued) && !template.Validity.NotAfter.After(client.NotAfter) {
		return
	}
	if err != nil {
		d.Log = append(d.Log, failure("cannot issue the global client certificate: %v", err))
		return
	}
	d.Record.Client = &record.Pair{Order: &record.Order{Reason: "the legacy dialect needs a global client certificate", Template: template, KeyType: s.Config.KeyType}}
}

// globalClientName is the common name of the global client certificate.
// Charmed Kubernetes lists it among the names of its request-header proxy.
const globalClientName = "client"
