// SPDX-License-Identifier: GPL-3.0-only

package record

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"

	"tls-authority/internal/pki"
)

// Withdrawn is a certificate that is in service no more and has yet to expire:
// whoever has it may still ask whether it is good.
type Withdrawn struct {
	Generation int    `json:"g"`
	Serial     string `json:"s"`
	NotAfter   int64  `json:"e"` // in seconds of Unix time: there may be thousands
	KeyDigest  string `json:"k,omitempty"`
}

// Revoked is a certificate that was revoked, in service or not.
type Revoked struct {
	Generation int                  `json:"g"`
	Serial     string               `json:"s"`
	NotAfter   time.Time            `json:"e"`
	At         time.Time            `json:"a"`
	Reason     pki.RevocationReason `json:"r"`
}

// List is the revocation list of a generation as it was last signed. Where it
// was withdrawn, the number alone is left: numbers never fall.
type List struct {
	Number     string    `json:"number"` // decimal
	ThisUpdate time.Time `json:"this-update,omitzero"`
	NextUpdate time.Time `json:"next-update,omitzero"`
	// Content is a digest of what is on it, and of who signed it.
	Content string `json:"content,omitempty"`
	CRL     []byte `json:"crl,omitempty"` // DER
	// Final tells that no list follows: the key is no more.
	Final bool `json:"final,omitempty"`
}

// Responder is what one of our units answers OCSP with.
type Responder struct {
	// Key is its public key, PKIX DER. The private key never leaves the unit.
	Key          []byte                 `json:"key"`
	Certificates []ResponderCertificate `json:"certificates,omitempty"`
}

// ResponderCertificate is the certificate of a responder for one generation, or why
// there is none.
type ResponderCertificate struct {
	Issued
	// Issuer is a digest of who signed it.
	Issuer      string `json:"issuer"`
	Certificate []byte `json:"certificate,omitempty"`
	Problem     string `json:"problem,omitempty"`
}

const (
	// maxWithdrawn bounds what is kept of certificates that are in service no
	// more; those that expire first are forgotten first. Each takes some 90
	// bytes of the 16 MiB that all units share.
	maxWithdrawn = 20_000
	// MaxRevoked bounds what is revoked at a time: with their entries on the
	// list, each takes some 220 bytes.
	MaxRevoked = 10_000
	// ListLife is how long a revocation list can be relied on; the next one
	// comes at half of it. Entries stay on as long beyond the end of their
	// certificates (RFC 5280 section 3.3).
	ListLife = 7 * 24 * time.Hour
)

// id tells certificates apart: an imported CA may have drawn a serial number
// that another drew too.
type id struct {
	generation int
	serial     string
}

// Revocations finds what was revoked. It holds for the record as it is.
type Revocations struct {
	revoked     map[id]Revoked
	compromised map[string]bool
}

// Revocations are all that the record knows.
func (r Record) Revocations() Revocations {
	found := Revocations{revoked: make(map[id]Revoked, len(r.Revoked)), compromised: make(map[string]bool, len(r.Compromised))}
	for _, revoked := range r.Revoked {
		found.revoked[id{revoked.Generation, revoked.Serial}] = revoked
	}
	for _, digest := range r.Compromised {
		found.compromised[digest] = true
	}
	return found
}

// Find returns the revocation of a certificate; false when it was not revoked.
func (r Revocations) Find(issued Issued) (Revoked, bool) {
	revoked, found := r.revoked[id{issued.Generation, issued.Serial}]
	return revoked, found
}

// Forbid tells whether a certificate must not be in service: it was revoked, or
// its key is compromised.
func (r Revocations) Forbid(issued Issued) bool {
	_, revoked := r.Find(issued)
	return revoked || r.Compromise(issued)
}

// Compromise tells whether the key of a certificate is compromised.
func (r Revocations) Compromise(issued Issued) bool {
	revoked, found := r.Find(issued)
	return found && revoked.Reason == pki.KeyCompromise || r.compromised[issued.KeyDigest]
}

// Revoke notes that certificates are revoked, each once: the first reason
// stands. With the reason key compromise their keys are never certified again.
// It tells how many there was no room for.
func (r *Record) Revoke(reason pki.RevocationReason, now time.Time, certificates ...Issued) (left int) {
	known := r.Revocations()
	r.Revoked = slices.Clone(r.Revoked)
	for _, issued := range certificates {
		if reason == pki.KeyCompromise && issued.KeyDigest != "" && !slices.Contains(r.Compromised, issued.KeyDigest) {
			r.Compromised = append(slices.Clone(r.Compromised), issued.KeyDigest)
		}
		if _, found := known.Find(issued); found {
			continue
		}
		if len(r.Revoked) >= MaxRevoked {
			left++
			continue
		}
		revoked := Revoked{Generation: issued.Generation, Serial: issued.Serial, NotAfter: issued.NotAfter, At: now, Reason: reason}
		known.revoked[id{issued.Generation, issued.Serial}] = revoked
		r.Revoked = append(r.Revoked, revoked)
	}
	return left
}

// IsCompromised tells whether a certificate for the key was revoked because
// the key was compromised.
func (r Record) IsCompromised(key crypto.PublicKey) bool {
	if len(r.Compromised) == 0 {
		return false
	}
	der, err := pki.EncodePublicKey(key)
	return err == nil && slices.Contains(r.Compromised, digestKey(der))
}

// digestKey identifies a public key, PKIX DER; 128 bits, as in Digest.
func digestKey(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Inventory are all certificates that have not expired and that the record
// knows, by generation: those in service, those that wait, and those withdrawn.
func (r Record) Inventory(now time.Time) map[int][]Issued {
	found := map[int][]Issued{}
	known := map[id]bool{}
	add := func(issued Issued) {
		key := id{issued.Generation, issued.Serial}
		if issued.Serial != "" && now.Before(issued.NotAfter) && !known[key] {
			known[key] = true
			found[issued.Generation] = append(found[issued.Generation], issued)
		}
	}
	for c := range r.Served() {
		add(c.Issued)
	}
	for _, issued := range r.apart() {
		add(issued)
	}
	for _, w := range r.Withdrawn {
		add(Issued{Generation: w.Generation, Serial: w.Serial, NotAfter: time.Unix(w.NotAfter, 0).UTC(), KeyDigest: w.KeyDigest})
	}
	for _, revoked := range r.Revoked {
		add(Issued{Generation: revoked.Generation, Serial: revoked.Serial, NotAfter: revoked.NotAfter})
	}
	return found
}

// apart are the certificates that no relation has for itself.
func (r Record) apart() []Issued {
	var found []Issued
	if r.Client != nil {
		found = append(found, r.Client.Issued)
	}
	if r.CA != nil && r.CA.Rotation != nil && r.CA.Rotation.Client != nil {
		found = append(found, r.CA.Rotation.Client.Issued)
	}
	for _, c := range r.ByAction {
		found = append(found, c.Issued)
	}
	for i := range r.Spare {
		found = append(found, r.Spare[i].Issued)
	}
	return found
}

// Gone is a certificate that went out of service.
type Gone struct {
	Issued
	// Left tells that whoever asked for it is gone: it has no certificate and
	// no request any more, not even one that was refused.
	Left bool
}

// Withdraw notes what was in service before and is no more, and returns it.
// What has expired is forgotten on this occasion.
func (r *Record) Withdraw(before Record, now time.Time) []Gone {
	gone := r.gone(before, now)
	if len(gone) == 0 {
		return nil
	}
	kept := slices.DeleteFunc(slices.Clone(r.Withdrawn), func(w Withdrawn) bool { return w.NotAfter <= now.Unix() })
	for _, g := range gone {
		kept = append(kept, Withdrawn{Generation: g.Generation, Serial: g.Serial, NotAfter: g.NotAfter.Unix(), KeyDigest: g.KeyDigest})
	}
	if excess := len(kept) - maxWithdrawn; excess > 0 {
		slices.SortStableFunc(kept, func(a, b Withdrawn) int { return cmp.Compare(a.NotAfter, b.NotAfter) })
		kept = kept[excess:]
	}
	r.Withdrawn = kept
	return gone
}

// gone compares two records. Relations that a hook did not look at are shared
// by both, and cost nothing.
func (r *Record) gone(before Record, now time.Time) []Gone {
	var gone []Gone
	stays := map[id]bool{}
	lost := func(issued Issued, left bool) {
		listed := r.CA != nil && r.CA.Generation(issued.Generation) != nil
		if issued.Serial != "" && listed && now.Before(issued.NotAfter) && !stays[id{issued.Generation, issued.Serial}] {
			stays[id{issued.Generation, issued.Serial}] = true // told once
			gone = append(gone, Gone{issued, left})
		}
	}
	for _, issued := range r.apart() {
		stays[id{issued.Generation, issued.Serial}] = true
	}
	var changed []int
	for _, number := range before.Relations() {
		if before.Legacy[number] != r.Legacy[number] || before.CSR[number] != r.CSR[number] {
			changed = append(changed, number)
		}
	}
	if len(before.Spare) != len(r.Spare) {
		changed = r.Relations() // a pair that waited may be anybody's now
	}
	present := map[string]bool{}
	for _, number := range changed {
		for _, c := range slices.Concat(r.Legacy[number].served(number), r.CSR[number].served(number)) {
			stays[id{c.Generation, c.Serial}] = true
		}
		r.presentIn(number, present)
	}
	for _, number := range changed {
		for _, c := range slices.Concat(before.Legacy[number].served(number), before.CSR[number].served(number)) {
			lost(c.Issued, !present[c.Requester])
		}
	}
	for _, issued := range before.apart() {
		lost(issued, false)
	}
	return gone
}

// presentIn notes who is there in a relation.
func (r *Record) presentIn(number int, present map[string]bool) {
	var problems []Problem
	if legacy := r.Legacy[number]; legacy != nil {
		problems = legacy.Problems
		for _, unit := range legacy.Units {
			present[unit.Unit] = true
			present[legacy.Application] = present[legacy.Application] || unit.Share != nil
		}
	}
	if requests := r.CSR[number]; requests != nil {
		problems = slices.Concat(problems, requests.Problems)
		for _, c := range requests.Certificates {
			for _, requester := range c.Requesters {
				present[requester] = true
			}
		}
		for _, refused := range requests.Refused {
			for _, requester := range refused.Requesters {
				present[requester] = true
			}
		}
	}
	for _, p := range problems {
		present[p.Requester] = true
	}
}

// Forgettable tells whether Forget would drop what could have gone a day ago: a
// record that is written for each certificate that expires would never rest.
func (r *Record) Forgettable(now time.Time) bool {
	const patience = 24 * time.Hour
	return slices.ContainsFunc(r.Withdrawn, func(w Withdrawn) bool { return w.NotAfter <= now.Add(-patience).Unix() }) ||
		slices.ContainsFunc(r.Revoked, func(revoked Revoked) bool { return !now.Add(-patience).Before(revoked.NotAfter.Add(ListLife)) })
}

// Forget drops what nobody can ask about any more: certificates that have
// expired, and revocations that were on a list beyond that.
func (r *Record) Forget(now time.Time) {
	r.Withdrawn = slices.DeleteFunc(slices.Clone(r.Withdrawn), func(w Withdrawn) bool { return w.NotAfter <= now.Unix() })
	r.Revoked = slices.DeleteFunc(slices.Clone(r.Revoked), func(revoked Revoked) bool { return !now.Before(revoked.NotAfter.Add(ListLife)) })
}
