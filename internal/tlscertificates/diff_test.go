// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
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
		"an empty value is no key":       {bag{"ca": ""}, bag{"chain": ""}, bag{}},
		"an empty value removes the key": {bag{"ca": "1"}, bag{"ca": ""}, bag{"ca": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tlscertificates.Diff(test.current, test.desired, tlscertificates.IsLegacyAnswerKey)
			require.Equal(t, test.want, got)

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
