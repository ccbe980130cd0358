// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	type bag = tlscertificates.Bag
	for name, test := range map[string]struct{ current, desired, want bag }{
		"both empty":                     {nil, nil, bag{}},
		"equal":                          {bag{"ca": "1", "other": "x"}, bag{"ca": "1"}, bag{}},
		"new and changed keys":           {bag{"ca": "1"}, bag{"ca": "2", "chain": "3"}, bag{"ca": "2", "chain": "3"}},
		"an owned key that is stale":     {bag{"ca": "1", "etcd_0.server.key": "k"}, bag{"ca": "1"}, bag{"etcd_0.server.key": ""}},
		"everything is withdrawn":        {bag{"ca": "1", "client.key": "k", "ingress-address": "10.0.0.1"}, nil, bag{"ca": "", "client.key": ""}},
		"keys of others stay":            {bag{"ingress-address": "10.0.0.1"}, bag{"ca": "1"}, bag{"ca": "1"}},
		"a longer and a shorter value":   {bag{"ca": "12345", "chain": "12"}, bag{"ca": "123", "chain": "1234"}, bag{"ca": "123", "chain": "1234"}},
		"an empty value is no key":       {bag{"ca": ""}, bag{"chain": ""}, bag{}},
		"an empty value removes the key": {bag{"ca": "1"}, bag{"ca": ""}, bag{"ca": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tlscertificates.Diff(test.current, test.desired, tlscertificates.IsLegacyAnswerKey)
			require.Equal(t, test.want, got)
			require.Equal(t, got, whole(tlscertificates.DiffPieces(test.current, pieces(test.desired), tlscertificates.IsLegacyAnswerKey)))

			// What is written once need not be written again.
			after := bag{}
			for key, value := range test.current {
				after[key] = value
			}
			for key, value := range got {
				after[key] = value
			}
			require.Empty(t, tlscertificates.Diff(after, test.desired, tlscertificates.IsLegacyAnswerKey))
		})
	}
}

// pieces cuts every value in two, and empty ones in none.
func pieces(bag tlscertificates.Bag) map[string][]string {
	cut := map[string][]string{}
	for key, value := range bag {
		cut[key] = nil
		if value != "" {
			cut[key] = []string{value[:len(value)/2], value[len(value)/2:]}
		}
	}
	return cut
}

func whole(cut map[string][]string) tlscertificates.Bag {
	bag := tlscertificates.Bag{}
	for key, value := range cut {
		bag[key] = strings.Join(value, "")
	}
	return bag
}
