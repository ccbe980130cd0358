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
}

// Revoked is a certificate that was revoked, in service or not.
type Revoked struct {
	Generation int                  `json:"generation"`
	Serial     string               `json:"serial"`
	NotAfter   time.Time            `json:"not-after"`
	At         time.Time            `json:"at"`
	Reason     pki.RevocationReason `json:"reason"`
}

// List is the revocation list of a generation as it was last signed.
type List struct {
	Number     string    `json:"number"` // decimal
	ThisUpdate time.Time `json:"this-update"`
	NextUpdate time.Time `json:"next-update"`
	// Entries is a digest of what is on it.
	Entries string `json:"entries"`
	CRL     []byte `json:"crl"` // DER
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
	Certificate []byte `json:"certificate,omitempty"`
	Problem     string `json:"problem,omitempty"`
}

const (
	// maxWithdrawn bounds what is kept of certificates that are in service no
	// more; those that expire first are forgotten first. Each takes some 70
	// bytes of the 16 MiB that all units share.
	maxWithdrawn = 50_000
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
type Revocations map[id]Revoked

// Revocations are all that the record knows.
func (r Record) Revocations() Revocations {
	found := make(Revocations, len(r.Revoked))
	for _, revoked := range r.Revoked {
		found[id{revoked.Generation, revoked.Serial}] = revoked
	}
	return found
}

// Find returns the revocation of a certificate; false when it was not revoked.
func (r Revocations) Find(issued Issued) (Revoked, bool) {
	revoked, found := r[id{issued.Generation, issued.Serial}]
	return revoked, found
}

// Revoke notes that certificates are revoked, each once: the first reason
// stands.
func (r *Record) Revoke(reason pki.RevocationReason, now time.Time, certificates ...Issued) {
	known := r.Revocations()
	r.Revoked = slices.Clone(r.Revoked)
	for _, issued := range certificates {
		if _, found := known.Find(issued); found {
			continue
		}
		revoked := Revoked{Generation: issued.Generation, Serial: issued.Serial, NotAfter: issued.NotAfter, At: now, Reason: reason}
		known[id{issued.Generation, issued.Serial}] = revoked
		r.Revoked = append(r.Revoked, revoked)
	}
}

// Compromise notes that a key must never be certified again.
func (r *Record) Compromise(key crypto.PublicKey) {
	if !r.IsCompromised(key) {
		r.Compromised = append(slices.Clone(r.Compromised), keyDigest(key))
	}
}

// IsCompromised tells whether a certificate for the key was revoked because
// the key was compromised.
func (r Record) IsCompromised(key crypto.PublicKey) bool {
	return len(r.Compromised) > 0 && slices.Contains(r.Compromised, keyDigest(key))
}

// keyDigest identifies a public key of a kind that we certify; 128 bits, as in
// Digest.
func keyDigest(key crypto.PublicKey) string {
	der, _ := pki.EncodePublicKey(key)
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
		add(Issued{Generation: w.Generation, Serial: w.Serial, NotAfter: time.Unix(w.NotAfter, 0).UTC()})
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
	// Left tells that whoever asked for it has none any more.
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
		kept = append(kept, Withdrawn{Generation: g.Generation, Serial: g.Serial, NotAfter: g.NotAfter.Unix()})
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
			present[c.Requester] = true
		}
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

// Forget drops what nobody can ask about any more: certificates that have
// expired, and revocations that were on a list beyond that.
func (r *Record) Forget(now time.Time) {
	r.Withdrawn = slices.DeleteFunc(slices.Clone(r.Withdrawn), func(w Withdrawn) bool { return w.NotAfter <= now.Unix() })
	r.Revoked = slices.DeleteFunc(slices.Clone(r.Revoked), func(revoked Revoked) bool { return !now.Before(revoked.NotAfter.Add(ListLife)) })
}
