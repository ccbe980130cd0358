// SPDX-License-Identifier: GPL-3.0-only

package decision_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/decision"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/signing"
	"tls-authority/internal/tlscertificates"
)

// TestAKeyThatIsNeededAgainIsNotDestroyed goes back and forth between sources
// faster than hooks run.
func TestAKeyThatIsNeededAgainIsNotDestroyed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Peer.Record.CA.Generations[0].Source = record.Offline
	w.s.Config.CASource, w.s.Upstream = record.Upstream, &decision.UpstreamRelation{}
	w.settle()
	require.Contains(t, w.keys, "ca-2")
	w.s.Config.CASource = record.Offline
	require.Empty(t, w.act("get-csr", nil).Failure)
	w.s.Config.CASource = record.Upstream
	g, sought := w.s.SoughtKey()
	require.True(t, sought)
	require.Equal(t, 3, g, "no number is given twice")
	w.settle()
	require.Contains(t, w.keys, record.SecretLabel(w.s.Record().Request.Generation))
}

// TestRevocationsFromAboveDoNotKeepUsAsking has a CA above that shows every
// certificate it ever revoked, and our key is one whose requests repeat.
func TestRevocationsFromAboveDoNotKeepUsAsking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Config.CAKeyType = pki.RSA2048
	above := newForeignCA(t, "above", nil)
	w.s.Config.CASource, w.s.Upstream = record.Upstream, &decision.UpstreamRelation{}
	w.settle()
	w.answerUpstream(above, upstreamLife, -1)
	w.settle()
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	for i := 0; i < 60 && w.s.Record().CA.Rotation != nil; i++ {
		if w.s.Record().CA.Rotation.Complete != nil {
			w.act("advance-rotation", nil)
		}
		w.settle()
	}
	require.Nil(t, w.s.Record().CA.Rotation)
	first := w.s.Upstream.Answers[0]
	first.Revoked = true
	w.s.Upstream.Answers = []tlscertificates.CertificateAnswer{first}
	w.s.Now = w.s.Now.Add(day)
	w.settle()
	require.NotEqual(t, first.CSR, w.s.Record().Request.CSR, "another certificate is asked for")
	w.answerUpstream(above, upstreamLife+day, -1)
	second := w.s.Upstream.Answers[0]
	w.s.Upstream.Answers = []tlscertificates.CertificateAnswer{first, second}
	w.settle()
	second.Revoked = true
	w.s.Upstream.Answers = []tlscertificates.CertificateAnswer{first, second}
	w.s.Now = w.s.Now.Add(day)
	last, writes := w.s.Record().Request.CSR, 0
	for i := 0; i < 10; i++ {
		w.settle()
		if csr := w.s.Record().Request.CSR; csr != last {
			last, writes = csr, writes+1
		}
	}
	require.LessOrEqual(t, writes, 1)
}

// TestARevocationIsReplacedOnce has a CA above that takes one certificate back
// and later shows one that ends sooner than its replacement.
func TestARevocationIsReplacedOnce(t *testing.T) {
	t.Parallel()
	w, above := upstreamWorld(t, -1)
	w.s.Upstream.Answers[0].Revoked = true
	w.s.Now = w.s.Now.Add(day)
	w.settle()
	w.answerUpstream(above, upstreamLife-day, -1)
	w.rest()
	path, err := decision.Path(w.s.Record().CA.ActiveGeneration())
	require.NoError(t, err)
	require.Equal(t, noon.Add(upstreamLife-day), path[0].NotAfter, "the replacement may end sooner")

	before := w.published()
	w.answerUpstream(above, upstreamLife-2*day, -1)
	w.rest()
	require.Equal(t, before, w.published(), "what comes after it may not")
}

// constrained is a world whose CA may name hosts below good.example alone.
func constrained(t *testing.T) (*world, foreignCA) {
	t.Helper()
	w := newWorld(t)
	ca := newForeignCA(t, "limited", func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"good.example"}, true
	})
	w.keys["ca-1"] = ca.key(t)
	w.s.Peer.Record.CA = record.NewAuthority(record.Generation{ID: 1, Source: record.Imported, Certificate: ca.certificate.Raw})
	w.s.Config.CASource = record.Imported
	return w, ca
}

// TestAPairStaysWhereTheCAMayNotSignItsNewNames shows what a CA with name
// constraints leaves in service.
func TestAPairStaysWhereTheCAMayNotSignItsNewNames(t *testing.T) {
	t.Parallel()
	w, _ := constrained(t)
	w.relate(3, "etcd", map[string]map[string]string{"etcd/0": {"unit_name": "etcd/0", "common_name": "a.good.example", "sans": `["a.good.example"]`, "certificate_name": "x"}})
	w.settle()
	require.NotNil(t, w.s.Record().Legacy[3].Units[0].Pairs)
	w.s.Relations, w.s.Live = nil, nil
	w.relate(3, "etcd", map[string]map[string]string{"etcd/0": {"unit_name": "etcd/0", "common_name": "a.good.example", "sans": `["a.good.example","b.bad.example"]`, "certificate_name": "x"}})
	w.settle()
	pairs := w.s.Record().Legacy[3].Units[0].Pairs
	require.Len(t, pairs, 1)
	require.Equal(t, []string{"DNS:a.good.example"}, pairs[0].Names, "it says what it was issued for")
	require.Len(t, w.s.Record().Legacy[3].Problems, 1)
}

func TestAnAnswerStaysWhereTheCAMayNotSignItAnew(t *testing.T) {
	t.Parallel()
	w, ca := constrained(t)
	csr := newCSR(t, pkix.Name{CommonName: "a.good.example"}, "a.good.example")
	w.relate(4, "app", map[string]map[string]string{"app/0": csrBag(t, csr)})
	w.settle()
	require.Contains(t, w.s.Relations[0].OwnApplicationBag["certificates"], "BEGIN")
	narrower := ca.named(t, "limited", func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"other.example"}, true
		c.NotAfter = c.NotAfter.Add(day)
	})
	w.s.Candidate = &decision.Candidate{Certificate: narrower.certificate.Raw}
	w.settle()
	before := w.s.Relations[0].OwnApplicationBag["certificates"]
	require.Contains(t, before, "BEGIN")
	require.Empty(t, w.act("renew-certificates", map[string]any{"all": true}).Failure)
	w.settle()
	require.Contains(t, w.s.Relations[0].OwnApplicationBag["certificates"], "BEGIN")
}

func TestACertificateRevokedBeforeItWasTakenIsAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Peer.Record = record.Record{Legacy: map[int]*record.Legacy{}, CSR: map[int]*record.Requests{}}
	delete(w.keys, "ca-1")
	w.s.Config.CASource, w.s.Upstream = record.Upstream, &decision.UpstreamRelation{}
	w.settle()
	w.answerUpstream(newForeignCA(t, "above", nil), upstreamLife, -1)
	w.s.Upstream.Answers[0].Revoked = true
	csr := w.s.Record().Request.CSR
	w.s.Now = w.s.Now.Add(day)
	w.settle()
	require.NotEqual(t, csr, w.s.Record().Request.CSR)
}

// TestAnAnswerThatIsNotReplacedIsNotRead breaks the certificates that stand in
// our own databags. A hook that looked into them would stumble.
func TestAnAnswerThatIsNotReplacedIsNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bags := map[string]map[string]string{}
	for i := range 3 {
		name := fmt.Sprintf("app-%d.example", i)
		bag := csrBag(t, newCSR(t, pkix.Name{CommonName: name}, name))
		maps.Copy(bag, map[string]string{"unit_name": fmt.Sprintf("app/%d", i), "common_name": "old-" + name, "sans": `[]`, "certificate_name": "x"})
		bags[fmt.Sprintf("app/%d", i)] = bag
	}
	w.relate(3, "app", bags)
	w.settle()
	for i := range w.s.Peer.Record.Legacy[3].Units {
		w.s.Peer.Record.Legacy[3].Units[i].Pairs[0].Certificate = []byte("broken")
		w.s.Peer.Record.Legacy[3].Units[i].Pairs[0].Key = []byte("broken")
	}
	certificates := w.s.Relations[0].OwnApplicationBag["certificates"]
	broken := strings.ReplaceAll(certificates, `BEGIN CERTIFICATE-----\n`, `BEGIN CERTIFICATE-----\nbroken`)
	require.NotEqual(t, certificates, broken)
	w.s.Relations[0].OwnApplicationBag["certificates"] = broken

	csr := newCSR(t, pkix.Name{CommonName: "new.example"}, "new.example")
	newcomer := decision.RemoteUnit{Name: "app/3", Requests: tlscertificates.ParseUnitBag(csrBag(t, csr))}
	others := w.s.Relations[0].Units
	for name, units := range map[string][]decision.RemoteUnit{"a sweep": append(others, newcomer), "an event of its own": {newcomer}} {
		t.Run(name, func(t *testing.T) {
			s := w.s
			relation := s.Relations[0]
			relation.Units = units
			if len(units) == 1 {
				s.Sweep, relation.Owner = false, "app/3"
				relation.Unmet = relation.Missing(s.Record())
			}
			s.Relations = []decision.Relation{relation}
			changes, err := signing.CarryOut(s, decision.Make(s), w.keyring())
			require.NoError(t, err)
			after := whole(changes.Relations[0].Application)["certificates"]
			require.True(t, strings.HasPrefix(after, strings.TrimSuffix(broken, "]")+","), "what stood there stands there")
			require.Contains(t, changes.Relations[0].Unit, "app_2.server.cert")
		})
	}
}

// TestAnEventOfOneLosesNothingOfTheOthers has an event of one unit meet a
// databag of ours that it cannot make sense of by itself.
func TestAnEventOfOneLosesNothingOfTheOthers(t *testing.T) {
	t.Parallel()
	first, second := newCSR(t, pkix.Name{CommonName: "first.example"}), newCSR(t, pkix.Name{CommonName: "second.example"})
	shown := map[string]map[string]string{"app/0": csrBag(t, first), "app/1": csrBag(t, second)}
	for name, harm := range map[string]func(w *world){
		"the index lost an answer": func(w *world) { w.s.Peer.Record.CSR[3].Certificates = nil },
		"the databag is broken":    func(w *world) { w.s.Relations[0].OwnApplicationBag["certificates"] = "garbage" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.relate(3, "app", shown)
			w.settle()
			harm(w)
			harmed := w.s.Relations[0].OwnApplicationBag["certificates"]

			whole := w.s.Relations[0]
			alone := whole
			alone.Owner, alone.Units = "app/0", whole.Units[:1]
			alone.Unmet = alone.Missing(w.s.Record())
			w.s.Sweep, w.s.Relations = false, []decision.Relation{alone}
			w.settle()
			bag := w.s.Relations[0].OwnApplicationBag
			require.Equal(t, harmed, bag["certificates"], "it is left alone")
			require.Equal(t, []int{3}, w.s.Record().Agenda.Relations)

			whole.OwnApplicationBag = bag
			w.s.Relations = []decision.Relation{whole}
			w.settle()
			require.Empty(t, w.s.Record().Agenda.Relations)
			answers, err := tlscertificates.ParseCertificates(w.s.Relations[0].OwnApplicationBag["certificates"])
			require.NoError(t, err)
			require.Len(t, answers, 2)
			require.Len(t, w.s.Record().CSR[3].Certificates, 2)
		})
	}
}
