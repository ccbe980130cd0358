// SPDX-License-Identifier: GPL-3.0-only

package decision_test

import (
	"crypto/x509/pkix"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/action"
	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// etcd is what a unit of etcd writes when it joins.
func etcd(unit, commonName, sans string) map[string]string {
	return map[string]string{"unit_name": unit, "common_name": commonName, "sans": sans, "ingress-address": commonName}
}

func TestDecideBeforeThereIsACA(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*world)
		want   []string
	}{
		"without a peer relation it waits": {
			change: func(w *world) { w.s.Peer = nil },
			want:   []string{"waiting: waiting for the peer relation"},
		},
		"the leader creates a root": {
			change: func(w *world) { w.s.Peer.Record.CA = nil },
			want: []string{
				`make self-signed ecdsa-p256 "tls-authority k8s G1": the model has no CA`,
				"maintenance: recording the certificate authority",
			},
		},
		"another unit creates nothing": {
			change: func(w *world) { w.s.Peer.Record.CA, w.s.Leader = nil, false },
			want:   []string{"waiting: waiting for the leader to make the CA"},
		},
		"a bad option creates nothing and is named with all others": {
			change: func(w *world) {
				w.s.Peer.Record.CA = nil
				w.s.Config, w.s.ConfigProblems = policy.ParseConfig(map[string]json.RawMessage{
					"ca-key-type": json.RawMessage(`"ed25519"`), "ca-validity": json.RawMessage(`"ten years"`),
				}, "tls-authority", "k8s")
			},
			want: []string{`blocked: ca-key-type: cannot read key type "ed25519": want one of ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096; ca-validity: "ten years" is not a number followed by m, h, d, w or y: mend with juju config`},
		},
		"an orphaned secret is adopted, not replaced": {
			change: func(w *world) {
				w.s.Peer.Record.CA, w.s.Found = nil, &record.Generation{ID: 1, Certificate: w.issuer.Certificate().Raw}
			},
			want: []string{"maintenance: recording the certificate authority"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.change(w)
			require.Equal(t, c.want, describe(decision.Make(w.s)))
		})
	}
}

func TestDecideRecordsTheCAThatItAdopts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Peer.Record.CA, w.s.Found = nil, &record.Generation{ID: 1, Certificate: w.issuer.Certificate().Raw}
	d := decision.Make(w.s)
	require.Nil(t, d.Making)
	require.Equal(t, w.issuer.Certificate().Raw, d.Record.CA.ActiveGeneration().Certificate)
}

func TestDecideLegacy(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*world)
		want   []string
	}{
		"a unit that shows nothing gets nothing": {
			change: func(w *world) {
				w.relate(3, "etcd", map[string]map[string]string{"etcd/0": {"ingress-address": "10.0.0.1"}})
			},
			want: []string{"active: root 9y · 0 certificates · 0 applications"},
		},
		"a unit name alone brings the global client certificate": {
			change: func(w *world) {
				w.relate(3, "kubernetes-worker", map[string]map[string]string{"kubernetes-worker/0": {"unit_name": "kubernetes-worker_0"}})
			},
			want: []string{
				"client: issue client ecdsa-p256: the legacy dialect needs a global client certificate",
				"3 kubernetes-worker/0 as kubernetes-worker_0",
				"active: root 9y · 0 certificates · 0 applications",
			},
		},
		"a server certificate carries its common name and the operator's names": {
			change: func(w *world) {
				w.s.Config.ExtraSANs, _ = pki.ParseNames([]string{"vip.example.com", "10.9.9.9"})
				w.relate(3, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `["etcd-0.local"]`)})
			},
			want: []string{
				"client: issue client ecdsa-p256: the legacy dialect needs a global client certificate",
				"3 etcd/0 as etcd_0",
				"3 etcd/0: server 10.0.0.1 [DNS:etcd-0.local DNS:vip.example.com IP:10.0.0.1 IP:10.9.9.9]: issue server ecdsa-p256: new request",
				"active: root 9y · 1 certificate · 1 application",
			},
		},
		"a client certificate carries neither": {
			change: func(w *world) {
				w.s.Config.ExtraSANs, _ = pki.ParseNames([]string{"vip.example.com"})
				w.relate(3, "kcp", map[string]map[string]string{"kcp/0": {
					"unit_name": "kcp_0", "client_cert_requests": `{"system:kube-apiserver": {"sans": null}}`,
				}})
			},
			want: []string{
				"client: issue client ecdsa-p256: the legacy dialect needs a global client certificate",
				"3 kcp/0 as kcp_0",
				"3 kcp/0: client system:kube-apiserver []: issue client ecdsa-p256: new request",
				"active: root 9y · 1 certificate · 1 application",
			},
		},
		"units that share get one certificate with the names of all": {
			change: func(w *world) {
				w.relate(3, "haproxy", map[string]map[string]string{
					"haproxy/0": {"unit_name": "haproxy_0", "application_cert_requests": `{"vip-0.example.com": {"sans": ["10.9.0.0"]}}`},
					"haproxy/1": {"unit_name": "haproxy_1", "application_cert_requests": `{"vip-1.example.com": {"sans": ["10.9.0.1"]}}`},
				})
			},
			want: []string{
				"client: issue client ecdsa-p256: the legacy dialect needs a global client certificate",
				"3 haproxy/0 as haproxy_0",
				"3 haproxy/1 as haproxy_1",
				"3 shared: vip-0.example.com [DNS:vip-0.example.com DNS:vip-1.example.com IP:10.9.0.0 IP:10.9.0.1]: issue server ecdsa-p256: new request",
				"active: root 9y · 1 certificate · 1 application",
			},
		},
		"one bad request does not stop the others": {
			change: func(w *world) {
				w.relate(3, "etcd", map[string]map[string]string{
					"etcd/0": {"unit_name": "etcd_0", "cert_requests": `{"bad\u0007name": {"sans": []}, "good.example.com": {"sans": ["fine", "not fine"]}}`},
					"etcd/1": {"unit_name": "etcd_1", "cert_requests": `[`},
				})
			},
			want: []string{
				"client: issue client ecdsa-p256: the legacy dialect needs a global client certificate",
				"3 etcd/0 as etcd_0",
				"3 etcd/0: server good.example.com [DNS:fine DNS:good.example.com]: issue server ecdsa-p256: new request",
				"3 etcd/1 as etcd_1",
				"3 problem 999: etcd/0 bad\aname: …",
				"3 problem 0: etcd/0 good.example.com: …",
				"3 problem 999: etcd/1 cert_requests: …",
				"active: root 9y · 1 certificate · 1 application · 2 denied: …",
			},
		},
		"an intermediate CA is refused": {
			change: func(w *world) {
				w.relate(3, "vault", map[string]map[string]string{"vault/0": {
					"unit_name": "vault_0", "intermediate_cert_requests": `{"sub ca": {"sans": []}}`,
				}})
			},
			want: []string{
				"client: issue client ecdsa-p256: the legacy dialect needs a global client certificate",
				"3 vault/0 as vault_0",
				"3 problem 999: vault/0 sub ca: certificates of CAs are not issued: the option allow-ca-requests is off",
				`active: root 9y · 0 certificates · 0 applications · 1 denied: vault/0 "sub ca" certificates of CAs are not issued: the option allow-ca-requests is off`,
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.change(w)
			requireLines(t, c.want, describe(decision.Make(w.s)))
		})
	}
}

func TestDecideLegacyLater(t *testing.T) {
	t.Parallel()
	joined := func(w *world) {
		w.relate(3, "etcd", map[string]map[string]string{
			"etcd/0": {"unit_name": "etcd_0", "common_name": "10.0.0.1", "sans": `["a"]`, "client_cert_requests": `{"c": {}}`},
			"etcd/1": etcd("etcd_1", "10.0.0.2", `[]`),
		})
	}
	cases := map[string]struct {
		change func(*world)
		want   []string
	}{
		"nothing changed, nothing is issued": {
			change: func(*world) {},
			want: []string{
				"client: keep",
				"3 etcd/0 as etcd_0",
				"3 etcd/0: server 10.0.0.1 [DNS:a IP:10.0.0.1]: keep",
				"3 etcd/0: client c []: keep",
				"3 etcd/1 as etcd_1",
				"3 etcd/1: server 10.0.0.2 [IP:10.0.0.2]: keep",
				"active: root 9y · 3 certificates · 1 application",
			},
		},
		"a changed option signs the same keys again and leaves clients alone": {
			change: func(w *world) { w.s.Config.ExtraSANs, _ = pki.ParseNames([]string{"vip"}) },
			want: []string{
				"client: keep",
				"3 etcd/0 as etcd_0",
				"3 etcd/0: server 10.0.0.1 [DNS:a DNS:vip IP:10.0.0.1]: sign the same key: names changed",
				"3 etcd/0: client c []: keep",
				"3 etcd/1 as etcd_1",
				"3 etcd/1: server 10.0.0.2 [DNS:vip IP:10.0.0.2]: sign the same key: names changed",
				"active: root 9y · 3 certificates · 1 application",
			},
		},
		"a unit that left takes its answers with it": {
			change: func(w *world) { w.s.Relations[0].Units = w.s.Relations[0].Units[:1] },
			want: []string{
				"client: keep",
				"3 etcd/0 as etcd_0",
				"3 etcd/0: server 10.0.0.1 [DNS:a IP:10.0.0.1]: keep",
				"3 etcd/0: client c []: keep",
				"active: root 9y · 2 certificates · 1 application",
			},
		},
		"the last unit takes the global client certificate": {
			change: func(w *world) { w.s.Relations[0].Units = nil },
			want:   []string{"active: root 9y · 0 certificates · 0 applications"},
		},
		"a relation that is gone is forgotten": {
			change: func(w *world) { w.s.Relations, w.s.Live = nil, nil },
			want:   []string{"active: root 9y · 0 certificates · 0 applications"},
		},
		"a relation that is not looked at keeps everything": {
			change: func(w *world) { w.s.Relations = nil },
			want: []string{
				"client: keep",
				"3 etcd/0 as etcd_0",
				"3 etcd/0: server 10.0.0.1 [DNS:a IP:10.0.0.1]: keep",
				"3 etcd/0: client c []: keep",
				"3 etcd/1 as etcd_1",
				"3 etcd/1: server 10.0.0.2 [IP:10.0.0.2]: keep",
				"active: root 9y · 3 certificates · 1 application",
			},
		},
		"an expired pair is issued anew, with a new key": {
			change: func(w *world) { w.s.Now = noon.Add(365 * day) },
			want: []string{
				"client: issue client ecdsa-p256: the legacy dialect needs a global client certificate",
				"3 etcd/0 as etcd_0",
				"3 etcd/0: server 10.0.0.1 [DNS:a IP:10.0.0.1]: issue server ecdsa-p256: new request",
				"3 etcd/0: client c []: issue client ecdsa-p256: new request",
				"3 etcd/1 as etcd_1",
				"3 etcd/1: server 10.0.0.2 [IP:10.0.0.2]: issue server ecdsa-p256: new request",
				"active: root 8y · 3 certificates · 1 application",
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			joined(w)
			w.settle()
			c.change(w)
			requireLines(t, c.want, describe(decision.Make(w.s)))
		})
	}
}

func TestDecideRequests(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*testing.T, *world)
		want   []string
	}{
		"the application and its units are answered, each request once": {
			change: func(t *testing.T, w *world) {
				both, own := newCSR(t, pkix.Name{CommonName: "app.example.com"}), newCSR(t, pkix.Name{CommonName: "unit.example.com"}, "alias.example.com")
				w.relate(4, "web", map[string]map[string]string{"web": csrBag(t, both), "web/0": csrBag(t, both, own)})
			},
			want: []string{
				"4 csr: issue leaf [DNS:app.example.com]: new request",
				"4 csr: issue leaf [DNS:alias.example.com DNS:unit.example.com]: new request",
				"active: root 9y · 2 certificates · 1 application",
			},
		},
		"what Kubernetes takes for an identity is refused with 102": {
			change: func(t *testing.T, w *world) {
				w.relate(4, "web", map[string]map[string]string{"web/0": csrBag(t,
					newCSR(t, pkix.Name{CommonName: "client"}),
					newCSR(t, pkix.Name{CommonName: "System:Kube-ApiServer"}),
					newCSR(t, pkix.Name{CommonName: "web", Organization: []string{"system:masters"}}),
					newCSR(t, pkix.Name{CommonName: "kubelet", Organization: []string{"system:nodes"}}),
				)})
			},
			want: []string{
				"4 csr: issue leaf [DNS:kubelet]: new request",
				`4 csr: refuse 102 the common name "client" is denied by the option denied-common-names`,
				`4 csr: refuse 102 the common name "System:Kube-ApiServer" is denied by the option denied-common-names`,
				`4 csr: refuse 102 the organization "system:masters" is denied by the option denied-organizations`,
				"active: root 9y · 1 certificate · 1 application · 3 denied: …",
			},
		},
		"the CA's own name is refused": {
			change: func(t *testing.T, w *world) {
				w.relate(4, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "test G1"}))})
			},
			want: []string{
				"4 csr: refuse 999 the subject is the CA's own",
				"active: root 9y · 0 certificates · 0 applications · 1 denied: …",
			},
		},
		"garbage is refused and its neighbour served": {
			change: func(t *testing.T, w *world) {
				w.relate(4, "web", map[string]map[string]string{
					"web/0": csrBag(t, "no CSR at all", newCSR(t, pkix.Name{CommonName: "good"})),
					"web/1": {tlscertificates.KeyCSRs: `{"not": "a list"}`},
				})
			},
			want: []string{
				"4 csr: issue leaf [DNS:good]: new request",
				"4 csr: refuse 999 …",
				"active: root 9y · 1 certificate · 1 application · 2 denied: …",
			},
		},
		"near the end of the CA the root is renewed with its own key, and nothing else": {
			change: func(t *testing.T, w *world) {
				w.s.Now = noon.Add(7 * 365 * day)
				w.relate(4, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "late"}))})
			},
			want: []string{"renew: the root has 2y left", "active: root 2y · 0 certificates · 0 applications"},
		},
		"a CA that cannot be renewed refuses loudly near its end": {
			change: func(t *testing.T, w *world) {
				w.s.Config.CAValidity = 2 * day
				w.s.Now = noon.Add(10*365*day - 2*day)
				w.relate(4, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "late"}))})
			},
			want: []string{
				"4 csr: refuse 201 …",
				"active: root 1d · 0 certificates · 0 applications · 1 denied: …",
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.change(t, w)
			requireLines(t, c.want, describe(decision.Make(w.s)))
		})
	}
}

func TestDecideRequestsLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second, third := newCSR(t, pkix.Name{CommonName: "first"}), newCSR(t, pkix.Name{CommonName: "second"}), newCSR(t, pkix.Name{CommonName: "third"})
	w.relate(4, "web", map[string]map[string]string{"web/0": csrBag(t, first, second)})
	published := whole(w.settle().Relations[0].Application)[tlscertificates.KeyCertificates]

	t.Run("a request shown again keeps its answer", func(t *testing.T) {
		require.Equal(t, []string{"4 csr: keep", "4 csr: keep", "active: root 9y · 2 certificates · 1 application"}, describe(decision.Make(w.s)))
		require.Equal(t, published, whole(w.settle().Relations[0].Application)[tlscertificates.KeyCertificates])
	})
	t.Run("a lost index is rebuilt from the answers", func(t *testing.T) {
		before := w.s.Peer.Record.CSR[4]
		delete(w.s.Peer.Record.CSR, 4)
		w.settle()
		require.Equal(t, before, w.s.Peer.Record.CSR[4])
	})
	t.Run("answers keep their order, new ones come last, those not shown go", func(t *testing.T) {
		w.s.Relations[0].Units[0].Requests = tlscertificates.ParseUnitBag(csrBag(t, third, second))
		answers, err := tlscertificates.ParseCertificates(whole(w.settle().Relations[0].Application)[tlscertificates.KeyCertificates])
		require.NoError(t, err)
		require.Len(t, answers, 2)
		require.Equal(t, []string{second, third}, []string{answers[0].CSR, answers[1].CSR})
	})
	t.Run("an expired answer is replaced for the same request", func(t *testing.T) {
		w.s.Now = w.s.Now.Add(90 * day)
		require.Equal(t, []string{
			"4 csr: issue leaf [DNS:second]: new request",
			"4 csr: issue leaf [DNS:third]: new request",
			"active: root 9y · 2 certificates · 1 application",
		}, describe(decision.Make(w.s)))
	})
	t.Run("an answer that this CA did not give is replaced", func(t *testing.T) {
		other := newWorld(t)
		other.relate(4, "web", nil)
		other.s.Relations[0] = w.s.Relations[0]
		lines := describe(decision.Make(other.s))
		require.Contains(t, lines, "4 csr: issue leaf [DNS:second]: new request")
	})
}

func TestDecideLeavesTheSnapshotAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.relate(3, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `[]`)})
	w.settle()
	before, err := record.Encode(w.s.Peer.Record)
	require.NoError(t, err)
	w.s.Config.ExtraSANs, _ = pki.ParseNames([]string{"vip"})
	w.s.Live, w.s.Relations[0].Units[0].Requests = nil, tlscertificates.UnitRequests{}
	require.Equal(t, decision.Make(w.s), decision.Make(w.s))
	after, err := record.Encode(w.s.Peer.Record)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestAnotherUnitWritesOnlyItsMirror(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.relate(3, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `[]`)})
	leader := w.settle()
	w.s.Leader = false
	w.s.Relations[0] = decision.Relation{ID: w.s.Relations[0].ID}
	mirror := w.settle()
	require.Equal(t, leader.Relations[0].Unit, mirror.Relations[0].Unit)
	require.Nil(t, mirror.Relations[0].Application)
	require.Equal(t, juju.Status{Name: juju.Active, Message: "standby"}, mirror.Status)
}

func TestActionsAreAnsweredFromTheRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.relate(3, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `[]`)})
	w.settle()
	w.s.Leader, w.s.Relations = false, nil
	ask := func(name string) *decision.Reply {
		w.s.Event = juju.Event{Kind: juju.Action, Name: name, Unit: "tls-authority/0"}
		return action.Answer(w.s).Reply
	}
	authority := ask("get-ca-certificate")
	require.Equal(t, pki.EncodeCertificatePEM(w.issuer.Certificate().Raw), authority.Results["ca-certificate"])
	require.Equal(t, noon.Add(-5*time.Minute).Format(time.RFC3339), authority.Results["not-before"])

	list := ask("list-certificates")
	require.Equal(t, "2", list.Results["count"])
	var listed []struct {
		CommonName string `json:"common-name"`
	}
	require.NoError(t, json.Unmarshal([]byte(list.Results["certificates"]), &listed))
	require.Equal(t, []string{"client", "10.0.0.1"}, []string{listed[0].CommonName, listed[1].CommonName})
	require.NotContains(t, list.Results["certificates"], "PRIVATE")

	require.Contains(t, ask("sing").Failure, `"sing" is not known`)
}

// requireLines compares line by line; a wanted line that ends in "…" stands
// for every line that begins so, where the rest is another package's wording.
func requireLines(t *testing.T, want, got []string) {
	t.Helper()
	require.Len(t, got, len(want), "%q", got)
	for i := range want {
		if prefix, open := cutEllipsis(want[i]); open {
			require.Contains(t, got[i], prefix)
			continue
		}
		require.Equal(t, want[i], got[i])
	}
}

func cutEllipsis(line string) (string, bool) {
	const ellipsis = "…"
	if len(line) < len(ellipsis) || line[len(line)-len(ellipsis):] != ellipsis {
		return line, false
	}
	return line[:len(line)-len(ellipsis)], true
}
