// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCheckCrossNoticesEveryChange proves that the self-check of CrossSign can
// fail. It has to look inside, because CrossSign itself never goes wrong.
func TestCheckCrossNoticesEveryChange(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, time.May, 17, 12, 30, 45, 0, time.UTC)
	root := func(name string, kind KeyType) *Issuer {
		key, err := GenerateKey(kind)
		require.NoError(t, err)
		cert, err := CreateSelfSigned(Template{
			Profile: Root, Subject: Subject{CommonName: name}, Validity: NewValidity(now, 1000*time.Hour),
		}, key)
		require.NoError(t, err)
		issuer, err := NewIssuer(cert, key)
		require.NoError(t, err)
		return issuer
	}
	issuer, other, third := root("One", ECDSAP256), root("Two", ECDSAP256), root("Three", ECDSAP256)
	genuine, err := issuer.CrossSign(other.certificate, now)
	require.NoError(t, err)
	// wanted is what a change has to be told from; its limits are none.
	wanted := *genuine
	wanted.ExtraExtensions = nil
	policies := []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}

	for title, c := range map[string]struct {
		change func(template *x509.Certificate)
		signer *Issuer // issuer when nil
		public *Issuer // other when nil
		reason string
	}{
		"nothing":           {change: func(*x509.Certificate) {}},
		"a short serial":    {change: func(c *x509.Certificate) { c.SerialNumber = big.NewInt(1) }, reason: "wrong serial number"},
		"another digest":    {change: func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA512 }, reason: "wrong signature algorithm"},
		"another issuer":    {change: func(*x509.Certificate) {}, signer: third, reason: "wrong issuer"},
		"another subject":   {change: func(c *x509.Certificate) { c.RawSubject = third.certificate.RawSubject }, reason: "wrong subject"},
		"another key":       {change: func(*x509.Certificate) {}, public: third, reason: "wrong public key"},
		"another validity":  {change: func(c *x509.Certificate) { c.NotAfter = c.NotAfter.Add(time.Second) }, reason: "wrong validity"},
		"no list to revoke": {change: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }, reason: "wrong extensions"},
		"a path length":     {change: func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true }, reason: "wrong extensions"},
		"no authority":      {change: func(c *x509.Certificate) { c.IsCA = false }, reason: "wrong extensions"},
		"another id":        {change: func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} }, reason: "wrong extensions"},
		"one extension too many": {change: func(c *x509.Certificate) {
			c.ExtraExtensions = policies
		}, reason: "wrong extensions"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			template := *genuine
			c.change(&template)
			signer, public := issuer, other
			if c.signer != nil {
				signer = c.signer
			}
			if c.public != nil {
				public = c.public
			}
			der, err := x509.CreateCertificate(rand.Reader, &template, signer.certificate, public.key.Public(), signer.key.reveal().signer)
			require.NoError(t, err)
			cert, err := ParseCertificateDER(der)
			require.NoError(t, err)
			err = checkCross(cert, issuer.certificate, other.certificate, &wanted)
			if c.reason == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.reason)
		})
	}
	t.Run("a damaged signature", func(t *testing.T) {
		t.Parallel()
		der := bytes.Clone(genuine.Raw)
		der[len(der)-1] ^= 1
		cert, err := ParseCertificateDER(der)
		require.NoError(t, err)
		err = checkCross(cert, issuer.certificate, other.certificate, &wanted)
		require.ErrorContains(t, err, "x509: ")
	})
	t.Run("a validity that its template has too", func(t *testing.T) {
		t.Parallel()
		longer := wanted
		longer.NotAfter = longer.NotAfter.Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, &longer, issuer.certificate, other.key.Public(), issuer.key.reveal().signer)
		require.NoError(t, err)
		cert, err := ParseCertificateDER(der)
		require.NoError(t, err)
		err = checkCross(cert, issuer.certificate, other.certificate, &longer)
		require.EqualError(t, err, "wrong validity within those of both")
	})
}
