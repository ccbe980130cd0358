// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
)

// RenewSelfSigned makes the root old again for another validity, with the same
// subject, key and key identifier: certificates below it and those who trust
// it notice nothing (RFC 5280 section 6.1: a path is built by names and keys).
// It refuses when key is not old's, when old did not sign itself, and when old
// limits itself in a way that the Root profile has no place for.
func RenewSelfSigned(old *x509.Certificate, validity Validity, key PrivateKey) (*x509.Certificate, error) {
	issuer, err := NewIssuer(old, key)
	if err != nil {
		return nil, fmt.Errorf("cannot renew root: %w", err)
	}
	return issuer.Renew(validity)
}

// Renew is RenewSelfSigned for the issuer's own certificate.
func (i *Issuer) Renew(v Validity) (*x509.Certificate, error) {
	old := i.certificate
	err := checkRenewable(old)
	if err != nil {
		return nil, fmt.Errorf("cannot renew root: %w", err)
	}
	t := Template{Profile: Root, Subject: Subject{Raw: old.RawSubject}, Validity: v}
	cert, err := t.sign(old, i.key.Public(), i.key)
	if err != nil {
		return nil, fmt.Errorf("cannot renew root: %w", err)
	}
	return cert, nil
}

// checkRenewable finds certificates of others, and limits that the renewed
// root would be without: an authority must not gain power by growing old.
func checkRenewable(old *x509.Certificate) error {
	if !bytes.Equal(old.RawSubject, old.RawIssuer) {
		return errors.New("it is not self-signed")
	}
	err := old.CheckSignatureFrom(old)
	if err != nil {
		return fmt.Errorf("it is not self-signed: %w", err)
	}
	if old.MaxPathLen >= 0 {
		return errors.New("it has a path length")
	}
	for _, extension := range old.Extensions {
		switch extension.Id.String() {
		case oidNameConstraints:
			return errors.New("it has name constraints")
		case oidExtKeyUsage:
			return errors.New("it has extended key usages")
		}
	}
	return nil
}
