// SPDX-License-Identifier: GPL-3.0-only

package signing

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// Keys hands out keys to who signs with them. Each function is called when an
// order needs it, and not at all in a hook that signs nothing; tests give
// their own.
type Keys struct {
	// Stored is the key of a generation, from its secret.
	Stored func(generation int) (pki.PrivateKey, error)
	// Imported is the key of the user secret ca-secret.
	Imported func() (pki.PrivateKey, error)
	// Seal makes a backup of a record, as text, and of keys, which the named
	// user secret opens.
	Seal func(secret string, state map[string]string, keys map[int]pki.PrivateKey) ([]byte, error)
	// Restored are the keys of the file that is restored, by its generations.
	Restored func() (map[int]pki.PrivateKey, error)
}

// Keys of the content of a CA's secret.
const (
	SecretKey         = "private-key"
	SecretCertificate = "certificate"
	SecretChain       = "chain"
)

// ParseKey reads the private key of a CA from the content of a secret.
func ParseKey(content map[string]string) (pki.PrivateKey, error) {
	return pki.ParsePrivateKeyPEM([]byte(content[SecretKey]))
}

// ParseGeneration reads the generation that a secret of ours holds, and proves
// that its key and certificate belong together. Its certificate is empty where
// the key waits for one.
func ParseGeneration(id int, content map[string]string) (record.Generation, error) {
	g := record.Generation{ID: id}
	key, err := ParseKey(content)
	if err != nil || content[SecretCertificate] == "" {
		return g, err
	}
	certificate, err := pki.ParseCertificatePEM(content[SecretCertificate])
	if err != nil {
		return record.Generation{}, err
	}
	if _, err := pki.NewIssuer(certificate, key); err != nil {
		return record.Generation{}, err
	}
	g.Certificate = certificate.Raw
	if content[SecretChain] == "" {
		return g, nil
	}
	chain, err := pki.ParseCertificatesPEM(content[SecretChain])
	if err != nil {
		return record.Generation{}, fmt.Errorf("cannot read its chain: %w", err)
	}
	g.Source = record.Imported
	g.Chain = pki.EncodeCertificatesDER(chain)
	return g, nil
}

// issuer joins the key of a generation to the certificate that the model
// trusts; they must belong together.
func (k Keys) issuer(g *record.Generation) (*pki.Issuer, error) {
	key, err := k.Stored(g.KeyID())
	if err != nil {
		return nil, err
	}
	certificate, err := pki.ParseCertificateDER(g.Certificate)
	if err != nil {
		return nil, err
	}
	issuer, err := pki.NewIssuer(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("cannot use the CA in secret %q: %w", record.SecretLabel(g.KeyID()), err)
	}
	return issuer, nil
}

// ParseCandidate reads a CA that an operator brings, certificates in any
// order, and finds every reason why it cannot be used. The key is checked and
// let go.
func ParseCandidate(content map[string]string, now time.Time) decision.Candidate {
	var c decision.Candidate
	fault := func(format string, args ...any) { c.Faults = append(c.Faults, fmt.Sprintf(format, args...)) }
	for _, name := range []string{SecretCertificate, SecretKey} {
		if content[name] == "" {
			fault("it has no %s", name)
		}
	}
	if len(c.Faults) > 0 {
		return c
	}
	key, err := ParseKey(content)
	if err != nil {
		fault("%s: %v", SecretKey, err)
	}
	certificates, certificateErr := pki.ParseCertificatesPEM(content[SecretCertificate] + "\n" + content[SecretChain])
	if certificateErr != nil {
		fault("%s: %v", SecretCertificate, certificateErr)
	}
	if len(c.Faults) > 0 {
		return c
	}
	own := slices.IndexFunc(certificates, func(x *x509.Certificate) bool { return pki.KeyMatches(x, key) })
	if own < 0 {
		fault("none of its certificates is that of its private key")
		return c
	}
	chain, err := pki.BuildChain(certificates[own], certificates, nil)
	if err != nil {
		fault("%v", err)
		return c
	}
	c.Faults = pki.AuthorityFaults(chain, key.Public(), now)
	c.Certificate, c.Chain = chain[0].Raw, pki.EncodeCertificatesDER(chain[1:])
	return c
}
