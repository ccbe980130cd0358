// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

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
	for name, test := range map[string]struct {
		text string
		want []tlscertificates.RequestError
	}{
		"an absent key":  {"", nil},
		"null":           {" null ", nil},
		"an empty array": {"[]", nil},
		"the key of the library": {
			`[{"csr":"a\n","error":{"code":201,"name":"SERVER_NOT_AVAILABLE","message":"m","reason":"r"}}]`,
			[]tlscertificates.RequestError{{CSR: "a\n", Code: tlscertificates.ServerNotAvailable, Message: "m", Reason: "r"}},
		},
		"the key of the schema": {
			`[{"certificate_signing_request":"b","error":{"code":102}}]`,
			[]tlscertificates.RequestError{{CSR: "b", Code: tlscertificates.DomainNotAllowed}},
		},
		"both keys, null among them": {
			`[{"csr":"a","certificate_signing_request":"a","error":{"code":101}},{"csr":"b","certificate_signing_request":null,"error":{"code":101}}]`,
			[]tlscertificates.RequestError{{CSR: "a", Code: tlscertificates.IPNotAllowed}, {CSR: "b", Code: tlscertificates.IPNotAllowed}},
		},
		"fields of another version": {
			`[{"csr":"a","since":7,"error":{"code":999,"message":"m","reason":null,"provider":"p","endpoint":"e","more":{}}}]`,
			[]tlscertificates.RequestError{{CSR: "a", Code: tlscertificates.Other, Message: "m"}},
		},
		"bad entries among good ones": {
			`[7,null,"a",{},{"csr":"a"},{"csr":"a","error":"no"},{"csr":7,"error":{"code":101}},{"csr":"","error":{"code":101}},{"csr":"b","error":{}}]`,
			[]tlscertificates.RequestError{{CSR: "b", Code: tlscertificates.Other}},
		},
		"text of another type": {
			`[{"csr":"a","error":{"code":103,"message":["m"],"reason":7}}]`,
			[]tlscertificates.RequestError{{CSR: "a", Code: tlscertificates.WildcardNotAllowed}},
		},
		"long text": {
			`[{"csr":"a","error":{"code":103,"message":"` + strings.Repeat("m", 300) + `","reason":"` + strings.Repeat("r", 300) + `"}}]`,
			[]tlscertificates.RequestError{{CSR: "a", Code: tlscertificates.WildcardNotAllowed, Message: strings.Repeat("m", 256), Reason: strings.Repeat("r", 256)}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tlscertificates.ParseRequestErrors(test.text)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
	for _, text := range []string{"?", "{}", `"a"`, `[{"csr":"a","error":{"code":101}}`, "[] []"} {
		got, err := tlscertificates.ParseRequestErrors(text)
		require.ErrorContains(t, err, "cannot parse request_errors: ", text)
		require.Nil(t, got)
	}
}

// A refusal counts whatever its code looks like.
func TestParseErrorCodes(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]tlscertificates.ErrorCode{
		`"code":101`:                             tlscertificates.IPNotAllowed,
		`"code":"101"`:                           tlscertificates.IPNotAllowed,
		`"code":"DOMAIN_NOT_ALLOWED"`:            tlscertificates.DomainNotAllowed,
		`"code":"domain_not_allowed"`:            tlscertificates.DomainNotAllowed,
		`"name":"wildcard_not_allowed"`:          tlscertificates.WildcardNotAllowed,
		`"code":null,"name":"IP_NOT_ALLOWED"`:    tlscertificates.IPNotAllowed,
		`"code":201,"name":"OTHER"`:              tlscertificates.ServerNotAvailable,
		`"code":104,"name":"KEY_TOO_SHORT"`:      104,
		`"code":true`:                            tlscertificates.Other,
		`"code":1e2`:                             tlscertificates.Other,
		`"code":99999999999999999999`:            tlscertificates.Other,
		`"code":{"value":101}`:                   tlscertificates.Other,
		`"code":"no such code","name":"NEITHER"`: tlscertificates.Other,
		``:                                       tlscertificates.Other,
	} {
		got, err := tlscertificates.ParseRequestErrors(`[{"csr":"a","error":{` + fields + `}}]`)
		require.NoError(t, err)
		require.Equal(t, []tlscertificates.RequestError{{CSR: "a", Code: want}}, got, fields)
	}
}
