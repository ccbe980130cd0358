// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// worlds are the kinds of Juju that the charm must live in.
var worlds = map[string]jujusim.Options{
	"juju 3.5.4":                  {Version: "3.5.4", Seed: 1},
	"juju 3.6.11":                 {Version: "3.6.11", Seed: 2},
	"juju 4.1":                    {Version: "4.1", Seed: 3},
	"juju 3.6.11 without the rpc": {Version: "3.6.11", Seed: 4, ExecOnly: true},
}

func TestBothDialectsAreServed(t *testing.T) {
	t.Parallel()
	for name, options := range worlds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options, 1)
			keyType := x509.ECDSA
			if name == "juju 3.6.11" { // the default, which one world shows
				keyType = x509.RSA
				require.NoError(t, s.Configure(charm, map[string]any{"key-type": "rsa-2048"}))
			}
			unitCSR, unitKey := newCSR(t, func(r *x509.CertificateRequest) {
				r.Subject.CommonName = "web-0.example.com"
				r.DNSNames = []string{"web-0.example.com", "alias.example.com"}
				r.IPAddresses = []net.IP{net.ParseIP("10.3.0.1")}
			})
			applicationCSR, applicationKey := newCSR(t, named("web.example.com"))
			legacy := s.relate("kubernetes-control-plane", map[string]map[string]string{"kubernetes-control-plane/0": {
				"unit_name":            "kubernetes-control-plane_0",
				"common_name":          "10.0.0.5",
				"sans":                 `["kubernetes.default.svc", "10.152.183.1", "fd00:1::5"]`,
				"cert_requests":        `{"old.example.com": {"sans": ["10.0.0.4"]}}`,
				"client_cert_requests": `{"system:kube-apiserver": {"sans": null}}`,
			}})
			csr := s.relate("web", map[string]map[string]string{"web": csrBag(t, applicationCSR), "web/0": csrBag(t, unitCSR)})
			root := s.root()

			bag := s.legacy(legacy)
			require.Equal(t, root, parseOne(t, bag["ca"]))
			require.NotContains(t, bag, "chain", "a root that signs leaves itself has no chain to publish")
			server := serverPair(bag, "kubernetes-control-plane_0").leaf(t)
			require.Equal(t, "10.0.0.5", server.Subject.CommonName)
			require.Equal(t, keyType, server.PublicKeyAlgorithm)
			require.Equal(t, []string{"kubernetes.default.svc"}, server.DNSNames)
			require.Equal(t, "[10.0.0.5 10.152.183.1 fd00:1::5]", fmt.Sprint(server.IPAddresses), "the common name is a name")
			requireServer(t, root, server)

			older := processed(t, bag, "kubernetes-control-plane_0.processed_requests")["old.example.com"].leaf(t)
			require.Equal(t, []string{"old.example.com"}, older.DNSNames)
			requireServer(t, root, older)

			client := processed(t, bag, "kubernetes-control-plane_0.processed_client_requests")["system:kube-apiserver"].leaf(t)
			require.Equal(t, "CN=system:kube-apiserver", client.Subject.String())
			requireClient(t, root, client)

			global := pair{Cert: bag["client.cert"], Key: bag["client.key"]}.leaf(t)
			require.Equal(t, "CN=client", global.Subject.String())
			requireClient(t, root, global)

			answers := s.answers(csr)
			require.Len(t, answers, 2)
			for text, key := range map[string]crypto.Signer{unitCSR: unitKey, applicationCSR: applicationKey} {
				got := answers[text]
				leaf := parseOne(t, got.Certificate)
				requireKey(t, key, leaf)
				requireServer(t, root, leaf)
				require.Equal(t, root, parseOne(t, got.CA))
				require.Equal(t, []string{got.Certificate, got.CA}, got.Chain)
				require.Nil(t, got.Revoked)
				require.Equal(t, strings.TrimSpace(got.Certificate), got.Certificate)
			}
			leaf := parseOne(t, answers[unitCSR].Certificate)
			require.Equal(t, []string{"alias.example.com", "web-0.example.com"}, leaf.DNSNames)
			require.NotContains(t, s.Bag(csr, charm+"/0"), "client.key", "only those who speak the legacy dialect get the global client key")

			name, message := s.Status(charm + "/0")
			require.Equal(t, "active: root 9y · 5 certificates · 2 applications", name+": "+message)
			requireNoKeyLeaks(t, s)
		})
	}
}

func requireKey(t *testing.T, key crypto.Signer, leaf *x509.Certificate) {
	t.Helper()
	want, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	require.Equal(t, want, leaf.RawSubjectPublicKeyInfo)
}

// requireNoKeyLeaks looks where a private key must never be: in what was
// logged or printed, in arguments of hook tools, and in statuses.
func requireNoKeyLeaks(t *testing.T, s *site) {
	t.Helper()
	require.NotContains(t, s.logText(), "PRIVATE KEY")
	for _, run := range s.Hooks() {
		for _, call := range run.Calls {
			require.NotContains(t, strings.Join(call.Args, " "), "PRIVATE KEY", "%s in %s", call.Tool, run.Hook)
		}
	}
	_, message := s.Status(charm + "/0")
	require.NotContains(t, message, "PRIVATE KEY")
}

func TestIdleHooksWriteNothing(t *testing.T) {
	t.Parallel()
	for name, options := range worlds {
		if options.ExecOnly {
			continue // what is written does not depend on the transport
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options, 1)
			csr, _ := newCSR(t, nil)
			s.relate("etcd", etcdBags(2))
			s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr, "not a CSR")})
			since := len(s.Hooks())
			require.NoError(t, s.UpdateStatus(charm+"/0"))
			for _, hook := range []string{"config-changed", "start", "upgrade-charm"} {
				require.NoError(t, s.Queue(charm+"/0", hook))
				s.settle()
			}
			require.Len(t, s.Hooks(), since+5, "upgrade-charm brings a config-changed, the rest nothing")
			require.Zero(t, s.writes(since))
		})
	}
}

// etcdBags are what a number of etcd units write.
func etcdBags(units int) map[string]map[string]string {
	bags := map[string]map[string]string{}
	for i := range units {
		bags[fmt.Sprintf("etcd/%d", i)] = map[string]string{
			"unit_name":   fmt.Sprintf("etcd_%d", i),
			"common_name": fmt.Sprintf("10.0.1.%d", i+1),
			"sans":        fmt.Sprintf(`["etcd-%d.example.com"]`, i),
		}
	}
	return bags
}

func TestExtraSANsReissueServerCertificatesOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	csr, _ := newCSR(t, nil)
	bags := etcdBags(2)
	bags["etcd/0"]["client_cert_requests"] = `{"etcd-client": {"sans": []}}`
	bags["etcd/1"]["application_cert_requests"] = `{"vip.example.com": {"sans": ["10.9.0.1"]}}`
	legacy := s.relate("etcd", bags)
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	before, answersBefore := s.legacy(legacy), s.Bag(web, charm)

	configure := func(value string) {
		require.NoError(t, s.Configure(charm, map[string]any{"extra_sans": value}))
		s.settle()
	}
	names := func(bag map[string]string) string {
		var text []string
		for _, p := range []pair{serverPair(bag, "etcd_0"), serverPair(bag, "etcd_1"), processed(t, bag, "etcd_1.processed_application_requests")["app_data"]} {
			leaf := p.leaf(t)
			text = append(text, fmt.Sprint(leaf.DNSNames, leaf.IPAddresses))
			requireServer(t, s.root(), leaf)
		}
		return strings.Join(text, "\n")
	}

	configure("vip.example.com 10.0.0.100")
	after := s.legacy(legacy)
	require.Equal(t, strings.Join([]string{
		"[etcd-0.example.com vip.example.com] [10.0.0.100 10.0.1.1]",
		"[etcd-1.example.com vip.example.com] [10.0.0.100 10.0.1.2]",
		"[vip.example.com] [10.0.0.100 10.9.0.1]",
	}, "\n"), names(after))
	for _, key := range []string{"ca", "client.cert", "client.key", "etcd_0.processed_client_requests", "etcd_0.server.key", "etcd_1.server.key"} {
		require.Equal(t, before[key], after[key], key)
	}
	require.Equal(t, answersBefore, s.Bag(web, charm))

	configure("10.0.0.100")
	require.Equal(t, strings.Join([]string{
		"[etcd-0.example.com] [10.0.0.100 10.0.1.1]",
		"[etcd-1.example.com] [10.0.0.100 10.0.1.2]",
		"[vip.example.com] [10.0.0.100 10.9.0.1]",
	}, "\n"), names(s.legacy(legacy)))

	since := len(s.Hooks())
	require.NoError(t, s.Queue(charm+"/0", "config-changed"))
	s.settle()
	require.Len(t, s.Hooks(), since+1)
	require.Zero(t, s.writes(since), "a second config-changed writes nothing")
}

func TestBadOptionsBlockAndChangeNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	legacy := s.relate("etcd", etcdBags(1))
	before := s.legacy(legacy)
	require.NoError(t, s.Configure(charm, map[string]any{"extra_sans": "good.example.com bad/name", "key-type": "rsa-1024"}))
	s.settle()
	require.Equal(t, before, s.legacy(legacy))
	name, message := s.Status(charm + "/0")
	require.Equal(t, "blocked", name)
	require.Contains(t, message, "extra_sans")
	require.Contains(t, message, `"bad/name"`)
	require.Contains(t, message, "key-type")

	require.NoError(t, s.Configure(charm, map[string]any{"extra_sans": "good.example.com", "key-type": "ecdsa-p256"}))
	s.settle()
	name, _ = s.Status(charm + "/0")
	require.Equal(t, "active", name)
	require.Equal(t, []string{"etcd-0.example.com", "good.example.com"}, serverPair(s.legacy(legacy), "etcd_0").leaf(t).DNSNames)
}

func TestWhatIsAskedNoMoreIsWithdrawn(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	first, _ := newCSR(t, named("first.example.com"))
	second, _ := newCSR(t, named("second.example.com"))
	legacy := s.relate("etcd", etcdBags(3))
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, first), "web/1": csrBag(t, second)})
	third := s.answers(web)[second]

	t.Run("a CSR that is replaced", func(t *testing.T) {
		renewed, _ := newCSR(t, named("first.example.com"))
		require.NoError(t, s.SetBag(web, "web/0", csrBag(t, renewed)))
		s.settle()
		answers := s.answers(web)
		require.Len(t, answers, 2)
		require.NotContains(t, answers, first)
		require.Equal(t, third, answers[second], "its neighbour keeps its answer")
		require.Contains(t, answers, renewed)
	})
	t.Run("a unit of the CSR dialect", func(t *testing.T) {
		require.NoError(t, s.RemoveUnit("web/0"))
		s.settle()
		require.Equal(t, map[string]answer{second: third}, s.answers(web))
	})
	t.Run("a unit of the legacy dialect", func(t *testing.T) {
		before := s.legacy(legacy)
		require.NoError(t, s.RemoveUnit("etcd/2"))
		s.settle()
		after := s.legacy(legacy)
		require.NotContains(t, after, "etcd_2.server.key")
		delete(before, "etcd_2.server.cert")
		delete(before, "etcd_2.server.key")
		require.Equal(t, before, after)
	})
	t.Run("a relation", func(t *testing.T) {
		require.NoError(t, s.RemoveRelation(legacy))
		require.NoError(t, s.RemoveRelation(web))
		s.settle()
		_, message := s.Status(charm + "/0")
		require.Equal(t, "root 9y · 0 certificates · 0 applications", message)
		result, err := s.RunAction(charm+"/0", "list-certificates", nil)
		require.NoError(t, err)
		require.Equal(t, "0", result.Results["count"])
	})
	t.Run("a relation made anew is served anew", func(t *testing.T) {
		again, err := s.Relate(charm+":certificates", "etcd:certificates")
		require.NoError(t, err)
		for owner, bag := range etcdBags(2) {
			require.NoError(t, s.SetBag(again, owner, bag))
		}
		s.settle()
		requireServer(t, s.root(), serverPair(s.legacy(again), "etcd_0").leaf(t))
	})
}

func TestActionsTellWhatIsIssued(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	csr, _ := newCSR(t, named("web.example.com"))
	s.relate("etcd", etcdBags(1))
	s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	result, err := s.RunAction(charm+"/0", "list-certificates", nil)
	require.NoError(t, err)
	require.Equal(t, "completed", result.Status)
	var listed []struct {
		Requester  string `json:"requester"`
		Kind       string `json:"kind"`
		CommonName string `json:"common-name"`
		NotAfter   string `json:"not-after"`
	}
	text, ok := result.Results["certificates"].(string)
	require.True(t, ok)
	require.NoError(t, json.Unmarshal([]byte(text), &listed))
	require.Len(t, listed, 3)
	require.Equal(t, "etcd/0 server 10.0.1.1", listed[1].Requester+" "+listed[1].Kind+" "+listed[1].CommonName)
	require.Equal(t, "web/0 csr web.example.com", listed[2].Requester+" "+listed[2].Kind+" "+listed[2].CommonName)
	ends, err := time.Parse(time.RFC3339, listed[1].NotAfter)
	require.NoError(t, err)
	require.Greater(t, time.Until(ends), 364*24*time.Hour)
	require.NotContains(t, fmt.Sprint(result.Results), "PRIVATE KEY")
}
