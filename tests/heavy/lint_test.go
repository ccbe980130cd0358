// SPDX-License-Identifier: GPL-3.0-only

package heavy_test

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	zcrypto "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"tls-authority/tests/life"
)

// lintDate is when the certificates are made that lints look at: many a lint
// applies from some day on, and the result shall not depend on today.
var lintDate = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

// Reasons that excuse several lints.
const (
	noPolicies      = "a rule of the CA/Browser Forum: policies tell the web by which rules a CA was audited, a private CA has none to tell"
	noAddress       = "a rule of the CA/Browser Forum: a private CA need not publish where its lists and answers are"
	daysOfTheWeb    = "a rule of the CA/Browser Forum for the web; requirers of the legacy dialect renew nothing themselves, and we renew at two thirds"
	privateNetworks = "a rule of the CA/Browser Forum: the networks of a model are private ones"
)

// excused are lints that do not apply to a private CA, each with its reason.
// No lint of RFC 5280 is among them.
var excused = map[string]string{
	"e_ca_country_name_missing":                               "a rule of the CA/Browser Forum: the option ca-country is the operator's, and there is no true default",
	"e_ca_organization_name_missing":                          "the same, with ca-organization",
	"e_ext_nc_intersects_reserved_ip":                         privateNetworks,
	"e_ext_san_contains_reserved_ip":                          privateNetworks,
	"e_invalid_ca_certificate_policies":                       noPolicies,
	"e_sub_ca_certificate_policies_missing":                   noPolicies,
	"e_sub_cert_cert_policy_empty":                            noPolicies,
	"e_sub_cert_certificate_policies_missing":                 noPolicies,
	"e_missing_crl_distrib_point":                             noAddress,
	"e_sub_ca_crl_distribution_points_missing":                noAddress,
	"e_sub_cert_aia_missing":                                  noAddress,
	"w_sub_ca_aia_missing":                                    noAddress,
	"w_sub_cert_aia_does_not_contain_issuing_ca_url":          noAddress,
	"e_server_cert_valid_time_longer_than_200_days":           daysOfTheWeb,
	"w_server_cert_valid_time_longer_than_199_days":           daysOfTheWeb,
	"n_ca_digital_signature_not_set":                          "a notice: our CAs sign no OCSP answers, a certificate of the profile responder does",
	"n_ct_sct_policy_count_unsatisfied":                       "a rule of browsers for CAs they ship: the names of a model are not for public logs",
	"n_mp_allowed_eku":                                        "a rule of Mozilla for CAs it ships: usages of a CA limit what it may sign below, and requirers' CAs are not limited so",
	"n_sub_ca_eku_missing":                                    "the same, of the CA/Browser Forum",
	"w_ext_subject_key_identifier_not_recommended_subscriber": "RFC 5280 section 4.2.1.2 recommends for leaves what the CA/Browser Forum does not; OpenSSL finds by it",
	"w_subject_common_name_included":                          "a rule of the CA/Browser Forum: Kubernetes and others read the identity of a client there",
}

// TestLintsFindNothing holds a certificate of every profile and every
// certificate of a rotation against all lints of zlint. Most are rules of the
// web's CAs; those that fire and do not apply here are excused, by name.
func TestLintsFindNothing(t *testing.T) {
	fired := map[string]map[string]bool{} // what each lint fired for
	check := func(what string, certificate *x509.Certificate) {
		parsed, err := zcrypto.ParseCertificate(certificate.Raw)
		require.NoError(t, err)
		results := zlint.LintCertificate(parsed).Results
		require.NotEmpty(t, results)
		for name, result := range results {
			if result.Status < lint.Notice {
				continue
			}
			if fired[name] == nil {
				fired[name] = map[string]bool{}
			}
			fired[name][fmt.Sprintf("%s: %s %s", what, result.Status, result.Details)] = true
		}
	}
	for name, h := range hierarchies(t, lintDate) {
		// What an operator brings is not ours.
		if ours := name != "an imported intermediate" && name != "three tiers"; ours {
			check("root", h.root)
			for _, between := range h.between {
				check("intermediate", between)
			}
		}
		for of, l := range h.leaves(t, lintDate) {
			check(of, l.Certificate)
		}
	}
	w := newTown(t, time.Since(lintDate), map[string]any{"ca-organization": "Example", "ca-country": "GB"})
	w.populate()
	require.NoError(t, w.Above("10y"))
	for _, v := range w.follow(nil) {
		for _, trust := range v.trusts {
			for _, root := range parseAll(t, trust) {
				check("root of "+life.Application, root)
			}
		}
		for whose, q := range v.shows {
			check(whose, q.leaf)
			for _, between := range q.between {
				check("beside a leaf", between)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fired)) {
		if excused[name] == "" {
			t.Errorf("%s fires for %v", name, slices.Sorted(maps.Keys(fired[name])))
		}
	}
	for name := range excused {
		require.Contains(t, fired, name, "it is excused and does not fire")
		known := lint.GlobalRegistry().CertificateLints().ByName(name)
		require.NotNil(t, known)
		require.NotEqual(t, lint.RFC5280, known.Source, "%s is a rule for every CA", name)
	}
}
