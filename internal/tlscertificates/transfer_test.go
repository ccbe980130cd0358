// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

const (
	rootA = "-----BEGIN CERTIFICATE-----\nAAAA\nAA+/\n-----END CERTIFICATE-----\n"
	rootB = "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"
	rootC = "-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----\n"

	wireA = `"-----BEGIN CERTIFICATE-----\nAAAA\nAA+/\n-----END CERTIFICATE-----"`
	wireB = `"-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----"`
	wireC = `"-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----"`
)

// MUST 17: version 1 is written whatever the requirer says, and it is the full set,
// of old and new roots during a rotation.
func TestEncodeTransferV1(t *testing.T) {
	t.Parallel()
	one := tlscertificates.Bag{"certificates": "[" + wireA + "]", "version": "1"}
	three := tlscertificates.Bag{"certificates": "[" + wireA + "," + wireB + "," + wireC + "]", "version": "1"}
	for name, test := range map[string]struct {
		roots []string
		want  tlscertificates.Bag
	}{
		"no roots withdraw":             {nil, tlscertificates.Bag{}},
		"empty roots withdraw":          {[]string{"", " \r\n"}, tlscertificates.Bag{}},
		"one root":                      {[]string{rootA}, one},
		"a root twice":                  {[]string{rootA, rootA}, one},
		"a root in two spellings":       {[]string{rootA, "\r\n-----BEGIN CERTIFICATE-----\r\nAAAA\r\nAA+/\r\n-----END CERTIFICATE-----\r\n"}, one},
		"roots in order":                {[]string{rootA, rootB, rootC}, three},
		"roots in another order":        {[]string{rootC, rootA, rootB}, three},
		"roots in any order and number": {[]string{rootB, rootC, rootB, "", rootA, rootC}, three},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, tlscertificates.EncodeTransferV1(test.roots))
		})
	}
}

// MUST 17: version 0 as JSON, which is how libraries of version 1 read it when they
// fall back to it.
func TestEncodeTransferV0(t *testing.T) {
	t.Parallel()
	bag := func(active, chain string) tlscertificates.Bag {
		return tlscertificates.Bag{"ca": active, "certificate": active, "chain": chain, "version": "0"}
	}
	for name, test := range map[string]struct {
		active string
		roots  []string
		want   tlscertificates.Bag
	}{
		"nothing withdraws":                    {"", nil, tlscertificates.Bag{}},
		"no roots withdraw":                    {rootA, nil, tlscertificates.Bag{}},
		"no active root withdraws":             {"\n", []string{rootA}, tlscertificates.Bag{}},
		"one root":                             {rootA, []string{rootA}, bag(wireA, "["+wireA+"]")},
		"the active root first":                {rootB, []string{rootA, rootB, rootC}, bag(wireB, "["+wireB+","+wireA+","+wireC+"]")},
		"the order of the others is ours":      {rootB, []string{rootC, rootB, rootA}, bag(wireB, "["+wireB+","+wireA+","+wireC+"]")},
		"roots repeated":                       {rootC, []string{rootC, rootA, rootC, rootA}, bag(wireC, "["+wireC+","+wireA+"]")},
		"an active root that roots leave out":  {rootC, []string{rootA}, bag(wireC, "["+wireC+","+wireA+"]")},
		"an active root in another spelling":   {rootA + "\r\n", []string{rootA, rootB}, bag(wireA, "["+wireA+","+wireB+"]")},
		"an active root with other line feeds": {"-----BEGIN CERTIFICATE-----\r\nBBBB\r\n-----END CERTIFICATE-----", []string{rootB}, bag(wireB, "["+wireB+"]")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, tlscertificates.EncodeTransferV0(test.active, test.roots))
		})
	}
}

func TestEncodeTransferLeavesItsArgumentsAlone(t *testing.T) {
	t.Parallel()
	roots := []string{rootC, rootA, rootB, rootA}
	tlscertificates.EncodeTransferV1(roots)
	tlscertificates.EncodeTransferV0(rootA, roots)
	require.Equal(t, []string{rootC, rootA, rootB, rootA}, roots)
}

func TestTransferKeys(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]struct{ v0, v1 bool }{
		"ca":              {v0: true},
		"certificate":     {v0: true},
		"chain":           {v0: true},
		"certificates":    {v1: true},
		"version":         {v0: true, v1: true},
		"":                {},
		"Version":         {},
		"client.cert":     {},
		"ingress-address": {},
	} {
		require.Equal(t, want.v0, tlscertificates.IsTransferKeyV0(key), key)
		require.Equal(t, want.v1, tlscertificates.IsTransferKeyV1(key), key)
	}
}

// What is withdrawn leaves the databag as it was before, without the keys of others.
func TestTransferIsWithdrawnCompletely(t *testing.T) {
	t.Parallel()
	roots := []string{rootA, rootB}
	application := tlscertificates.EncodeTransferV1(roots)
	require.Equal(t, tlscertificates.Bag{"certificates": "", "version": ""},
		tlscertificates.Diff(application, tlscertificates.EncodeTransferV1(nil), tlscertificates.IsTransferKeyV1))
	unit := tlscertificates.EncodeTransferV0(rootA, roots)
	unit["ingress-address"] = "10.0.0.1"
	require.Equal(t, tlscertificates.Bag{"ca": "", "certificate": "", "chain": "", "version": ""},
		tlscertificates.Diff(unit, tlscertificates.EncodeTransferV0("", nil), tlscertificates.IsTransferKeyV0))
}
