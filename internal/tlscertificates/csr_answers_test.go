// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

// MUST 10: the CSR byte for byte, chain always an array, revoked only when true, no
// white space after PEM.
func TestEncodeCertificates(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers []tlscertificates.CertificateAnswer
		want    string
	}{
		"no answers": {nil, `[]`},
		"an answer": {
			[]tlscertificates.CertificateAnswer{{CSR: "csr\n", Certificate: "leaf\n", CA: "root\r\n \t", Chain: []string{"leaf\n", "sub\n", "root\n"}}},
			`[{"certificate":"leaf","certificate_signing_request":"csr\n","ca":"root","chain":["leaf","sub","root"]}]`,
		},
		"order and revocation": {
			[]tlscertificates.CertificateAnswer{
				{CSR: "b", Certificate: "1", CA: "root", Revoked: true},
				{CSR: "a", Certificate: "2", CA: "root", Chain: []string{}},
			},
			`[{"certificate":"1","certificate_signing_request":"b","ca":"root","chain":[],"revoked":true},` +
				`{"certificate":"2","certificate_signing_request":"a","ca":"root","chain":[]}]`,
		},
		"no HTML escapes": {
			[]tlscertificates.CertificateAnswer{{CSR: " <a>&'\"\x00é ", Certificate: "c", CA: "r"}},
			`[{"certificate":"c","certificate_signing_request":" <a>&'\"\u0000é ","ca":"r","chain":[]}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, tlscertificates.EncodeCertificates(test.answers))
		})
	}
}

func TestParseCertificates(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []tlscertificates.CertificateAnswer
	}{
		"an absent key":  {"", nil},
		"an empty array": {"[]", nil},
		"all fields": {
			`[{"certificate":"1","certificate_signing_request":"b\n","ca":"root","chain":["1","root"],"revoked":true}]`,
			[]tlscertificates.CertificateAnswer{{CSR: "b\n", Certificate: "1", CA: "root", Chain: []string{"1", "root"}, Revoked: true}},
		},
		"null for chain and revoked": {
			`[{"certificate":"1","certificate_signing_request":"b","ca":"root","chain":null,"revoked":null}]`,
			[]tlscertificates.CertificateAnswer{{CSR: "b", Certificate: "1", CA: "root"}},
		},
		"a certificate that is not revoked": {
			`[{"certificate":"1","certificate_signing_request":"b","ca":"root","chain":["1\r\n","root\n"],"revoked":false}]`,
			[]tlscertificates.CertificateAnswer{{CSR: "b", Certificate: "1", CA: "root", Chain: []string{"1", "root"}}},
		},
		"fields of another version": {
			`[{"certificate":"1\n","certificate_signing_request":"b","ca":"root\n","recommended_expiry_notification_time":7}]`,
			[]tlscertificates.CertificateAnswer{{CSR: "b", Certificate: "1", CA: "root"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tlscertificates.ParseCertificates(test.text)
			require.NoError(t, err)
			require.Len(t, got, len(test.want))
			for i := range got {
				require.Equal(t, test.want[i], got[i])
			}
		})
	}
}

func TestParseCertificatesRefusesWhatWeNeverWrite(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"?",
		`{}`,
		`["a"]`,
		`[null]`,
		`[] []`,
		`[{"certificate":"1","ca":"root"}]`,
		`[{"certificate_signing_request":"a","ca":"root"}]`,
		`[{"certificate":"1","certificate_signing_request":"a"},{"certificate":7}]`,
		`[{"certificate":"1","certificate_signing_request":"a","chain":"1"}]`,
	} {
		got, err := tlscertificates.ParseCertificates(text)
		require.ErrorContains(t, err, "cannot parse certificates: ", text)
		require.Nil(t, got)
	}
}

func TestCertificatesSurviveARoundTrip(t *testing.T) {
	t.Parallel()
	for _, recorded := range []recordedBag{
		{"charmlibs-1.10-unit", "app/0"},
		{"tls-certificates-lib-v3-unit", "app/0"},
		{"tls-certificates-requirer-charm", "tls-requirer/1"},
	} {
		var answers []tlscertificates.CertificateAnswer
		for _, request := range tlscertificates.ParseUnitBag(readBag(t, recorded)).CSR {
			answers = append(answers, tlscertificates.CertificateAnswer{CSR: request.CSR, Certificate: "leaf", CA: "root", Chain: []string{"leaf", "root"}})
		}
		require.NotEmpty(t, answers)
		text := tlscertificates.EncodeCertificates(answers)
		got, err := tlscertificates.ParseCertificates(text)
		require.NoError(t, err)
		require.Equal(t, answers, got)
		require.Equal(t, text, tlscertificates.EncodeCertificates(got))
	}
}

func TestEncodeCapabilities(t *testing.T) {
	t.Parallel()
	require.Equal(t,
		`{"supports_ip_sans":true,"supports_wildcard_dns":false,"supports_subdomain":true,"supports_ca_certificates":false,"provider_type":"self-signed"}`,
		tlscertificates.EncodeCapabilities(tlscertificates.Capabilities{IPSANs: true, Subdomain: true, ProviderType: "self-signed"}))
	require.Equal(t,
		`{"supports_ip_sans":false,"supports_wildcard_dns":true,"supports_subdomain":false,"supports_ca_certificates":true,"allowed_domains":["b.example","a.example"]}`,
		tlscertificates.EncodeCapabilities(tlscertificates.Capabilities{WildcardDNS: true, CACertificates: true, AllowedDomains: []string{"b.example", "a.example"}}))
}

func TestEveryOutputIsOneJSONDocument(t *testing.T) {
	t.Parallel()
	broken := "\xff\xfe\x00\u2028"
	for _, text := range []string{
		tlscertificates.EncodeCertificates([]tlscertificates.CertificateAnswer{{CSR: broken, Certificate: broken, CA: broken, Chain: []string{broken}}}),
		tlscertificates.EncodeRequestErrors(broken, []tlscertificates.RequestError{{CSR: broken, Message: broken, Reason: broken}}),
		tlscertificates.EncodeCapabilities(tlscertificates.Capabilities{AllowedDomains: []string{broken}, ProviderType: broken}),
	} {
		require.True(t, json.Valid([]byte(text)))
		require.NotContains(t, text, "\n")
	}
}
