// SPDX-License-Identifier: GPL-3.0-only

package decision_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// publicKey is the key of a responder, as a unit shows it.
func publicKey(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := pki.EncodePublicKey(key.Public())
	require.NoError(t, err)
	return der
}

// parsedList is the list of a generation, as a verifier reads it.
func (w *world) parsedList(generation int) pki.RevocationList {
	w.t.Helper()
	r := w.s.Peer.Record
	ca, err := pki.ParseCertificateDER(r.CA.Generation(generation).Certificate)
	require.NoError(w.t, err)
	require.NotNil(w.t, r.Lists[generation])
	list, err := pki.ParseCRL(r.Lists[generation].CRL, ca)
	require.NoError(w.t, err)
	return list
}

// answers are what our application databag tells a relation of the CSR dialect.
func (w *world) answers(number int) []tlscertificates.CertificateAnswer {
	w.t.Helper()
	for _, relation := range w.s.Relations {
		if text := relation.OwnApplicationBag[tlscertificates.KeyCertificates]; relation.ID.Number == number && text != "" {
			answers, err := tlscertificates.ParseCertificates(text)
			require.NoError(w.t, err)
			return answers
		}
	}
	return nil
}

func TestListsAreSignedInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settle()
	first := w.parsedList(1)
	require.Equal(t, noon.Add(-pki.Backdate), first.ThisUpdate)
	require.Equal(t, 7*day, first.NextUpdate.Sub(first.ThisUpdate))
	require.Empty(t, first.Entries)

	w.s.Now = noon.Add(84*time.Hour - pki.Backdate - time.Second)
	require.Empty(t, decision.Make(w.s).Lists, "half of its life is not over")
	w.s.Now = w.s.Now.Add(time.Second)
	w.settle()
	second := w.parsedList(1)
	require.Positive(t, second.Number.Cmp(first.Number))
	require.Equal(t, w.s.Now.Add(-pki.Backdate), second.ThisUpdate)

	t.Run("not in the event of a requirer", func(t *testing.T) {
		s := w.s
		s.Now = noon.Add(30 * day)
		s.Event = juju.Event{Kind: juju.RelationChanged, Relation: juju.RelationID{Endpoint: decision.CertificatesEndpoint, Number: 3}, RemoteUnit: "web/0"}
		require.Empty(t, decision.Make(s).Lists)
	})
	t.Run("not where nobody could ask", func(t *testing.T) {
		w := newWorld(t)
		w.s.Config.StatusPort = 0
		w.settle()
		require.Empty(t, w.s.Peer.Record.Lists)
	})
	t.Run("no more when the service is turned off", func(t *testing.T) {
		w := newWorld(t)
		w.s.Daemon.Key = publicKey(t)
		w.settle()
		require.NotEmpty(t, w.s.Peer.Record.Lists)
		require.NotEmpty(t, w.s.Peer.Record.Responders)
		w.s.Config.StatusPort = 0
		w.settle()
		require.Empty(t, w.s.Peer.Record.Lists[1].CRL, "its number alone is left")
		require.Empty(t, w.s.Peer.Record.Responders)
	})
}

func TestRespondersAreCertified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own, other := publicKey(t), publicKey(t)
	w.s.Daemon.Key = own
	w.s.PeerKeys = map[juju.UnitName][]byte{"tls-authority/1": other, "tls-authority/2": []byte("no key")}
	w.settle()
	w.s.PeerKeys = nil
	responders := w.s.Peer.Record.Responders
	for unit, key := range map[string][]byte{"tls-authority/0": own, "tls-authority/1": other} {
		require.Len(t, responders[unit].Certificates, 1)
		certificate, err := pki.ParseCertificateDER(responders[unit].Certificates[0].Certificate)
		require.NoError(t, err)
		require.NoError(t, certificate.CheckSignatureFrom(w.issuer.Certificate()))
		der, err := pki.EncodePublicKey(certificate.PublicKey)
		require.NoError(t, err)
		require.Equal(t, key, der)
		require.LessOrEqual(t, certificate.NotAfter.Sub(certificate.NotBefore), 7*day)
	}
	require.Empty(t, responders["tls-authority/2"].Certificates, "what is no key is not certified")
	names := map[string]bool{}
	for _, unit := range []string{"tls-authority/0", "tls-authority/1"} {
		certificate, err := pki.ParseCertificateDER(responders[unit].Certificates[0].Certificate)
		require.NoError(t, err)
		names[certificate.Subject.String()] = true
	}
	require.Len(t, names, 2, "answers name their responder by its subject alone")

	before := responders["tls-authority/1"].Certificates[0].Serial
	w.s.Now = noon.Add(4 * day)
	w.settle()
	require.NotEqual(t, before, w.s.Peer.Record.Responders["tls-authority/1"].Certificates[0].Serial)

	w.s.Event = juju.Event{Kind: juju.RelationDeparted, Unit: "tls-authority/0", RemoteUnit: "tls-authority/1", Relation: w.s.Peer.ID}
	w.settle()
	require.Equal(t, []string{"tls-authority/0", "tls-authority/2"}, slices.Sorted(maps.Keys(w.s.Peer.Record.Responders)))
}

// TestACompromisedKeyOutlivesItsCertificate: when the certificate has expired
// and its revocation is forgotten, the key is refused all the same.
func TestACompromisedKeyOutlivesItsCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	csr := newCSR(t, pkix.Name{CommonName: "web.example.com"})
	w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	w.settle()
	issued := w.s.Peer.Record.CSR[3].Certificates[0]
	reply := w.act("revoke-certificate", map[string]any{"serial": issued.Serial, "reason": "key-compromise"})
	require.Empty(t, reply.Failure)
	w.settle()
	require.True(t, w.answers(3)[0].Revoked)

	for age := 10 * day; age < 120*day; age += 10 * day {
		w.s.Now = noon.Add(age)
		w.settle()
		for _, answer := range w.answers(3) {
			require.True(t, answer.Revoked, "after %s", age)
		}
	}
	require.Empty(t, w.s.Peer.Record.Revoked, "nobody asks about an expired certificate")
	require.Empty(t, w.parsedList(1).Entries)
	require.NotEmpty(t, w.s.Peer.Record.Compromised)
	require.Empty(t, w.answers(3))
}

// TestGenerationsAreForgotten: a destroyed generation stays, with its last
// list, until the last of its certificates has expired.
func TestGenerationsAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "web.example.com"}))})
	w.settle()
	last := w.s.Peer.Record.CSR[3].Certificates[0].NotAfter
	w.s.Config.RotationHold = 0
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	for range 12 {
		w.settle()
	}
	r := w.s.Peer.Record
	require.Nil(t, r.CA.Rotation)
	require.True(t, r.CA.Generation(1).Destroyed)
	require.True(t, r.Lists[1].Final)
	require.False(t, w.parsedList(1).NextUpdate.Before(last))
	require.Contains(t, w.act("revoke-certificate", map[string]any{"serial": r.Withdrawn[0].Serial}).Failure, "its last revocation list is final")

	w.s.Now = last.Add(-time.Second)
	w.settle()
	require.NotNil(t, w.s.Peer.Record.CA.Generation(1))
	w.s.Now = last
	w.settle()
	require.Nil(t, w.s.Peer.Record.CA.Generation(1))
	require.Nil(t, w.s.Peer.Record.Lists[1])
	require.Equal(t, 3, w.s.Peer.Record.Next(), "its number is never given again")
}

// TestWhatIsWithdrawnIsKnownUntilItExpires: OCSP must not call a certificate
// unknown that somebody may still show.
func TestWhatIsWithdrawnIsKnownUntilItExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "a.example.com"}))})
	w.settle()
	first := w.s.Peer.Record.CSR[3].Certificates[0].Issued
	w.s.Relations, w.s.Live = nil, nil
	w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "b.example.com"}))})
	w.settle()
	require.Equal(t, []record.Withdrawn{{Generation: 1, Serial: first.Serial, NotAfter: first.NotAfter.Unix(), KeyDigest: first.KeyDigest}}, w.s.Peer.Record.Withdrawn)
	require.Len(t, w.s.Peer.Record.Inventory(noon)[1], 2)
	require.Empty(t, w.s.Peer.Record.Inventory(first.NotAfter)[1])
}
