// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

func TestNewRequest(t *testing.T) {
	t.Parallel()
	subject := pki.Subject{CommonName: "Our CA G2", Organization: "Test"}
	encoded, err := subject.Encode()
	require.NoError(t, err)
	for _, kind := range []pki.KeyType{pki.ECDSAP256, pki.ECDSAP384, pki.RSA2048, pki.RSA3072, pki.RSA4096} {
		t.Run("of "+string(kind), func(t *testing.T) {
			t.Parallel()
			key, previous := keyOf(kind), ""
			for range 3 {
				text, err := pki.NewRequest(subject, key, previous)
				require.NoError(t, err)
				require.NotEqual(t, previous, text)
				require.Equal(t, strings.TrimSpace(text), text)

				request, err := pki.ParseCertificateRequest(text)
				require.NoError(t, err)
				require.True(t, request.AsksCA)
				require.Equal(t, encoded, request.Subject.Raw)
				require.True(t, pki.SamePublicKey(key.Public(), request.PublicKey))
				require.Zero(t, request.Names)

				block, _ := pem.Decode([]byte(text))
				csr, err := x509.ParseCertificateRequest(block.Bytes)
				require.NoError(t, err)
				require.Len(t, csr.Extensions, 2)
				for i, want := range []string{"2.5.29.15 \x03\x02\x01\x06", "2.5.29.19 \x30\x03\x01\x01\xff"} {
					e := csr.Extensions[i]
					require.Equal(t, want, e.Id.String()+" "+string(e.Value))
					require.True(t, e.Critical)
				}

				folder := t.TempDir()
				writeFile(t, folder, "ca.csr", text+"\n")
				output, err := openssl(t, folder, "req", "-verify", "-noout", "-text", "-in", "ca.csr")
				require.NoError(t, err, output)
				require.Contains(t, output, "verify OK")
				require.Regexp(t, `X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign`, output)
				require.Regexp(t, `X509v3 Basic Constraints: critical\s+CA:TRUE\n`, output)
				previous = text + "\n" // white space makes no other request
			}
		})
	}
	t.Run("of rsa goes back to its first digest", func(t *testing.T) {
		t.Parallel()
		first, err := pki.NewRequest(subject, rsa2048(), "")
		require.NoError(t, err)
		second, err := pki.NewRequest(subject, rsa2048(), first)
		require.NoError(t, err)
		third, err := pki.NewRequest(subject, rsa2048(), second)
		require.NoError(t, err)
		require.Equal(t, first, third)
	})
}

func TestNewRequestRefuses(t *testing.T) {
	t.Parallel()
	good := pki.Subject{CommonName: "Our CA"}
	for title, c := range map[string]struct {
		subject pki.Subject
		key     pki.PrivateKey
		reason  string
	}{
		"no subject":        {pki.Subject{}, ecdsaP256(), "an authority has a subject"},
		"a bad subject":     {pki.Subject{Country: "USA"}, ecdsaP256(), `"USA" in the subject is longer than 2 characters`},
		"no key":            {good, pki.PrivateKey{}, "an authority's key must be RSA of 2048 to 4096 bits, P-256 or P-384"},
		"a key of ed25519":  {good, mustParseDER(t, newEd25519(t)), "an authority's key must be RSA of 2048 to 4096 bits, P-256 or P-384"},
		"a subject of junk": {pki.Subject{Raw: []byte{1}}, ecdsaP256(), "the subject is malformed"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			text, err := pki.NewRequest(c.subject, c.key, "")
			require.EqualError(t, err, "cannot make certificate request: "+c.reason)
			require.Empty(t, text)
		})
	}
}
