// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto/x509"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// The subtests name what the interface demands of a provider, as this project
// counts it in docs/reference/relation-certificates.md. Renewal and the CA's
// own life (MUST 8, 14 and 16) need a clock: they are in tests/life. MUST 17 is
// with the action tests, 2, 4, 9, 10 and 11 are held against every recorded
// databag.
func TestWhatTheInterfaceDemands(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 2)
	require.NoError(t, s.Configure(charm, map[string]any{"key-type": "ecdsa-p256"}))
	s.settle()

	t.Run("MUST 1: each databag is read by its own dialect, and none fails a hook", func(t *testing.T) {
		csr, _ := newCSR(t, nil)
		mixed := csrBag(t, csr)
		mixed["unit_name"], mixed["common_name"], mixed["sans"] = "mixed_0", "mixed.example.com", "[]"
		relation := s.relate("mixed", map[string]map[string]string{
			"mixed/0": mixed, "mixed/1": {"certificate_signing_requests": "]"}, "mixed/2": {"unit_name": "mixed_2"}, "mixed/3": {},
		})
		require.Contains(t, s.answers(relation), csr)
		require.Equal(t, "mixed.example.com", serverPair(s.legacy(relation), "mixed_0").leaf(t).Subject.CommonName)
	})
	t.Run("MUST 3: the global client certificate is called client", func(t *testing.T) {
		relation := s.relate("worker", map[string]map[string]string{"worker/0": {"unit_name": "worker_0"}})
		bag := s.legacy(relation)
		leaf := pair{Cert: bag["client.cert"], Key: bag["client.key"]}.leaf(t)
		require.Equal(t, "CN=client", leaf.Subject.String())
		require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, leaf.ExtKeyUsage)
	})
	t.Run("MUST 5: a name asked for in both places is answered in both, and old names stay", func(t *testing.T) {
		relation := s.relate("dash", map[string]map[string]string{"dash/0": {
			"unit_name": "dash_0", "common_name": "a.example.com", "sans": `["10.0.0.1"]`,
			"cert_requests": `{"a.example.com": {"sans": ["10.0.0.2"]}, "new.example.com": {"sans": []}}`,
		}})
		bag := s.legacy(relation)
		top, listed := serverPair(bag, "dash_0"), processed(t, bag, "dash_0.processed_requests")
		require.True(t, top == listed["a.example.com"], "one pair, in both places")
		require.Len(t, top.leaf(t).IPAddresses, 2, "with the names of both")
		require.Contains(t, listed, "new.example.com")
	})
	t.Run("MUST 6: names of units are believed when they can be", func(t *testing.T) {
		const foreign = "remote-0123456789abcdef0123456789abcdef"
		relation := s.relate("liar", map[string]map[string]string{
			"liar/0": {"unit_name": "liar/0", "common_name": "zero", "sans": "[]"},
			"liar/1": {"unit_name": "liar_0", "common_name": "one", "sans": "[]"},
			"liar/2": {"common_name": "two", "sans": "[]"},
		})
		bag := s.legacy(relation)
		for name, commonName := range map[string]string{"liar_0": "zero", "liar_1": "one", "liar_2": "two"} {
			require.Equal(t, commonName, serverPair(bag, name).leaf(t).Subject.CommonName)
		}
		relation = s.relate(foreign, map[string]map[string]string{foreign + "/0": {"unit_name": "etcd_0", "common_name": "far", "sans": "[]"}})
		require.Equal(t, "far", serverPair(s.legacy(relation), "etcd_0").leaf(t).Subject.CommonName)
	})
	t.Run("MUST 7: every unit publishes the same bytes and clears what is stale", func(t *testing.T) {
		relation := s.relate("etcd", etcdBags(2))
		published := func(unit string) map[string]string {
			bag := s.Bag(relation, unit)
			for _, key := range []string{"ingress-address", "private-address", "egress-subnets"} {
				delete(bag, key)
			}
			return bag
		}
		require.NotEmpty(t, published(charm+"/0"))
		require.True(t, equalBags(published(charm+"/0"), published(charm+"/1")))
		require.NoError(t, s.SetBag(relation, "etcd/0", map[string]string{"unit_name": "", "common_name": "", "sans": ""}))
		require.NoError(t, s.SetBag(relation, "etcd/1", map[string]string{"unit_name": "", "common_name": "", "sans": ""}))
		s.settle()
		require.Empty(t, published(charm+"/0"), "the client key goes with the last unit that speaks the dialect")
		require.Empty(t, published(charm+"/1"))
	})
	t.Run("MUST 12: ca may be missing or spelled oddly", func(t *testing.T) {
		var entries []map[string]any
		var csrs []string
		for _, spelling := range []any{nil, false, "false", 0} {
			csr, _ := newCSR(t, nil)
			entry := map[string]any{"certificate_signing_request": csr, "ca": spelling}
			if spelling == nil {
				delete(entry, "ca")
			}
			entries, csrs = append(entries, entry), append(csrs, csr)
		}
		text, err := json.Marshal(entries)
		require.NoError(t, err)
		relation := s.relate("old", map[string]map[string]string{"old/0": {"certificate_signing_requests": string(text)}})
		for _, csr := range csrs {
			require.Contains(t, s.answers(relation), csr)
		}
	})
	t.Run("MUST 13 and 15: an error and a certificate exclude each other, and go with the request", func(t *testing.T) {
		bad, _ := newCSR(t, named("system:admin"))
		good, _ := newCSR(t, nil)
		relation := s.relate("duo", map[string]map[string]string{"duo/0": csrBag(t, bad, good), "duo/1": csrBag(t, bad)})
		require.Contains(t, s.errors(relation), bad)
		require.NotContains(t, s.answers(relation), bad)
		require.NoError(t, s.RemoveUnit("duo/0"))
		s.settle()
		require.Contains(t, s.errors(relation), bad, "another unit still shows it")
		require.Empty(t, s.answers(relation), "an answer goes with the unit that left")
	})
	t.Run("MUST 18: one dialect cannot get the identities of the other", func(t *testing.T) {
		csr, _ := newCSR(t, func(r *x509.CertificateRequest) {
			r.Subject.CommonName, r.Subject.Organization = "me", []string{"system:masters"}
		})
		relation := s.relate("climber", map[string]map[string]string{"climber/0": csrBag(t, csr)})
		require.Equal(t, 102, s.errors(relation)[csr].Error.Code)
	})
	t.Run("a CA request is served where the operator allows it", func(t *testing.T) {
		require.NoError(t, s.Configure(charm, map[string]any{"allow-ca-requests": true, "allowed-domains": "example.com"}))
		csr, _ := newCSR(t, named("Issuing CA of vault"))
		text, err := json.Marshal([]map[string]any{{"certificate_signing_request": csr, "ca": true}})
		require.NoError(t, err)
		relation := s.relate("vault", map[string]map[string]string{"vault/0": {"certificate_signing_requests": string(text)}})
		leaf := parseOne(t, s.answers(relation)[csr].Certificate)
		require.True(t, leaf.IsCA && leaf.MaxPathLenZero, "it signs leaves and no further CAs")
		require.Equal(t, []string{"example.com"}, leaf.PermittedDNSDomains)
		require.Len(t, leaf.ExcludedIPRanges, 2, "no address either: a constraint on names alone leaves addresses free")
		require.Contains(t, s.Bag(relation, charm)["capabilities"], `"supports_ca_certificates":true`)
	})
}

func equalBags(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for key, value := range a {
		if b[key] != value {
			return false
		}
	}
	return true
}

// TestPolicyIsHeldAgainstBothDialects: codes 101, 102 and 103, and the limit.
func TestPolicyIsHeldAgainstBothDialects(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	require.NoError(t, s.Configure(charm, map[string]any{
		"key-type": "ecdsa-p256", "allowed-domains": "example.com", "allowed-ip-ranges": "10.0.0.0/8", "allow-wildcards": false, "certificate-limit": 3,
	}))
	s.settle()
	address, _ := newCSR(t, named("192.0.2.1"))
	domain, _ := newCSR(t, named("www.example.org"))
	wildcard, _ := newCSR(t, named("*.example.com"))
	var good []string
	for range 4 {
		csr, _ := newCSR(t, named("www.example.com"))
		good = append(good, csr)
	}
	relation := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, append([]string{address, domain, wildcard}, good...)...)})
	errors := s.errors(relation)
	require.Equal(t, []int{101, 102, 103, 999}, []int{errors[address].Error.Code, errors[domain].Error.Code, errors[wildcard].Error.Code, errors[good[3]].Error.Code})
	require.Len(t, s.answers(relation), 3)
	require.Contains(t, errors[good[3]].Error.Reason, "certificate-limit")

	etcd := s.relate("etcd", map[string]map[string]string{
		"etcd/0": {"unit_name": "etcd_0", "common_name": "192.0.2.1", "sans": "[]"},
		"etcd/1": {"unit_name": "etcd_1", "common_name": "10.0.0.1", "sans": `["etcd.example.com"]`},
	})
	require.NotContains(t, s.legacy(etcd), "etcd_0.server.cert")
	requireServer(t, s.root(), serverPair(s.legacy(etcd), "etcd_1").leaf(t))

	require.NoError(t, s.Configure(charm, map[string]any{"allowed-ip-ranges": "", "certificate-limit": -1}))
	s.settle()
	require.Len(t, s.answers(relation), 5, "an error goes when the policy allows the request")
	require.NotEmpty(t, s.legacy(etcd)["etcd_0.server.cert"])
}
