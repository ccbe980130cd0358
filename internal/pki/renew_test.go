// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

// later is the validity of a renewal that overlaps with the root's first.
func later() pki.Validity {
	return pki.NewValidity(now.Add(9*365*24*time.Hour), 10*365*24*time.Hour)
}

// issueBelow issues a leaf below ca, in the years in which the root is valid
// and its renewal is too.
func issueBelow(t *testing.T, ca *x509.Certificate, key pki.PrivateKey) *x509.Certificate {
	t.Helper()
	issuer, err := pki.NewIssuer(ca, key)
	require.NoError(t, err)
	template := leafTemplate(pki.Server)
	template.Validity = pki.Validity{NotBefore: later().NotBefore, NotAfter: rootTemplate().Validity.NotAfter}
	leaf, err := issuer.Issue(template, newECDSA(t, elliptic.P256()).Public())
	require.NoError(t, err)
	return leaf
}

// renew renews a root with its key.
func renew(old *x509.Certificate, v pki.Validity, key pki.PrivateKey) (*x509.Certificate, error) {
	issuer, err := pki.NewIssuer(old, key)
	if err != nil {
		return nil, err
	}
	return issuer.Renew(v)
}

// TestRenew proves that nobody notices a renewal: leaves of the old
// root verify below the new one and the reverse, for two implementations.
func TestRenew(t *testing.T) {
	t.Parallel()
	foreign := foreignCA(t, rsa2048(), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: strings.Repeat("Long ", 20), Country: []string{"Nowhere"}}
	})
	own := newIssuer(t, ecdsaP256()).Certificate()
	for title, c := range map[string]struct {
		cert *x509.Certificate
		key  pki.PrivateKey
	}{"a root of ours": {own, ecdsaP256()}, "an imported root": {foreign, rsa2048()}} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			renewed, err := renew(c.cert, later(), c.key)
			require.NoError(t, err)
			require.Equal(t, c.cert.RawSubject, renewed.RawSubject)
			require.Equal(t, c.cert.RawSubject, renewed.RawIssuer)
			require.Equal(t, c.cert.SubjectKeyId, renewed.SubjectKeyId)
			require.Equal(t, c.cert.RawSubjectPublicKeyInfo, renewed.RawSubjectPublicKeyInfo)
			require.NotEqual(t, c.cert.SerialNumber, renewed.SerialNumber)
			require.Equal(t, later(), pki.ValidityOf(renewed))
			template := pki.Template{Profile: pki.Root, Subject: pki.Subject{Raw: c.cert.RawSubject}, Validity: later()}
			require.NoError(t, pki.CheckProfile(renewed, c.cert, template))

			again, err := renew(renewed, later(), c.key)
			require.NoError(t, err, "a renewed root can be renewed")
			require.NotEqual(t, renewed.SerialNumber, again.SerialNumber)

			for name, pair := range map[string]struct{ leafOf, trusted *x509.Certificate }{
				"old leaf below the new root": {c.cert, renewed},
				"new leaf below the old root": {renewed, c.cert},
			} {
				leaf := issueBelow(t, pair.leafOf, c.key)
				roots := x509.NewCertPool()
				roots.AddCert(pair.trusted)
				for _, at := range []time.Time{leaf.NotBefore, leaf.NotAfter} {
					_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at})
					require.NoError(t, err, name)
				}
				folder := t.TempDir()
				writeFile(t, folder, "ca.pem", pki.EncodeCertificatePEM(pair.trusted.Raw))
				writeFile(t, folder, "leaf.pem", pki.EncodeCertificatePEM(leaf.Raw))
				output, err := openssl(t, folder, "verify", "-x509_strict", "-check_ss_sig", "-attime", unixTime(leaf.NotBefore),
					"-purpose", "sslserver", "-CAfile", "ca.pem", "leaf.pem")
				require.NoError(t, err, name+": "+output)
			}
		})
	}
}

func TestIssuerRenewsItsOwnCertificate(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, ecdsaP256())
	renewed, err := issuer.Renew(later())
	require.NoError(t, err)
	require.Equal(t, issuer.Certificate().SubjectKeyId, renewed.SubjectKeyId)
	require.Equal(t, later(), pki.ValidityOf(renewed))
}

func TestRenewRefuses(t *testing.T) {
	t.Parallel()
	own := newIssuer(t, ecdsaP256()).Certificate()
	below := func(parent *x509.Certificate, change func(*x509.Certificate)) *x509.Certificate {
		template := foreignCA(t, ecdsaP384(), change)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, ecdsaP384().Public(), signerOf(t, ecdsaP256()))
		require.NoError(t, err)
		cert, err := pki.ParseCertificateDER(der)
		require.NoError(t, err)
		return cert
	}
	foreign := func(change func(*x509.Certificate)) *x509.Certificate { return foreignCA(t, ecdsaP256(), change) }
	intermediate := below(own, func(*x509.Certificate) {})
	for title, c := range map[string]struct {
		old      *x509.Certificate
		key      pki.PrivateKey
		validity pki.Validity
		reason   string
	}{
		"no certificate":    {nil, ecdsaP256(), later(), "private key is not the certificate's"},
		"another key":       {own, ecdsaP384(), later(), "private key is not the certificate's"},
		"no key":            {own, pki.PrivateKey{}, later(), "an authority's key must be"},
		"an intermediate":   {intermediate, ecdsaP384(), later(), "it is not self-signed"},
		"a cross of a root": {below(own, func(c *x509.Certificate) { c.Subject = own.Subject }), ecdsaP384(), later(), "it is not self-signed: x509: "},
		"a leaf":            {foreign(func(c *x509.Certificate) { c.IsCA = false }), ecdsaP256(), later(), "no basic constraint CA:TRUE"},
		"a path length":     {foreign(func(c *x509.Certificate) { c.MaxPathLenZero = true }), ecdsaP256(), later(), "it has a path length"},
		"a path length of one": {
			foreign(func(c *x509.Certificate) { c.MaxPathLen = 1 }), ecdsaP256(), later(), "it has a path length",
		},
		"name constraints": {foreign(func(c *x509.Certificate) {
			c.ExcludedIPRanges = []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}}
		}), ecdsaP256(), later(), "it has name constraints"},
		"a usage":         {foreign(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), ecdsaP256(), later(), "it has extended key usages"},
		"an odd usage":    {foreign(func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} }), ecdsaP256(), later(), "it has extended key usages"},
		"no validity":     {own, ecdsaP256(), pki.Validity{}, "validity ends before it begins"},
		"half of seconds": {own, ecdsaP256(), pki.Validity{NotBefore: now, NotAfter: now.Add(time.Millisecond)}, "whole seconds"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			renewed, err := renew(c.old, c.validity, c.key)
			require.Regexp(t, "^cannot (renew root|use issuer): ", err)
			require.ErrorContains(t, err, c.reason)
			require.NotErrorIs(t, err, pki.ErrBadRequest)
			require.Nil(t, renewed)
		})
	}
	t.Run("but an intermediate issues leaves", func(t *testing.T) {
		t.Parallel()
		issuer, err := pki.NewIssuer(intermediate, ecdsaP384())
		require.NoError(t, err)
		leaf, err := issuer.Issue(leafTemplate(pki.Leaf), newECDSA(t, elliptic.P256()).Public())
		require.NoError(t, err)
		require.NoError(t, pki.CheckProfile(leaf, intermediate, leafTemplate(pki.Leaf)))
	})
}
