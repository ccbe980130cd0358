// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

// requirerKeys are the keys that FuzzParseUnitBag chooses from by their index.
var requirerKeys = [...]string{
	"unit_name", "common_name", "sans", "certificate_name", "cert_requests", "client_cert_requests",
	"application_cert_requests", "intermediate_cert_requests", "certificate_signing_requests", "ingress-address",
}

// fuzzNeighbour is read from its own key, whatever stands in another one.
const fuzzNeighbour = `{"neighbour":{"sans":["10.0.0.1"]}}`

func FuzzParseUnitBag(f *testing.F) {
	for index, value := range map[uint8]string{
		0: "etcd/0",
		1: "10.0.0.1",
		2: `["10.0.0.1", null, "a"]`,
		4: `{"a":{"sans":["b"]},"":{},"c":7,"a":{"sans":"x"}}`,
		5: `{"system:kubelet":{"sans":null}}`,
		6: `[{"common_name":"a","sans":[]}]`,
		7: "{\"\xff\":{},\"\\ud800\":{}}",
		8: `[{"certificate_signing_request":"a\n","ca":"false"},{"certificate_signing_request":"a\n","ca":true},7]`,
	} {
		f.Add(index, value)
	}
	f.Add(uint8(2), "10.0.0.1, a.example.com")
	f.Add(uint8(4), `{"null":{}}`)
	f.Fuzz(func(t *testing.T, index uint8, value string) {
		key := requirerKeys[int(index)%len(requirerKeys)]
		bag := tlscertificates.Bag{"common_name": "neighbour", "client_cert_requests": fuzzNeighbour}
		bag[key] = value
		got := tlscertificates.ParseUnitBag(bag)
		require.Equal(t, got, tlscertificates.ParseUnitBag(bag))
		requireEncodable(t, got)
		if key != "client_cert_requests" {
			require.Contains(t, got.Legacy.Requests, tlscertificates.LegacyRequest{
				Kind: tlscertificates.Client, CommonName: "neighbour", Names: []string{"10.0.0.1"}, Listed: true,
			})
		}
	})
}

// requireEncodable answers every request and looks the answers up as requirers do.
func requireEncodable(t *testing.T, requests tlscertificates.UnitRequests) {
	t.Helper()
	requireEchoed(t, requests.CSR)
	if requests.Legacy == nil {
		return
	}
	maps := map[tlscertificates.Kind]map[string]tlscertificates.Pair{}
	for _, request := range requests.Legacy.Requests {
		require.NotEmpty(t, request.CommonName)
		require.True(t, request.TopLevel || request.Listed)
		if maps[request.Kind] == nil {
			maps[request.Kind] = map[string]tlscertificates.Pair{}
		}
		require.NotContains(t, maps[request.Kind], request.CommonName, "a request is there twice")
		maps[request.Kind][request.CommonName] = tlscertificates.Pair{Certificate: request.CommonName, Key: "key\n"}
	}
	bag := tlscertificates.EncodeLegacyAnswers(tlscertificates.LegacyAnswers{Units: []tlscertificates.UnitAnswers{{
		Name:         "u_0",
		Server:       maps[tlscertificates.Server],
		Client:       maps[tlscertificates.Client],
		Intermediate: maps[tlscertificates.Intermediate],
	}}})
	for kind, key := range map[tlscertificates.Kind]string{
		tlscertificates.Server:       "u_0.processed_requests",
		tlscertificates.Client:       "u_0.processed_client_requests",
		tlscertificates.Intermediate: "u_0.processed_intermediate_requests",
	} {
		if len(maps[kind]) == 0 {
			require.NotContains(t, bag, key)
			continue
		}
		var answers map[string]tlscertificates.Pair
		require.NoError(t, json.Unmarshal([]byte(bag[key]), &answers))
		for commonName, pair := range maps[kind] {
			require.Equal(t, pair, answers[commonName])
		}
	}
}

// requireEchoed checks that a requirer would recognise each of its own requests.
func requireEchoed(t *testing.T, requests []tlscertificates.CSRRequest) {
	t.Helper()
	var answers []tlscertificates.CertificateAnswer
	seen := map[string]bool{}
	for _, request := range requests {
		require.NotEmpty(t, request.CSR)
		require.LessOrEqual(t, len(request.CSR), tlscertificates.MaxCSRSize)
		require.False(t, seen[request.CSR], "a request is there twice")
		seen[request.CSR] = true
		answers = append(answers, tlscertificates.CertificateAnswer{CSR: request.CSR, Certificate: "leaf", CA: "root"})
	}
	got, err := tlscertificates.ParseCertificates(tlscertificates.EncodeCertificates(answers))
	require.NoError(t, err)
	require.Len(t, got, len(answers))
	for i := range got {
		require.Equal(t, answers[i], got[i])
	}
}

func FuzzParseApplicationBag(f *testing.F) {
	f.Add(`[{"certificate_signing_request":"a","ca":false}]`)
	f.Add(`[{"certificate_signing_request":"a"},{"ca":1},null,"x",{"certificate_signing_request":"\ud800","ca":"banana"}]`)
	f.Add(`{"certificate_signing_request":"a"}`)
	f.Add("[{\"certificate_signing_request\":\"\xff\"}]")
	f.Fuzz(func(t *testing.T, value string) {
		bag := tlscertificates.Bag{tlscertificates.KeyCSRs: value}
		got := tlscertificates.ParseApplicationBag(bag)
		require.Equal(t, value != "", got.SpeaksCSR)
		requireEchoed(t, got.CSR)
		unit := tlscertificates.ParseUnitBag(bag)
		require.Nil(t, unit.Legacy)
		require.Equal(t, got.CSR, unit.CSR)
		require.Equal(t, got.Problems, unit.Problems)
	})
}

func FuzzParseCertificates(f *testing.F) {
	f.Add(`[{"certificate":"1","certificate_signing_request":"a\n","ca":"root\n","chain":["1 ","root"],"revoked":true}]`)
	f.Add(`[{"certificate":"1","certificate_signing_request":"a","chain":null,"revoked":null}]`)
	f.Add("[{\"certificate\":\"\xff\",\"certificate_signing_request\":\"\\ud800\"}]")
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		first, err := tlscertificates.ParseCertificates(text)
		if err != nil {
			require.Nil(t, first)
			return
		}
		encoded := tlscertificates.EncodeCertificates(first)
		second, err := tlscertificates.ParseCertificates(encoded)
		require.NoError(t, err)
		require.Equal(t, len(first), len(second))
		for i := range first {
			require.Equal(t, first[i], second[i])
		}
		require.Equal(t, encoded, tlscertificates.EncodeCertificates(second))
	})
}

func FuzzParseRequestErrors(f *testing.F) {
	f.Add(`[{"csr":"a\n","certificate_signing_request":"a","error":{"code":101,"name":"IP_NOT_ALLOWED","message":"m","reason":"r"}}]`)
	f.Add(`[{"csr":"a","error":{"code":"102"}},7,{"csr":"b"},{"csr":"c","error":{"code":"other"}}]`)
	f.Add("[{\"csr\":\"\xff\",\"error\":{\"message\":\"\\ud800\"}}]")
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		first, err := tlscertificates.ParseRequestErrors(text)
		if err != nil {
			require.Nil(t, first)
			return
		}
		for _, refused := range first {
			require.NotEmpty(t, refused.CSR)
		}
		encoded := tlscertificates.EncodeRequestErrors("p", first)
		second, err := tlscertificates.ParseRequestErrors(encoded)
		require.NoError(t, err)
		require.Equal(t, first, second)
	})
}

func FuzzSplitPublished(f *testing.F) {
	f.Add(`[{"certificate":"1","certificate_signing_request":"a\nb","ca":"root","chain":["1","root"],"revoked":true},{"certificate":"2","certificate_signing_request":"c","ca":"root","chain":[]}]`)
	f.Add(`[{"certificate":"1\\","certificate_signing_request":"\\n\u0041\"","ca":"","chain":["\\\\"]}]`)
	f.Add(`[{"certificate":"1","certificate_signing_request":"a","ca":"","chain":["x",]}]`)
	f.Add(`[ {"certificate_signing_request":"a","certificate":"1"} ]`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		answers, err := tlscertificates.ParseCertificates(text)
		entries, splitErr := tlscertificates.SplitPublished(text)
		if err != nil {
			return // what is not JSON may have our form all the same
		}
		require.NoError(t, splitErr)
		require.Len(t, entries, len(answers))
		for i, entry := range entries {
			got, err := entry.Answer()
			require.NoError(t, err)
			require.Equal(t, answers[i], got)
			require.Equal(t, answers[i].CSR, entry.CSR)
		}
		again, err := tlscertificates.ParseCertificates(joined(entries))
		require.NoError(t, err)
		require.Equal(t, answers, again)
	})
}
