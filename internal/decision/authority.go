// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// Authority is the CA that issues, as decide sees it: certificates, no key.
type Authority struct {
	Outlook     record.Outlook
	Certificate *x509.Certificate
	// Validity is that of the CA with all that stands above it.
	Validity pki.Validity
	// bridged is Validity as far as the bridge to the old root lasts, too.
	bridged pki.Validity
}

// NewAuthority reads the certificates of an outlook.
func NewAuthority(o record.Outlook) (Authority, error) {
	a := Authority{Outlook: o}
	path, err := parseCertificates(o.Path())
	if err != nil {
		return Authority{}, fmt.Errorf("cannot read the CA certificate of generation %d: %w", o.Issuer.ID, err)
	}
	a.Certificate = path[0]
	a.Validity = pki.ChainValidity(path[:1+len(o.Issuer.Chain)]...)
	a.bridged = pki.ChainValidity(path...)
	return a, nil
}

func parseCertificates(ders [][]byte) ([]*x509.Certificate, error) {
	certificates := make([]*x509.Certificate, len(ders))
	for i, der := range ders {
		var err error
		if certificates[i], err = pki.ParseCertificateDER(der); err != nil {
			return nil, err
		}
	}
	return certificates, nil
}

// Path are the certificates of a generation, its own first, the root last.
func Path(g *record.Generation) ([]*x509.Certificate, error) {
	return parseCertificates(g.Path())
}

// SameRoot tells whether two paths end in the same authority.
func SameRoot(a, b []*x509.Certificate) bool {
	return pki.SameAuthority(a[len(a)-1], b[len(b)-1])
}

// current tells whether a certificate may stay: this CA issued it and it has
// not expired.
func (a Authority) current(now time.Time, issued record.Issued) bool {
	return issued.Generation == a.Outlook.Issuer.ID && now.Before(issued.NotAfter)
}

// Clip is the validity of a leaf. It ends with whatever the leaf is presented
// with, the bridge included; but a bridge that is about to end, as the old
// root is then too, helps nobody and limits nothing.
func (a Authority) Clip(now time.Time, lifetime time.Duration) (pki.Validity, error) {
	validity, err := a.bridged.Clip(now, lifetime)
	if errors.Is(err, pki.ErrIssuerExpires) {
		return a.Validity.Clip(now, lifetime)
	}
	return validity, err
}

// authorityShare is the part of what an issuer has left that a CA below it
// gets: it must outlive its own leaves, and end before the issuer does.
const authorityShare = 2

// clipAuthority is the validity of a CA below ours.
func (a Authority) clipAuthority(now time.Time, least time.Duration) (pki.Validity, error) {
	left := a.Validity.NotAfter.Sub(now).Truncate(time.Second)
	return a.Clip(now, max(least, left/authorityShare))
}

// LegacyTemplate is the template of one certificate of the legacy dialect.
func (a Authority) LegacyTemplate(s Snapshot, profile pki.Profile, commonName string, names pki.Names) (pki.Template, error) {
	subject, err := pki.LeafSubject(commonName)
	if err != nil {
		return pki.Template{}, err
	}
	template := pki.Template{Profile: profile, Subject: subject, Names: names, Links: a.Links(s.Config)}
	if profile == pki.SubCA {
		template.Constraints = constraints(s.Config)
		template.Validity, err = a.clipAuthority(s.Now, s.Config.LegacyValidity)
	} else {
		template.Validity, err = a.Clip(s.Now, s.Config.LegacyValidity)
	}
	if err != nil {
		return pki.Template{}, err
	}
	return template, a.Check(template)
}

// constraints are the names that a CA below ours may sign: those that the
// operator allows us, where there is a limit.
func constraints(config policy.Config) *pki.NameConstraints {
	if len(config.AllowedDomains) == 0 && len(config.AllowedRanges) == 0 {
		return nil
	}
	return &pki.NameConstraints{PermittedDNS: config.AllowedDomains, PermittedIP: config.AllowedRanges}
}

// Check refuses what no certificate of this CA may say, whoever asks.
func (a Authority) Check(t pki.Template) error {
	encoded, err := t.Subject.Encode()
	if err != nil {
		return err
	}
	if pki.SameName(encoded, a.Certificate.RawSubject) {
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
