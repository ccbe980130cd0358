// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

func TestParseCertificatePEM(t *testing.T) {
	t.Parallel()
	cert := newIssuer(t, ecdsaP256()).Certificate()
	text := pki.EncodeCertificatePEM(cert.Raw)
	require.True(t, strings.HasSuffix(text, "-----END CERTIFICATE-----\n"))

	for name, accepted := range map[string]string{
		"as encoded":         text,
		"no final newline":   strings.TrimSuffix(text, "\n"),
		"crlf line ends":     strings.ReplaceAll(text, "\n", "\r\n"),
		"white space around": "\n\t " + text + "\n \n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := pki.ParseCertificatePEM(accepted)
			require.NoError(t, err)
			require.Equal(t, cert.Raw, got.Raw)
		})
	}
	for name, refused := range map[string]struct{ text, reason string }{
		"nothing":        {" \n", "empty text"},
		"two blocks":     {text + text, "more than one PEM block"},
		"a broken first": {strings.Replace(text, "MI", "!!", 1) + text, "more than one PEM block"},
		"text before":    {"subject: x\n" + text, "does not begin with a PEM block"},
		"text after":     {text + "\x00", "text after the PEM block"},
		"another kind":   {strings.ReplaceAll(text, "CERTIFICATE", "X509 CRL"), `PEM block is a "X509 CRL"`},
		"a torn end":     {strings.TrimSuffix(text, "-----\n"), "damaged PEM block"},
		"too much":       {strings.Repeat("\n", 128<<10) + text, "longer than 131072 bytes"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			_, err := pki.ParseCertificatePEM(refused.text)
			require.EqualError(t, err, "cannot read certificate: "+refused.reason)
		})
	}
	_, err := pki.ParseCertificateDER(append(cert.Raw[:len(cert.Raw):len(cert.Raw)], 0))
	require.ErrorContains(t, err, "cannot read certificate: ")
	_, err = pki.ParseCertificateDER(make([]byte, 128<<10+1))
	require.EqualError(t, err, "cannot read certificate: too large")
}
