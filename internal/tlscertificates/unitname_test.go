// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

func TestMunge(t *testing.T) {
	t.Parallel()
	require.Equal(t, "etcd_0", tlscertificates.Munge("etcd/0"))
	require.Equal(t, "etcd_0", tlscertificates.Munge("etcd_0"))
}

const (
	remoteA = "remote-0123456789abcdef0123456789abcdef"
	remoteB = "remote-f123456789abcdef0123456789abcdef"
)

// MUST 6, protocol 6: whose claim to a name is believed.
func TestResolveUnitNames(t *testing.T) {
	t.Parallel()
	type names = map[string]string
	for name, test := range map[string]struct {
		claims  []tlscertificates.Claim
		want    names
		refused []string
	}{
		"no units":                        {nil, names{}, nil},
		"a munged claim":                  {[]tlscertificates.Claim{{"etcd/0", "etcd_0"}}, names{"etcd/0": "etcd_0"}, nil},
		"a claim that is not munged":      {[]tlscertificates.Claim{{"etcd/0", "etcd/0"}}, names{"etcd/0": "etcd_0"}, nil},
		"no claim":                        {[]tlscertificates.Claim{{"etcd/0", ""}}, names{"etcd/0": "etcd_0"}, nil},
		"a sibling's name":                {[]tlscertificates.Claim{{"etcd/1", "etcd_0"}, {"etcd/0", "etcd_0"}}, names{"etcd/0": "etcd_0", "etcd/1": "etcd_1"}, []string{"etcd/1"}},
		"a sibling's name, the first one": {[]tlscertificates.Claim{{"etcd/0", "etcd_1"}, {"etcd/1", "etcd_1"}}, names{"etcd/0": "etcd_0", "etcd/1": "etcd_1"}, []string{"etcd/0"}},
		"a name of nobody":                {[]tlscertificates.Claim{{"etcd/0", "vault_7"}}, names{"etcd/0": "etcd_0"}, []string{"etcd/0"}},
		"a reserved word":                 {[]tlscertificates.Claim{{"etcd/0", "client"}}, names{"etcd/0": "etcd_0"}, []string{"etcd/0"}},
		"of another model":                {[]tlscertificates.Claim{{remoteA + "/3", "etcd_3"}, {remoteA + "/10", "etcd/10"}}, names{remoteA + "/3": "etcd_3", remoteA + "/10": "etcd_10"}, nil},
		"of another model, no claim":      {[]tlscertificates.Claim{{remoteA + "/3", ""}}, names{remoteA + "/3": remoteA + "_3"}, nil},
		"of another model, Juju's name":   {[]tlscertificates.Claim{{remoteA + "/3", remoteA + "/3"}}, names{remoteA + "/3": remoteA + "_3"}, nil},
		"of another model, another number": {
			[]tlscertificates.Claim{{remoteA + "/3", "etcd_4"}, {remoteA + "/1", "etcd_01"}},
			names{remoteA + "/3": remoteA + "_3", remoteA + "/1": remoteA + "_1"},
			[]string{remoteA + "/3", remoteA + "/1"},
		},
		"of another model, not a unit name": {
			[]tlscertificates.Claim{{remoteA + "/0", "client"}, {remoteA + "/1", "../x_1"}, {remoteA + "/2", "Etcd_2"}, {remoteA + "/3", "etcd_3\n"}, {remoteA + "/4", strings.Repeat("a", 300) + "_4"}},
			names{remoteA + "/0": remoteA + "_0", remoteA + "/1": remoteA + "_1", remoteA + "/2": remoteA + "_2", remoteA + "/3": remoteA + "_3", remoteA + "/4": remoteA + "_4"},
			[]string{remoteA + "/0", remoteA + "/1", remoteA + "/2", remoteA + "/3", remoteA + "/4"},
		},
		"two of other models claim one name": {
			[]tlscertificates.Claim{{remoteB + "/0", "etcd_0"}, {remoteA + "/0", "etcd/0"}},
			names{remoteA + "/0": "etcd_0", remoteB + "/0": remoteB + "_0"},
			[]string{remoteB + "/0"},
		},
		"of another model, the name of a unit here": {
			[]tlscertificates.Claim{{remoteA + "/0", "zookeeper_0"}, {"zookeeper/0", ""}},
			names{remoteA + "/0": remoteA + "_0", "zookeeper/0": "zookeeper_0"},
			[]string{remoteA + "/0"},
		},
		"an application that only looks remote": {[]tlscertificates.Claim{{"remote-0123/0", "etcd_0"}}, names{"remote-0123/0": "remote-0123_0"}, []string{"remote-0123/0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 {
				got, problems := tlscertificates.ResolveUnitNames(test.claims)
				require.Equal(t, test.want, got)
				var refused []string
				for unit, reason := range problems {
					refused = append(refused, unit)
					require.Contains(t, reason, "unit_name")
				}
				require.ElementsMatch(t, test.refused, refused)
				// The order in which Juju lists the units does not matter.
				slices.Reverse(test.claims)
			}
		})
	}
}

func TestResolvedNamesAreDistinct(t *testing.T) {
	t.Parallel()
	var claims []tlscertificates.Claim
	for _, application := range []string{"a", remoteA, remoteB} {
		for _, number := range []string{"0", "1", "9", "10"} {
			for _, claim := range []string{"a_" + number, "b_" + number, remoteA + "_" + number} {
				claims = append(claims, tlscertificates.Claim{Unit: application + "/" + number, UnitName: claim})
			}
		}
	}
	for i := 0; i < len(claims); i += 3 {
		for j := range 3 {
			chosen := []tlscertificates.Claim{}
			for k := 0; k < len(claims); k += 3 {
				if k != i {
					chosen = append(chosen, claims[k+(j+k/3)%3])
				}
			}
			names, _ := tlscertificates.ResolveUnitNames(chosen)
			require.Len(t, names, len(chosen))
			holders := map[string]string{}
			for unit, name := range names {
				require.NotContains(t, holders, name, unit)
				holders[name] = unit
			}
		}
	}
}
