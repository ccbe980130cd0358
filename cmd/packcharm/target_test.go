// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"strings"
	"testing"

	"github.com/juju/charm/v12"
	"github.com/stretchr/testify/require"
)

func TestParseTargets(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		names  []string
		goarch string
		want   []string
		err    string
	}{
		"no name means the machine's own":     {nil, "arm64", []string{"arm64"}, ""},
		"little-endian power has two names":   {nil, "ppc64le", []string{"ppc64el"}, ""},
		"every name in the order given":       {[]string{"s390x", "amd64"}, "arm64", []string{"s390x", "amd64"}, ""},
		"go's name is not juju's":             {[]string{"ppc64le"}, "amd64", nil, `cannot build for "ppc64le"`},
		"a machine the charm does not run on": {nil, "riscv64", nil, `no architecture "riscv64"`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := parseTargets(tc.names, tc.goarch)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			var names []string
			for _, f := range found {
				names = append(names, f.name)
			}
			require.Equal(t, tc.want, names)
		})
	}
}

func TestManifestNamesTheOneArchitecture(t *testing.T) {
	t.Parallel()
	for _, target := range targets {
		manifest, err := charm.ReadManifest(strings.NewReader(target.manifest()))
		require.NoError(t, err)
		require.Len(t, manifest.Bases, 2)
		for _, base := range manifest.Bases {
			require.Equal(t, []string{target.name}, base.Architectures)
		}
	}
}
