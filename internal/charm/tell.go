// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"maps"
	"slices"
	"strings"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/record"
	"tls-authority/internal/spool"
)

// silence is how long the status service tells what a hook told it. Juju calls
// update-status every few minutes; when no hook has run for so long, nobody
// knows what has been revoked.
const silence = 48 * time.Hour

// told is what the status service of a unit tells, by the record as a hook
// leaves it. It holds no key.
func told(s decision.Snapshot, r record.Record, hook spool.Hook) spool.Status {
	status := spool.Status{
		ThisUpdate: s.Now,
		NextUpdate: s.Now.Add(silence),
		Metrics:    metrics(s, r, hook),
	}
	if r.CA == nil {
		return status
	}
	inventory := r.Inventory(s.Now)
	revocations := r.Revocations()
	for _, g := range r.CA.Generations {
		list := r.Lists[g.ID]
		if g.ID != r.CA.Active && list == nil && len(inventory[g.ID]) == 0 {
			continue // it has signed nothing yet
		}
		generation := spool.Generation{ID: g.ID, Active: g.ID == r.CA.Active, Certificate: g.Certificate, Chain: g.Chain}
		if list != nil && len(list.CRL) > 0 {
			generation.CRL = list.CRL
		} else {
			generation.NoCRL = noList(g)
		}
		generation.Responder, generation.NoResponder = ownResponder(s, r, g)
		for _, issued := range inventory[g.ID] {
			entry := spool.Issued{Serial: issued.Serial, NotAfter: issued.NotAfter}
			if revoked, found := revocations.Find(issued); found {
				entry.Revoked = &spool.Revoked{At: revoked.At, Reason: revoked.Reason}
			}
			generation.Issued = append(generation.Issued, entry)
		}
		slices.SortFunc(generation.Issued, func(a, b spool.Issued) int { return strings.Compare(a.Serial, b.Serial) })
		status.Generations = append(status.Generations, generation)
	}
	return status
}

// noList is why a generation has no revocation list.
func noList(g record.Generation) string {
	if a, err := decision.NewAuthority(record.Outlook{Issuer: &g}); err == nil && !a.MayRevoke() {
		return "the CA may not sign any (no key usage cRLSign)"
	}
	if g.Destroyed {
		return "none was signed before its key was destroyed"
	}
	return "none has been signed yet"
}

// ownResponder is the certificate with which this unit answers for a
// generation, or why it cannot.
func ownResponder(s decision.Snapshot, r record.Record, g record.Generation) (certificate []byte, reason string) {
	own := r.Responders[string(s.Event.Unit)]
	if own == nil || string(own.Key) != string(s.Daemon.Key) {
		return nil, "the leader has not certified this unit yet"
	}
	for _, c := range own.Certificates {
		switch {
		case c.Generation != g.ID:
		case c.Problem != "":
			return nil, c.Problem
		case g.Destroyed && !s.Now.Before(c.NotAfter):
			return nil, "the key of the generation is destroyed: see its last revocation list"
		default:
			return c.Certificate, ""
		}
	}
	return nil, "the leader has not certified this unit yet"
}

// metrics are what only a hook knows.
func metrics(s decision.Snapshot, r record.Record, hook spool.Hook) spool.Metrics {
	m := spool.Metrics{Hook: hook, Leaves: leaves(s, r), Denied: map[int]int{}}
	for c := range r.Served() {
		if !s.Now.Before(c.NotAfter) {
			m.Expired++
		}
	}
	m.Pending = len(r.Agenda.Relations)
	for _, p := range decision.Denials(r) {
		m.Denied[p.Code]++
	}
	if r.CA == nil {
		return m
	}
	if rotation := r.CA.Rotation; rotation != nil {
		m.Stage, m.StageSince = string(rotation.Stage), rotation.Since
		if s.Leader && rotation.Complete != nil { // the options are read there
			m.StageDue = s.Now.Add(decision.HoldLeft(s, rotation))
		}
	}
	if r.CA.Backup != nil {
		m.Backup = *r.CA.Backup
	}
	return m
}

// leaves counts the certificates in service, by those who asked for them.
func leaves(s decision.Snapshot, r record.Record) []spool.Leaves {
	by := map[string]*spool.Leaves{}
	for c := range r.Served() {
		entry := by[c.Requester]
		if entry == nil {
			entry = &spool.Leaves{Application: juju.UnitName(c.Requester).Application()}
			if entry.Application != c.Requester {
				entry.Unit = c.Requester
			}
			by[c.Requester] = entry
		}
		entry.Count++
		if entry.NotAfter.IsZero() || c.NotAfter.Before(entry.NotAfter) {
			entry.NotAfter = c.NotAfter
		}
		if due := decision.RenewalTime(c); entry.Renewal.IsZero() || due.Before(entry.Renewal) {
			entry.Renewal = due
		}
	}
	var list []spool.Leaves
	for _, requester := range slices.Sorted(maps.Keys(by)) {
		list = append(list, *by[requester])
	}
	return list
}
