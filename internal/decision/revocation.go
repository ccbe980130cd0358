// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
	// Content is a digest of the entries and of the CA that signs them.
	Content string
	Final   bool
}

// ResponderOrder asks for the certificate of a unit that answers OCSP.
type ResponderOrder struct {
	Unit       string
	Generation int
	// Issuer is a digest of the CA that signs it.
	Issuer    string
	Template  pki.Template
	PublicKey crypto.PublicKey
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
	if s.Config.StatusPort == 0 {
		d.Record.Responders = nil
	}
	d.forgetGenerations(s)
	authorities := d.authorities()
	for i := range d.Record.CA.Generations {
		g := &d.Record.CA.Generations[i]
		certificate := authorities[g.ID]
		if certificate == nil || !d.Record.HasKey(g) || !d.answersFor(s, g) || !s.Now.Before(certificate.NotAfter) {
			continue
		}
		d.reviewList(s, g, authorities)
		for _, unit := range slices.Sorted(maps.Keys(d.Record.Responders)) {
			d.orderResponder(s, unit, g, certificate)
		}
	}
	if d.Record.Forgettable(s.Now) || len(d.Lists) > 0 {
		d.Record.Forget(s.Now)
	}
}

// authorities are the certificates of all generations; nil for one that cannot
// be read.
func (d *Decision) authorities() map[int]*x509.Certificate {
	parsed := map[int]*x509.Certificate{}
	for _, g := range d.Record.CA.Generations {
		certificate, err := pki.ParseCertificateDER(g.Certificate)
		if err != nil {
			d.Log = append(d.Log, failure("cannot read the certificate of generation %d: %v", g.ID, err))
			continue
		}
		parsed[g.ID] = certificate
	}
	return parsed
}

// reviewList orders the list of a generation where one is due. Where nobody
// could ask and there is nothing to tell, there is none.
func (d *Decision) reviewList(s Snapshot, g *record.Generation, authorities map[int]*x509.Certificate) {
	last := d.Record.Lists[g.ID]
	switch {
	case s.Config.StatusPort == 0 && len(d.Record.Revoked) == 0:
		if last != nil && !last.Final && len(last.CRL) > 0 {
			d.Record.Lists[g.ID] = &record.List{Number: last.Number}
		}
		return
	case last != nil && last.Final, !pki.MaySignCRLs(authorities[g.ID]):
		return
	}
	order := orderList(s, d.Record, g, authorities)
	if last == nil || last.Content != order.Content || last.ThisUpdate.After(s.Now) || !s.Now.Before(last.ThisUpdate.Add(record.ListLife/2)) {
		d.Lists = append(d.Lists, order)
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

// forgetGenerations drops generations whose key is no more, or signs for another
// one, and whose certificates have all expired, with their last lists. What this
// very hook takes out of service is still known to the record before it.
func (d *Decision) forgetGenerations(s Snapshot) {
	ca := d.Record.CA
	key := ca.ActiveGeneration().KeyID()
	over := func(g record.Generation) bool { return g.ID != ca.Active && (g.Destroyed || g.KeyID() == key) }
	if ca.Rotation != nil || !slices.ContainsFunc(ca.Generations, over) {
		return
	}
	before := s.Record().Inventory(s.Now)
	forgotten := func(g record.Generation) bool {
		return over(g) && len(before[g.ID]) == 0 && !d.answersFor(s, &g)
	}
	for _, g := range ca.Generations {
		if forgotten(g) {
			delete(d.Record.Lists, g.ID)
			d.Log = append(d.Log, info("the last certificate of generation %d of the CA has expired: it is forgotten", g.ID))
		}
	}
	ca.Generations = slices.DeleteFunc(ca.Generations, forgotten)
}

// orderList orders a list. Verifiers find it by the name and the key of the CA:
// generations that have both in common have all entries in common, and one
// sequence of numbers.
func orderList(s Snapshot, r record.Record, g *record.Generation, authorities map[int]*x509.Certificate) ListOrder {
	own := authorities[g.ID]
	order := ListOrder{
		Generation: g.ID,
		ThisUpdate: s.Now.Add(-pki.Backdate),
		NextUpdate: s.Now.Add(record.ListLife - pki.Backdate),
	}
	same := map[int]bool{}
	for id, other := range authorities {
		same[id] = id == g.ID || pki.SameAuthority(own, other)
		if list := r.Lists[id]; same[id] && list != nil && isGreater(list.Number, order.Last) {
			order.Last = list.Number
		}
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "%x %x", own.RawSubject, own.SubjectKeyId)
	for _, revoked := range r.Revoked {
		if same[revoked.Generation] && s.Now.Before(revoked.NotAfter.Add(record.ListLife)) {
			order.Entries = append(order.Entries, revoked)
			fmt.Fprintf(digest, " %s", revoked.Serial)
		}
	}
	order.Content = base64.RawURLEncoding.EncodeToString(digest.Sum(nil)[:16])
	return order
}

// isGreater compares decimal numbers without leading zeros.
func isGreater(a, b string) bool { return len(a) > len(b) || len(a) == len(b) && a > b }

// finalList orders the last list of a generation before its key goes. It holds
// until the end of the CA's certificate, beyond which none of its leaves lasts.
func (d *Decision) finalList(s Snapshot, g *record.Generation) {
	authorities := d.authorities()
	certificate := authorities[g.ID]
	if certificate == nil || !pki.MaySignCRLs(certificate) || len(d.inventory(s)[g.ID]) == 0 {
		return
	}
	order := orderList(s, d.Record, g, authorities)
	order.Final = true
	for _, issued := range d.inventory(s)[g.ID] {
		order.NextUpdate = latest(order.NextUpdate, issued.NotAfter.Add(time.Second))
	}
	order.NextUpdate = latest(order.NextUpdate, certificate.NotAfter)
	d.Lists = append(d.Lists, order)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// noteKeys records the keys with which our units answer OCSP, and drops those
// of units that are gone. A unit shows its key once, so that no hook of the
// leader may pass over it.
func (d *Decision) noteKeys(s Snapshot) {
	known := maps.Clone(d.Record.Responders)
	if known == nil {
		known = map[string]*record.Responder{}
	}
	note := func(unit string, key []byte) {
		if len(key) > 0 && (known[unit] == nil || string(known[unit].Key) != string(key)) {
			known[unit] = &record.Responder{Key: key}
		}
	}
	if s.tendsStatus() {
		note(string(s.Event.Unit), s.Daemon.Key)
	}
	for unit, key := range s.PeerKeys {
		note(string(unit), key)
	}
	if s.Event.Kind == juju.RelationDeparted && s.Event.Relation.Endpoint == PeerEndpoint {
		delete(known, string(s.Event.RemoteUnit))
	}
	if s.OwnUnits != nil {
		maps.DeleteFunc(known, func(unit string, _ *record.Responder) bool { return !slices.Contains(s.OwnUnits, unit) })
	}
	if len(known) == 0 {
		known = nil
	}
	d.Record.Responders = known
}

// orderResponder orders the certificate of one unit for one generation where
// there is none of this CA, or half of its life is over.
func (d *Decision) orderResponder(s Snapshot, unit string, g *record.Generation, ca *x509.Certificate) {
	responder := d.Record.Responders[unit]
	issuer := sha256.Sum256(slices.Concat(ca.RawSubject, ca.SubjectKeyId))
	order := ResponderOrder{
		Unit: unit, Generation: g.ID, Issuer: base64.RawURLEncoding.EncodeToString(issuer[:16]),
		Template: pki.Template{Profile: pki.Responder},
	}
	for _, c := range responder.Certificates {
		if c.Generation == g.ID && c.Issuer == order.Issuer && !c.NotBefore.After(s.Now) && !passed(s.Now, c.Issued, responderDue) {
			return
		}
	}
	var err error
	order.PublicKey, err = pki.ParsePublicKey(responder.Key)
	if err == nil {
		order.Template.Subject, err = pki.ResponderSubject(ca.Subject.CommonName, order.PublicKey)
	}
	if err == nil {
		order.Template.Validity, err = pki.ValidityOf(ca).Clip(s.Now, pki.ResponderLifetime)
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

// isRevoked tells whether a certificate was revoked, or has a key that is
// compromised: it is replaced wherever it is in service.
func (d *Decision) isRevoked(issued record.Issued) bool { return d.revoked.Forbid(issued) }

// cutOff tells whether a request must not be answered again, because the key of
// its certificate, which the requirer holds, is compromised. What is published
// says so from then on: requirers stop to use it, and ask with a new key.
func (desk *requestDesk) cutOff(w *wanted, published tlscertificates.Published, entry record.Certificate) bool {
	if entry.Request == "" || !desk.s.Now.Before(entry.NotAfter) || !desk.d.revoked.Compromise(entry.Issued) {
		return false // what has expired needs no revoking: the request is refused
	}
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
