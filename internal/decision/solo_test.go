// SPDX-License-Identifier: GPL-3.0-only

package decision_test

import (
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
	"tls-authority/internal/tlscertificates"
)

func TestTheLimitCountsSiblings(t *testing.T) {
	t.Parallel()
	z := newSolo(t, "etcd")
	z.w.s.Config.CertificateLimit = 3
	for i := range 6 {
		u := fmt.Sprintf("etcd/%d", i)
		z.event(u, legacyBag(u, fmt.Sprintf("h%d.example", i)))
	}
	require.LessOrEqual(t, z.w.s.Record().Legacy[3].Count(), 3)
}

func TestRoomUnderTheLimitIsUsed(t *testing.T) {
	t.Parallel()
	z := newSolo(t, "app")
	z.w.s.Config.CertificateLimit = 1
	a, b := newCSR(t, pkix.Name{CommonName: "a.example"}), newCSR(t, pkix.Name{CommonName: "b.example"})
	z.event("app/0", csrBag(t, a))
	z.event("app/1", csrBag(t, b))
	_, refused := answersTo(z.own, b)
	require.True(t, refused)
	z.event("app/0", nil)
	z.idle()
	cert, _ := answersTo(z.own, b)
	require.True(t, cert)
}

func TestRoomUnderTheLimitIsUsedByPairs(t *testing.T) {
	t.Parallel()
	z := newSolo(t, "etcd")
	z.w.s.Config.CertificateLimit = 1
	z.bags["etcd/0"], z.bags["etcd/1"] = legacyBag("etcd/0", "a.example"), legacyBag("etcd/1", "b.example")
	z.whole(configChanged, true)
	require.Equal(t, 1, z.w.s.Record().Legacy[3].Count())
	z.event("etcd/0", nil)
	z.idle()
	require.Equal(t, 1, z.w.s.Record().Legacy[3].Count())
}

func TestAProblemOfWhatIsSharedGoes(t *testing.T) {
	t.Parallel()
	z := newSolo(t, "etcd")
	z.w.s.Config.AllowedDomains = []string{"good.example"}
	bag := func(cn string) map[string]string {
		return map[string]string{"unit_name": "etcd/0", "application_cert_requests": fmt.Sprintf(`{%q:{"sans":[]}}`, cn)}
	}
	z.event("etcd/0", bag("x.bad.example"))
	z.event("etcd/0", bag("x.good.example"))
	z.idle()
	require.Empty(t, z.w.s.Record().Legacy[3].Problems)
}

func TestASiblingThatAsksForACATakesNothing(t *testing.T) {
	t.Parallel()
	z := newSolo(t, "app")
	a := newCSR(t, pkix.Name{CommonName: "a.example"})
	z.event("app/0", csrBag(t, a))
	before := z.own["certificates"]
	text, err := json.Marshal([]map[string]any{{"certificate_signing_request": a, "ca": true}})
	require.NoError(t, err)
	z.event("app/1", map[string]string{"certificate_signing_requests": string(text)})
	z.idle()
	require.Equal(t, before, z.own["certificates"])
}

func TestARequestIsNotAnsweredTwice(t *testing.T) {
	t.Parallel()
	z := newSolo(t, "app")
	a := newCSR(t, pkix.Name{CommonName: "a.example"})
	z.event("app/0", csrBag(t, a))
	text, err := json.Marshal([]map[string]any{{"certificate_signing_request": a, "ca": "maybe"}})
	require.NoError(t, err)
	z.event("app/1", map[string]string{"certificate_signing_requests": string(text)})
	z.idle()
	cert, refused := answersTo(z.own, a)
	require.False(t, cert && refused)
}

func TestARefusalOutlivesTheProblemsThatFit(t *testing.T) {
	t.Parallel()
	z := newSolo(t, "app")
	z.w.s.Config.AllowedDomains = []string{"good.example"}
	var bad []string
	for i := range 25 {
		cn := fmt.Sprintf("a%d.bad.example", i)
		bad = append(bad, newCSR(t, pkix.Name{CommonName: cn}, cn))
	}
	z.event("app/0", csrBag(t, bad...))
	b := newCSR(t, pkix.Name{CommonName: "b.bad.example"}, "b.bad.example")
	z.event("app/1", csrBag(t, b))
	_, refused := answersTo(z.own, b)
	require.True(t, refused)
	z.event("app/0", nil)
	z.idle()
	c := newCSR(t, pkix.Name{CommonName: "c.good.example"}, "c.good.example")
	z.event("app/2", csrBag(t, c))
	z.idle()
	_, refused = answersTo(z.own, b)
	require.True(t, refused, "app/1 still shows b")
}

func TestAnEventOfOneIsNoSecondLook(t *testing.T) {
	t.Parallel()
	z := newSolo(t, "etcd")
	z.event("etcd/0", legacyBag("etcd/0", "a.example"))
	z.w.s.Peer.Record.Agenda.Later = []int{3} // a sweep could not read it
	z.event("etcd/0", legacyBag("etcd/0", "a.example"))
	require.Equal(t, []int{3}, z.w.s.Record().Agenda.Later)
}

func TestTwoWhoShowOneUnreadableEntry(t *testing.T) {
	t.Parallel()
	z := newSolo(t, "app")
	text, err := json.Marshal([]map[string]any{{"certificate_signing_request": newCSR(t, pkix.Name{CommonName: "a.example"}), "ca": "maybe"}})
	require.NoError(t, err)
	bag := map[string]string{"certificate_signing_requests": string(text)}
	z.event("app/0", bag)
	z.event("app/1", bag)
	es, err := tlscertificates.ParseRequestErrors(z.own["request_errors"])
	require.NoError(t, err)
	require.Len(t, es, 1)
}

func TestTheRecordDoesNotTellWhoWasReadLast(t *testing.T) {
	t.Parallel()
	z := newSolo(t, "app")
	a := newCSR(t, pkix.Name{CommonName: "a.example"})
	z.event("app/0", csrBag(t, a))
	z.event("app/1", csrBag(t, a))
	one := z.w.s.Peer.Bag["csr-3"]
	z.whole(configChanged, true)
	require.Equal(t, one, z.w.s.Peer.Bag["csr-3"])
}

func TestAPairHasTheNamesOnRecord(t *testing.T) {
	t.Parallel()
	z := newSolo(t, "etcd")
	var cns []string
	for i := range 60 {
		cns = append(cns, fmt.Sprintf("h%02d.example", i))
	}
	z.w.s.Config.CAValidity = 60 * day
	z.w.s.Now = noon.Add((3650 - 180) * day)
	z.event("etcd/0", legacyBag("etcd/0", cns...)) // EC keys: quick
	require.Equal(t, 60, z.w.s.Record().Legacy[3].Count())
	z.w.s.Config.KeyType = pki.RSA2048
	extra, _ := pki.ParseNames([]string{"extra.example"})
	z.w.s.Config.ExtraSANs = extra
	z.w.s.Now = z.w.s.Now.Add(135 * day)
	z.whole(configChanged, true)
	z.idle()
	wrong := 0
	for _, p := range z.w.s.Record().Legacy[3].Units[0].Pairs {
		c, err := pki.ParseCertificateDER(p.Certificate)
		require.NoError(t, err)
		if len(c.DNSNames) != len(p.Names) {
			wrong++
		}
	}
	require.Zero(t, wrong, "certificates without a name that the record says they have")
}

func TestKeysForNothingStarveNobody(t *testing.T) {
	t.Parallel()
	w, _ := constrained(t)
	w.s.Config.KeyType = pki.RSA2048
	var bad, good []string
	for i := range 49 {
		bad = append(bad, fmt.Sprintf("a%02d.bad.example", i))
		good = append(good, fmt.Sprintf("a%02d.good.example", i))
	}
	w.relate(3, "bad", map[string]map[string]string{"bad/0": legacyBag("bad/0", bad...)})
	w.relate(4, "good", map[string]map[string]string{"good/0": legacyBag("good/0", good[:2]...)})
	w.settle()
	require.Equal(t, 2, w.s.Record().Legacy[4].Count())
}
