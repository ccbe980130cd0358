// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"cmp"
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

// wireCertificate fixes the order of the fields. Chain is always an array and
// Revoked is absent unless true: the schemas of the libraries v1 to v3 refuse the
// whole databag when either is null.
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
	wire := make([]wireCertificate, len(a))
	for i, answer := range a {
		wire[i] = wireCertificate{
			Certificate: trimPEM(answer.Certificate),
			CSR:         answer.CSR,
			CA:          trimPEM(answer.CA),
			Chain:       []string{},
			Revoked:     answer.Revoked,
		}
		for _, certificate := range answer.Chain {
			wire[i].Chain = append(wire[i].Chain, trimPEM(certificate))
		}
	}
	return encodeJSON(wire)
}

// ParseCertificates reads what EncodeCertificates wrote, in this or another version:
// chain and revoked may be null, and unknown fields are ignored. No text, an absent
// key, is no answers. With an error nothing is returned.
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

// ErrorCode tells a requirer why its signing request is not answered (charmlibs,
// CertificateRequestErrorCode).
type ErrorCode int

// The codes of the interface. Only ServerNotAvailable passes by itself.
const (
	IPNotAllowed       ErrorCode = 101
	DomainNotAllowed   ErrorCode = 102
	WildcardNotAllowed ErrorCode = 103
	ServerNotAvailable ErrorCode = 201
	Other              ErrorCode = 999
)

// maxMessage is the most characters of a message that requirers are shown.
const maxMessage = 256

// Name returns the name of the code as other providers write it; the published
// schema has it in lower case. Requirers go by the number.
func (c ErrorCode) Name() string {
	names := map[ErrorCode]string{
		IPNotAllowed:       "IP_NOT_ALLOWED",
		DomainNotAllowed:   "DOMAIN_NOT_ALLOWED",
		WildcardNotAllowed: "WILDCARD_NOT_ALLOWED",
		ServerNotAvailable: "SERVER_NOT_AVAILABLE",
	}
	return cmp.Or(names[c], "OTHER")
}

// RequestError refuses a signing request. A CSR is never both in the errors and in
// the certificates of a relation.
type RequestError struct {
	CSR     string // CSRRequest.CSR, unchanged
	Code    ErrorCode
	Message string // a sentence for people, cut after 256 characters
	Reason  string // more detail, for machines; may be empty
}

// wireRequestError has the CSR under two keys: the charmlibs library refuses the
// whole databag without "csr", and the published schema requires the other.
type wireRequestError struct {
	ShortCSR string    `json:"csr"`
	CSR      string    `json:"certificate_signing_request"`
	Error    wireError `json:"error"`
}

type wireError struct {
	Code     ErrorCode `json:"code"`
	Name     string    `json:"name"`
	Message  string    `json:"message"`
	Reason   string    `json:"reason,omitempty"`
	Provider string    `json:"provider,omitempty"`
}

// EncodeRequestErrors returns the value of KeyRequestErrors, in the order given; ""
// when there are none. Provider is a fixed name of ours.
func EncodeRequestErrors(provider string, e []RequestError) string {
	if len(e) == 0 {
		return ""
	}
	wire := make([]wireRequestError, len(e))
	for i, refused := range e {
		wire[i] = wireRequestError{ShortCSR: refused.CSR, CSR: refused.CSR, Error: wireError{
			Code:     refused.Code,
			Name:     refused.Code.Name(),
			Message:  cut(refused.Message, maxMessage),
			Reason:   refused.Reason,
			Provider: provider,
		}}
	}
	return encodeJSON(wire)
}

// ParseRequestErrors reads what EncodeRequestErrors wrote; either of the two keys
// of the CSR is enough. With an error nothing is returned.
func ParseRequestErrors(text string) ([]RequestError, error) {
	var wire []wireRequestError
	err := parseOwn(text, KeyRequestErrors, &wire)
	if err != nil {
		return nil, err
	}
	refused := make([]RequestError, len(wire))
	for i, w := range wire {
		csr := cmp.Or(w.CSR, w.ShortCSR)
		if csr == "" {
			return nil, fmt.Errorf("cannot parse %s: entry %d lacks its signing request", KeyRequestErrors, i+1)
		}
		refused[i] = RequestError{CSR: csr, Code: w.Error.Code, Message: w.Error.Message, Reason: w.Error.Reason}
	}
	return refused, nil
}
