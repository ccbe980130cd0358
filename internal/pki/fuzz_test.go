// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

func FuzzParseCertificateRequest(f *testing.F) {
	t := &testing.T{}
	good := newRequest(t).withExtensions(t, san(t, dns("a.example", "10.0.0.1")...)).encode(t)
	block, _ := pem.Decode([]byte(good))
	f.Add(good)
	f.Add(good + good)
	f.Add(requestPEM(block.Bytes[:len(block.Bytes)/2]))
	f.Add(requestPEM([]byte{0x30, 0x80}))
	f.Add("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := pki.ParseCertificateRequest(text)
		requireRequest(t, got, err)
		// The text rarely survives a change, so the bytes get one of their own.
		got, err = pki.ParseCertificateRequest(requestPEM([]byte(text)))
		requireRequest(t, got, err)
	})
}

// FuzzCertificateRequestContents signs what it changes, so that the checks
// behind the signature are reached. Whatever is accepted can be issued: a
// request must never make the authority itself fail.
func FuzzCertificateRequestContents(f *testing.F) {
	t := &testing.T{}
	key := newECDSA(t, elliptic.P256())
	issuer := newIssuer(t, ecdsaP256())
	public := key.Public()
	rid := general(8, string(marshal(t, asn1.ObjectIdentifier{1, 2, 3})[2:]))
	seed := func(subject []byte, names []asn1.RawValue, usages ...asn1.ObjectIdentifier) {
		f.Add(subject, marshal(t, names), marshal(t, usages), []byte{0x30, 0})
	}
	seed(commonName(t, "a.example"), dns("b.example", "10.0.0.1", "*.c.example"), oidServer)
	seed(name(t), dns("a"), oidClient, oidOCSPSigning)
	seed(name(t), []asn1.RawValue{rid}, oidServer)
	seed(commonName(t, "a\x00b"), []asn1.RawValue{rid, general(7, "\x01\x02\x03\x04"), general(6, "spiffe://a/b"), general(1, "x@y")}, oidServer)
	seed(name(t, attributeTypeAndValue{oidUniqueID, asn1.RawValue{Tag: asn1.TagBitString, Bytes: []byte{0, 1}}},
		attributeTypeAndValue{oidMail, text(asn1.TagIA5String, "x@y.example")}, attributeTypeAndValue{oidC, text(asn1.TagPrintableString, "USA")},
		attributeTypeAndValue{oidO, text(asn1.TagT61String, "\xfc")}, attributeTypeAndValue{oidCN, text(asn1.TagBMPString, "\x00a")}), dns("a"), oidServer)

	f.Fuzz(func(t *testing.T, subject, names, usages, constraints []byte) {
		r := newRequest(t)
		r.key, r.subject = key, subject
		r = r.withExtensions(t,
			pkix.Extension{Id: oidSAN, Value: names},
			pkix.Extension{Id: oidEKU, Value: usages},
			pkix.Extension{Id: oidBC, Value: constraints})
		got, err := pki.ParseCertificateRequest(r.encode(t))
		requireRequest(t, got, err)
		if err != nil {
			return
		}
		template := leafTemplate(pki.Leaf)
		template.Subject, template.Names, template.Usage = got.Subject, got.Names, got.Usage
		_, err = issuer.Issue(template, public)
		if err != nil {
			require.EqualError(t, err, "cannot issue certificate: subject is the issuer's own")
		}
	})
}

func requireRequest(t *testing.T, got *pki.CertificateRequest, err error) {
	t.Helper()
	if err != nil {
		require.ErrorIs(t, err, pki.ErrBadRequest)
		require.NotContains(t, err.Error(), "it cannot be read", "this is what a recovered panic says")
		require.NotContains(t, err.Error(), "\n")
		require.Nil(t, got)
		return
	}
	requireCanonical(t, got.Names)
	require.LessOrEqual(t, got.Names.Len(), 250)
	require.Contains(t, []pki.Usage{pki.ServerAuth, pki.ClientAuth, pki.ServerAuth | pki.ClientAuth}, got.Usage)
	der, err := got.Subject.Encode()
	require.NoError(t, err)
	require.Equal(t, got.Subject.Raw, der)
}

func requireCanonical(t *testing.T, names pki.Names) {
	t.Helper()
	again, err := pki.NamesFromTexts(names.Texts())
	require.NoError(t, err)
	require.Equal(t, names, again)
}

func FuzzParseNames(f *testing.F) {
	for text := range goodNames {
		f.Add(text)
	}
	for text := range badNames {
		f.Add(text[:min(len(text), 300)])
	}
	f.Fuzz(func(t *testing.T, text string) {
		names, problems := pki.ParseNames([]string{text})
		require.Equal(t, 1, names.Len()+len(problems))
		requireCanonical(t, names)
		for _, problem := range problems {
			require.Equal(t, text, problem.Name)
			require.NotEmpty(t, problem.Reason)
		}
		for _, canonical := range names.Texts() {
			_, value, _ := strings.Cut(canonical, ":")
			again, problems := pki.ParseNames([]string{value})
			require.Empty(t, problems)
			require.Equal(t, names, again)
		}
	})
}

func FuzzNamesFromTexts(f *testing.F) {
	for _, text := range []string{
		"DNS:a.example", "DNS:10.0.0.1", "DNS:::1", "IP:::1", "email:x@y.example", "URI:spiffe://a/b", "RID:1.2.3", "x:",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		names, err := pki.NamesFromTexts([]string{text})
		if err != nil {
			require.Zero(t, names)
			return
		}
		require.Equal(t, []string{text}, names.Texts())
	})
}

func FuzzParseCertificatePEM(f *testing.F) {
	good := pki.EncodeCertificatePEM(newIssuer(&testing.T{}, ecdsaP256()).Certificate().Raw)
	f.Add(good)
	f.Add(good + good)
	f.Add(strings.Replace(good, "MI", "AA", 1))
	f.Fuzz(func(t *testing.T, text string) {
		cert, err := pki.ParseCertificatePEM(text)
		if err != nil {
			return
		}
		again, err := pki.ParseCertificatePEM(pki.EncodeCertificatePEM(cert.Raw))
		require.NoError(t, err)
		require.Equal(t, cert.Raw, again.Raw)
		_, _ = pki.NewIssuer(cert, ecdsaP256())
	})
}

func FuzzParseCertificatesPEM(f *testing.F) {
	good := pki.EncodeCertificatePEM(newIssuer(&testing.T{}, ecdsaP256()).Certificate().Raw)
	f.Add(good)
	f.Add("Certificate:\n  Data:\n" + good + "\nsubject=x\n" + good)
	f.Add(strings.TrimSuffix(good, "\n") + good)
	f.Add(good + string(ecdsaP256().EncodePEM()))
	f.Add(strings.Replace(good, "-----END", "", 1) + good)
	f.Add("-----BEGIN CERTIFICATE----------END CERTIFICATE-----")
	f.Fuzz(func(t *testing.T, text string) {
		certificates, err := pki.ParseCertificatesPEM(text)
		if err != nil {
			require.Nil(t, certificates)
			require.Regexp(t, "^cannot read certificate", err)
			return
		}
		// Whoever reads with encoding/pem alone sees the same.
		rest := []byte(text)
		for _, c := range certificates {
			var block *pem.Block
			block, rest = pem.Decode(rest)
			require.NotNil(t, block)
			require.Equal(t, c.Raw, block.Bytes)
		}
		block, _ := pem.Decode(rest)
		require.Nil(t, block)
		again, err := pki.ParseCertificatesPEM(pemOf(certificates...))
		require.NoError(t, err)
		require.Equal(t, certificates, again)
	})
}

func FuzzBuildChain(f *testing.F) {
	t := &testing.T{}
	r1, r2 := newAuthority(t, "R1", nil), newAuthority(t, "R2", nil)
	sub := r1.below(t, "Sub", nil)
	x12, x21 := r2.sign(t, r1, nil), r1.sign(t, r2, nil)
	bundle := func(certificates ...*x509.Certificate) {
		var der []byte
		for _, c := range certificates {
			der = append(der, c.Raw...)
		}
		f.Add(der)
	}
	bundle(r1.cert)
	bundle(sub.cert, r2.cert, r1.cert, sub.cert)
	bundle(sub.cert, x12, x21)
	bundle(sub.cert, x12, x21, r2.cert)
	bundle(newAuthority(t, "R1", nil).cert, r1.sign(t, r1, nil), sub.sign(t, r1, func(c *x509.Certificate) { c.IsCA, c.MaxPathLen = false, 0 }))
	f.Fuzz(func(t *testing.T, ders []byte) {
		// The text rarely survives a change, so it is made of changed bytes.
		certificates, err := x509.ParseCertificates(ders)
		if err != nil || len(certificates) == 0 {
			return
		}
		certificates, err = pki.ParseCertificatesPEM(pemOf(certificates...))
		if err != nil {
			return
		}
		chain, err := pki.BuildChain(certificates[0], certificates, nil)
		if err != nil {
			require.ErrorIs(t, err, pki.ErrNoAnchor)
			require.NotContains(t, err.Error(), "\n")
			require.Nil(t, chain)
			return
		}
		require.Equal(t, certificates[0].Raw, chain[0].Raw)
		for i, c := range chain {
			issuer := chain[min(i+1, len(chain)-1)]
			require.Equal(t, issuer.RawSubject, c.RawIssuer)
			require.NoError(t, issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature))
			require.True(t, i == 0 || c.IsCA)
		}
		again, err := pki.BuildChain(chain[0], certificates, chain[len(chain)-1])
		require.NoError(t, err)
		require.Equal(t, chain, again)
		_ = pki.AllowsBelow(chain, 1)
		_ = pki.PinsIssuer(chain[0])
		for _, fault := range pki.AuthorityFaults(chain, nil, now) {
			require.NotContains(t, fault, "\n")
		}
	})
}

func FuzzParsePrivateKeyPEM(f *testing.F) {
	good := ecdsaP256().EncodePEM()
	f.Add(good)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte{0x30, 0}}))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte{0x30, 0}}))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := pki.ParsePrivateKeyPEM(text)
		if err != nil {
			require.Nil(t, key.Public())
			return
		}
		again, err := pki.ParsePrivateKeyPEM(key.EncodePEM())
		require.NoError(t, err)
		require.True(t, pki.SamePublicKey(key.Public(), again.Public()))
	})
}
