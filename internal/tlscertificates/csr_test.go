// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

// MUST 1 and 12, protocol 5.1 and 9.1: one bad entry leaves the good one alone.
func TestParseSigningRequests(t *testing.T) {
	t.Parallel()
	const good = `{"certificate_signing_request": "good", "ca": false}`
	is := func(ca bool, texts ...string) []tlscertificates.CSRRequest {
		var requests []tlscertificates.CSRRequest
		for _, text := range texts {
			requests = append(requests, tlscertificates.CSRRequest{CSR: text, CA: ca})
		}
		return requests
	}
	atLimit := strings.Repeat("x", tlscertificates.MaxCSRSize)
	for name, test := range map[string]struct {
		value  string
		want   []tlscertificates.CSRRequest
		reason string // part of the only problem; none when empty
		echo   string // the problem's CSR
	}{
		"not JSON":                          {"-----BEGIN", nil, "is not JSON", ""},
		"cut JSON":                          {`[` + good, nil, "is not JSON", ""},
		"an object":                         {good, nil, "is not a JSON array", ""},
		"null":                              {`null`, nil, "is not a JSON array", ""},
		"an empty array":                    {`[]`, nil, "", ""},
		"strings":                           {`["a", ` + good + `]`, is(false, "good"), "entry 1: is not a JSON object", ""},
		"a null entry":                      {`[` + good + `, null]`, is(false, "good"), "entry 2: is not a JSON object", ""},
		"without ca, library v1":            {`[{"certificate_signing_request": "a"}]`, is(false, "a"), "", ""},
		"ca null":                           {`[{"certificate_signing_request": "a", "ca": null}]`, is(false, "a"), "", ""},
		"ca 0":                              {`[{"certificate_signing_request": "a", "ca": 0}]`, is(false, "a"), "", ""},
		"ca false in quotes, Go library":    {"[{\"ca\":\"false\",\"certificate_signing_request\":\"a\\n\"}]", is(false, "a\n"), "", ""},
		"ca true":                           {`[{"certificate_signing_request": "a", "ca": true}]`, is(true, "a"), "", ""},
		"ca true in quotes":                 {`[{"certificate_signing_request": "a", "ca": "true"}]`, is(true, "a"), "", ""},
		"ca 1":                              {`[{"certificate_signing_request": "a", "ca": 1}]`, is(true, "a"), "", ""},
		"ca banana":                         {`[{"certificate_signing_request": "a", "ca": "banana"}, ` + good + `]`, is(false, "good"), "entry 1: ca is neither true nor false", "a"},
		"ca 2":                              {`[{"certificate_signing_request": "a", "ca": 2}, ` + good + `]`, is(false, "good"), "ca is neither true nor false", "a"},
		"ca an object":                      {`[{"certificate_signing_request": "a", "ca": {}}, ` + good + `]`, is(false, "good"), "ca is neither true nor false", "a"},
		"CA in capitals is another field":   {`[{"certificate_signing_request": "a", "CA": true}]`, is(false, "a"), "", ""},
		"other fields":                      {`[{"certificate_signing_request": "a", "ca": false, "x": [1]}]`, is(false, "a"), "", ""},
		"a request that is missing":         {`[{"ca": false}, ` + good + `]`, is(false, "good"), "missing, empty or not text", ""},
		"a request that is null":            {`[{"certificate_signing_request": null}, ` + good + `]`, is(false, "good"), "missing, empty or not text", ""},
		"a request that is a number":        {`[{"certificate_signing_request": 7}, ` + good + `]`, is(false, "good"), "missing, empty or not text", ""},
		"a request that is empty":           {`[{"certificate_signing_request": ""}, ` + good + `]`, is(false, "good"), "missing, empty or not text", ""},
		"a request that is garbage is kept": {`[{"certificate_signing_request": "\u0000<&> \u2028é"}, ` + good + `]`, is(false, "\x00<&> \u2028é", "good"), "", ""},
		"line ends are kept":                {`[{"certificate_signing_request": " a\r\nb\r\n\n"}]`, is(false, " a\r\nb\r\n\n"), "", ""},
		"bytes that are not UTF-8":          {"[{\"certificate_signing_request\": \"a\xffb\"}, " + good + `]`, is(false, "good"), "is not UTF-8 text", ""},
		"half a surrogate pair":             {`[{"certificate_signing_request": "a\udc00"}, ` + good + `]`, is(false, "good"), "is not UTF-8 text", ""},
		"the most bytes":                    {`[{"certificate_signing_request": "` + atLimit + `"}]`, is(false, atLimit), "", ""},
		"a byte too many":                   {`[{"certificate_signing_request": "` + atLimit + `x"}, ` + good + `]`, is(false, "good"), "longer than 16384 bytes", ""},
		"the same request three times":      {`[` + good + `,` + good + `,{"certificate_signing_request": "b"},` + good + `]`, is(false, "good", "b"), "", ""},
		"the same request, false then true": {`[` + good + `, {"certificate_signing_request": "good", "ca": true}]`, is(false, "good"), "entry 2: the same request", ""},
		"the same request, true then false": {`[{"certificate_signing_request": "good", "ca": true}, ` + good + `]`, is(false, "good"), "entry 2: the same request", ""},
		"beyond the bound":                  {strings.Repeat(" ", 16<<20-1) + `[]`, nil, "is longer than 16777216 bytes", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tlscertificates.ParseApplicationBag(tlscertificates.Bag{
				tlscertificates.KeyCSRs: test.value,
				// Legacy keys are nothing in this bag.
				"unit_name": "app_0", "cert_requests": "?",
			})
			require.True(t, got.SpeaksCSR)
			require.Equal(t, test.want, got.CSR)
			if test.reason == "" {
				require.Empty(t, got.Problems)
			} else {
				require.Len(t, got.Problems, 1)
				require.Equal(t, tlscertificates.KeyCSRs, got.Problems[0].Key)
				require.Contains(t, got.Problems[0].Reason, test.reason)
				require.Equal(t, test.echo, got.Problems[0].CSR)
			}

			unit := tlscertificates.ParseUnitBag(tlscertificates.Bag{
				tlscertificates.KeyCSRs: test.value,
				"unit_name":             "app_0", "client_cert_requests": `{"neighbour": {}}`,
			})
			require.Equal(t, got, tlscertificates.ApplicationRequests{SpeaksCSR: unit.SpeaksCSR, CSR: unit.CSR, Problems: unit.Problems})
			require.Equal(t, &tlscertificates.LegacyRequests{UnitName: "app_0", Requests: []tlscertificates.LegacyRequest{
				{Kind: tlscertificates.Client, CommonName: "neighbour", Listed: true},
			}}, unit.Legacy)
		})
	}
}

func TestSigningRequestsAreCounted(t *testing.T) {
	t.Parallel()
	var entries []string
	for i := range 10_001 {
		entries = append(entries, fmt.Sprintf(`{"certificate_signing_request":"%d"}`, i))
	}
	got := tlscertificates.ParseApplicationBag(tlscertificates.Bag{tlscertificates.KeyCSRs: "[" + strings.Join(entries, ",") + "]"})
	require.Len(t, got.CSR, 10_000)
	require.Equal(t, "9999", got.CSR[9_999].CSR)
	require.Len(t, got.Problems, 1)
	require.Contains(t, got.Problems[0].Reason, "more than 10000 requests")
}

func TestBadEntriesAreBounded(t *testing.T) {
	t.Parallel()
	got := tlscertificates.ParseApplicationBag(tlscertificates.Bag{tlscertificates.KeyCSRs: "[" + strings.Repeat("0,", 100_000) + "0]"})
	require.Empty(t, got.CSR)
	require.Len(t, got.Problems, 10_001)
}

func TestEncodeRequests(t *testing.T) {
	t.Parallel()
	require.Empty(t, tlscertificates.EncodeRequests(nil), "without requests the key goes")
	requests := []tlscertificates.CSRRequest{{CSR: "b\r\n", CA: true}, {CSR: "line\na<&>"}}
	text := tlscertificates.EncodeRequests(requests)
	require.Equal(t, `[{"certificate_signing_request":"b","ca":true},{"certificate_signing_request":"line\na<&>","ca":false}]`, text)
	require.Equal(t, text, tlscertificates.EncodeRequests(requests))
}

// Our own provider reads what our requirer asks.
func TestRequestsSurviveARoundTrip(t *testing.T) {
	t.Parallel()
	for _, recorded := range []recordedBag{
		{"charmlibs-1.10-unit", "app/0"},
		{"tls-certificates-lib-v3-unit", "app/0"},
		{"tls-certificates-requirer-charm", "tls-requirer/1"},
	} {
		requests := tlscertificates.ParseUnitBag(readBag(t, recorded)).CSR
		require.NotEmpty(t, requests)
		requests[0].CA = true
		got := tlscertificates.ParseUnitBag(tlscertificates.Bag{
			"ingress-address":       "10.0.0.1",
			tlscertificates.KeyCSRs: tlscertificates.EncodeRequests(requests),
		})
		require.Equal(t, tlscertificates.UnitRequests{SpeaksCSR: true, CSR: requests}, got)
	}
}
