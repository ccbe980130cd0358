// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Backdate is how long before its making a certificate begins to be valid: it
// absorbs the difference between the clocks of the authority and of those who
// verify, and is too short to move anybody's renewal date.
const Backdate = 5 * time.Minute

// Validity is a period in UTC and whole seconds; both ends are in it.
type Validity struct {
	NotBefore, NotAfter time.Time
}

// NewValidity is the validity of a root made at now. The last second is in
// the period (RFC 5280 section 4.1.2.5), so it ends one second early.
func NewValidity(now time.Time, lifetime time.Duration) Validity {
	now = now.UTC().Truncate(time.Second)
	return Validity{
		NotBefore: now.Add(-Backdate),
		NotAfter:  now.Add(lifetime - time.Second).Truncate(time.Second),
	}
}

// Clip is the validity of a leaf made at now below an issuer that is valid
// for issuer: a leaf never outlives its issuer, nor begins before it. The error
// is ErrIssuerExpires when less would be left than a tenth of lifetime and, for
// lifetimes of an hour or more, than an hour; it is ErrIssuerBegins when that is
// because the issuer has yet to begin.
func (issuer Validity) Clip(now time.Time, lifetime time.Duration) (Validity, error) {
	if lifetime < time.Second {
		return Validity{}, fmt.Errorf("cannot compute validity: lifetime %s is too short", lifetime)
	}
	now = now.UTC().Truncate(time.Second)
	leaf := NewValidity(now, lifetime)
	if leaf.NotBefore.Before(issuer.NotBefore) {
		leaf.NotBefore = issuer.NotBefore
	}
	if leaf.NotAfter.After(issuer.NotAfter) {
		leaf.NotAfter = issuer.NotAfter
	}

	useful := lifetime / 10
	if lifetime >= time.Hour {
		useful = max(useful, time.Hour)
	}
	if leaf.NotBefore.After(now) && leaf.NotAfter.Sub(leaf.NotBefore)+time.Second < useful {
		return Validity{}, fmt.Errorf("cannot compute validity: %w: it begins %s", ErrIssuerBegins,
			issuer.NotBefore.Format(time.RFC3339))
	}
	// One second more, because the last second counts.
	left := leaf.NotAfter.Sub(now) + time.Second
	if left < useful || !leaf.NotBefore.Before(leaf.NotAfter) {
		return Validity{}, fmt.Errorf("cannot compute validity: issuer is valid until %s: %w",
			issuer.NotAfter.Format(time.RFC3339), ErrIssuerExpires)
	}
	return leaf, nil
}

// ValidityOf returns the validity of cert.
func ValidityOf(cert *x509.Certificate) Validity {
	return Validity{NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC()}
}

// check finds what crypto/x509 would sign without a word: reversed periods,
// years that X.509 cannot write, and fractions that it would cut off.
func (v Validity) check() error {
	if !v.NotBefore.Before(v.NotAfter) {
		return errors.New("validity ends before it begins")
	}
	if v.NotBefore.UTC().Year() < 1950 || v.NotAfter.UTC().Year() > 9999 {
		return errors.New("validity is outside the years 1950 to 9999")
	}
	if v.NotBefore.Nanosecond() != 0 || v.NotAfter.Nanosecond() != 0 {
		return errors.New("validity is not in whole seconds")
	}
	return nil
}

func (v Validity) contains(o Validity) bool {
	return !o.NotBefore.Before(v.NotBefore) && !o.NotAfter.After(v.NotAfter)
}
