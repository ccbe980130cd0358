// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto/x509"
	"slices"
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

func TestParseCertificatesPEM(t *testing.T) {
	t.Parallel()
	a, b := newIssuer(t, ecdsaP256()).Certificate(), newIssuer(t, ecdsaP384()).Certificate()
	first, second := pki.EncodeCertificatePEM(a.Raw), pki.EncodeCertificatePEM(b.Raw)
	for name, c := range map[string]struct {
		text string
		want []*x509.Certificate
	}{
		"one":                     {first, []*x509.Certificate{a}},
		"two":                     {first + second, []*x509.Certificate{a, b}},
		"in their order, doubled": {second + first + second, []*x509.Certificate{b, a, b}},
		"blank lines between":     {"\n \n" + first + "\n\t\n" + second + "\n\n", []*x509.Certificate{a, b}},
		"no final newline":        {first + strings.TrimSuffix(second, "\n"), []*x509.Certificate{a, b}},
		"crlf line ends":          {strings.ReplaceAll(first+second, "\n", "\r\n"), []*x509.Certificate{a, b}},
		"words before each":       {"Certificate:\n    Data:\n" + first + "subject=CN = b\n" + second, []*x509.Certificate{a, b}},
		"as many as there may be": {strings.Repeat(first, 32), slices.Repeat([]*x509.Certificate{a}, 32)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := pki.ParseCertificatesPEM(c.text)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	secret := string(ecdsaP256().EncodePEM())
	const one, two, all = "cannot read certificate 1: ", "cannot read certificate 2: ", "cannot read certificates: "
	for name, refused := range map[string]struct{ text, reason string }{
		"nothing":             {" \n", all + "empty text"},
		"words alone":         {"topsecret\n", all + "no PEM block"},
		"words after":         {first + "topsecret\n", all + "text after the last PEM block"},
		"words beside an end": {strings.TrimSuffix(first, "\n") + "topsecret\n" + second, all + "a PEM block does not end on a line of its own"},
		"words beside a begin": {
			first + "topsecret" + second, all + "a PEM block does not begin on a line of its own",
		},
		"words beside the first":  {"topsecret " + first, all + "a PEM block does not begin on a line of its own"},
		"two glued together":      {strings.TrimSuffix(first, "\n") + second, all + "a PEM block does not begin on a line of its own"},
		"too many":                {strings.Repeat(first, 33), all + "more than 32"},
		"a private key":           {secret, one + "it is a private key"},
		"a private key before":    {secret + first, one + "it is a private key"},
		"a private key after":     {first + secret, two + "it is a private key"},
		"a key without its begin": {first + secret[28:], all + "damaged PEM block"},
		"a key of another kind":   {first + strings.ReplaceAll(secret, "PRIVATE", "RSA PRIVATE"), two + "it is a private key"},
		"a key that is torn":      {"-----BEGIN topsecret\n" + first, one + "PEM block is not a CERTIFICATE"},
		"a revocation list":       {first + strings.ReplaceAll(second, "CERTIFICATE", "X509 CRL"), two + "PEM block is not a CERTIFICATE"},
		"a trusted certificate":   {strings.ReplaceAll(first, "CERTIFICATE", "TRUSTED CERTIFICATE"), one + "PEM block is not a CERTIFICATE"},
		"a torn end":              {first + strings.TrimSuffix(second, "-----\n"), two + "damaged PEM block"},
		"a torn end before more":  {strings.Replace(first, "-----END", "", 1) + second, one + "more than one PEM block"},
		"a broken first":          {strings.Replace(first, "MI", "!!", 1) + second, one + "damaged PEM block"},
		"headers":                 {strings.Replace(first, "\n", "\nTopsecret: yes\n\n", 1), one + "the PEM block has headers"},
		"a block that is large":   {"-----BEGIN CERTIFICATE-----\n" + strings.Repeat("A", 128<<10) + "\n-----END CERTIFICATE-----\n", one + "longer than 131072 bytes"},
		"a block without sense":   {"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", one + "x509: malformed tbs certificate"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			got, err := pki.ParseCertificatesPEM(refused.text)
			require.EqualError(t, err, refused.reason)
			require.Nil(t, got)
		})
	}
	t.Run("reads what openssl prints", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		var printed string
		for _, text := range []string{first, second} {
			writeFile(t, folder, "ca.pem", text)
			output, err := openssl(t, folder, "x509", "-text", "-subject", "-issuer", "-in", "ca.pem")
			require.NoError(t, err, output)
			printed += output
		}
		require.Contains(t, printed, "Signature Algorithm")
		got, err := pki.ParseCertificatesPEM(printed)
		require.NoError(t, err)
		require.Equal(t, []*x509.Certificate{a, b}, got)
	})
}
