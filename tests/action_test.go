// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// run runs an action on a unit and returns its results as text.
func (s *site) run(unit, action string, params map[string]any) (results map[string]string, failure string) {
	s.t.Helper()
	result, err := s.RunAction(unit, action, params)
	require.NoError(s.t, err)
	results = map[string]string{}
	for key, value := range result.Results {
		results[key] = fmt.Sprint(value)
	}
	require.NotContains(s.t, fmt.Sprint(results, result.Message), "PRIVATE KEY")
	if result.Status != "completed" {
		require.NotEmpty(s.t, result.Message)
		return results, result.Message
	}
	s.settle()
	return results, ""
}

func TestListCertificatesFiltersAndPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 2)
	require.NoError(t, s.Configure(charm, map[string]any{"key-type": "ecdsa-p256", "certificate-validity": "10d"}))
	var csrs []string
	for i := range 250 {
		csr, _ := newCSR(t, named(fmt.Sprintf("%s-%d.example.com", strings.Repeat("long", 10), i)))
		csrs = append(csrs, csr)
	}
	s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csrs...)})
	s.relate("etcd", etcdBags(3))
	list := func(unit string, params map[string]any) (count string, shown []map[string]any) {
		results, failure := s.run(unit, "list-certificates", params)
		require.Empty(t, failure)
		require.NoError(t, json.Unmarshal([]byte(results["certificates"]), &shown))
		require.Less(t, len(results["certificates"]), 100_000)
		return results["count"], shown
	}
	count, shown := list(charm+"/1", nil)
	require.Equal(t, "254", count, "any unit knows them, and the global client certificate")
	require.Len(t, shown, 100)
	seen := map[any]bool{}
	for page := 1; page <= 3; page++ {
		_, shown := list(charm+"/0", map[string]any{"page": page})
		for _, c := range shown {
			seen[c["serial-number"]] = true
		}
	}
	require.Len(t, seen, 254)
	count, _ = list(charm+"/0", map[string]any{"application": "etcd"})
	require.Equal(t, "3", count)
	count, shown = list(charm+"/0", map[string]any{"unit": "etcd/1"})
	require.Equal(t, "1", count)
	require.Equal(t, "10.0.1.2", shown[0]["common-name"])
	count, _ = list(charm+"/0", map[string]any{"expiring-within": "11d"})
	require.Equal(t, "250", count)
	_, failure := s.run(charm+"/0", "list-certificates", map[string]any{"page": 4})
	require.Contains(t, failure, "no page 4")
	_, failure = s.run(charm+"/0", "list-certificates", map[string]any{"expiring-within": "soon"})
	require.Contains(t, failure, "expiring-within")
}

func TestRenewCertificates(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 2)
	require.NoError(t, s.Configure(charm, map[string]any{"key-type": "ecdsa-p256"}))
	csr, _ := newCSR(t, nil)
	etcd, web := s.relate("etcd", etcdBags(3)), s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	before, answersBefore := s.legacy(etcd), s.answers(web)

	_, failure := s.run(charm+"/1", "renew-certificates", map[string]any{"all": true})
	require.Contains(t, failure, charm+"/leader")
	_, failure = s.run(charm+"/0", "renew-certificates", nil)
	require.Contains(t, failure, "all=true")

	results, failure := s.run(charm+"/0", "renew-certificates", map[string]any{"unit": "etcd/1"})
	require.Empty(t, failure)
	require.Equal(t, "1", results["count"])
	after := s.legacy(etcd)
	require.NotEqual(t, before["etcd_1.server.cert"], after["etcd_1.server.cert"])
	require.NotEqual(t, before["etcd_1.server.key"], after["etcd_1.server.key"], "a renewal makes a new key")
	require.Equal(t, before["etcd_0.server.cert"], after["etcd_0.server.cert"])
	require.Equal(t, answersBefore, s.answers(web))

	results, failure = s.run(charm+"/0", "renew-certificates", map[string]any{"all": true})
	require.Empty(t, failure)
	require.Equal(t, "5", results["count"])
	last := s.legacy(etcd)
	for _, key := range []string{"client.cert", "etcd_0.server.cert", "etcd_1.server.cert", "etcd_2.server.cert"} {
		require.NotEqual(t, after[key], last[key], key)
	}
	for key, value := range s.Bag(etcd, charm+"/1") {
		if strings.Contains(key, "etcd_") || strings.HasPrefix(key, "client.") {
			require.True(t, last[key] == value, "every unit mirrors %s", key)
		}
	}
	require.NotEqual(t, answersBefore[csr].Certificate, s.answers(web)[csr].Certificate)
	requireServer(t, s.root(), serverPair(last, "etcd_0").leaf(t))
	since := len(s.Hooks())
	require.NoError(t, s.UpdateStatus(charm+"/0"))
	require.Zero(t, s.writes(since), "what was asked for is done once")
}

func TestIssueCertificateAndSignCSR(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	root := s.root()
	results, failure := s.run(charm+"/0", "issue-certificate", map[string]any{"common-name": "ops.example.com", "sans": "10.0.0.9 alias.example.com"})
	require.Empty(t, failure)
	leaf := parseOne(t, results["certificate"])
	require.Equal(t, []string{"alias.example.com", "ops.example.com"}, leaf.DNSNames)
	requireServer(t, root, leaf)
	id := strings.TrimPrefix(results["secret-id"], "secret:")
	content := s.SecretContent(id)
	require.Equal(t, leaf, pair{Cert: content["certificate"], Key: content["private-key"]}.leaf(t))
	require.Equal(t, root, parseOne(t, content["ca-certificate"]))

	results, failure = s.run(charm+"/0", "issue-certificate", map[string]any{"common-name": "admin", "usage": "client"})
	require.Empty(t, failure)
	requireClient(t, root, parseOne(t, results["certificate"]))

	csr, key := newCSR(t, named("client"))
	results, failure = s.run(charm+"/0", "sign-csr", map[string]any{"csr": csr})
	require.Empty(t, failure, "the operator's policy is for requirers")
	signed := parseOne(t, results["certificate"])
	requireKey(t, key, signed)
	requireServer(t, root, signed)

	secrets := len(s.Secrets())
	for action, params := range map[string]map[string]any{
		"sign-csr":          {"csr": "no CSR"},
		"issue-certificate": {"common-name": "bad\nname"},
	} {
		_, failure = s.run(charm+"/0", action, params)
		require.NotEmpty(t, failure, action)
	}
	require.Len(t, s.Secrets(), secrets)
	listed, _ := s.run(charm+"/0", "list-certificates", nil)
	require.Equal(t, "3", listed["count"])
	require.Contains(t, listed["certificates"], "ops.example.com")
	requireNoKeyLeaks(t, s)
}

func TestTheCAIsHandedToThoseWhoOnlyTrust(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 2)
	require.NoError(t, s.AddStandIn("traefik", 1))
	relation, err := s.Relate(charm+":send-ca-cert", "traefik:receive-ca-cert")
	require.NoError(t, err)
	s.settle()
	root := s.root()
	bag := s.Bag(relation, charm)
	var set []string
	require.NoError(t, json.Unmarshal([]byte(bag["certificates"]), &set))
	require.Len(t, set, 1)
	require.Equal(t, root, parseOne(t, set[0]), "MUST 17: version 1 in the application databag")
	require.Equal(t, "1", bag["version"])
	for _, unit := range []string{charm + "/0", charm + "/1"} {
		var ca string
		require.NoError(t, json.Unmarshal([]byte(s.Bag(relation, unit)["ca"]), &ca), "MUST 17: version 0 in every unit's databag, as JSON")
		require.Equal(t, root, parseOne(t, ca))
	}
	since := len(s.Hooks())
	require.NoError(t, s.UpdateStatus(charm+"/0"))
	require.Zero(t, s.writes(since))
}
