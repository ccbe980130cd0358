// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// CertificateAnswer is a certificate issued for a signing request. Certificate, CA
// and each of Chain are one PEM block: one that is not fails hooks of requirers.
type CertificateAnswer struct {
	CSR         string // CSRRequest.CSR, unchanged
	Certificate string
	CA          string   // the certificate that the requirer should trust
	Chain       []string // leaf first
	Revoked     bool     // makes requirers stop serving
}

// wireCertificate is what is read of an entry.
type wireCertificate struct {
	Certificate string   `json:"certificate"`
	CSR         string   `json:"certificate_signing_request"`
	CA          string   `json:"ca"`
	Chain       []string `json:"chain"`
	Revoked     bool     `json:"revoked,omitempty"`
}

// EncodeCertificates returns the value of KeyCertificates, in the order given; an
// empty array without answers. White space at the end of PEM text is left out.
func EncodeCertificates(a []CertificateAnswer) string {
	entries := make([]Published, len(a))
	for i, answer := range a {
		entries[i] = Publish(answer)
	}
	return strings.Join(EncodePublished(entries), "")
}

// encodeAnswer returns the JSON object of an answer. The order of its members is
// fixed; chain is always an array and revoked is absent unless true: the schemas of
// the libraries v1 to v3 refuse the whole databag when either is null.
func encodeAnswer(a CertificateAnswer) string {
	size := len(a.Certificate) + len(a.CSR) + len(a.CA)
	for _, certificate := range a.Chain {
		size += len(certificate)
	}
	var list strings.Builder
	list.Grow(size + size/32 + 128) // a line of PEM has 64 characters
	list.WriteString(`{"certificate":`)
	writeQuoted(&list, trimPEM(a.Certificate))
	list.WriteString(`,"certificate_signing_request":`)
	writeQuoted(&list, a.CSR)
	list.WriteString(`,"ca":`)
	writeQuoted(&list, trimPEM(a.CA))
	list.WriteString(`,"chain":[`)
	for i, certificate := range a.Chain {
		if i > 0 {
			list.WriteByte(',')
		}
		writeQuoted(&list, trimPEM(certificate))
	}
	list.WriteByte(']')
	if a.Revoked {
		list.WriteString(`,"revoked":true`)
	}
	list.WriteByte('}')
	return list.String()
}

// ParseCertificates reads what EncodeCertificates wrote, in this or another version,
// and what other providers write: chain and revoked may be null, PEM may end in white
// space, and unknown fields are ignored. A requirer compares CSR without the white
// space at its end, which some providers drop. No text, an absent key, is no answers.
// With an error nothing is returned.
func ParseCertificates(text string) ([]CertificateAnswer, error) {
	var wire []wireCertificate
	err := parseOwn(text, KeyCertificates, &wire)
	if err != nil {
		return nil, err
	}
	answers := make([]CertificateAnswer, len(wire))
	for i, w := range wire {
		answers[i] = CertificateAnswer{CSR: w.CSR, Certificate: trimPEM(w.Certificate), CA: trimPEM(w.CA), Revoked: w.Revoked}
		for _, certificate := range w.Chain {
			answers[i].Chain = append(answers[i].Chain, trimPEM(certificate))
		}
		if w.CSR == "" || answers[i].Certificate == "" {
			return nil, fmt.Errorf("cannot parse %s: entry %d lacks its certificate or signing request", KeyCertificates, i+1)
		}
	}
	return answers, nil
}

// parseOwn decodes what this package encoded; no text is a key that is absent.
func parseOwn(text, key string, wire any) error {
	if text == "" {
		return nil
	}
	err := json.Unmarshal([]byte(text), wire)
	if err != nil {
		return fmt.Errorf("cannot parse %s: %w", key, err)
	}
	return nil
}

func trimPEM(text string) string { return strings.TrimRightFunc(text, unicode.IsSpace) }

// Capabilities tells requirers what the provider may issue. AllowedDomains is empty
// when names are not restricted; ProviderType is a hint for people.
type Capabilities struct {
	IPSANs         bool     `json:"supports_ip_sans"`
	WildcardDNS    bool     `json:"supports_wildcard_dns"`
	Subdomain      bool     `json:"supports_subdomain"`
	CACertificates bool     `json:"supports_ca_certificates"`
	AllowedDomains []string `json:"allowed_domains,omitempty"`
	ProviderType   string   `json:"provider_type,omitempty"`
}

// EncodeCapabilities returns the value of KeyCapabilities.
func EncodeCapabilities(c Capabilities) string {
	return encodeJSON(c)
}
