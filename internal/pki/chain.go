// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
)

// BuildChain orders the path of an authority: first itself, then its issuers,
// last a self-signed anchor. A self-signed authority is its whole path. The
// others may come in any order, with duplicates, the authority itself and
// certificates of other paths. Every link is proved by its signature, and only
// certificates of a CA that may sign certificates stand above; no validity is
// checked. Of several paths it is the shortest, of equally short ones one
// whose certificates end later.
//
// When anchor is not nil, the path must end in it; a self-signed authority
// with the anchor's subject and key counts as the anchor. The error is an
// ErrNoAnchor when there is no such path.
func BuildChain(authority *x509.Certificate, others []*x509.Certificate, anchor *x509.Certificate) ([]*x509.Certificate, error) {
	if anchor != nil {
		others = append(slices.Clip(others), anchor)
	}
	pool := issuersAbove(authority, others)
	missing := authority.Issuer.String()
	if anchor != nil {
		missing = anchor.Subject.String()
	}
	// A breadth-first search. Whatever is taken out of the pool does not come
	// back, which ends it for authorities that signed each other.
	queue := [][]*x509.Certificate{{authority}}
	for ; len(queue) > 0; queue = queue[1:] {
		path := queue[0]
		last := path[len(path)-1]
		if isSelfSigned(last) {
			if anchor == nil || last.Equal(anchor) || len(path) == 1 && SameAuthority(last, anchor) {
				return path, nil
			}
			continue
		}
		found := false
		pool = slices.DeleteFunc(pool, func(c *x509.Certificate) bool {
			signed := bytes.Equal(c.RawSubject, last.RawIssuer) && hasSigned(c, last)
			if signed {
				queue = append(queue, append(slices.Clip(path), c))
				found = true
			}
			return signed
		})
		if !found {
			missing = last.Issuer.String()
		}
	}
	return nil, fmt.Errorf("cannot build chain: the certificate of %s is missing: %w", quote(missing), ErrNoAnchor)
}

// issuersAbove leaves out of others what no path of the authority holds, which
// includes every certificate of its own: a path that came back to it would be
// a detour. The rest has an order of its own, later ends first, so that the
// path does not depend on that of others.
func issuersAbove(authority *x509.Certificate, others []*x509.Certificate) []*x509.Certificate {
	pool := slices.DeleteFunc(slices.Clone(others), func(c *x509.Certificate) bool {
		return !maySign(c) || SameAuthority(c, authority)
	})
	slices.SortFunc(pool, func(a, b *x509.Certificate) int {
		return cmp.Or(b.NotAfter.Compare(a.NotAfter), bytes.Compare(a.Raw, b.Raw))
	})
	return slices.CompactFunc(pool, (*x509.Certificate).Equal)
}

// isAuthority reports whether the basic constraints say so: certificates
// before version 3, which have none, are not told from leaves.
func isAuthority(c *x509.Certificate) bool {
	return c.BasicConstraintsValid && c.IsCA
}

// maySign reports whether c is a CA whose certificates verifiers accept. That
// is not the case by the key usage alone where there is one; many a private
// root has none, which limits nothing (RFC 5280 section 4.2.1.3).
func maySign(c *x509.Certificate) bool {
	return isAuthority(c) && (c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageCertSign != 0)
}

func isSelfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && hasSigned(c, c)
}

// hasSigned verifies the signature alone. SHA-1 is accepted here, because
// AuthorityFaults tells it better than a missing issuer.
func hasSigned(issuer, c *x509.Certificate) bool {
	key, isRSA := issuer.PublicKey.(*rsa.PublicKey)
	if isRSA && key.N.BitLen() > maxRSA {
		return false
	}
	return issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// AllowsBelow tells whether the path lengths in a chain, as BuildChain gives
// it, allow n more authorities between its first and a leaf. Self-issued
// certificates in the chain are counted too: RFC 5280 section 6.1.4 does not
// count them, but crypto/x509 does, and many a client is written in Go.
func AllowsBelow(chain []*x509.Certificate, n int) bool {
	for above, c := range chain {
		if c.BasicConstraintsValid && c.MaxPathLen >= 0 && n+above > c.MaxPathLen {
			return false
		}
	}
	return true
}

// SameAuthority reports whether both have the same subject, byte for byte,
// and the same public key: certificates below them cannot tell them apart.
func SameAuthority(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubject, b.RawSubject) && SamePublicKey(a.PublicKey, b.PublicKey)
}

// ChainValidity is the time in which all certificates of a chain are valid;
// it ends before it begins when there is none, and is zero for no chain.
func ChainValidity(chain ...*x509.Certificate) Validity {
	var common Validity
	for i, c := range chain {
		v := ValidityOf(c)
		if i == 0 || v.NotBefore.After(common.NotBefore) {
			common.NotBefore = v.NotBefore
		}
		if i == 0 || v.NotAfter.Before(common.NotAfter) {
			common.NotAfter = v.NotAfter
		}
	}
	return common
}

// PinsIssuer tells whether the authority key identifier names the issuer's
// issuer and serial number (RFC 5280 section 4.2.1.1, tags 1 and 2), beside
// the key or instead of it. OpenSSL no longer verifies such a certificate when
// its issuer is renewed with the same key.
func PinsIssuer(certificate *x509.Certificate) bool {
	for _, extension := range certificate.Extensions {
		if extension.Id.String() != oidAuthorityKeyID {
			continue
		}
		var fields []asn1.RawValue
		_, err := asn1.Unmarshal(extension.Value, &fields)
		return err == nil && slices.ContainsFunc(fields, func(f asn1.RawValue) bool {
			return f.Class == asn1.ClassContextSpecific && (f.Tag == 1 || f.Tag == 2)
		})
	}
	return false
}
