// SPDX-License-Identifier: GPL-3.0-only

package signing

import "tls-authority/internal/pki"

// Keys of the content of a CA's secret.
const (
	SecretKey         = "private-key"
	SecretCertificate = "certificate"
)

// ParseSecret reads a CA from the content of its secret and proves
// that key and certificate belong together.
func ParseSecret(content map[string]string) (*pki.Issuer, error) {
	key, err := pki.ParsePrivateKeyPEM([]byte(content[SecretKey]))
	if err != nil {
		return nil, err
	}
	certificate, err := pki.ParseCertificatePEM(content[SecretCertificate])
	if err != nil {
		return nil, err
	}
	return pki.NewIssuer(certificate, key)
}

// ParseKey reads the key of a CA from the content of its secret and joins it
// to the certificate that the model trusts; they must belong together.
func ParseKey(content map[string]string, certificateDER []byte) (*pki.Issuer, error) {
	key, err := pki.ParsePrivateKeyPEM([]byte(content[SecretKey]))
	if err != nil {
		return nil, err
	}
	certificate, err := pki.ParseCertificateDER(certificateDER)
	if err != nil {
		return nil, err
	}
	return pki.NewIssuer(certificate, key)
}
