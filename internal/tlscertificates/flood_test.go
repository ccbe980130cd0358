// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

// TestADatabagOfTenMegabytes: what is kept of a databag is bounded, whatever
// fills it. A reader that looks at every byte for every entry would not end here.
func TestADatabagOfTenMegabytes(t *testing.T) {
	t.Parallel()
	const size = 10 << 20
	fill := func(open, text, end string) string {
		return open + strings.Repeat(text, (size-len(open)-len(end))/len(text)) + end
	}
	legacy := func(key, value string) tlscertificates.Bag {
		return tlscertificates.Bag{"common_name": "web.example.com", key: value}
	}
	csrs := func(value string) tlscertificates.Bag {
		return tlscertificates.Bag{"certificate_signing_requests": value}
	}
	tiny := tlscertificates.Bag{}
	for i := range 100_000 {
		tiny[fmt.Sprintf("%d.cert_requests", i)] = strings.Repeat("v", 80)
	}
	const asksNothing, asksItself = 0, 1
	for name, c := range map[string]struct {
		bag      tlscertificates.Bag
		legacy   int
		csr      int
		problems string
	}{
		"garbage":                         {csrs(fill("", "}{[\\", "")), 0, 0, "is not JSON"},
		"a key that is no one's":          {tlscertificates.Bag{"other": fill("", "x", "")}, 0, 0, ""},
		"a hundred thousand keys":         {tiny, 0, 0, ""},
		"a hundred thousand texts":        {csrs(fill("[", `{"certificate_signing_request": "x"},`, `{}]`)), 0, 1, "more than 10000 requests"},
		"millions of numbers":             {csrs(fill("[", "1,", "1]")), 0, 0, "more than 10000 requests"},
		"millions of numbers, spaced":     {csrs(fill("[", "1 ,\n", "1]")), 0, 0, "more than 10000 requests"},
		"millions of empty lists":         {csrs(fill("[", "[],", "[]]")), 0, 0, "more than 10000 requests"},
		"lists in lists":                  {csrs(fill("", "[", "")), 0, 0, "is not JSON"},
		"a text":                          {csrs(fill(`"`, "x", `"`)), 0, 0, "is not a JSON array"},
		"a text of quotes":                {csrs(fill(`["`, `\"`, `"]`)), 0, 0, "entry 1: is not a JSON object"},
		"a number":                        {csrs(fill("", "1", "")), 0, 0, "is not a JSON array"},
		"an object of numbers":            {csrs(fill(`[{"ca": 1`, `,"a":1`, `}]`)), 0, 0, "entry 1: certificate_signing_request is missing"},
		"one CSR":                         {csrs(fill(`[{"certificate_signing_request": "`, "x", `"}]`)), 0, 0, "longer than 16384 bytes"},
		"objects in objects":              {legacy("cert_requests", fill("", `{"a":`, "")), asksItself, 0, "is not JSON"},
		"a list of numbers for names":     {legacy("sans", fill("[", "1,", "1]")), asksItself, 0, "more than 1000 names"},
		"names":                           {legacy("sans", fill("[", `"a.example.com",`, `""]`)), asksItself, 0, "more than 1000 names"},
		"a name":                          {legacy("sans", fill("", "a", "")), asksItself, 0, "longer than 1024 bytes"},
		"names that are no JSON":          {legacy("sans", fill("", "a ", "")), asksItself, 0, "more than 1000 names"},
		"a common name":                   {tlscertificates.Bag{"common_name": fill("", "a", "")}, asksNothing, 0, "longer than 1024 bytes"},
		"a unit's name":                   {legacy("unit_name", fill("", "a", "")), asksItself, 0, "longer than 1024 bytes"},
		"one common name again and again": {legacy("cert_requests", fill("{", `"a":{},`, `"b":{}}`)), 2, 0, "more than 10000 requests"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tlscertificates.ParseUnitBag(c.bag)
			require.Len(t, got.CSR, c.csr)
			if c.legacy > 0 {
				require.Len(t, got.Legacy.Requests, c.legacy)
				require.Empty(t, got.Legacy.UnitName)
			}
			told := 0
			for _, p := range got.Problems {
				told += len(p.Key) + len(p.Reason) + len(p.CSR)
			}
			require.Less(t, told, 1<<20)
			if c.problems == "" {
				require.Empty(t, got.Problems)
			} else {
				require.Contains(t, got.Problems[len(got.Problems)-1].Reason, c.problems)
			}
		})
	}
}
