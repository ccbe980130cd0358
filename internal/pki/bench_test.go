// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

// BenchmarkIssue is what one certificate costs, from the text of its request
// to its PEM block.
func BenchmarkIssue(b *testing.B) {
	issuer := newIssuer(b, ecdsaP256())
	key, err := pki.GenerateKey(pki.ECDSAP256)
	require.NoError(b, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "db-1.example", Organization: []string{"Example"}},
		DNSNames: []string{"db-1.example", "db-1"},
	}, signerOf(b, key))
	require.NoError(b, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	b.ReportAllocs()
	for b.Loop() {
		request, err := pki.ParseCertificateRequest(text)
		require.NoError(b, err)
		cert, err := issuer.Issue(pki.Template{
			Profile: pki.Leaf, Subject: request.Subject, Names: request.Names, Usage: request.Usage, Validity: leafTemplate(pki.Leaf).Validity,
		}, request.PublicKey)
		require.NoError(b, err)
		pki.EncodeCertificatePEM(cert.Raw)
	}
}
