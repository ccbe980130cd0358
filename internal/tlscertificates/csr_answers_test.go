// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"encoding/json"
	"strings"
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

// MUST 13: both names of the CSR, the code an integer.
func TestEncodeRequestErrors(t *testing.T) {
	t.Parallel()
	require.Empty(t, tlscertificates.EncodeRequestErrors("tls-authority", nil))
	require.Equal(t,
		`[{"csr":"b\n","certificate_signing_request":"b\n","error":{"code":101,"name":"IP_NOT_ALLOWED","message":"no <addresses>","reason":"10.0.0.1","provider":"tls-authority"}},`+
			`{"csr":"a","certificate_signing_request":"a","error":{"code":999,"name":"OTHER","message":"no","provider":"tls-authority"}}]`,
		tlscertificates.EncodeRequestErrors("tls-authority", []tlscertificates.RequestError{
			{CSR: "b\n", Code: tlscertificates.IPNotAllowed, Message: "no <addresses>", Reason: "10.0.0.1"},
			{CSR: "a", Code: tlscertificates.Other, Message: "no"},
		}))
}

func TestErrorCodeNames(t *testing.T) {
	t.Parallel()
	for code, name := range map[tlscertificates.ErrorCode]string{
		101: "IP_NOT_ALLOWED",
		102: "DOMAIN_NOT_ALLOWED",
		103: "WILDCARD_NOT_ALLOWED",
		201: "SERVER_NOT_AVAILABLE",
		999: "OTHER",
		0:   "OTHER",
	} {
		require.Equal(t, name, code.Name())
	}
	require.Equal(t, []tlscertificates.ErrorCode{101, 102, 103, 201, 999}, []tlscertificates.ErrorCode{
		tlscertificates.IPNotAllowed, tlscertificates.DomainNotAllowed, tlscertificates.WildcardNotAllowed,
		tlscertificates.ServerNotAvailable, tlscertificates.Other,
	})
}

func TestMessagesAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		strings.Repeat("é", 256):                strings.Repeat("é", 256),
		strings.Repeat("é", 257):                strings.Repeat("é", 256),
		strings.Repeat("x", 255) + "\U0001f512": strings.Repeat("x", 255) + "\U0001f512",
		strings.Repeat("x", 256) + "\U0001f512": strings.Repeat("x", 256),
		"bad \xff byte":                         "bad \ufffd byte",
	} {
		text := tlscertificates.EncodeRequestErrors("p", []tlscertificates.RequestError{{CSR: "a", Code: tlscertificates.Other, Message: message}})
		got, err := tlscertificates.ParseRequestErrors(text)
		require.NoError(t, err)
		require.Equal(t, []tlscertificates.RequestError{{CSR: "a", Code: tlscertificates.Other, Message: want}}, got)
	}
}

func TestParseRequestErrors(t *testing.T) {
	t.Parallel()
	got, err := tlscertificates.ParseRequestErrors("")
	require.NoError(t, err)
	require.Empty(t, got)
	got, err = tlscertificates.ParseRequestErrors(`[{"csr":"a","error":{"code":201,"message":"m","reason":"r"}},{"certificate_signing_request":"b","error":{"code":102}}]`)
	require.NoError(t, err)
	require.Equal(t, []tlscertificates.RequestError{
		{CSR: "a", Code: tlscertificates.ServerNotAvailable, Message: "m", Reason: "r"},
		{CSR: "b", Code: tlscertificates.DomainNotAllowed},
	}, got)
	for _, text := range []string{"?", "{}", `[{}]`, `[{"csr":"a","error":{"code":"x"}}]`} {
		got, err = tlscertificates.ParseRequestErrors(text)
		require.ErrorContains(t, err, "cannot parse request_errors: ", text)
		require.Nil(t, got)
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
