// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"crypto/x509"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// book is what a life knows by itself of every certificate that it has ever
// seen published: the charm's own memory is held against it.
type book struct {
	seen map[mark]*noted
	// read are values of databags that have been looked at.
	read map[string]bool
	// authorities are the CA certificates that signed, by the generation of
	// their key: generations may share one, and no signature tells them apart.
	authorities map[int]*x509.Certificate
	// service are the certificates in service at the last rest, with their
	// holders.
	service map[mark]string
	// numbers are those of the last lists, by generation.
	numbers map[int]*big.Int
	// unsure are revocations whose action was struck: they may have happened.
	unsure []mark
	// departures tells that who leaves is revoked.
	departures bool
}

// mark names a certificate: the generation of its issuer's key, and its serial
// number.
type mark struct {
	generation int
	serial     string
}

// noted is one certificate of the book.
type noted struct {
	certificate *x509.Certificate
	revoked     bool
	reason      pki.RevocationReason
	// fresh tells that it was first seen after the last rest.
	fresh bool
	// cutOff tells that its key must never be certified again.
	cutOff bool
}

func newBook() book {
	return book{seen: map[mark]*noted{}, read: map[string]bool{}, authorities: map[int]*x509.Certificate{}, numbers: map[int]*big.Int{}}
}

// Forget begins a new book: a restored CA has other generations, and does not
// know what was issued after its backup.
func (l *Life) Forget() {
	departures := l.book.departures
	l.book = newBook()
	l.book.departures = departures
}

// certificates finds certificates in a value of a databag, also within JSON.
var certificates = regexp.MustCompile(`-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----`)

// look notes what is published now and was not before.
func (l *Life) look() error {
	for _, r := range slices.Concat(l.requirers, l.leaving) {
		for _, owner := range append(l.units(), Application) {
			for _, text := range l.Model.Bag(r.relation, owner) {
				if l.book.read[text] {
					continue
				}
				l.book.read[text] = true
				for _, one := range certificates.FindAllString(strings.ReplaceAll(text, `\n`, "\n"), -1) {
					if err := l.noteText(one); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (l *Life) noteText(text string) error {
	certificate, err := parseOne(text)
	if err != nil {
		return err
	}
	if certificate.IsCA {
		return nil
	}
	return l.noteCertificate(certificate)
}

func (l *Life) noteCertificate(certificate *x509.Certificate) error {
	m, found := l.book.find(certificate)
	if !found {
		r, err := l.record()
		if err != nil {
			return err
		}
		if err := l.book.learn(r); err != nil {
			return err
		}
		if m, found = l.book.find(certificate); !found {
			return fmt.Errorf("no generation of the CA signed the certificate %s of %q", m.serial, certificate.Subject)
		}
	}
	if known := l.book.seen[m]; known != nil && !known.certificate.Equal(certificate) {
		return fmt.Errorf("two certificates have the serial number %s", m.serial)
	} else if known != nil {
		return nil
	}
	for old, other := range l.book.seen {
		if other.cutOff && string(other.certificate.RawSubjectPublicKeyInfo) == string(certificate.RawSubjectPublicKeyInfo) {
			return fmt.Errorf("%s is for the compromised key of %s", m.serial, old.serial)
		}
	}
	l.book.seen[m] = &noted{certificate: certificate, fresh: true}
	return nil
}

// record is what the charm remembers.
func (l *Life) record() (record.Record, error) { return record.Parse(l.peer()) }

// learn notes the CA certificates.
func (b *book) learn(r record.Record) error {
	if r.CA == nil {
		return nil
	}
	for _, g := range r.CA.Generations {
		certificate, err := x509.ParseCertificate(g.Certificate)
		if err != nil {
			return err
		}
		b.authorities[g.KeyID()] = certificate
	}
	return nil
}

// find tells who signed a certificate by the signature.
func (b *book) find(certificate *x509.Certificate) (mark, bool) {
	m := mark{serial: certificate.SerialNumber.Text(16)}
	for _, id := range slices.Sorted(maps.Keys(b.authorities)) {
		m.generation = id
		if b.seen[m] != nil && b.seen[m].certificate.Equal(certificate) {
			return m, true
		}
		if certificate.CheckSignatureFrom(b.authorities[id]) == nil {
			return m, true
		}
	}
	return m, false
}

// revoke notes a revocation; the first reason stands.
func (b *book) revoke(m mark, reason pki.RevocationReason) {
	if one := b.seen[m]; one != nil && !one.revoked {
		one.revoked, one.reason = true, reason
	}
}

// isCutOff tells whether a key was compromised.
func (b *book) isCutOff(public []byte) bool {
	for _, one := range b.seen {
		if one.cutOff && string(one.certificate.RawSubjectPublicKeyInfo) == string(public) {
			return true
		}
	}
	return false
}

// settleUnsure takes from the record how actions ended that were struck.
func (b *book) settleUnsure(r record.Record) {
	for _, revoked := range r.Revoked {
		m := markOf(r, revoked.Generation, revoked.Serial)
		if one := b.seen[m]; slices.Contains(b.unsure, m) && !one.revoked {
			b.revoke(m, revoked.Reason)
			one.cutOff = revoked.Reason == pki.KeyCompromise
		}
	}
	b.unsure = nil
}

// markOf is how the book names what the record names by its generation.
func markOf(r record.Record, generation int, serial string) mark {
	if g := r.CA.Generation(generation); g != nil {
		generation = g.KeyID()
	}
	return mark{generation, serial}
}

// hasKey tells whether the key exists that signed a certificate.
func hasKey(r record.Record, m mark) bool { return slices.Contains(r.Keys(), m.generation) }

// withSameKeys adds to certificates those with the same keys that can be
// revoked: they are compromised with them.
func (b *book) withSameKeys(certificates []mark, r record.Record, clock time.Time) []mark {
	keys := map[string]bool{}
	for _, m := range certificates {
		keys[string(b.seen[m].certificate.RawSubjectPublicKeyInfo)] = true
	}
	for m, one := range b.seen {
		if keys[string(one.certificate.RawSubjectPublicKeyInfo)] && b.revocable(m, r, clock) && !slices.Contains(certificates, m) {
			certificates = append(certificates, m)
		}
	}
	return slices.DeleteFunc(certificates, func(m mark) bool { return !b.revocable(m, r, clock) })
}

// revocable tells whether a certificate can be revoked.
func (b *book) revocable(m mark, r record.Record, clock time.Time) bool {
	return !b.seen[m].revoked && hasKey(r, m) && clock.Before(b.seen[m].certificate.NotAfter)
}

// depart revokes, in the book, what those had who have nothing any more and are
// not among those who still speak the legacy dialect.
func (b *book) depart(now map[mark]string, holders map[string]bool, r record.Record, clock time.Time) {
	for _, holder := range now {
		holders[holder] = true
	}
	for m, holder := range b.service {
		one := b.seen[m]
		if b.departures && holder != everyone && !strings.HasSuffix(holder, sharing) && !holders[holder] && clock.Before(one.certificate.NotAfter) && hasKey(r, m) {
			b.revoke(m, pki.CessationOfOperation)
		}
	}
	b.departMeanwhile(now, r)
	b.service = now
}

// departMeanwhile takes from the record what became of certificates on the way:
// a new leader that has yet to see a unit go issues it another, and what an
// application shares is issued again as one unit after another goes.
func (b *book) departMeanwhile(now map[mark]string, r record.Record) {
	for _, revoked := range r.Revoked {
		m := markOf(r, revoked.Generation, revoked.Serial)
		one := b.seen[m]
		if b.departures && one != nil && now[m] == "" && revoked.Reason == pki.CessationOfOperation && (one.fresh || strings.HasSuffix(b.service[m], sharing)) {
			b.revoke(m, revoked.Reason)
		}
	}
	for _, one := range b.seen {
		one.fresh = false
	}
}
