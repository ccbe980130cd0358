// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// AuthorityFaults are the reasons why the first certificate of a chain, as
// BuildChain gives it, cannot be an authority of ours now, each a part of a
// sentence for an operator; none when it can. The certificates above are held
// to the same, except that they may have keys that we sign nothing with and no
// key usage, and that nobody verifies the signature of an anchor. public is
// the key that the first must have, nil when that is not known. A key usage
// without cRLSign is no fault: such an authority has no revocation list.
func AuthorityFaults(chain []*x509.Certificate, public crypto.PublicKey, now time.Time) []string {
	if len(chain) == 0 {
		return []string{"there is no certificate"}
	}
	own := chain[0]
	faults := faultsOf(own, now)
	_, err := signatureAlgorithm(own.PublicKey)
	if err != nil && weakness(own.PublicKey) == "" {
		faults = append(faults, err.Error())
	}
	if public != nil && !SamePublicKey(public, own.PublicKey) {
		faults = append(faults, "it is the certificate of another key")
	}
	if isAuthority(own) && own.KeyUsage&x509.KeyUsageCertSign == 0 {
		faults = append(faults, "it may not sign certificates")
	}
	faults = append(faults, signatureFault(own)...)
	for _, c := range chain[1:] {
		for _, fault := range faultsAbove(c, now) {
			faults = append(faults, quote(c.Subject.String())+" above it: "+fault)
		}
	}
	if !AllowsBelow(chain, 0) {
		faults = append(faults, "a path length above it allows no authority in its place")
	}
	return faults
}

func faultsAbove(c *x509.Certificate, now time.Time) []string {
	faults := faultsOf(c, now)
	if isAuthority(c) && !maySign(c) {
		faults = append(faults, "it may not sign certificates")
	}
	if !isSelfSigned(c) {
		faults = append(faults, signatureFault(c)...)
	}
	return faults
}

// faultsOf finds what an authority of any kind must not be.
func faultsOf(c *x509.Certificate, now time.Time) []string {
	const day = "2006-01-02"
	weak := weakness(c.PublicKey)
	var faults []string
	for _, f := range []struct {
		found bool
		text  string
	}{
		{!isAuthority(c), "the certificate is not one of a CA"},
		{now.After(c.NotAfter), "it expired on " + c.NotAfter.UTC().Format(day)},
		{now.Before(c.NotBefore), "it is not valid before " + c.NotBefore.UTC().Format(day)},
		{namesNobody(c.RawSubject), "it has no subject"},
		{len(c.SubjectKeyId) == 0, "it has no subject key identifier"},
		{weak != "", "its key is " + weak},
		{limitsUsage(c), "it limits what its certificates may be used for (extended key usage)"},
		{len(c.UnhandledCriticalExtensions) > 0, "it has a critical extension that is not understood"},
	} {
		if f.found {
			faults = append(faults, f.text)
		}
	}
	return faults
}

// limitsUsage reports whether leaves of ours would be refused. By RFC 5280
// section 4.2.1.12 a usage of an authority says nothing of its certificates,
// but Go, OpenSSL and GnuTLS hold them to it; OpenSSL takes anyExtendedKeyUsage
// for neither of the two that ours have.
func limitsUsage(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 {
		return false
	}
	return !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) ||
		!slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
}

// signatureFault finds digests for which signatures can be forged.
func signatureFault(c *x509.Certificate) []string {
	switch c.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return []string{"its signature uses SHA-1"}
	case x509.MD5WithRSA, x509.MD2WithRSA, x509.UnknownSignatureAlgorithm:
		return []string{fmt.Sprintf("its signature algorithm %s is not accepted", c.SignatureAlgorithm)}
	}
	return nil
}
