// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// PeerEndpoint is the endpoint at which our own units meet.
const PeerEndpoint = "authority"

// Daemon is the status service of this unit.
type Daemon struct {
	// Key is the public key, PKIX DER, with which it answers OCSP; nil where
	// this unit runs no service.
	Key []byte
	// Trouble is why it does not run although it should.
	Trouble string
}

// ListOrder asks for the revocation list of a generation.
type ListOrder struct {
	Generation int
	// Last is the number of the list before, "" without one.
	Last                   string
	ThisUpdate, NextUpdate time.Time
	Entries                []record.Revoked
	Final                  bool
}

// ResponderOrder asks for the certificate of a unit that answers OCSP.
type ResponderOrder struct {
	Unit       string
	Generation int
	Template   pki.Template
	PublicKey  crypto.PublicKey
}

// responderDue is the fraction of its life at which the certificate of a
// responder is issued anew.
const responderDue = 0.5

// tendsStatus tells the events that see to revocation lists and responders:
// those of the clock, of our own units and of everything else that concerns no
// single requirer.
func (s Snapshot) tendsStatus() bool {
	return s.Event.Relation.Endpoint == "" || s.Event.Relation.Endpoint == PeerEndpoint
}

// serveStatus orders what the status services of all units tell: the revocation
// list of each generation that signed something, and the certificates with
// which the units answer OCSP.
func serveStatus(s Snapshot, d *Decision) {
	if !s.tendsStatus() {
		return
	}
	d.noteResponders(s)
	d.forgetGenerations(s)
	for i := range d.Record.CA.Generations {
		g := &d.Record.CA.Generations[i]
		certificate, err := pki.ParseCertificateDER(g.Certificate)
		switch {
		case g.Destroyed || !d.answersFor(s, g):
			continue
		case err != nil:
			d.Log = append(d.Log, failure("cannot read the certificate of generation %d: %v", g.ID, err))
			continue
		case !s.Now.Before(certificate.NotAfter):
			continue
		}
		if order := newList(s, d.Record, g); order != nil && pki.MaySignCRLs(certificate) {
			d.Lists = append(d.Lists, *order)
		}
		for _, unit := range slices.Sorted(maps.Keys(d.Record.Responders)) {
			d.orderResponder(s, unit, g, pki.ValidityOf(certificate), certificate.Subject.CommonName)
		}
	}
	if len(d.Lists) > 0 {
		d.Record.Forget(s.Now)
	}
}

// answersFor tells whether somebody may ask about certificates of a generation.
func (d *Decision) answersFor(s Snapshot, g *record.Generation) bool {
	return g.ID == d.Record.CA.Active || len(d.inventory(s)[g.ID]) > 0
}

// inventory is that of the record, found out once.
func (d *Decision) inventory(s Snapshot) map[int][]record.Issued {
	if d.issued == nil {
		d.issued = d.Record.Inventory(s.Now)
	}
	return d.issued
}

// forgetGenerations drops generations whose key is no more and whose
// certificates have all expired, with their last lists.
func (d *Decision) forgetGenerations(s Snapshot) {
	ca := d.Record.CA
	if ca.Rotation != nil || !slices.ContainsFunc(ca.Generations, func(g record.Generation) bool { return g.Destroyed }) {
		return
	}
	forgotten := func(g record.Generation) bool { return g.Destroyed && g.ID != ca.Active && !d.answersFor(s, &g) }
	for _, g := range ca.Generations {
		if forgotten(g) {
			delete(d.Record.Lists, g.ID)
			d.Log = append(d.Log, info("the last certificate of generation %d of the CA has expired: it is forgotten", g.ID))
		}
	}
	ca.Generations = slices.DeleteFunc(ca.Generations, forgotten)
}

// newList orders a list where there is none, where something was revoked since,
// and where half of its life is over; nil otherwise.
func newList(s Snapshot, r record.Record, g *record.Generation) *ListOrder {
	if s.Config.StatusPort == 0 && len(r.Revoked) == 0 {
		return nil // nobody could ask, and there is nothing to tell
	}
	entries := listed(r, g, s.Now)
	last := r.Lists[g.ID]
	if last != nil && (last.Final || last.Entries == DigestEntries(entries) && s.Now.Before(last.ThisUpdate.Add(record.ListLife/2))) {
		return nil
	}
	return orderList(s, r, g, entries)
}

func orderList(s Snapshot, r record.Record, g *record.Generation, entries []record.Revoked) *ListOrder {
	order := &ListOrder{
		Generation: g.ID, Entries: entries,
		ThisUpdate: s.Now.Add(-pki.Backdate),
		NextUpdate: s.Now.Add(record.ListLife - pki.Backdate),
	}
	if last := r.Lists[g.ID]; last != nil {
		order.Last = last.Number
	}
	return order
}

// finalList orders the last list of a generation before its key goes. It holds
// until the end of the CA's certificate, beyond which none of its leaves lasts.
func (d *Decision) finalList(s Snapshot, g *record.Generation) {
	certificate, err := pki.ParseCertificateDER(g.Certificate)
	if err != nil || !pki.MaySignCRLs(certificate) || len(d.inventory(s)[g.ID]) == 0 {
		return
	}
	order := orderList(s, d.Record, g, listed(d.Record, g, s.Now))
	order.Final = true
	for _, issued := range d.inventory(s)[g.ID] {
		order.NextUpdate = latest(order.NextUpdate, issued.NotAfter.Add(time.Second))
	}
	order.NextUpdate = latest(order.NextUpdate, certificate.NotAfter)
	d.Lists = append(d.Lists, *order)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// listed are the entries of a generation's list: whatever was revoked that has
// the same key, since verifiers find the list by the key, and that somebody may
// still ask about.
func listed(r record.Record, g *record.Generation, now time.Time) []record.Revoked {
	var entries []record.Revoked
	for _, revoked := range r.Revoked {
		issuer := r.CA.Generation(revoked.Generation)
		if issuer != nil && issuer.KeyID() == g.KeyID() && now.Before(revoked.NotAfter.Add(record.ListLife)) {
			entries = append(entries, revoked)
		}
	}
	return entries
}

// DigestEntries tells lists with other entries apart.
func DigestEntries(entries []record.Revoked) string {
	serials := make([]string, len(entries))
	for i, entry := range entries {
		serials[i] = entry.Serial
	}
	slices.Sort(serials)
	sum := sha256.Sum256([]byte(strings.Join(serials, " ")))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// noteResponders records the keys with which our units answer OCSP, and drops
// those of units that are gone or run no service.
func (d *Decision) noteResponders(s Snapshot) {
	if s.Config.StatusPort == 0 {
		d.Record.Responders = nil
		maps.DeleteFunc(d.Record.Lists, func(_ int, list *record.List) bool { return !list.Final && len(d.Record.Revoked) == 0 })
		return
	}
	if s.Event.Kind == juju.RelationDeparted {
		delete(d.Record.Responders, string(s.Event.RemoteUnit))
	}
	d.noteResponder(string(s.Event.Unit), s.Daemon.Key)
	for unit, key := range s.PeerKeys {
		d.noteResponder(string(unit), key)
	}
}

func (d *Decision) noteResponder(unit string, key []byte) {
	known := d.Record.Responders[unit]
	switch {
	case len(key) == 0:
		delete(d.Record.Responders, unit)
	case known != nil && string(known.Key) == string(key):
	default:
		if d.Record.Responders == nil {
			d.Record.Responders = map[string]*record.Responder{}
		}
		d.Record.Responders[unit] = &record.Responder{Key: key}
	}
}

// orderResponder orders the certificate of one unit for one generation where
// there is none or half of its life is over.
func (d *Decision) orderResponder(s Snapshot, unit string, g *record.Generation, validity pki.Validity, name string) {
	responder := d.Record.Responders[unit]
	for _, c := range responder.Certificates {
		if c.Generation == g.ID && !passed(s.Now, c.Issued, responderDue) {
			return
		}
	}
	key, err := pki.ParsePublicKey(responder.Key)
	order := ResponderOrder{Unit: unit, Generation: g.ID, PublicKey: key, Template: pki.Template{Profile: pki.Responder}}
	if err == nil {
		order.Template.Subject, err = pki.ResponderSubject(name, key)
	}
	if err == nil {
		order.Template.Validity, err = validity.Clip(s.Now, pki.ResponderLifetime)
	}
	switch {
	case errors.Is(err, pki.ErrIssuerExpires):
	case err != nil:
		d.Log = append(d.Log, failure("cannot certify the OCSP responder of %s: %v", unit, err))
	default:
		d.Responders = append(d.Responders, order)
	}
}

// Links tell where to find out about a certificate of the CA, where the
// operator gave the address.
func (a Authority) Links(config policy.Config) pki.Links {
	if config.StatusURL == "" {
		return pki.Links{}
	}
	generation := strconv.Itoa(a.Outlook.Issuer.ID)
	links := pki.Links{OCSP: config.StatusURL + "/ocsp", Issuer: config.StatusURL + "/ca/" + generation + ".der"}
	if a.MayRevoke() {
		links.CRL = config.StatusURL + "/crl/" + generation + ".crl"
	}
	return links
}

// MayRevoke tells whether verifiers accept revocation lists of the CA.
func (a Authority) MayRevoke() bool { return pki.MaySignCRLs(a.Certificate) }

// isRevoked tells whether a certificate was revoked: it is replaced wherever it
// is in service.
func (d *Decision) isRevoked(issued record.Issued) bool {
	_, revoked := d.revoked.Find(issued)
	return revoked
}

// cutOff tells whether a request must not be answered again, because the key of
// its certificate, which the requirer holds, is compromised. What is published
// says so from then on: requirers stop to use it, and ask with a new key.
func (desk *requestDesk) cutOff(w *wanted, published tlscertificates.Published, entry record.Certificate) bool {
	revoked, found := desk.d.revoked.Find(entry.Issued)
	if !found || revoked.Reason != pki.KeyCompromise {
		return false
	}
	request, err := pki.ParseCertificateRequest(w.CSR)
	if err != nil {
		return false // it is refused as any other of that kind
	}
	desk.d.Record.Compromise(request.PublicKey)
	answer, err := published.Answer()
	if err != nil {
		return false
	}
	if !answer.Revoked {
		answer.Revoked = true
		published = tlscertificates.Publish(answer)
	}
	desk.problem(w.requesters[0], entry.Name, "its key is compromised: it must ask with a new one", tlscertificates.Other)
	desk.keep(published, entry)
	return true
}
