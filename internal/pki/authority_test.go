// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

// certificateFaults are changes of a good authority and what they are called.
func certificateFaults() map[string]struct {
	change func(*x509.Certificate)
	want   []string
} {
	const limits = "it limits what its certificates may be used for (extended key usage)"
	return map[string]struct {
		change func(*x509.Certificate)
		want   []string
	}{
		"none":              {nil, nil},
		"a crl is not made": {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }, nil},
		"a path length":     {func(c *x509.Certificate) { c.MaxPathLen = 1 }, nil},
		"a usage of any":    {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, []string{limits}},
		"the usages that we have": {func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		}, nil},
		"one of them":   {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, []string{limits}},
		"another usage": {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }, []string{limits}},
		"an odd usage":  {func(c *x509.Certificate) { c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, oidC) }, []string{limits}},
		"a leaf": {func(c *x509.Certificate) { c.IsCA, c.MaxPathLen, c.KeyUsage = false, 0, x509.KeyUsageDigitalSignature },
			[]string{"the certificate is not one of a CA"}},
		"no basic constraints": {func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false },
			[]string{"the certificate is not one of a CA"}},
		"no right to sign": {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }, []string{"it may not sign certificates"}},
		"expired":          {func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }, []string{"it expired on 2030-05-17"}},
		"its last second":  {func(c *x509.Certificate) { c.NotAfter = now }, nil},
		"not valid yet":    {func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }, []string{"it is not valid before 2030-05-17"}},
		"no identifier": {func(c *x509.Certificate) { c.SubjectKeyId, c.ExtraExtensions = nil, emptyKeyID },
			[]string{"it has no subject key identifier"}},
		"a riddle": {func(c *x509.Certificate) { c.ExtraExtensions = riddle },
			[]string{"it has a critical extension that is not understood"}},
		"sha-1": {func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }, []string{"its signature uses SHA-1"}},
		"several at once": {func(c *x509.Certificate) {
			c.NotAfter, c.KeyUsage, c.SignatureAlgorithm = now.Add(-24*time.Hour), x509.KeyUsageCRLSign, x509.ECDSAWithSHA1
		}, []string{"it expired on 2030-05-16", "it may not sign certificates", "its signature uses SHA-1"}},
	}
}

func TestAuthorityFaults(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "Root", nil)
	for title, c := range certificateFaults() {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			mid := root.below(t, "Mid", c.change)
			require.Equal(t, c.want, pki.AuthorityFaults([]*x509.Certificate{mid.cert, root.cert}, mid.key.Public(), now))

			own := mid.below(t, "Own", nil)
			var above []string
			for _, fault := range c.want {
				above = append(above, `"CN=Mid" above it: `+fault)
			}
			require.Equal(t, above, pki.AuthorityFaults([]*x509.Certificate{own.cert, mid.cert, root.cert}, nil, now))
		})
	}
}

func TestAuthorityFaultsOfAChain(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "Root", nil)
	own := root.below(t, "Own", nil)
	sha1Root := newAuthority(t, "Old", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })
	plain := newAuthority(t, "Plain", func(c *x509.Certificate) { c.KeyUsage = 0 })
	held := newAuthority(t, "Held", func(c *x509.Certificate) { c.MaxPathLenZero = true })
	late := newAuthority(t, "Late", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) })
	nobody := newAuthority(t, "x", func(c *x509.Certificate) { c.Subject = pkix.Name{} })
	withKey := func(c *x509.Certificate, key crypto.PublicKey) *x509.Certificate {
		changed := *c
		changed.PublicKey = key
		return &changed
	}
	modulus := func(bits uint) *rsa.PublicKey {
		return &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), bits-1), E: 65537}
	}
	withAlgorithm := func(algorithm x509.SignatureAlgorithm) *x509.Certificate {
		changed := *own.cert
		changed.SignatureAlgorithm = algorithm
		return &changed
	}
	list := func(c ...*x509.Certificate) []*x509.Certificate { return c }
	const ours = "an authority's key must be RSA of 2048 to 4096 bits, P-256 or P-384"
	for title, c := range map[string]struct {
		chain  []*x509.Certificate
		public crypto.PublicKey
		want   []string
	}{
		"nothing":                            {nil, nil, []string{"there is no certificate"}},
		"a root":                             {list(root.cert), root.key.Public(), nil},
		"an unknown key":                     {list(own.cert, root.cert), nil, nil},
		"another key":                        {list(own.cert, root.cert), root.key.Public(), []string{"it is the certificate of another key"}},
		"no subject":                         {list(nobody.cert), nil, []string{"it has no subject"}},
		"a root that signed itself by sha-1": {list(sha1Root.cert), nil, []string{"its signature uses SHA-1"}},
		"nobody verifies that of an anchor":  {list(sha1Root.below(t, "Own", nil).cert, sha1Root.cert), nil, nil},
		"our own must have a key usage":      {list(plain.cert), nil, []string{"it may not sign certificates"}},
		"those above need none":              {list(plain.below(t, "Own", nil).cert, plain.cert), nil, nil},
		"a path length of 0 is ours":         {list(held.cert), nil, nil},
		"a path length of 0 above": {list(held.below(t, "Own", nil).cert, held.cert), nil,
			[]string{"a path length above it allows no authority in its place"}},
		"an expired root": {list(late.below(t, "Own", func(c *x509.Certificate) { c.NotAfter = now }).cert, late.cert), nil,
			[]string{`"CN=Late" above it: it expired on 2030-05-17`}},
		"a weak key":              {list(withKey(root.cert, modulus(1024))), nil, []string{"its key is too weak: RSA of 1024 bits"}},
		"a weak curve":            {list(withKey(root.cert, &ecdsa.PublicKey{Curve: elliptic.P224()})), nil, []string{"its key is too weak: ECDSA of 224 bits"}},
		"a key of ed25519":        {list(withKey(root.cert, newEd25519(t).Public())), nil, []string{ours}},
		"a long key":              {list(withKey(root.cert, modulus(8192))), nil, []string{ours}},
		"no known key":            {list(withKey(root.cert, nil)), nil, []string{"its key is of a kind that is not accepted"}},
		"a weak key above":        {list(own.cert, withKey(root.cert, modulus(1024))), nil, []string{`"CN=Root" above it: its key is too weak: RSA of 1024 bits`}},
		"a key of ed25519 above":  {list(own.cert, withKey(root.cert, newEd25519(t).Public())), nil, nil},
		"a long key above":        {list(own.cert, withKey(root.cert, modulus(8192))), nil, nil},
		"a longer key above":      {list(own.cert, withKey(root.cert, modulus(8200))), nil, []string{`"CN=Root" above it: its key is too long: RSA of 8200 bits`}},
		"an unknown signature":    {list(withAlgorithm(0), root.cert), nil, []string{"its signature algorithm 0 is not accepted"}},
		"a signature of long ago": {list(withAlgorithm(x509.MD5WithRSA), root.cert), nil, []string{"its signature algorithm MD5-RSA is not accepted"}},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, pki.AuthorityFaults(c.chain, c.public, now))
		})
	}
}

// TestFaultlessAuthoritiesIssue proves the purpose: what has no faults can
// sign leaves that clients verify.
func TestFaultlessAuthoritiesIssue(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "Root", nil)
	for title, c := range certificateFaults() {
		if len(c.want) > 0 || title == "its last second" { // which openssl does not count
			continue
		}
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			mid := root.below(t, "Mid", c.change)
			issuer := issuerOf(t, mid)
			requirePath(t, true, []*x509.Certificate{root.cert}, leafBelow(t, issuer), mid.cert)
		})
	}
}
