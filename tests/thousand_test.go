// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// A thousand units of five applications. Those of the older dialect are fewer:
// the charm makes their keys.
const (
	thousandApplications = 4
	thousandUnits        = 200
	thousandLegacy       = 200
	thousandLeave        = 100
	thousandSeen         = 10
	// thousandSample is how many certificates openssl looks at.
	thousandSample = 5
)

// crowds are many applications of both dialects.
type crowds struct {
	*site
	// keys are those of the requests, by CSR.
	keys   map[string]crypto.Signer
	csrs   map[string]string // by unit
	csr    []int             // relations
	legacy int
}

// TestAThousandUnitsAskAtOnce: everyone has a certificate of their own after one
// sweep, and those who stay keep theirs when others leave.
func TestAThousandUnitsAskAtOnce(t *testing.T) {
	t.Parallel()
	s := &crowds{site: newSite(t, jujusim.Options{}, 1), keys: map[string]crypto.Signer{}, csrs: map[string]string{}}
	require.NoError(t, s.Configure(charm, map[string]any{"key-type": "ecdsa-p256"}))
	s.settle()
	for i := range thousandApplications {
		s.csr = append(s.csr, s.crowd(fmt.Sprintf("web%c", 'a'+i), thousandUnits, func(unit string) map[string]string {
			csr, key := newCSR(t, named(strings.ReplaceAll(unit, "/", "-")+".example.com"))
			s.keys[csr], s.csrs[unit] = key, csr
			return csrBag(t, csr)
		}))
	}
	s.legacy = s.crowd("etcd", thousandLegacy, func(unit string) map[string]string {
		name := strings.ReplaceAll(unit, "/", "_")
		return map[string]string{"unit_name": name, "common_name": strings.ReplaceAll(name, "_", "-") + ".example.com", "sans": "[]"}
	})
	s.Pass(func(run jujusim.HookRun) bool { return strings.HasPrefix(run.Hook, "certificates-relation-") })
	s.step()
	s.Pass(nil)
	since := len(s.Hooks())
	require.NoError(t, s.Queue(charm+"/0", "config-changed"))
	s.settle()
	require.LessOrEqual(t, len(s.Hooks())-since, 3, "one sweep, and what its record wakes")
	before := s.check(thousandApplications*thousandUnits + thousandLegacy)
	require.Contains(t, s.statusOf(charm+"/0"), "1000 certificates · 5 applications")

	var gone []string
	for i := range thousandLeave {
		application := "etcd"
		if i%2 == 0 {
			application = fmt.Sprintf("web%c", 'a'+i%thousandApplications)
		}
		unit := fmt.Sprintf("%s/%d", application, i)
		gone = append(gone, unit)
		require.NoError(t, s.RemoveUnit(unit))
	}
	// Hooks of another leader saw most of them go; this one finds out.
	seen := 0
	s.Pass(func(run jujusim.HookRun) bool {
		if run.Hook == "certificates-relation-departed" {
			seen++
		}
		return run.Hook == "certificates-relation-departed" && seen > thousandSeen
	})
	s.step()
	s.Pass(nil)
	require.NoError(t, s.Queue(charm+"/0", "config-changed"))
	s.settle()
	require.Equal(t, thousandLeave, seen)
	for _, unit := range gone {
		delete(before, unit)
	}
	require.Equal(t, before, s.check(len(before)), "who stays keeps it to the byte")
	require.Contains(t, s.statusOf(charm+"/0"), "900 certificates · 5 applications")
	for _, run := range s.Hooks() {
		require.Zero(t, run.ExitCode, run.Hook)
	}
}

// step runs hooks without the limit that Settle has.
func (s *crowds) step() {
	s.t.Helper()
	for ran := true; ran; {
		var err error
		ran, err = s.Step()
		require.NoError(s.t, err)
	}
}

// crowd relates an application of many units.
func (s *crowds) crowd(application string, units int, bag func(unit string) map[string]string) int {
	s.t.Helper()
	require.NoError(s.t, s.AddStandIn(application, units))
	relation, err := s.Relate(charm+":certificates", application+":certificates")
	require.NoError(s.t, err)
	for i := range units {
		unit := fmt.Sprintf("%s/%d", application, i)
		require.NoError(s.t, s.SetBag(relation, unit, bag(unit)))
	}
	return relation
}

// check proves that a number of units has certificates, each its own and good
// below the one CA, and returns them by unit.
func (s *crowds) check(number int) map[string]string {
	s.t.Helper()
	found, root := map[string]string{}, s.root()
	roots, serials, publics := x509.NewCertPool(), map[string]bool{}, map[string]bool{}
	roots.AddCert(root)
	note := func(unit string, leaf *x509.Certificate) {
		name := strings.ReplaceAll(unit, "/", "-") + ".example.com"
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		require.NoError(s.t, err, unit)
		serial, public := leaf.SerialNumber.String(), string(leaf.RawSubjectPublicKeyInfo)
		require.False(s.t, serials[serial] || publics[public], "%s shares a serial number or a key", unit)
		serials[serial], publics[public] = true, true
		found[unit] = string(leaf.Raw)
		if len(found)%(number/thousandSample) == 1 {
			requireServer(s.t, root, leaf)
		}
	}
	answered := map[string]answer{}
	for _, relation := range s.csr {
		maps.Copy(answered, s.answers(relation))
		require.Empty(s.t, s.errors(relation))
	}
	for _, unit := range slices.Sorted(maps.Keys(s.csrs)) {
		csr := s.csrs[unit]
		if _, there := answered[csr]; !there {
			continue
		}
		leaf := parseOne(s.t, answered[csr].Certificate)
		require.Equal(s.t, s.keys[csr].Public(), leaf.PublicKey, unit)
		require.Equal(s.t, root, parseOne(s.t, answered[csr].CA), unit)
		note(unit, leaf)
	}
	bag := s.Bag(s.legacy, charm+"/0")
	for i := range thousandLegacy {
		if pair := serverPair(bag, fmt.Sprintf("etcd_%d", i)); pair.Cert != "" {
			note(fmt.Sprintf("etcd/%d", i), pair.leaf(s.t))
		}
	}
	require.Len(s.t, found, number)
	return found
}
