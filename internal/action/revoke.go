// SPDX-License-Identifier: GPL-3.0-only

package action

import (
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// maxSerials bounds the serial numbers that a result tells.
const maxSerials = 1000

// target is a certificate that an operator named, with the relation that has
// it, -1 where none has.
type target struct {
	record.Issued
	relation int
}

// revokeCertificate notes that certificates are revoked. The hook that the
// record wakes puts them on the list of their issuer and replaces those in
// service.
func (k *desk) revokeCertificate() *decision.Reply {
	texts, err := parameters[string](k.s, "serial", "application", "unit", "reason")
	if err != nil {
		return fail("%v", err)
	}
	dryRun, err := decision.Parameter[bool](k.s, "dry-run")
	if err != nil {
		return fail("%v", err)
	}
	if texts[3] == "" {
		texts[3] = pki.Unspecified.String()
	}
	reason, err := pki.ParseRevocationReason(texts[3])
	if err != nil {
		return fail("%v", err)
	}
	targets, refusal := k.targets(texts[0], texts[1], texts[2])
	if refusal != nil {
		return refusal
	}
	if reason == pki.KeyCompromise {
		targets = k.withSameKeys(targets)
	}
	targets, kept := k.revocable(targets)
	if len(targets) == 0 {
		return fail("%s", kept)
	}
	if known := len(k.d.Record.Revoked); known+len(targets) > record.MaxRevoked {
		return fail("%s would be revoked and %d are, more than the %d that a list has room for: rotate the CA", decision.Count(len(targets), "certificate"), known, record.MaxRevoked)
	}
	results := map[string]string{
		"message":        decision.Count(len(targets), "certificate") + " would be revoked; nothing has been changed",
		"count":          strconv.Itoa(len(targets)),
		"serial-numbers": serialNumbers(targets),
	}
	if kept != "" {
		results["left-out"] = kept
	}
	if dryRun {
		return &decision.Reply{Results: results}
	}
	k.revoke(targets, reason)
	results["message"] = decision.Count(len(targets), "certificate") + " revoked; what is in service is replaced by the next hooks"
	if reason == pki.KeyCompromise {
		results["message"] += ", but for requirers that hold their key: they are told, and must ask with a new one"
	}
	return &decision.Reply{Results: results}
}

// targets finds what an operator named.
func (k *desk) targets(serial, application, unit string) ([]target, *decision.Reply) {
	switch {
	case serial == "" && application == "" && unit == "":
		return nil, fail("name a serial number, an application or a unit")
	case serial != "" && (application != "" || unit != ""):
		return nil, fail("name either a serial number or those who have the certificates")
	case serial != "":
		wanted := spellSerial(serial)
		found := k.find(func(t target) bool { return t.Serial == wanted })
		if len(found) == 0 {
			return nil, fail("no certificate with the serial number %s is known that has yet to expire", record.Shorten(serial))
		}
		return found, nil
	}
	found := k.servedTo(application, unit)
	if len(found) == 0 {
		return nil, fail("they have no certificate: see list-certificates")
	}
	return found, nil
}

// spellSerial spells a serial number as the record does, whatever tool it was
// copied from.
func spellSerial(text string) string {
	text = strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(text))
	return strings.TrimLeft(strings.TrimPrefix(text, "0x"), "0")
}

// find looks through everything that the record knows.
func (k *desk) find(wanted func(target) bool) []target {
	var found []target
	known := map[string]bool{}
	add := func(t target) {
		if key := strconv.Itoa(t.Generation) + "/" + t.Serial; wanted(t) && !known[key] {
			known[key] = true
			found = append(found, t)
		}
	}
	for c := range k.d.Record.Served() {
		add(target{Issued: c.Issued, relation: c.Relation})
	}
	for _, issued := range k.d.Record.Inventory(k.s.Now) {
		for _, one := range issued {
			add(target{Issued: one, relation: -1})
		}
	}
	return found
}

// servedTo are the certificates in service of an application or a unit, with
// those that it shares.
func (k *desk) servedTo(application, unit string) []target {
	var found []target
	for _, number := range k.d.Record.Relations() {
		if legacy := k.d.Record.Legacy[number]; legacy != nil {
			shares := false
			for _, u := range legacy.Units {
				if !matches(u.Unit, application, unit) {
					continue
				}
				shares = shares || u.Share != nil
				for _, pair := range u.Pairs {
					found = append(found, target{Issued: pair.Issued, relation: number})
				}
			}
			if shares && legacy.Shared != nil {
				found = append(found, target{Issued: legacy.Shared.Issued, relation: number})
			}
		}
		if requests := k.d.Record.CSR[number]; requests != nil {
			for _, c := range requests.Certificates {
				if slices.ContainsFunc(c.Requesters, func(name string) bool { return matches(name, application, unit) }) {
					found = append(found, target{Issued: c.Issued, relation: number})
				}
			}
		}
	}
	return found
}

// withSameKeys adds the certificates whose keys are those of the others: a key
// is compromised with all of them.
func (k *desk) withSameKeys(targets []target) []target {
	known, keys := map[string]bool{}, map[string]bool{}
	name := func(t target) string { return strconv.Itoa(t.Generation) + "/" + t.Serial }
	for _, t := range targets {
		known[name(t)] = true
		if t.KeyDigest != "" {
			keys[t.KeyDigest] = true
		}
	}
	return append(targets, k.find(func(t target) bool { return keys[t.KeyDigest] && !known[name(t)] })...)
}

// revocable leaves out what cannot be revoked, or was, and says why.
func (k *desk) revocable(targets []target) ([]target, string) {
	revocations := k.d.Record.Revocations()
	var left []target
	var reasons []string
	note := func(format string, args ...any) {
		if reason := fmt.Sprintf(format, args...); !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	for _, t := range targets {
		g := k.d.Record.CA.Generation(t.Generation)
		switch revoked, found := revocations.Find(t.Issued); {
		case found:
			note("%s was revoked at %s: %s", t.Serial, revoked.At.Format(time.RFC3339), revoked.Reason)
		case g == nil || !k.d.Record.HasKey(g):
			note("the key of generation %d of the CA is destroyed: its last revocation list is final", t.Generation)
		case !k.s.Now.Before(t.NotAfter):
			note("%s has expired", t.Serial)
		default:
			left = append(left, t)
		}
	}
	return left, record.Cut(strings.Join(reasons, "; "), maxLeftOut)
}

// revoke changes the record, and has the relations looked at that have one of
// the certificates.
func (k *desk) revoke(targets []target, reason pki.RevocationReason) {
	d := &k.d
	d.Record = d.Record.Clone()
	d.Record.Agenda = d.Record.Agenda.Clone()
	issued := make([]record.Issued, len(targets))
	for i, t := range targets {
		issued[i] = t.Issued
		if t.relation >= 0 {
			d.Record.Agenda.Relations = record.Include(d.Record.Agenda.Relations, t.relation)
		}
		if client := d.Record.Client; client != nil && (client.Serial == t.Serial || client.KeyDigest == t.KeyDigest) {
			d.Record.Agenda.Everything = true // all relations show it
		}
	}
	d.Record.Revoke(reason, k.s.Now, issued...)
	revocations := d.Record.Revocations()
	d.Record.Spare = slices.DeleteFunc(slices.Clone(d.Record.Spare), func(spare record.Spare) bool {
		return revocations.Forbid(spare.Issued) // nobody is given a revoked pair
	})
}

func serialNumbers(targets []target) string {
	var serials []string
	for _, t := range targets[:min(len(targets), maxSerials)] {
		serials = append(serials, t.Serial)
	}
	return strings.Join(serials, " ")
}

// getRevocationList tells the list of a generation.
func (k *desk) getRevocationList() *decision.Reply {
	number, err := decision.Parameter[float64](k.s, "generation")
	if err != nil {
		return fail("%v", err)
	}
	r := k.d.Record
	generation := int(number)
	if generation == 0 {
		generation = r.CA.Active
	}
	list := r.Lists[generation]
	switch {
	case r.CA.Generation(generation) == nil:
		return fail("there is no generation %d of the CA", generation)
	case (list == nil || len(list.CRL) == 0) && !k.a.MayRevoke():
		return fail("there is no revocation list: the CA may not sign any (no key usage cRLSign)")
	case list == nil || len(list.CRL) == 0:
		return fail("there is no revocation list of generation %d yet", generation)
	}
	revoked := 0
	for _, entry := range r.Revoked {
		if entry.Generation == generation {
			revoked++
		}
	}
	return &decision.Reply{Results: map[string]string{
		"message":     fmt.Sprintf("%s revoked of generation %d; the list is good until %s", decision.Count(revoked, "certificate"), generation, list.NextUpdate.Format(time.RFC3339)),
		"crl":         string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list.CRL})),
		"generation":  strconv.Itoa(generation),
		"number":      list.Number,
		"this-update": list.ThisUpdate.Format(time.RFC3339),
		"next-update": list.NextUpdate.Format(time.RFC3339),
		"revoked":     strconv.Itoa(revoked),
	}}
}
