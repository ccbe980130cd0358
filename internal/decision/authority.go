// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"crypto/x509"
	"fmt"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// authority is the active CA as decide sees it: its certificate, no key.
type authority struct {
	generation  int
	certificate *x509.Certificate
	validity    pki.Validity
}

func newAuthority(record *record.Authority) (authority, error) {
	generation := record.ActiveGeneration()
	certificate, err := pki.ParseCertificateDER(generation.Certificate)
	if err != nil {
		return authority{}, fmt.Errorf("cannot read the CA certificate of generation %d: %w", generation.ID, err)
	}
	return authority{generation: generation.ID, certificate: certificate, validity: pki.ValidityOf(certificate)}, nil
}

// current tells whether a certificate may stay: this CA issued it and it has
// not expired.
func (a authority) current(now time.Time, issued record.Issued) bool {
	return issued.Generation == a.generation && now.Before(issued.NotAfter)
}

// legacyTemplate is the template of one certificate of the legacy dialect.
func (a authority) legacyTemplate(s Snapshot, profile pki.Profile, commonName string, names pki.Names) (pki.Template, error) {
	subject, err := pki.LeafSubject(commonName)
	if err != nil {
		return pki.Template{}, err
	}
	validity, err := a.validity.Clip(s.Now, s.Config.LegacyValidity)
	if err != nil {
		return pki.Template{}, err
	}
	template := pki.Template{Profile: profile, Subject: subject, Names: names, Validity: validity}
	if profile == pki.SubCA {
		template.Constraints = constraints(s.Config)
	}
	return template, a.check(template)
}

// constraints are the names that a CA below ours may sign: those that the
// operator allows us, where there is a limit.
func constraints(config policy.Config) *pki.NameConstraints {
	if len(config.AllowedDomains) == 0 && len(config.AllowedRanges) == 0 {
		return nil
	}
	return &pki.NameConstraints{PermittedDNS: config.AllowedDomains, PermittedIP: config.AllowedRanges}
}

// check refuses what no certificate of this CA may say, whoever asks.
func (a authority) check(t pki.Template) error {
	encoded, err := t.Subject.Encode()
	if err != nil {
		return err
	}
	if pki.SameName(encoded, a.certificate.RawSubject) {
		// A leaf with the CA's own name looks self-issued and misleads
		// those who build chains by names.
		return fmt.Errorf("the subject is the CA's own")
	}
	if len(encoded) <= len(emptySubject) && t.Names.Len() == 0 {
		return fmt.Errorf("it names nothing: neither a subject nor a subject alternative name is left")
	}
	if n := t.Names.Len(); n > maxNames {
		return fmt.Errorf("it has %d names, at most %d are allowed", n, maxNames)
	}
	return nil
}

// emptySubject is the DER of a distinguished name without attributes.
const emptySubject = "\x30\x00"

// maxNames bounds the subject alternative names of one certificate; lists of
// Charmed Kubernetes reach about thirty.
const maxNames = 250
