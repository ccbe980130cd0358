// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

// authority is a CA of anybody's making, with its key.
type authority struct {
	cert *x509.Certificate
	key  pki.PrivateKey
}

// newAuthority makes a CA with that common name. Nil is no change of it.
func newAuthority(t *testing.T, name string, change func(*x509.Certificate)) authority {
	t.Helper()
	key := mustGenerate(pki.ECDSAP256)
	return authority{foreignCA(t, key, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		if change != nil {
			change(c)
		}
	}), key}
}

// sign makes a certificate of a for the subject, key and whatever else other says.
func (a authority) sign(t *testing.T, other authority, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(9), RawSubject: other.cert.RawSubject, SubjectKeyId: other.cert.SubjectKeyId,
		NotBefore: other.cert.NotBefore, NotAfter: other.cert.NotAfter, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, MaxPathLen: -1,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, other.key.Public(), signerOf(t, a.key))
	require.NoError(t, err)
	cert, err := pki.ParseCertificateDER(der)
	require.NoError(t, err)
	return cert
}

// below is other with a certificate of a.
func (a authority) below(t *testing.T, name string, change func(*x509.Certificate)) authority {
	t.Helper()
	other := newAuthority(t, name, nil)
	return authority{a.sign(t, other, change), other.key}
}

func names(chain []*x509.Certificate) []string {
	var list []string
	for _, c := range chain {
		list = append(list, c.Subject.CommonName+" by "+c.Issuer.CommonName)
	}
	return list
}

func TestBuildChain(t *testing.T) {
	t.Parallel()
	r1, r2, r3 := newAuthority(t, "R1", nil), newAuthority(t, "R2", nil), newAuthority(t, "R3", nil)
	sub := r1.below(t, "Sub", nil)
	own := sub.below(t, "Own", nil)
	x12, x21 := r2.sign(t, r1, nil), r1.sign(t, r2, nil)
	impostor := newAuthority(t, "Sub", nil) // the same name, another key
	longer := authority{r1.sign(t, r1, func(c *x509.Certificate) { c.NotAfter = c.NotAfter.Add(time.Hour) }), r1.key}
	renewed := longer.cert
	sha1Sub := r1.sign(t, sub, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })
	leafSub := r1.sign(t, sub, func(c *x509.Certificate) { c.IsCA, c.MaxPathLen = false, 0 })
	mute := r1.sign(t, sub, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	noUsage := r1.sign(t, sub, func(c *x509.Certificate) { c.KeyUsage = 0 })
	list := func(c ...*x509.Certificate) []*x509.Certificate { return c }

	for title, c := range map[string]struct {
		authority *x509.Certificate
		others    []*x509.Certificate
		anchor    *x509.Certificate
		want      []*x509.Certificate
		missing   string
	}{
		"a root is its whole chain":               {r1.cert, list(r2.cert, x12, r1.cert), nil, list(r1.cert), ""},
		"in order":                                {own.cert, list(sub.cert, r1.cert), nil, list(own.cert, sub.cert, r1.cert), ""},
		"in disorder, doubled, with itself":       {own.cert, list(r1.cert, own.cert, r3.cert, sub.cert, r1.cert, sub.cert), nil, list(own.cert, sub.cert, r1.cert), ""},
		"an impostor is left out":                 {own.cert, list(impostor.cert, sub.cert, r1.cert), nil, list(own.cert, sub.cert, r1.cert), ""},
		"the shortest path":                       {sub.cert, list(x12, r2.cert, r1.cert), nil, list(sub.cert, r1.cert), ""},
		"through a cross-certificate":             {sub.cert, list(r2.cert, x12), nil, list(sub.cert, x12, r2.cert), ""},
		"the root that lives longer":              {sub.cert, list(r1.cert, renewed), nil, list(sub.cert, renewed), ""},
		"sha-1 is for others to tell":             {own.cert, list(sha1Sub, r1.cert), nil, list(own.cert, sha1Sub, r1.cert), ""},
		"no key usage is no limit":                {own.cert, list(noUsage, r1.cert), nil, list(own.cert, noUsage, r1.cert), ""},
		"to an anchor that is not the nearest":    {sub.cert, list(r1.cert, x12), r2.cert, list(sub.cert, x12, r2.cert), ""},
		"to an anchor that is among the others":   {sub.cert, list(r1.cert, x12, r2.cert), r2.cert, list(sub.cert, x12, r2.cert), ""},
		"to an anchor, not to its renewal":        {sub.cert, list(renewed), r1.cert, list(sub.cert, r1.cert), ""},
		"a root that is the anchor":               {r1.cert, nil, r1.cert, list(r1.cert), ""},
		"a root whose renewal is the anchor":      {r1.cert, list(x12, r2.cert), renewed, list(r1.cert), ""},
		"nothing else":                            {own.cert, nil, nil, nil, "CN=Sub"},
		"the root is missing":                     {own.cert, list(sub.cert, r2.cert), nil, nil, "CN=R1"},
		"the middle is missing":                   {own.cert, list(r1.cert), nil, nil, "CN=Sub"},
		"only an impostor":                        {own.cert, list(impostor.cert, r1.cert), nil, nil, "CN=Sub"},
		"an issuer that is no ca":                 {own.cert, list(leafSub, r1.cert), nil, nil, "CN=Sub"},
		"an issuer that may not sign":             {own.cert, list(mute, r1.cert), nil, nil, "CN=Sub"},
		"two that signed each other":              {own.cert, list(sub.cert, x12, x21), nil, nil, "CN=R1"},
		"two that signed each other, one itself":  {own.cert, list(sub.cert, x12, x21, r2.cert), nil, list(own.cert, sub.cert, x12, r2.cert), ""},
		"an anchor that is not reached":           {own.cert, list(sub.cert, r1.cert, x12, x21), r3.cert, nil, "CN=R1"},
		"an anchor that no end leads to":          {r1.cert, list(x12, r2.cert), r2.cert, nil, "CN=R2"},
		"an anchor that is not self-signed":       {own.cert, list(sub.cert), sub.cert, nil, "CN=R1"},
		"a cross-certificate does not turn back":  {x12, list(x21, r1.cert), nil, nil, "CN=R1"},
		"a cross-certificate of the anchor's own": {x12, list(x21), r1.cert, nil, "CN=R1"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			others := slices.Clone(c.others)
			got, err := pki.BuildChain(c.authority, others, c.anchor)
			require.Equal(t, c.others, others, "the others are not changed")
			slices.Reverse(others)
			reversed, _ := pki.BuildChain(c.authority, others, c.anchor)
			require.Equal(t, got, reversed, "their order makes no difference")
			if c.want == nil {
				require.ErrorIs(t, err, pki.ErrNoAnchor)
				require.EqualError(t, err, `cannot build chain: the certificate of "`+c.missing+`" is missing: no self-signed certificate ends the chain`)
				require.Nil(t, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, names(c.want), names(got))
			require.Equal(t, c.want, got)
		})
	}
}

// TestBuildChainOfMany asks for time that grows with the number of paths,
// of which there are more than anybody could count.
func TestBuildChainOfMany(t *testing.T) {
	t.Parallel()
	own := newAuthority(t, "Own", nil)
	all := make([]authority, 6)
	for i := range all {
		all[i] = newAuthority(t, string(rune('A'+i)), nil)
	}
	var others []*x509.Certificate
	for _, a := range all {
		for _, b := range all {
			if a.key.Public() != b.key.Public() {
				others = append(others, a.sign(t, b, nil))
			}
		}
	}
	_, err := pki.BuildChain(all[0].sign(t, own, nil), others, nil)
	require.ErrorIs(t, err, pki.ErrNoAnchor)
	chain, err := pki.BuildChain(all[0].sign(t, own, nil), others, all[5].cert)
	require.NoError(t, err)
	require.Equal(t, []string{"Own by A", "A by F", "F by F"}, names(chain))
}

func TestAllowsBelow(t *testing.T) {
	t.Parallel()
	with := func(lengths ...int) []*x509.Certificate {
		var chain []*x509.Certificate
		for _, length := range lengths {
			chain = append(chain, &x509.Certificate{BasicConstraintsValid: true, IsCA: true, MaxPathLen: length})
		}
		return chain
	}
	for title, c := range map[string]struct {
		chain []*x509.Certificate
		most  int // 9 is no limit
	}{
		"a root without":            {with(-1), 9},
		"a root of 0":               {with(0), 0},
		"a root of 2":               {with(2), 2},
		"an intermediate of 0":      {with(0, -1), 0},
		"below a root of 1":         {with(-1, 1), 0},
		"below a root of 0":         {with(-1, 0), -1},
		"the root is the strictest": {with(5, 5, 3), 1},
		"the middle is the strictest": {
			with(-1, 1, -1), 0,
		},
		"nothing":                  {nil, 9},
		"no basic constraints":     {[]*x509.Certificate{{}}, 9},
		"three below a limit of 2": {with(-1, -1, -1, 2), -1},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			for n := range 9 {
				require.Equal(t, n <= c.most, pki.AllowsBelow(c.chain, n), "%d below", n)
			}
		})
	}
	t.Run("as crypto/x509 reads them", func(t *testing.T) {
		t.Parallel()
		root := newAuthority(t, "Root", func(c *x509.Certificate) { c.MaxPathLen = 1 })
		sub := root.below(t, "Sub", nil)
		low := sub.below(t, "Low", nil)
		require.True(t, pki.AllowsBelow([]*x509.Certificate{sub.cert, root.cert}, 0))
		require.False(t, pki.AllowsBelow([]*x509.Certificate{sub.cert, root.cert}, 1))
		roots, subs := x509.NewCertPool(), x509.NewCertPool()
		roots.AddCert(root.cert)
		subs.AddCert(sub.cert)
		subs.AddCert(low.cert)
		options := x509.VerifyOptions{Roots: roots, Intermediates: subs, CurrentTime: now}
		_, err := foreignLeaf(t, sub.cert, sub.key, pki.Names{DNS: []string{"a"}}).Verify(options)
		require.NoError(t, err)
		_, err = foreignLeaf(t, low.cert, low.key, pki.Names{DNS: []string{"a"}}).Verify(options)
		require.ErrorContains(t, err, "too many intermediates")
	})
}

func TestSameAuthority(t *testing.T) {
	t.Parallel()
	a, b := newAuthority(t, "A", nil), newAuthority(t, "B", nil)
	require.True(t, pki.SameAuthority(a.cert, b.sign(t, a, nil)))
	require.False(t, pki.SameAuthority(a.cert, b.cert))
	require.False(t, pki.SameAuthority(a.cert, newAuthority(t, "A", nil).cert), "another key")
	require.False(t, pki.SameAuthority(a.cert, b.sign(t, authority{b.cert, a.key}, nil)), "another name")
}

func TestChainValidity(t *testing.T) {
	t.Parallel()
	at := func(from, to int) *x509.Certificate {
		return &x509.Certificate{NotBefore: now.AddDate(from, 0, 0), NotAfter: now.AddDate(to, 0, 0)}
	}
	want := func(from, to int) pki.Validity { return pki.ValidityOf(at(from, to)) }
	require.Equal(t, want(1, 5), pki.ChainValidity(at(1, 5)))
	require.Equal(t, want(2, 5), pki.ChainValidity(at(1, 9), at(2, 6), at(0, 5)))
	require.Equal(t, want(3, 2), pki.ChainValidity(at(1, 2), at(3, 4)), "nothing in common")
	require.Zero(t, pki.ChainValidity())
}

func TestPinsIssuer(t *testing.T) {
	t.Parallel()
	root, other := newAuthority(t, "Root", nil), newAuthority(t, "Other", nil)
	identifier := func(value string) *x509.Certificate {
		return root.sign(t, other, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: []byte(value)}}
		})
	}
	const keyID, issuer, serial = "\x80\x01\x07", "\xa1\x04\xa4\x02\x30\x00", "\x82\x01\x05"
	require.False(t, pki.PinsIssuer(root.cert), "no identifier")
	require.False(t, pki.PinsIssuer(root.sign(t, other, nil)))
	require.False(t, pki.PinsIssuer(identifier("\x30\x03"+keyID)))
	require.True(t, pki.PinsIssuer(identifier("\x30\x0c"+keyID+issuer+serial)))
	require.True(t, pki.PinsIssuer(identifier("\x30\x09"+issuer+serial)))
	require.True(t, pki.PinsIssuer(identifier("\x30\x03"+serial)))
}
