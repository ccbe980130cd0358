// SPDX-License-Identifier: GPL-3.0-only

// Package record is the memory of the charm between hooks: the content of the
// peer application databag, which the leader writes and every unit reads.
//
// It holds the public state of the CA, the pairs issued in the legacy dialect
// with the private keys that this dialect has the provider make, and an index
// of what was answered in the CSR dialect. It never holds a key of the CA.
//
// The package knows the text of the databag and what follows from a record
// alone; it decides nothing and does no I/O.
package record

import (
	"crypto/x509"
	"iter"
	"maps"
	"slices"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/tlscertificates"
)

// Record is the peer application databag: what the leader has decided so far,
// readable by every unit. Certificates and keys are DER.
type Record struct {
	// CA is nil until the first CA exists.
	CA *Authority
	// Request is what we asked of a CA above, nil when nothing.
	Request *Request
	// Doomed are generations whose keys nobody needs any more. A key is
	// destroyed only when this has been recorded: Juju 3 removes a secret even
	// if it then refuses the databag that would say why.
	Doomed []int
	// Client is the global client certificate of the legacy dialect, nil
	// until a legacy requirer has shown itself.
	Client *Pair
	// Legacy and CSR are by the number of the relation.
	Legacy map[int]*Legacy
	CSR    map[int]*Requests
	// ByAction are the certificates that operators had issued by actions,
	// oldest first.
	ByAction Certificates
	// Agenda is what hooks left to do.
	Agenda Agenda
	// Withdrawn are certificates that are in service no more and have yet to
	// expire; Revoked are those that were revoked, in service or not.
	Withdrawn []Withdrawn
	Revoked   []Revoked
	// Compromised are digests of keys of requirers that were revoked as
	// compromised: none of them is ever certified again.
	Compromised []string
	// Lists are the revocation lists, by generation.
	Lists map[int]*List
	// Responders are by the name of the unit.
	Responders map[string]*Responder
	// Spare are pairs that came with a CA that was taken over: a request for
	// the same names gets one back, once.
	Spare []Spare
}

// Spare is a pair that waits for a request with its names.
type Spare struct {
	Kind       tlscertificates.Kind `json:"kind"`
	CommonName string               `json:"common-name"`
	Names      []string             `json:"names,omitempty"`
	Pair
}

// Issued is what must be known of a certificate without parsing it.
type Issued struct {
	Generation int       `json:"generation"`
	Serial     string    `json:"serial"`
	NotBefore  time.Time `json:"not-before"`
	NotAfter   time.Time `json:"not-after"`
	// KeyDigest tells whether two certificates have one key.
	KeyDigest string `json:"k,omitempty"`
}

// Pair is a certificate with the key generated for it.
type Pair struct {
	Issued
	Certificate []byte `json:"certificate"`
	Key         []byte `json:"key"`

	// Asked tells that an operator asked for a new pair: it waits for its
	// wave, not for its age.
	Asked bool `json:"asked,omitempty"`
	// Pinned tells that the certificate names its issuer by serial number: it
	// does not outlive a renewal of that issuer.
	Pinned bool `json:"pinned,omitempty"`

	// Order is set where the pair has yet to be signed.
	Order *Order `json:"-"`
}

// Legacy is what one relation gets in the legacy dialect. It exists as
// long as one remote unit speaks the dialect, even if it asks for nothing.
type Legacy struct {
	Application string    `json:"application"`
	Units       []Unit    `json:"units"`
	Shared      *Answer   `json:"shared,omitempty"`
	Problems    []Problem `json:"problems,omitempty"`
}

// Unit is one remote unit: Unit is Juju's name, Name the one under
// which it looks for its answers.
type Unit struct {
	Unit string `json:"unit"`
	Name string `json:"name"`
	// Claim is the name that it claims: Name follows from those of all units.
	Claim string   `json:"claim,omitempty"`
	Pairs []Answer `json:"pairs,omitempty"`
	// Share is what the unit asked for of the application certificate, nil
	// when nothing.
	Share *Share `json:"share,omitempty"`
}

// Share is one unit's request for the certificate that its application
// shares. Names are spelled as in Answer; the operator's own are not among
// them.
type Share struct {
	CommonName string   `json:"common-name"`
	Names      []string `json:"names,omitempty"`
}

// Answer is one answered request. Names are the subject alternative names
// of the certificate, as pki.Names.Texts spells them.
type Answer struct {
	Kind       tlscertificates.Kind `json:"kind"`
	CommonName string               `json:"common-name"`
	TopLevel   bool                 `json:"top-level,omitempty"`
	Listed     bool                 `json:"listed,omitempty"`
	Names      []string             `json:"names,omitempty"`
	Pair
}

// maxShared bounds the names that a unit may ask the application certificate to
// have. It is one more than a certificate may have: that there are too many is
// still seen, and all of them would fill the databag of the record.
const maxShared = 251

// Ask notes that the unit asks for the application certificate; the first
// common name counts, and all names do, up to one more than it may have.
func (u *Unit) Ask(commonName string, names pki.Names) {
	if u.Share == nil {
		u.Share = &Share{CommonName: commonName}
	}
	if len(u.Share.Names) >= maxShared {
		return
	}
	if known, err := pki.NamesFromTexts(u.Share.Names); err == nil {
		u.Share.Names = known.Union(names).Texts()
		u.Share.Names = u.Share.Names[:min(len(u.Share.Names), maxShared)]
	}
}

// Requests is the index of one relation's answers in the CSR dialect;
// the answers themselves are in the application databag of that relation. It
// can be rebuilt from there.
type Requests struct {
	Application  string       `json:"application"`
	Certificates Certificates `json:"certificates,omitempty"`
	// Refused are the CSRs that have an error in the databag, in its order.
	Refused  []Refused `json:"refused,omitempty"`
	Problems []Problem `json:"problems,omitempty"`
}

// Refused is one CSR that was refused, by a digest of its text, and whose
// databag shows it.
type Refused struct {
	Request    string   `json:"request"`
	Requesters []string `json:"requesters"`
	Code       int      `json:"code"`
}

// Certificate is one answered CSR. Request is a digest of its text;
// Requesters are the units, or the application, whose databag shows it.
type Certificate struct {
	Request    string   `json:"request"`
	Requesters []string `json:"requesters"`
	Name       string   `json:"name"`
	// CA tells that the certificate is one of a CA.
	CA bool `json:"ca,omitempty"`
	// Anchor is the generation whose root the answer tells to trust, where it
	// is not the one that issued it.
	Anchor int `json:"anchor,omitempty"`
	// Asked tells that an operator asked for a new certificate.
	Asked bool `json:"asked,omitempty"`
	Issued
}

// Clone copies the maps, so that a decision never changes the snapshot it was
// taken from; what they point to is replaced, not modified.
func (r Record) Clone() Record {
	c := r
	c.Legacy, c.CSR = map[int]*Legacy{}, map[int]*Requests{}
	for number, legacy := range r.Legacy {
		c.Legacy[number] = legacy
	}
	for number, requests := range r.CSR {
		c.CSR[number] = requests
	}
	c.Lists, c.Responders = maps.Clone(r.Lists), maps.Clone(r.Responders)
	return c
}

// NewIssued notes what must be known of a certificate later on.
func NewIssued(generation int, certificate *x509.Certificate) Issued {
	return Issued{
		Generation: generation,
		Serial:     certificate.SerialNumber.Text(16),
		NotBefore:  certificate.NotBefore.UTC(),
		NotAfter:   certificate.NotAfter.UTC(),
		KeyDigest:  digestKey(certificate.RawSubjectPublicKeyInfo),
	}
}

// Relations are the numbers of all relations that the record knows, sorted.
func (r Record) Relations() []int {
	numbers := slices.Concat(slices.Collect(maps.Keys(r.Legacy)), slices.Collect(maps.Keys(r.CSR)))
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// Find returns what a unit was given for a request; nil when nothing was.
func (l *Legacy) Find(unit string, kind tlscertificates.Kind, commonName string) *Answer {
	for i := range l.Units {
		if l.Units[i].Unit != unit {
			continue
		}
		for j := range l.Units[i].Pairs {
			p := &l.Units[i].Pairs[j]
			if p.Kind == kind && p.CommonName == commonName {
				return p
			}
		}
	}
	return nil
}

// Count is the number of pairs of a relation.
func (l *Legacy) Count() int {
	n := 0
	for _, unit := range l.Units {
		n += len(unit.Pairs)
	}
	if l.Shared != nil {
		n++
	}
	return n
}

// AnchorGeneration is the generation whose root the answer tells to trust.
func (c Certificate) AnchorGeneration() int {
	if c.Anchor != 0 {
		return c.Anchor
	}
	return c.Generation
}

// Served is one certificate that a relation has.
type Served struct {
	Relation   int
	Requester  string
	Kind       string // of the legacy dialect, or KindCSR
	CommonName string
	Issued
}

// KindCSR stands for the CSR dialect, which has no kinds.
const KindCSR = "csr"

// Served are the certificates of all relations, by relation. The global client
// certificate and those that actions issued are nobody's.
func (r Record) Served() iter.Seq[Served] {
	return func(yield func(Served) bool) {
		for _, number := range r.Relations() {
			for _, one := range slices.Concat(r.Legacy[number].served(number), r.CSR[number].served(number)) {
				if !yield(one) {
					return
				}
			}
		}
	}
}

func (l *Legacy) served(number int) []Served {
	if l == nil {
		return nil
	}
	var served []Served
	add := func(requester string, a Answer) {
		served = append(served, Served{Relation: number, Requester: requester, Kind: string(a.Kind), CommonName: a.CommonName, Issued: a.Issued})
	}
	for _, unit := range l.Units {
		for _, pair := range unit.Pairs {
			add(unit.Unit, pair)
		}
	}
	if l.Shared != nil {
		add(l.Application, *l.Shared)
	}
	return served
}

func (r *Requests) served(number int) []Served {
	if r == nil {
		return nil
	}
	var served []Served
	for _, c := range r.Certificates {
		served = append(served, Served{Relation: number, Requester: c.Requesters[0], Kind: KindCSR, CommonName: c.Name, Issued: c.Issued})
	}
	return served
}

// Pairs are the pairs in service: the global client's and those of the legacy
// dialect.
func (r Record) Pairs() iter.Seq[*Pair] {
	return func(yield func(*Pair) bool) {
		if r.Client != nil && !yield(r.Client) {
			return
		}
		for _, legacy := range r.Legacy {
			if legacy.Shared != nil && !yield(&legacy.Shared.Pair) {
				return
			}
			for _, unit := range legacy.Units {
				for i := range unit.Pairs {
					if !yield(&unit.Pairs[i].Pair) {
						return
					}
				}
			}
		}
	}
}

// Pinned tells whether a certificate that names its issuer by serial number is
// still valid, in service or waiting: the issuer cannot be renewed as long.
func (r Record) Pinned(now time.Time) bool {
	for i := range r.Spare {
		if r.Spare[i].Pinned && now.Before(r.Spare[i].NotAfter) {
			return true
		}
	}
	for pair := range r.Pairs() {
		if pair.Pinned && now.Before(pair.NotAfter) {
			return true
		}
	}
	return false
}

// Matches tells whether a pair answers a request. The name of a host counts
// whether it is the common name or an alternative name, as issuers differ in
// that; names of a client count only by its common name.
func (s Spare) Matches(request Spare) bool {
	if s.Kind != request.Kind || s.CommonName != request.CommonName {
		return false
	}
	if s.Kind == tlscertificates.Client {
		return true
	}
	ours, err := pki.NamesFromTexts(s.Names)
	if err != nil {
		return false
	}
	theirs, err := pki.NamesFromTexts(request.Names)
	if err != nil {
		return false
	}
	host, _ := pki.HostName(s.CommonName)
	return ours.Union(host).Equal(theirs.Union(host))
}
