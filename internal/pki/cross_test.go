// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

// generation is a root of ours with that name.
func generation(t *testing.T, name string, key pki.PrivateKey, validity pki.Validity) *pki.Issuer {
	t.Helper()
	cert, err := pki.CreateSelfSigned(pki.Template{Profile: pki.Root, Subject: pki.Subject{CommonName: name}, Validity: validity}, key)
	require.NoError(t, err)
	issuer, err := pki.NewIssuer(cert, key)
	require.NoError(t, err)
	return issuer
}

func issuerOf(t *testing.T, a authority) *pki.Issuer {
	t.Helper()
	issuer, err := pki.NewIssuer(a.cert, a.key)
	require.NoError(t, err)
	return issuer
}

func crossSign(t *testing.T, issuer *pki.Issuer, other *x509.Certificate) *x509.Certificate {
	t.Helper()
	cert, err := issuer.CrossSign(other, now)
	require.NoError(t, err)
	return cert
}

func leafBelow(t *testing.T, issuer *pki.Issuer) *x509.Certificate {
	t.Helper()
	template := leafTemplate(pki.Server)
	leaf, err := issuer.Issue(template, newECDSA(t, elliptic.P256()).Public())
	require.NoError(t, err)
	return leaf
}

func pemOf(certificates ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range certificates {
		text.WriteString(pki.EncodeCertificatePEM(c.Raw))
	}
	return text.String()
}

// opensslVerifies asks openssl as strictly as any client does.
func opensslVerifies(t *testing.T, trusted []*x509.Certificate, leaf *x509.Certificate, presented ...*x509.Certificate) (string, error) {
	t.Helper()
	folder := t.TempDir()
	writeFile(t, folder, "trusted.pem", pemOf(trusted...))
	writeFile(t, folder, "presented.pem", pemOf(presented...))
	writeFile(t, folder, "leaf.pem", pemOf(leaf))
	return openssl(t, folder, "verify", "-x509_strict", "-check_ss_sig", "-attime", unixTime(now),
		"-purpose", "sslserver", "-CAfile", "trusted.pem", "-untrusted", "presented.pem", "leaf.pem")
}

// requirePath wants the leaf to verify for crypto/x509 and openssl, or not.
func requirePath(t *testing.T, good bool, trusted []*x509.Certificate, leaf *x509.Certificate, presented ...*x509.Certificate) {
	t.Helper()
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range trusted {
		roots.AddCert(c)
	}
	for _, c := range presented {
		intermediates.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: now})
	require.Equal(t, good, err == nil, "crypto/x509: %v", err)
	output, err := opensslVerifies(t, trusted, leaf, presented...)
	require.Equal(t, good, err == nil, "openssl: %s", output)
}

// TestCrossSignedPaths walks through a change of roots: whoever trusts the old
// one or the new one verifies the leaves of both.
func TestCrossSignedPaths(t *testing.T) {
	t.Parallel()
	validity := rootTemplate().Validity
	one := generation(t, "Root G1", ecdsaP256(), validity)
	for title, two := range map[string]*pki.Issuer{
		"another name":           generation(t, "Root G2", ecdsaP384(), validity),
		"another kind of key":    generation(t, "Root G2", rsa2048(), validity),
		"the same name":          generation(t, "Root G1", ecdsaP384(), validity),
		"an authority of others": issuerOf(t, newAuthority(t, "Root F", nil)), // no cRLSign
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			r1, r2 := one.Certificate(), two.Certificate()
			list := func(c ...*x509.Certificate) []*x509.Certificate { return c }
			old, fresh := leafBelow(t, one), leafBelow(t, two)
			x21, x12 := crossSign(t, one, r2), crossSign(t, two, r1)
			requirePath(t, false, list(r1), fresh)
			requirePath(t, false, list(r1), fresh, r2)
			requirePath(t, true, list(r1), fresh, x21)
			requirePath(t, true, list(r1), fresh, x21, r2)
			requirePath(t, true, list(r2), fresh, x21)
			requirePath(t, true, list(r2), fresh, x21, r1)
			requirePath(t, true, list(r1, r2), fresh, x21, r1)
			requirePath(t, true, list(r2, r1), old, x21)
			requirePath(t, true, list(r2), old, x12)
			requirePath(t, true, list(r2), old, x12, r2)
			chain, err := pki.BuildChain(r2, list(x21), nil)
			require.NoError(t, err)
			require.Equal(t, list(r2), chain)
			chain, err = pki.BuildChain(x21, list(r2, r1), nil)
			require.NoError(t, err)
			require.Equal(t, list(x21, r1), chain)
		})
	}
	t.Run("openssl wants the cross-certificate before the new root", func(t *testing.T) {
		t.Parallel()
		two := generation(t, "Root G2", ecdsaP384(), validity)
		r1, r2 := one.Certificate(), two.Certificate()
		fresh, x21 := leafBelow(t, two), crossSign(t, one, r2)
		output, err := opensslVerifies(t, []*x509.Certificate{r1}, fresh, r2, x21)
		require.Error(t, err, "if this verifies, the order of chains matters no longer")
		require.Contains(t, output, "error 19 ")
	})
}

// TestCrossSignedPathsOfTwoTiers is a change of the root above us, which our
// intermediate, whose key both roots have certified, bridges by itself.
func TestCrossSignedPathsOfTwoTiers(t *testing.T) {
	t.Parallel()
	u1, u2 := newAuthority(t, "Upstream G1", nil), newAuthority(t, "Upstream G2", nil)
	i1 := u1.below(t, "Ours G1", nil)
	i2 := u2.below(t, "Ours G2", func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	leaf := leafBelow(t, issuerOf(t, i2))
	requirePath(t, false, []*x509.Certificate{u1.cert}, leaf, i2.cert, i1.cert)
	requirePath(t, true, []*x509.Certificate{u2.cert}, leaf, i2.cert)

	// Ours G1 vouches for the whole of Upstream G2 ...
	cross := crossSign(t, issuerOf(t, i1), u2.cert)
	requirePath(t, true, []*x509.Certificate{u1.cert}, leaf, i2.cert, cross, i1.cert)
	requirePath(t, true, []*x509.Certificate{u2.cert}, leaf, i2.cert, cross, i1.cert)
	chain, err := pki.BuildChain(i2.cert, []*x509.Certificate{u2.cert, i1.cert, cross}, u1.cert)
	require.NoError(t, err)
	require.Equal(t, []*x509.Certificate{i2.cert, cross, i1.cert, u1.cert}, chain)
	require.Empty(t, pki.AuthorityFaults(chain, i2.key.Public(), now))

	// ... or only for what is ours of it.
	narrow := crossSign(t, issuerOf(t, i1), i2.cert)
	require.True(t, narrow.MaxPathLenZero)
	requirePath(t, true, []*x509.Certificate{u1.cert}, leaf, narrow, i1.cert)
}

func TestCrossSignSays(t *testing.T) {
	t.Parallel()
	end := rootTemplate().Validity.NotAfter
	issuer := generation(t, "Root G1", ecdsaP256(), pki.Validity{NotBefore: now.AddDate(-1, 0, 0), NotAfter: end.AddDate(-1, 0, 0)})
	since := now.Add(-pki.Backdate)
	nothing := "\x30\x06\xa1\x04\x30\x02\x82\x00" // excludes every DNS name
	for title, c := range map[string]struct {
		change   func(*x509.Certificate)
		carried  map[string]string
		critical map[string]bool
		want     pki.Validity
		basic    string
	}{
		"a root": {func(*x509.Certificate) {}, nil, nil, pki.Validity{NotBefore: since, NotAfter: end.AddDate(-1, 0, 0)}, "\x30\x03\x01\x01\xff"},
		"one that ends before": {func(c *x509.Certificate) { c.NotAfter = now.AddDate(1, 0, 0) }, nil, nil,
			pki.Validity{NotBefore: since, NotAfter: now.AddDate(1, 0, 0)}, "\x30\x03\x01\x01\xff"},
		"one that begins later": {func(c *x509.Certificate) { c.NotBefore = now.AddDate(1, 0, 0) }, nil, nil,
			pki.Validity{NotBefore: now.AddDate(1, 0, 0), NotAfter: end.AddDate(-1, 0, 0)}, "\x30\x03\x01\x01\xff"},
		"a path length of 0": {func(c *x509.Certificate) { c.MaxPathLenZero = true }, nil, nil,
			pki.Validity{NotBefore: since, NotAfter: end.AddDate(-1, 0, 0)}, "\x30\x06\x01\x01\xff\x02\x01\x00"},
		"a path length of 3": {func(c *x509.Certificate) { c.MaxPathLen = 3 }, nil, nil,
			pki.Validity{NotBefore: since, NotAfter: end.AddDate(-1, 0, 0)}, "\x30\x06\x01\x01\xff\x02\x01\x03"},
		"limits": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{
				{Id: oidConstraints, Critical: true, Value: []byte(nothing)},
				{Id: oidEKU, Value: marshal(t, []asn1.ObjectIdentifier{oidServer, {1, 2, 3}})},
			}
		}, map[string]string{"2.5.29.30": nothing, "2.5.29.37": string(marshal(t, []asn1.ObjectIdentifier{oidServer, {1, 2, 3}}))},
			map[string]bool{"2.5.29.30": true}, pki.Validity{NotBefore: since, NotAfter: end.AddDate(-1, 0, 0)}, "\x30\x03\x01\x01\xff"},
		"limits of another criticality": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{
				{Id: oidConstraints, Value: []byte(nothing)},
				{Id: oidEKU, Critical: true, Value: marshal(t, []asn1.ObjectIdentifier{oidServer})},
			}
		}, map[string]string{"2.5.29.30": nothing, "2.5.29.37": string(marshal(t, []asn1.ObjectIdentifier{oidServer}))},
			map[string]bool{"2.5.29.37": true}, pki.Validity{NotBefore: since, NotAfter: end.AddDate(-1, 0, 0)}, "\x30\x03\x01\x01\xff"},
		"what limits nobody is left out": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}
		}, nil, nil, pki.Validity{NotBefore: since, NotAfter: end.AddDate(-1, 0, 0)}, "\x30\x03\x01\x01\xff"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			other := newAuthority(t, "Another authority", func(other *x509.Certificate) {
				other.NotBefore = now.AddDate(-2, 0, 0)
				c.change(other)
			}).cert
			cert := crossSign(t, issuer, other)
			require.Equal(t, other.RawSubject, cert.RawSubject)
			require.Equal(t, other.RawSubjectPublicKeyInfo, cert.RawSubjectPublicKeyInfo)
			require.Equal(t, issuer.Certificate().RawSubject, cert.RawIssuer)
			require.Equal(t, issuer.Certificate().SubjectKeyId, cert.AuthorityKeyId)
			require.Equal(t, c.want, pki.ValidityOf(cert))
			require.Equal(t, x509.ECDSAWithSHA256, cert.SignatureAlgorithm)
			want := map[string]string{
				"2.5.29.15": "\x03\x02\x01\x06",
				"2.5.29.19": c.basic,
				"2.5.29.14": string(marshal(t, other.SubjectKeyId)),
				"2.5.29.35": string(append([]byte{0x30, 0x16, 0x80, 0x14}, issuer.Certificate().SubjectKeyId...)),
			}
			for oid, value := range c.carried {
				want[oid] = value
			}
			got := map[string]string{}
			for _, e := range cert.Extensions {
				oid := e.Id.String()
				got[oid] = string(e.Value)
				require.Equal(t, oid == "2.5.29.15" || oid == "2.5.29.19" || c.critical[oid], e.Critical, oid)
			}
			require.Equal(t, want, got)

			again := crossSign(t, issuer, other)
			require.NotEqual(t, cert.SerialNumber, again.SerialNumber)
			twice := crossSign(t, issuer, cert)
			require.Equal(t, cert.Extensions, twice.Extensions, "a cross-certificate stands for its authority")
		})
	}
	t.Run("equal names do not leave the authority key identifier out", func(t *testing.T) {
		t.Parallel()
		other := newAuthority(t, "Root G1", nil)
		require.Equal(t, issuer.Certificate().SubjectKeyId, crossSign(t, issuer, other.cert).AuthorityKeyId)
	})
}

// TestCrossSignGivesNoPower lets an authority with limits do what it may not.
func TestCrossSignGivesNoPower(t *testing.T) {
	t.Parallel()
	issuer := generation(t, "Root G1", ecdsaP256(), rootTemplate().Validity)
	trusted := []*x509.Certificate{issuer.Certificate()}
	other := newAuthority(t, "Limited", func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains, c.MaxPathLenZero = true, []string{"db.example"}, true
		c.ExcludedIPRanges = []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}}
	})
	cross := crossSign(t, issuer, other.cert)
	requirePath(t, true, trusted, foreignLeaf(t, other.cert, other.key, pki.Names{DNS: []string{"a.db.example"}}), cross)
	requirePath(t, false, trusted, foreignLeaf(t, other.cert, other.key, pki.Names{DNS: []string{"evil.example"}}), cross)
	sub := other.below(t, "Sub", nil)
	requirePath(t, false, trusted, foreignLeaf(t, sub.cert, sub.key, pki.Names{DNS: []string{"a.db.example"}}), sub.cert, cross)

	client := newAuthority(t, "Clients", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	requirePath(t, false, trusted, foreignLeaf(t, client.cert, client.key, pki.Names{DNS: []string{"a"}}), crossSign(t, issuer, client.cert))
}

func TestCrossSignRefuses(t *testing.T) {
	t.Parallel()
	validity := rootTemplate().Validity
	root := generation(t, "Root G1", ecdsaP256(), validity)
	held := issuerOf(t, newAuthority(t, "Held", func(c *x509.Certificate) { c.MaxPathLenZero = true }))
	expired := generation(t, "Expired", ecdsaP256(), pki.Validity{NotBefore: now.AddDate(-2, 0, 0), NotAfter: now.Add(-time.Second)})
	future := generation(t, "Future", ecdsaP256(), pki.Validity{NotBefore: validity.NotAfter.Add(-time.Hour), NotAfter: validity.NotAfter})
	good := newAuthority(t, "Other", nil).cert
	other := func(change func(*x509.Certificate)) *x509.Certificate { return newAuthority(t, "Other", change).cert }
	weak := *good
	weak.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}
	for title, c := range map[string]struct {
		issuer *pki.Issuer
		other  *x509.Certificate
		reason string
		is     error
	}{
		"an issuer of path length 0": {held, good, "the issuer's path length allows no authority below it", pki.ErrPathLength},
		"an expired issuer":          {expired, good, "issuer is valid until 2030-05-17T12:30:44Z: issuer expires too soon", pki.ErrIssuerExpires},
		"the issuer itself":          {root, root.Certificate(), "its key is the issuer's own", nil},
		"the issuer's key":           {root, foreignCA(t, ecdsaP256(), func(*x509.Certificate) {}), "its key is the issuer's own", nil},
		"a leaf":                     {root, leafBelow(t, root), "it is not the certificate of a CA", nil},
		"no constraints":             {root, other(func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false }), "it is not the certificate of a CA", nil},
		"one that may not sign":      {root, other(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), "it may not sign certificates", nil},
		"no subject":                 {root, other(func(c *x509.Certificate) { c.Subject = pkix.Name{} }), "it has no subject", nil},
		"no identifier": {root, other(func(c *x509.Certificate) {
			c.SubjectKeyId, c.ExtraExtensions = nil, emptyKeyID
		}), "it has no subject key identifier", nil},
		"a weak key": {root, &weak, "its key is too weak: RSA of 1024 bits", nil},
		"a riddle":   {root, other(func(c *x509.Certificate) { c.ExtraExtensions = riddle }), "cannot be carried over", nil},
		"a limit that is not carried": {root, other(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 54}, Critical: true, Value: []byte{2, 1, 0}}}
		}), "its critical extension 2.5.29.54 cannot be carried over", nil},
		"constraints of a kind that is not understood": {root, other(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: oidConstraints, Critical: true, Value: []byte("\x30\x08\xa0\x06\x30\x04\xa4\x02\x30\x00")}}
		}), "it has a critical extension that is not understood", nil},
		"an expired one": {root, other(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }), "it is valid until 2030-05-17T12:30:44Z", nil},
		"no time in common": {future, other(func(c *x509.Certificate) { c.NotAfter = now.AddDate(1, 0, 0) }),
			"validity ends before it begins", nil},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			cert, err := c.issuer.CrossSign(c.other, now)
			require.ErrorContains(t, err, `cannot cross-sign "`)
			require.ErrorContains(t, err, c.reason)
			require.NotErrorIs(t, err, pki.ErrBadRequest)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.Nil(t, cert)
		})
	}
}
