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
	"net/netip"
	"strings"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// Config is config.yaml after every check: a value of this type needs none.
type Config struct {
	// CASource says where the CA comes from.
	CASource record.Source
	// CASecret is the user secret of an imported CA, as Juju writes its URI;
	// empty when the operator named none.
	CASecret string
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
	// AllowedDomains are canonical and sorted; each stands for itself and
	// every name below it. None means any.
	AllowedDomains []string
	// AllowedRanges are masked and sorted; none means any address.
	AllowedRanges   []netip.Prefix
	AllowWildcards  bool
	AllowCARequests bool
	// CertificateLimit is the most certificates of one relation, -1 for no
	// limit. It guards against a requirer that runs wild and is no quota.
	CertificateLimit int
	// RotationHold is the least time that a rotation stays in each stage.
	RotationHold time.Duration
	// RevokeOnDeparture tells that certificates are revoked when whoever asked
	// for them leaves.
	RevokeOnDeparture bool
	// StatusPort is the TCP port of the status service, 0 when there is none.
	StatusPort int
	// StatusURL is where relying parties find the status service, without a
	// slash at its end; empty when certificates are not to say.
	StatusURL string
}

// Provider names us in what requirers of the CSR dialect read.
const Provider = "tls-authority"

// Capabilities tell requirers of the CSR dialect what the options let them
// ask for. Addresses are always among it: no option excludes all of them.
func (c Config) Capabilities() tlscertificates.Capabilities {
	return tlscertificates.Capabilities{
		IPSANs:         true,
		WildcardDNS:    c.AllowWildcards,
		Subdomain:      true,
		CACertificates: c.AllowCARequests,
		AllowedDomains: c.AllowedDomains,
		ProviderType:   Provider,
	}
}

// Bounds of the validity options. A leaf below an hour would be renewed more
// often than Juju calls update-status; a CA beyond 50 years leaves the range
// of UTCTime, and with it some verifiers.
const (
	minLeafValidity = time.Hour
	maxLeafValidity = 10 * year
	minCAValidity   = day
	maxCAValidity   = 50 * year
	maxRotationHold = year

	day  = 24 * time.Hour
	year = 365 * day
)

// ParseConfig reads the options as config-get gives them. It returns every
// problem found; the Config is of use only when there is none. Options that
// are unset have the default of config.yaml.
func ParseConfig(raw map[string]json.RawMessage, application, model string) (Config, []string) {
	o := &optionReader{raw: raw}
	config := Config{
		CASource: o.source("ca-source"),
		CASecret: o.secret("ca-secret"),
		CASubject: pki.Subject{
			CommonName:         o.text("ca-common-name", ""),
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
		AllowedDomains:      o.domains("allowed-domains"),
		AllowedRanges:       o.ranges("allowed-ip-ranges"),
		AllowWildcards:      o.boolean("allow-wildcards", true),
		AllowCARequests:     o.boolean("allow-ca-requests", false),
		CertificateLimit:    o.limit("certificate-limit", 2500),
		RotationHold:        o.duration("rotation-hold", "24h", 0, maxRotationHold),
		RevokeOnDeparture:   o.boolean("revoke-on-departure", false),
		StatusPort:          o.port("status-port", 9880),
		StatusURL:           o.url("status-url"),
	}
	if config.CASubject.CommonName == "" {
		config.CASubject.CommonName = defaultCommonName(application, model)
	}
	o.checkSubject(config.CASubject)
	if config.CASource == record.Imported && config.CASecret == "" {
		o.complain("ca-secret", "is empty, but ca-source is imported")
	}
	if config.StatusURL != "" && config.StatusPort == 0 {
		o.complain("status-url", "is set, but status-port 0 turns the service off")
	}
	return config, o.problems
}

// checkSubject tries each part of the CA's subject, so that a problem names
// its option.
func (o *optionReader) checkSubject(s pki.Subject) {
	for _, part := range []struct {
		option  string
		subject pki.Subject
	}{
		{"ca-common-name", GenerationSubject(pki.Subject{CommonName: s.CommonName}, maxGeneration)},
		{"ca-organization", pki.Subject{Organization: s.Organization}},
		{"ca-organizational-unit", pki.Subject{OrganizationalUnit: s.OrganizationalUnit}},
		{"ca-country", pki.Subject{Country: s.Country}},
		{"ca-state", pki.Subject{Province: s.Province}},
		{"ca-locality", pki.Subject{Locality: s.Locality}},
		{"ca-email", pki.Subject{Email: s.Email}},
	} {
		if _, err := part.subject.Encode(); err != nil {
			o.complain(part.option, "%v", err)
		}
	}
}

// defaultDeniedCommonNames are the names that Charmed Kubernetes trusts as
// identities. The operator may empty the option, an unset one denies.
const defaultDeniedCommonNames = "client system:kube-apiserver system:kube-controller-manager system:kube-scheduler system:admin"

// maxGeneration is a number that no CA reaches: the name must leave room for
// all below it.
const maxGeneration = 9999

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
