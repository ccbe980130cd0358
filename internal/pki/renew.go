// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
)

// Renew makes the certificate of an issuer that is a root again for another
// validity, with the same subject, key and key identifier: certificates below
// it and those who trust it notice nothing (RFC 5280 section 6.1: a path is
// built by names and keys). It refuses what CheckRenewable refuses.
func (i *Issuer) Renew(v Validity) (*x509.Certificate, error) {
	old := i.certificate
	err := CheckRenewable(old)
	if err != nil {
		return nil, fmt.Errorf("cannot renew root: %w", err)
	}
	t := Template{Profile: Root, Subject: Subject{Raw: old.RawSubject}, Validity: v}
	subject, err := t.check(i.key.Public())
	if err != nil {
		return nil, fmt.Errorf("cannot renew root: %w", err)
	}
	cert, err := t.sign(subject, old, i.key.Public(), i.key)
	if err != nil {
		return nil, fmt.Errorf("cannot renew root: %w", err)
	}
	return cert, nil
}

// CheckRenewable tells why Renew cannot renew a certificate, nil when it can:
// it did not sign itself, or it limits itself in a way that the Root profile
// has no place for. An authority must not gain power by growing old.
func CheckRenewable(root *x509.Certificate) error {
	if !bytes.Equal(root.RawSubject, root.RawIssuer) {
		return errors.New("it is not self-signed")
	}
	err := root.CheckSignatureFrom(root)
	if err != nil {
		return fmt.Errorf("it is not self-signed: %w", err)
	}
	if root.MaxPathLen >= 0 {
		return errors.New("it has a path length")
	}
	for _, extension := range root.Extensions {
		switch extension.Id.String() {
		case oidNameConstraints:
			return errors.New("it has name constraints")
		case oidExtKeyUsage:
			return errors.New("it has extended key usages")
		}
	}
	return nil
}
