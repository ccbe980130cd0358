// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

// problemKeys returns the keys of problems, each once, in their order.
func problemKeys(problems []tlscertificates.Problem) []string {
	var keys []string
	for _, problem := range problems {
		if !slices.Contains(keys, problem.Key) {
			keys = append(keys, problem.Key)
		}
	}
	return keys
}

// MUST 1 and 2: what makes a unit a legacy one, from its own bag alone.
func TestLegacyDetection(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bag      tlscertificates.Bag
		isLegacy bool
	}{
		"an empty bag is no sign": {nil, false},
		"the keys of Juju are no sign": {tlscertificates.Bag{
			"ingress-address": "10.0.0.1", "private-address": "10.0.0.1", "egress-subnets": "10.0.0.1/32",
		}, false},
		"unknown keys are no sign":              {tlscertificates.Bag{"version": "1"}, false},
		"unit_name alone is a sign":             {tlscertificates.Bag{"unit_name": "etcd_0"}, true},
		"common_name alone is a sign":           {tlscertificates.Bag{"common_name": "a"}, true},
		"certificate_name alone is a sign":      {tlscertificates.Bag{"certificate_name": "a"}, true},
		"sans alone is a sign":                  {tlscertificates.Bag{"sans": "[]"}, true},
		"server requests are a sign":            {tlscertificates.Bag{"cert_requests": " {}"}, true},
		"unparsable server requests are a sign": {tlscertificates.Bag{"cert_requests": "{"}, true},
		"an array of server requests is none":   {tlscertificates.Bag{"cert_requests": "[]"}, false},
		"null for server requests is none":      {tlscertificates.Bag{"cert_requests": "null"}, false},
		"text for server requests is none":      {tlscertificates.Bag{"cert_requests": `"a"`}, false},
		"client requests are a sign":            {tlscertificates.Bag{"client_cert_requests": "{}"}, true},
		"unparsable client requests are a sign": {tlscertificates.Bag{"client_cert_requests": "?"}, true},
		"null for client requests is a sign":    {tlscertificates.Bag{"client_cert_requests": "null"}, true},
		"an array of client requests is none":   {tlscertificates.Bag{"client_cert_requests": "[]"}, false},
		"both requests as arrays are none":      {tlscertificates.Bag{"cert_requests": "[]", "client_cert_requests": "[]"}, false},
		"an array beside unit_name is legacy":   {tlscertificates.Bag{"cert_requests": "[]", "unit_name": "a/0"}, true},
		"application requests are a sign":       {tlscertificates.Bag{"application_cert_requests": "[]"}, true},
		"intermediate requests are a sign":      {tlscertificates.Bag{"intermediate_cert_requests": "7"}, true},
		"signing requests are no sign":          {tlscertificates.Bag{"certificate_signing_requests": "[]"}, false},
		"an empty value is an absent key":       {tlscertificates.Bag{"unit_name": "", "cert_requests": ""}, false},
		"a value that is too long is a sign":    {tlscertificates.Bag{"cert_requests": strings.Repeat(" ", 16<<20+1)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tlscertificates.ParseUnitBag(test.bag)
			require.Equal(t, test.isLegacy, got.Legacy != nil)
			_, speaksCSR := test.bag["certificate_signing_requests"]
			require.Equal(t, speaksCSR, got.SpeaksCSR)
		})
	}
}

// MUST 5: the two places of a server request.
func TestLegacyRequestsOfAllKinds(t *testing.T) {
	t.Parallel()
	got := tlscertificates.ParseUnitBag(tlscertificates.Bag{
		"unit_name":                  "app/0",
		"common_name":                "top.example.com",
		"sans":                       `["10.0.0.1","10.0.0.2","10.0.0.1"]`,
		"certificate_name":           "whatever",
		"cert_requests":              `{"z.example.com":{"sans":["10.0.0.3"]},"top.example.com":{"sans":["10.0.0.2","10.0.0.4"]},"a.example.com":{}}`,
		"client_cert_requests":       `{"system:kubelet":{"sans":null},"null":{"sans":[]}}`,
		"application_cert_requests":  `{"top.example.com":{"sans":"10.0.0.5"}}`,
		"intermediate_cert_requests": `{"An <Intermediate> & CA":{"sans":[]}}`,
	})
	require.Equal(t, tlscertificates.UnitRequests{Legacy: &tlscertificates.LegacyRequests{
		UnitName: "app/0",
		Requests: []tlscertificates.LegacyRequest{
			{Kind: tlscertificates.Server, CommonName: "top.example.com", Names: []string{"10.0.0.1", "10.0.0.2", "10.0.0.4"}, TopLevel: true, Listed: true},
			{Kind: tlscertificates.Server, CommonName: "a.example.com", Listed: true},
			{Kind: tlscertificates.Server, CommonName: "z.example.com", Names: []string{"10.0.0.3"}, Listed: true},
			{Kind: tlscertificates.Client, CommonName: "null", Listed: true},
			{Kind: tlscertificates.Client, CommonName: "system:kubelet", Listed: true},
			{Kind: tlscertificates.Application, CommonName: "top.example.com", Names: []string{"10.0.0.5"}, Listed: true},
			{Kind: tlscertificates.Intermediate, CommonName: "An <Intermediate> & CA", Listed: true},
		},
	}}, got)
}

func TestTopLevelNames(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sans     string
		want     []string
		problems int
	}{
		"absent":                               {"", nil, 0},
		"null":                                 {"null", nil, 0},
		"an empty array":                       {"[]", nil, 0},
		"an array keeps its order":             {`["b", "a", "b", ""]`, []string{"b", "a"}, 0},
		"white space before an array":          {"\n [\"a\"]", []string{"a"}, 0},
		"non-strings are dropped":              {`["a", null, 7, ["x"], {"y": 1}, "b"]`, []string{"a", "b"}, 1},
		"null is no name":                      {`["a", null]`, []string{"a"}, 1},
		"one JSON string is one name":          {`"a.example.com"`, []string{"a.example.com"}, 0},
		"a JSON string is not split":           {`"a b"`, []string{"a b"}, 0},
		"an object is ignored":                 {`{"a": []}`, nil, 1},
		"a number is ignored":                  {"10.5", nil, 1},
		"a raw address":                        {"10.0.0.1", []string{"10.0.0.1"}, 0},
		"a raw list with commas":               {"10.0.0.1, fd00::1,*.example.com", []string{"10.0.0.1", "fd00::1", "*.example.com"}, 0},
		"a raw list with white space":          {" a.example.com\t[fd00::1]\n", []string{"a.example.com", "[fd00::1]"}, 0},
		"raw text that is no list is one name": {"['a', 'b']", []string{"['a', 'b']"}, 0},
		"raw text that is only white space":    {"  ", nil, 0},
		"raw text that is not UTF-8":           {"\xff\xfe", nil, 1},
		"half a surrogate pair":                {`["\ud800", "a"]`, []string{"a"}, 1},
		"a name that is far too long":          {`["` + strings.Repeat("a", 1025) + `", "b"]`, []string{"b"}, 1},
		"control characters are for others":    {`["a\u0000b"]`, []string{"a\x00b"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tlscertificates.ParseUnitBag(tlscertificates.Bag{"common_name": "cn", "sans": test.sans})
			require.Equal(t, []tlscertificates.LegacyRequest{
				{Kind: tlscertificates.Server, CommonName: "cn", Names: test.want, TopLevel: true},
			}, got.Legacy.Requests)
			require.Len(t, got.Problems, test.problems)
			for _, problem := range got.Problems {
				require.Equal(t, "sans", problem.Key)
			}
		})
	}
}

// MUST 1, protocol 9.2: a bad value spoils neither its neighbours in the same key
// nor another key.
func TestHostileLegacyValues(t *testing.T) {
	t.Parallel()
	keys := map[string]tlscertificates.Kind{
		"cert_requests":              tlscertificates.Server,
		"client_cert_requests":       tlscertificates.Client,
		"application_cert_requests":  tlscertificates.Application,
		"intermediate_cert_requests": tlscertificates.Intermediate,
	}
	for name, test := range map[string]struct {
		value  string
		want   []string // common names
		reason string   // part of the only problem; none when empty
	}{
		"not JSON":                            {"{'a': []}", nil, "is not JSON"},
		"JSON with something after it":        {`{"a": {}} x`, nil, "is not JSON"},
		"not JSON, not UTF-8":                 {"\xff", nil, "is not JSON"},
		"nested too deep":                     {strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), nil, "is not JSON"},
		"an array":                            {`[{"common_name": "a", "sans": []}]`, nil, "an array of requests is not served"},
		"an empty array":                      {`[]`, nil, "an array of requests is not served"},
		"text":                                {`"a"`, nil, "is not a JSON object"},
		"a number":                            {`7`, nil, "is not a JSON object"},
		"null":                                {`null`, nil, ""},
		"an entry without sans":               {`{"good": {}}`, []string{"good"}, ""},
		"an entry with other members":         {`{"good": {"x": 1, "SANS": 7}}`, []string{"good"}, ""},
		"an entry with null for sans":         {`{"good": {"sans": null}}`, []string{"good"}, ""},
		"an entry that is null":               {`{"bad": null, "good": {}}`, []string{"good"}, `"bad": is not a JSON object`},
		"an entry that is an array":           {`{"bad": ["a"], "good": {}}`, []string{"good"}, `"bad": is not a JSON object`},
		"an entry that is text":               {`{"bad": "{}", "good": {}}`, []string{"good"}, `"bad": is not a JSON object`},
		"an empty common name":                {`{"": {}, "good": {}}`, []string{"good"}, "a common name is empty"},
		"the common name null":                {`{"null": {}}`, []string{"null"}, ""},
		"reserved words as common names":      {`{"ca": {}, "chain": {}, "client.cert": {}, "app_data": {}}`, []string{"app_data", "ca", "chain", "client.cert"}, ""},
		"a common name like a path":           {`{"../../etc/passwd": {}}`, []string{"../../etc/passwd"}, ""},
		"a common name like an option":        {`{"--help $(reboot)": {}}`, []string{"--help $(reboot)"}, ""},
		"control characters in a common name": {`{"a\u0000b": {}}`, []string{"a\x00b"}, ""},
		"a common name that is not UTF-8":     {"{\"\xff\": {}, \"good\": {}}", []string{"good"}, "common name is not UTF-8 text"},
		"half a surrogate in a common name":   {`{"\ud800": {}, "good": {}}`, []string{"good"}, "common name is not UTF-8 text"},
		"a common name of 70 characters":      {`{"` + strings.Repeat("a", 70) + `": {}}`, []string{strings.Repeat("a", 70)}, ""},
		"a common name of a megabyte":         {`{"` + strings.Repeat("a", 1<<20) + `": {}, "good": {}}`, []string{"good"}, "common name is longer than 1024 bytes"},
		"a common name twice, the last good":  {`{"good": 7, "good": {}}`, []string{"good"}, ""},
		"a common name twice, the last bad":   {`{"bad": {}, "bad": 7, "good": {}}`, []string{"good"}, `"bad": is not a JSON object`},
		"sans that is an object":              {`{"good": {"sans": {"a": 1}}}`, []string{"good"}, `"good": sans is neither an array nor text`},
		"sans with numbers and null":          {`{"good": {"sans": [1, null]}}`, []string{"good"}, `"good": a name of sans is not text`},
	} {
		for key, kind := range keys {
			t.Run(key+" "+name, func(t *testing.T) {
				t.Parallel()
				bag := tlscertificates.Bag{key: test.value, "unit_name": "app_0", tlscertificates.KeyCSRs: `[{"certificate_signing_request":"x"}]`}
				for neighbour := range keys {
					if neighbour != key {
						bag[neighbour] = `{"neighbour": {"sans": ["n"]}}`
					}
				}
				got := tlscertificates.ParseUnitBag(bag)
				require.Equal(t, []tlscertificates.CSRRequest{{CSR: "x"}}, got.CSR)
				var commonNames []string
				neighbours := 0
				for _, request := range got.Legacy.Requests {
					if request.Kind == kind {
						commonNames = append(commonNames, request.CommonName)
						continue
					}
					neighbours++
					require.Equal(t, tlscertificates.LegacyRequest{Kind: request.Kind, CommonName: "neighbour", Names: []string{"n"}, Listed: true}, request)
				}
				require.Equal(t, 3, neighbours)
				require.Equal(t, test.want, commonNames)
				if test.reason == "" {
					require.Empty(t, got.Problems)
					return
				}
				require.Len(t, got.Problems, 1)
				require.Equal(t, key, got.Problems[0].Key)
				require.Contains(t, got.Problems[0].Reason, test.reason)
				require.Less(t, len(got.Problems[0].Reason), 500)
			})
		}
	}
}

func TestHostileTopLevelValues(t *testing.T) {
	t.Parallel()
	for name, bag := range map[string]tlscertificates.Bag{
		"a common name that is not UTF-8": {"common_name": "\xff"},
		"a common name that is too long":  {"common_name": strings.Repeat("a", 1025)},
		"a common name beyond the bound":  {"common_name": strings.Repeat("a", 16<<20+1)},
		"a unit name beyond the bound":    {"unit_name": strings.Repeat("a", 16<<20+1)},
		"names beyond the bound":          {"sans": strings.Repeat("a", 16<<20+1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bag["cert_requests"] = `{"good": {}}`
			got := tlscertificates.ParseUnitBag(bag)
			require.Equal(t, &tlscertificates.LegacyRequests{Requests: []tlscertificates.LegacyRequest{
				{Kind: tlscertificates.Server, CommonName: "good", Listed: true},
			}}, got.Legacy)
			require.Len(t, got.Problems, 1)
			require.Contains(t, bag, got.Problems[0].Key)
		})
	}
}

func TestLegacyTopLevelAndBadListedEntry(t *testing.T) {
	t.Parallel()
	got := tlscertificates.ParseUnitBag(tlscertificates.Bag{"common_name": "a", "cert_requests": `{"a": 7}`})
	require.Equal(t, []tlscertificates.LegacyRequest{{Kind: tlscertificates.Server, CommonName: "a", TopLevel: true}}, got.Legacy.Requests)
	require.Equal(t, []string{"cert_requests"}, problemKeys(got.Problems))
}

// manyRequests returns an object of n requests with the common names n00000…
func manyRequests(n int) string {
	var text strings.Builder
	text.WriteByte('{')
	for i := range n {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `"n%05d":{}`, i)
	}
	text.WriteByte('}')
	return text.String()
}

func TestRequestsAreCountedPerBag(t *testing.T) {
	t.Parallel()
	t.Run("ten thousand are read", func(t *testing.T) {
		t.Parallel()
		got := tlscertificates.ParseUnitBag(tlscertificates.Bag{"cert_requests": manyRequests(10_000)})
		require.Len(t, got.Legacy.Requests, 10_000)
		require.Empty(t, got.Problems)
	})
	t.Run("the rest is one problem a key", func(t *testing.T) {
		t.Parallel()
		got := tlscertificates.ParseUnitBag(tlscertificates.Bag{
			"common_name":                "top",
			"cert_requests":              manyRequests(9_999),
			"client_cert_requests":       manyRequests(3),
			"application_cert_requests":  `{}`,
			tlscertificates.KeyCSRs:      `[{"certificate_signing_request":"x"}]`,
			"intermediate_cert_requests": `{"a":{},"b":{}}`,
		})
		require.Len(t, got.Legacy.Requests, 10_000)
		require.Empty(t, got.CSR)
		require.Equal(t, []string{"client_cert_requests", "intermediate_cert_requests", tlscertificates.KeyCSRs}, problemKeys(got.Problems))
		require.Len(t, got.Problems, 3)
	})
	t.Run("a key that is repeated counts each time", func(t *testing.T) {
		t.Parallel()
		got := tlscertificates.ParseUnitBag(tlscertificates.Bag{"cert_requests": "{" + strings.Repeat(`"a":{},`, 10_000) + `"b":{}}`})
		require.Len(t, got.Legacy.Requests, 1)
		require.Len(t, got.Problems, 1)
	})
}

func TestNamesAreCountedPerRequest(t *testing.T) {
	t.Parallel()
	list := make([]string, 1001)
	for i := range list {
		list[i] = fmt.Sprintf("n%d", i)
	}
	for name, test := range map[string]struct {
		sans     string
		want     []string
		problems []string
	}{
		"a thousand":                    {`["` + strings.Join(list[:1000], `","`) + `"]`, list[:1000], nil},
		"one more":                      {`["` + strings.Join(list, `","`) + `"]`, list[:1000], []string{"sans"}},
		"a thousand in raw text":        {strings.Join(list[:1000], " "), list[:1000], nil},
		"one more in raw text":          {strings.Join(list, ","), list[:1000], []string{"sans"}},
		"what is dropped counts":        {`[` + strings.Repeat("7,", 1000) + `"a"]`, nil, []string{"sans"}},
		"text that is no list is whole": {strings.Join(list[:2], " ") + " (x)", []string{"n0 n1 (x)"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tlscertificates.ParseUnitBag(tlscertificates.Bag{
				"common_name": "top", "sans": test.sans, "client_cert_requests": `{"a":{"sans":["x"]}}`,
			})
			require.Equal(t, test.want, got.Legacy.Requests[0].Names)
			require.Equal(t, []string{"x"}, got.Legacy.Requests[1].Names)
			require.Equal(t, test.problems, problemKeys(got.Problems))
		})
	}
}

// An entry has two fields at most; what hides behind a hundred others is not read.
func TestFieldsAreCountedPerEntry(t *testing.T) {
	t.Parallel()
	hundred := strings.Repeat(`"x":0,`, 100)
	got := tlscertificates.ParseUnitBag(tlscertificates.Bag{
		"cert_requests":         `{"a":{` + hundred + `"sans":["x"]},"b":{` + hundred[6:] + `"sans":["x"]}}`,
		tlscertificates.KeyCSRs: `[{` + hundred + `"certificate_signing_request":"x"},{"certificate_signing_request":"y"}]`,
	})
	require.Equal(t, []tlscertificates.LegacyRequest{
		{Kind: tlscertificates.Server, CommonName: "a", Listed: true},
		{Kind: tlscertificates.Server, CommonName: "b", Names: []string{"x"}, Listed: true},
	}, got.Legacy.Requests)
	require.Equal(t, []tlscertificates.CSRRequest{{CSR: "y"}}, got.CSR)
	require.Equal(t, []string{tlscertificates.KeyCSRs}, problemKeys(got.Problems))
}

func TestReasonsAreFitForALog(t *testing.T) {
	t.Parallel()
	got := tlscertificates.ParseUnitBag(tlscertificates.Bag{
		"cert_requests": `{"a\n\u001b[31m\u202e` + strings.Repeat("x", 500) + `": 7}`,
	})
	require.Len(t, got.Problems, 1)
	require.Equal(t, `"a\n\x1b[31m\u202e`+strings.Repeat("x", 72)+`": is not a JSON object`, got.Problems[0].Reason)
}
