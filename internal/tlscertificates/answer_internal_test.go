// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzEncodeAnswer compares what is written by hand with what encoding/json
// writes of the type that reads it.
func FuzzEncodeAnswer(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----\n", "csr\n", "ca", true)
	f.Add("", "\\ \" \x00 \r\n \u2028 <&> \xff é", "", false)
	f.Fuzz(func(t *testing.T, certificate, csr, ca string, revoked bool) {
		a := CertificateAnswer{CSR: csr, Certificate: certificate, CA: ca, Chain: []string{certificate, ca}, Revoked: revoked}
		wire := wireCertificate{Certificate: trimPEM(certificate), CSR: csr, CA: trimPEM(ca), Chain: []string{trimPEM(certificate), trimPEM(ca)}, Revoked: revoked}
		require.Equal(t, encodeJSON(wire), encodeAnswer(a))
	})
}
