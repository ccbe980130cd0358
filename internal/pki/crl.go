// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// maxCRLSize holds some eighty thousand entries, far more than the records of
// a charm can: larger lists need partitions, which we do not make.
const maxCRLSize = 4 << 20

// maxNumberBits is what 20 octets hold of a positive number, the bound of
// serial numbers (RFC 5280 section 4.1.2.2) and of CRL numbers (5.2.3).
const maxNumberBits = 20*8 - 1

// Revocation is one entry of a revocation list.
type Revocation struct {
	Serial    *big.Int
	RevokedAt time.Time // UTC, in whole seconds
	Reason    RevocationReason
}

// RevocationList is what a CRL says (RFC 5280 section 5): complete, for all
// certificates of one authority, without deltas. Times are in whole seconds.
type RevocationList struct {
	// Number grows with every list of an authority, as NextCRLNumber makes it.
	Number *big.Int
	// ThisUpdate is Backdate before the list is made, for the same reason as
	// in certificates. After NextUpdate nobody may rely on the list.
	ThisUpdate, NextUpdate time.Time
	// Entries may come in any order, each serial number once.
	Entries []Revocation
}

// NextCRLNumber is the number of the list that follows number last, nil for
// the first one. Where an older last is restored from a backup, the clock
// keeps the numbers growing.
func NextCRLNumber(last *big.Int, now time.Time) *big.Int {
	next := big.NewInt(max(now.UnixNano(), 1))
	if last == nil {
		return next
	}
	if successor := new(big.Int).Add(last, big.NewInt(1)); successor.Cmp(next) > 0 {
		return successor
	}
	return next
}

// SignCRL signs the list, with its entries in the order of serial numbers, and
// returns its DER, which has been parsed and compared again. It refuses an
// issuer whose key usage lacks cRLSign: verifiers would refuse the list.
func (i *Issuer) SignCRL(list RevocationList) ([]byte, error) {
	der, err := i.signCRL(list)
	if err != nil {
		return nil, fmt.Errorf("cannot sign revocation list: %w", err)
	}
	return der, nil
}

func (i *Issuer) signCRL(list RevocationList) ([]byte, error) {
	if !MaySignCRLs(i.certificate) {
		return nil, errors.New("the CA's certificate does not let it sign any (no key usage cRLSign)")
	}
	list, err := list.canonical()
	if err != nil {
		return nil, err
	}
	algorithm, err := signatureAlgorithm(i.certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	template := &x509.RevocationList{
		SignatureAlgorithm: algorithm,
		Number:             list.Number,
		ThisUpdate:         list.ThisUpdate,
		NextUpdate:         list.NextUpdate,
	}
	for _, e := range list.Entries {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: e.Serial, RevocationTime: e.RevokedAt, ReasonCode: int(e.Reason),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, i.certificate, i.key.reveal().signer)
	if err != nil {
		return nil, err
	}
	signed, err := ParseCRL(der, i.certificate)
	if err != nil {
		return nil, err
	}
	if !signed.equal(list) {
		return nil, errors.New("the list is not what was signed")
	}
	return der, nil
}

// MaySignCRLs reports whether verifiers accept revocation lists of an
// authority (RFC 5280 section 4.2.1.3).
func MaySignCRLs(authority *x509.Certificate) bool {
	return authority.KeyUsage&x509.KeyUsageCRLSign != 0
}

// ParseCRL reads a list of at most 4 MiB that SignCRL made for issuer, and
// verifies its signature. It refuses lists that say more than ours do, because
// what this type cannot hold would be lost. Whether the list is still of use
// is not checked.
func ParseCRL(der []byte, issuer *x509.Certificate) (RevocationList, error) {
	list, err := parseCRL(der, issuer)
	if err != nil {
		return RevocationList{}, fmt.Errorf("cannot read revocation list: %w", err)
	}
	return list, nil
}

func parseCRL(der []byte, issuer *x509.Certificate) (RevocationList, error) {
	if len(der) > maxCRLSize {
		return RevocationList{}, fmt.Errorf("longer than %d bytes", maxCRLSize)
	}
	parsed, err := x509.ParseRevocationList(der)
	if err != nil {
		return RevocationList{}, err
	}
	switch {
	case !bytes.Equal(parsed.RawIssuer, issuer.RawSubject):
		return RevocationList{}, errors.New("it is the list of another CA")
	case !bytes.Equal(parsed.AuthorityKeyId, issuer.SubjectKeyId):
		return RevocationList{}, errors.New("it is the list of another key")
	case len(parsed.Extensions) != 2 || parsed.Number == nil:
		return RevocationList{}, errors.New("it has other extensions than a number and a key identifier")
	}
	if err := parsed.CheckSignatureFrom(issuer); err != nil {
		return RevocationList{}, err
	}
	list := RevocationList{Number: parsed.Number, ThisUpdate: parsed.ThisUpdate.UTC(), NextUpdate: parsed.NextUpdate.UTC()}
	for _, e := range parsed.RevokedCertificateEntries {
		if len(e.Extensions) > 0 && (len(e.Extensions) > 1 || e.Extensions[0].Id.String() != oidReasonCode) {
			return RevocationList{}, errors.New("an entry has other extensions than a reason")
		}
		list.Entries = append(list.Entries, Revocation{e.SerialNumber, e.RevocationTime.UTC(), RevocationReason(e.ReasonCode)})
	}
	return list.canonical()
}

const oidReasonCode = "2.5.29.21"

// canonical returns the list in the form in which it is signed, or finds what
// crypto/x509 would sign although no list may say it.
func (l RevocationList) canonical() (RevocationList, error) {
	l.ThisUpdate, l.NextUpdate = l.ThisUpdate.UTC().Truncate(time.Second), l.NextUpdate.UTC().Truncate(time.Second)
	if !isSmallPositive(l.Number) {
		return RevocationList{}, errors.New("its number is not positive, or longer than 20 octets")
	}
	if err := (Validity{NotBefore: l.ThisUpdate, NotAfter: l.NextUpdate}).check(); err != nil {
		return RevocationList{}, err
	}
	entries := make([]Revocation, 0, len(l.Entries))
	for _, e := range l.Entries {
		e.RevokedAt = e.RevokedAt.UTC().Truncate(time.Second)
		switch {
		case !isSmallPositive(e.Serial):
			return RevocationList{}, errors.New("a serial number is not positive, or longer than 20 octets")
		case !e.Reason.isKnown():
			return RevocationList{}, fmt.Errorf("reason %d of serial number %x is not one of ours", int(e.Reason), e.Serial)
		case e.RevokedAt.Year() < 1950 || e.RevokedAt.After(l.NextUpdate):
			return RevocationList{}, fmt.Errorf("serial number %x is revoked outside the time of the list", e.Serial)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Revocation) int { return a.Serial.Cmp(b.Serial) })
	for n := range len(entries) - 1 {
		if entries[n].Serial.Cmp(entries[n+1].Serial) == 0 {
			return RevocationList{}, fmt.Errorf("serial number %x is in it twice", entries[n].Serial)
		}
	}
	l.Entries = entries
	return l, nil
}

func isSmallPositive(n *big.Int) bool {
	return n != nil && n.Sign() > 0 && n.BitLen() <= maxNumberBits
}

// equal compares canonical lists.
func (l RevocationList) equal(o RevocationList) bool {
	return l.Number.Cmp(o.Number) == 0 && l.ThisUpdate.Equal(o.ThisUpdate) && l.NextUpdate.Equal(o.NextUpdate) &&
		slices.EqualFunc(l.Entries, o.Entries, func(a, b Revocation) bool {
			return cmp.Or(a.Serial.Cmp(b.Serial), a.RevokedAt.Compare(b.RevokedAt), cmp.Compare(a.Reason, b.Reason)) == 0
		})
}
