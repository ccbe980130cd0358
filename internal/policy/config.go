// SPDX-License-Identifier: GPL-3.0-only

// Package policy is the operator's word: the options of the charm, read and
// checked (config.yaml), and what they say of a request for a certificate.
//
// It judges values and has no effects. What no CA may sign, whatever the
// options say, is package pki's to refuse.
package policy

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tls-authority/internal/pki"
)

// Config is config.yaml after every check: a value of this type needs none.
type Config struct {
	// CASubject is the subject of the next CA, without the generation that
	// its common name ends in.
	CASubject  pki.Subject
	CAKeyType  pki.KeyType
	CAValidity time.Duration
	// KeyType is the type of keys generated for the legacy dialect.
	KeyType             pki.KeyType
	CertificateValidity time.Duration
	LegacyValidity      time.Duration
	// ExtraSANs are added to every server certificate of the legacy dialect.
	ExtraSANs           pki.Names
	DeniedOrganizations []string
	DeniedCommonNames   []string
}

// Bounds of the validity options. A leaf below an hour would be renewed more
// often than Juju calls update-status; a CA beyond 50 years leaves the range
// of UTCTime, and with it some verifiers.
const (
	minLeafValidity = time.Hour
	maxLeafValidity = 10 * year
	minCAValidity   = day
	maxCAValidity   = 50 * year

	day  = 24 * time.Hour
	year = 365 * day
)

// optionReader collects the problems of all options, so that the operator
// sees them at once.
type optionReader struct {
	raw      map[string]json.RawMessage
	problems []string
}

// ParseConfig reads the options as config-get gives them. It returns every
// problem found; the Config is of use only when there is none. Options that
// are unset have the default of config.yaml.
func ParseConfig(raw map[string]json.RawMessage, application, model string) (Config, []string) {
	o := &optionReader{raw: raw}
	config := Config{
		CASubject: pki.Subject{
			CommonName:         o.text("ca-common-name", defaultCommonName(application, model)),
			Organization:       o.text("ca-organization", ""),
			OrganizationalUnit: o.text("ca-organizational-unit", ""),
			Country:            o.text("ca-country", ""),
			Province:           o.text("ca-state", ""),
			Locality:           o.text("ca-locality", ""),
			Email:              o.text("ca-email", ""),
		},
		CAKeyType:           o.keyType("ca-key-type", pki.ECDSAP256),
		CAValidity:          o.duration("ca-validity", "10y", minCAValidity, maxCAValidity),
		KeyType:             o.keyType("key-type", pki.RSA2048),
		CertificateValidity: o.duration("certificate-validity", "90d", minLeafValidity, maxLeafValidity),
		LegacyValidity:      o.duration("legacy-certificate-validity", "365d", minLeafValidity, maxLeafValidity),
		ExtraSANs:           o.names("extra_sans"),
		DeniedOrganizations: strings.Fields(o.text("denied-organizations", "system:masters")),
		DeniedCommonNames:   strings.Fields(o.text("denied-common-names", defaultDeniedCommonNames)),
	}
	if _, err := GenerationSubject(config.CASubject, 1).Encode(); err != nil {
		o.complain("ca-common-name or another part of the CA's subject", "%v", err)
	}
	return config, o.problems
}

// defaultDeniedCommonNames are the names that Charmed Kubernetes trusts as
// identities. The operator may empty the option, an unset one denies.
const defaultDeniedCommonNames = "client system:kube-apiserver system:kube-controller-manager system:kube-scheduler system:admin"

// maxDefaultCommonName leaves room for the generation within the 64
// characters of ub-common-name (RFC 5280 appendix A.1).
const maxDefaultCommonName = 56

func defaultCommonName(application, model string) string {
	name := application + " " + model
	if len(name) > maxDefaultCommonName {
		return application
	}
	return name
}

// GenerationSubject is the subject of one CA generation. Each has a name of
// its own, because CRLs and OCSP find the issuer by its name.
func GenerationSubject(s pki.Subject, generation int) pki.Subject {
	s.CommonName = fmt.Sprintf("%s G%d", s.CommonName, generation)
	return s
}

func (o *optionReader) complain(option, format string, args ...any) {
	o.problems = append(o.problems, option+": "+fmt.Sprintf(format, args...))
}

// text reads a string option; unset and null give the default, an empty
// string is a value.
func (o *optionReader) text(option, byDefault string) string {
	value, set := o.raw[option]
	if !set || string(value) == "null" {
		return byDefault
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		o.complain(option, "is not a string")
		return byDefault
	}
	if option == "ca-common-name" && text == "" {
		return byDefault
	}
	return text
}

func (o *optionReader) keyType(option string, byDefault pki.KeyType) pki.KeyType {
	keyType, err := pki.ParseKeyType(o.text(option, string(byDefault)))
	if err != nil {
		o.complain(option, "%v", err)
	}
	return keyType
}

func (o *optionReader) duration(option, byDefault string, low, high time.Duration) time.Duration {
	text := o.text(option, byDefault)
	d, err := parseDuration(text)
	if err != nil {
		o.complain(option, "%v", err)
		return 0
	}
	if d < low || d > high {
		o.complain(option, "%s is not between %s and %s", text, SpellDuration(low), SpellDuration(high))
	}
	return d
}

func (o *optionReader) names(option string) pki.Names {
	names, problems := pki.ParseNames(strings.Fields(o.text(option, "")))
	for _, p := range problems {
		o.complain(option, "%q %s", p.Name, p.Reason)
	}
	return names
}

// parseDuration reads a whole number followed by m, h, d, w or y; a year has
// 365 days.
func parseDuration(text string) (time.Duration, error) {
	units := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': day, 'w': 7 * day, 'y': year}
	if text == "" {
		return 0, fmt.Errorf("is empty: a number followed by m, h, d, w or y is wanted")
	}
	unit, known := units[text[len(text)-1]]
	number, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if !known || err != nil {
		return 0, fmt.Errorf("%q is not a number followed by m, h, d, w or y", text)
	}
	// 200 years keep the product within time.Duration's 292.
	if number > uint64(200*year/unit) {
		return 0, fmt.Errorf("%q is longer than 200 years", text)
	}
	return time.Duration(number) * unit, nil
}

// SpellDuration writes the whole number of the largest unit that fits, as an
// operator would: 9y, 200d, 5h, 12m.
func SpellDuration(d time.Duration) string {
	switch {
	case d >= year:
		return fmt.Sprintf("%dy", d/year)
	case d >= day:
		return fmt.Sprintf("%dd", d/day)
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dm", d/time.Minute)
}
