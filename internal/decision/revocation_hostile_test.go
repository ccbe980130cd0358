// SPDX-License-Identifier: GPL-3.0-only

package decision_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/signing"
)

func keyedCSR(t *testing.T, key *ecdsa.PrivateKey, name string) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, key)
	require.NoError(t, err)
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// lossyKeyring says what Juju says of a secret that is gone.
func (w *world) lossyKeyring() signing.Keys {
	return signing.Keys{Stored: func(generation int) (pki.PrivateKey, error) {
		key, there := w.keys[record.SecretLabel(generation)]
		if !there {
			return pki.PrivateKey{}, fmt.Errorf("cannot read the key of the CA in secret %q: %w", record.SecretLabel(generation), juju.ErrNotFound)
		}
		return key, nil
	}}
}

// the secret of the old CA is gone (or damaged): the way out is an emergency rotation.
func TestRevokingLostKeyEmergencyRotation(t *testing.T) {
	for _, port := range []int{0, 9880} {
		t.Run(fmt.Sprint("status-port ", port), func(t *testing.T) {
			w := newWorld(t)
			w.s.Config.StatusPort = port
			w.settle()
			delete(w.keys, "ca-1")
			require.Empty(t, w.act("rotate-ca", map[string]any{"mode": "emergency"}).Failure)
			w.s.Now = w.s.Now.Add(4 * day) // the list is due
			for range 12 {
				changes, err := signing.CarryOut(w.s, decision.Make(w.s), w.lossyKeyring())
				require.NoError(t, err, "the hook fails, and with it every one after it")
				for _, secret := range changes.Secrets {
					w.keys[secret.Label], err = pki.ParsePrivateKeyPEM(secret.Content[signing.SecretKey])
					require.NoError(t, err)
				}
				w.s.Peer.Bag = changes.Peer
				w.s.Peer.Record, err = record.Parse(changes.Peer)
				require.NoError(t, err)
			}
			require.Nil(t, w.s.Record().CA.Rotation)
		})
	}
}

// nothing is asked of the CA, yet update-status fails for ever: a unit in error runs no action.
func TestRevokingLostKeyStopsTheIdleHook(t *testing.T) {
	w := newWorld(t)
	w.settle()
	delete(w.keys, "ca-1")
	w.s.Now = w.s.Now.Add(4 * day)
	_, err := signing.CarryOut(w.s, decision.Make(w.s), w.lossyKeyring())
	require.NoError(t, err)
}

// a damaged secret, or one with another key, keeps the last list and the end of the rotation away.
func TestRevokingDamagedKeyBlocksTheEndOfARotation(t *testing.T) {
	w := newWorld(t)
	w.s.Config.RotationHold = 0
	w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "web.example.com"}))})
	w.settle()
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	for w.s.Record().CA.Rotation.Stage != record.Destroying {
		w.settle()
	}
	ring := w.keyring()
	stored := ring.Stored
	ring.Stored = func(g int) (pki.PrivateKey, error) {
		if g == 1 {
			return pki.PrivateKey{}, fmt.Errorf("cannot use the key in secret %q: no PEM block", "ca-1")
		}
		return stored(g)
	}
	for range 5 {
		changes, err := signing.CarryOut(w.s, decision.Make(w.s), ring)
		require.NoError(t, err, "the last list of a key that cannot be used stops the hook")
		w.s.Peer.Bag = changes.Peer
		w.s.Peer.Record, err = record.Parse(changes.Peer)
		require.NoError(t, err)
	}
}

// tls_certificates_interface v4 has one key for all requests of a unit.
func TestRevokingSiblingOfACompromisedKey(t *testing.T) {
	setup := func(t *testing.T) *world {
		w := newWorld(t)
		w.s.Config.RotationHold = 0
		key := newKey(t)
		w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, keyedCSR(t, key, "a.example.com"), keyedCSR(t, key, "b.example.com"))})
		w.settle()
		require.Empty(t, w.act("revoke-certificate", map[string]any{"serial": w.s.Record().CSR[3].Certificates[0].Serial, "reason": "key-compromise"}).Failure)
		w.settle()
		w.settle()
		return w
	}
	t.Run("is cut off too", func(t *testing.T) {
		w := setup(t)
		for _, answer := range w.answers(3) {
			require.True(t, answer.Revoked, "a certificate for a key known as compromised stays in service as good")
		}
	})
	t.Run("does not keep a rotation from ending", func(t *testing.T) {
		w := setup(t)
		require.Empty(t, w.act("rotate-ca", nil).Failure)
		for range 60 {
			w.s.Status = w.settle().Status
		}
		require.Nil(t, w.s.Record().CA.Rotation, w.s.Status.Message)
	})
}

// the key is noted only where its CSR is looked at after the action.
func TestRevokingCompromisedKeyIsCertifiedAgain(t *testing.T) {
	t.Run("sign-csr after sign-csr", func(t *testing.T) {
		w := newWorld(t)
		csr := keyedCSR(t, newKey(t), "ops.example.com")
		first := w.act("sign-csr", map[string]any{"csr": csr})
		require.Empty(t, first.Failure)
		require.Empty(t, w.act("revoke-certificate", map[string]any{"serial": first.Results["serial-number"], "reason": "key-compromise"}).Failure)
		w.settle()
		w.settle()
		require.Contains(t, w.act("sign-csr", map[string]any{"csr": csr}).Failure, "compromised")
	})
	t.Run("sign-csr before the next hook", func(t *testing.T) {
		w := newWorld(t)
		csr := keyedCSR(t, newKey(t), "web.example.com")
		w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, csr)})
		w.settle()
		require.Empty(t, w.act("revoke-certificate", map[string]any{"application": "web", "reason": "key-compromise"}).Failure)
		require.Contains(t, w.act("sign-csr", map[string]any{"csr": csr}).Failure, "compromised")
	})
	t.Run("the requirer asks with the same key before the next hook", func(t *testing.T) {
		w := newWorld(t)
		key := newKey(t)
		w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, keyedCSR(t, key, "a.example.com"))})
		w.settle()
		require.Empty(t, w.act("revoke-certificate", map[string]any{"application": "web", "reason": "key-compromise"}).Failure)
		w.s.Relations, w.s.Live = nil, nil
		w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, keyedCSR(t, key, "b.example.com"))})
		w.settle()
		require.Empty(t, w.answers(3))
	})
	t.Run("one that is in service no more", func(t *testing.T) {
		w := newWorld(t)
		key := newKey(t)
		w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, keyedCSR(t, key, "a.example.com"))})
		w.settle()
		serial := w.s.Record().CSR[3].Certificates[0].Serial
		w.s.Relations, w.s.Live = nil, nil
		w.settle() // the relation is removed
		require.Empty(t, w.act("revoke-certificate", map[string]any{"serial": serial, "reason": "key-compromise"}).Failure)
		w.settle()
		w.relate(4, "web", map[string]map[string]string{"web/0": csrBag(t, keyedCSR(t, key, "a.example.com"))})
		w.settle()
		require.Empty(t, w.answers(4), "the compromised key is certified in another relation")
	})
}

// restore.
func TestRevokingRestore(t *testing.T) {
	t.Run("forgets what was revoked since, of the same CA", func(t *testing.T) {
		w := newWorld(t)
		w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "a.example.com"}))})
		w.settle()
		file, keys := w.s.Record(), map[int]pki.PrivateKey{1: w.keys["ca-1"]}
		serial := w.s.Record().CSR[3].Certificates[0].Serial
		require.Empty(t, w.act("revoke-certificate", map[string]any{"serial": serial}).Failure)
		w.settle()
		require.Len(t, w.parsedList(1).Entries, 1)
		w.restore(file, keys)
		r := w.s.Record()
		require.Equal(t, w.issuer.Certificate().Raw, r.CA.ActiveGeneration().Certificate, "it is the same CA")
		for _, issued := range r.Inventory(w.s.Now)[r.CA.Active] {
			if _, revoked := r.Revocations().Find(issued); issued.Serial == serial {
				require.True(t, revoked, "OCSP calls a revoked certificate good again")
			}
		}
		require.Len(t, w.parsedList(r.CA.Active).Entries, 1)
	})
	t.Run("gives back a key that was revoked as compromised", func(t *testing.T) {
		w := busyWorld(t)
		file, keys := w.s.Record(), map[int]pki.PrivateKey{1: w.keys["ca-1"]}
		held := file.Legacy[3].Units[0].Pairs[0].Key
		require.Empty(t, w.act("revoke-certificate", map[string]any{"unit": "etcd/0", "reason": "key-compromise"}).Failure)
		w.settle()
		require.NotEqual(t, held, w.s.Record().Legacy[3].Units[0].Pairs[0].Key)
		w.restore(file, keys)
		w.relate(9, "etcd-again", map[string]map[string]string{"etcd-again/0": etcd("etcd-again_0", "10.0.0.1", `[]`)})
		w.rest()
		for pair := range w.s.Record().Pairs() {
			require.NotEqual(t, held, pair.Key, "the compromised key is in service again")
		}
	})
	t.Run("gives out a pair that the file itself says is revoked, and leaves it there", func(t *testing.T) {
		old := busyWorld(t)
		require.Empty(t, old.act("revoke-certificate", map[string]any{"unit": "etcd/0", "reason": "key-compromise"}).Failure)
		file, keys := old.s.Record(), map[int]pki.PrivateKey{1: old.keys["ca-1"]} // backup before the next hook
		held := file.Legacy[3].Units[0].Pairs[0].Key
		w := newWorld(t)
		w.restore(file, keys)
		require.Empty(t, w.s.Record().Agenda.Everything)
		w.relate(7, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `[]`)})
		w.settle()
		all := w.s.Relations
		for _, e := range []juju.Event{recordChanged, updateStatus, recordChanged, updateStatus} { // as readRelations would
			w.s.Event = e
			w.s.Now = w.s.Now.Add(time.Hour)
			w.s.Sweep, w.s.Relations = w.s.Sweeps(), nil
			if w.s.Sweep || len(w.s.Due()) > 0 {
				w.s.Relations = all
			}
			w.settle()
		}
		require.NotEqual(t, held, w.s.Record().Legacy[7].Units[0].Pairs[0].Key, "a revoked pair is handed out, and stays")
	})
}

// the CA above changes its root: generation 2 has the key and the name of generation 1.
func TestRevokingFinalListOfAKeyThatStays(t *testing.T) {
	w, _ := upstreamWorld(t, -1)
	w.answerUpstream(newForeignCA(t, "above G2", nil), upstreamLife, -1)
	w.rest()
	w.rotate()
	r := w.s.Record()
	require.Nil(t, r.CA.Rotation)
	require.Equal(t, 2, r.CA.ActiveGeneration().KeyID())
	require.NotEqual(t, 2, r.CA.Active)
	require.NotNil(t, r.Lists[2])
	active, err := pki.ParseCertificateDER(r.CA.ActiveGeneration().Certificate)
	require.NoError(t, err)
	leaf := r.CSR[5].Certificates[0]
	require.Equal(t, r.CA.Active, leaf.Generation)
	t.Run("an old certificate can be revoked as long as the key is there", func(t *testing.T) {
		var old record.Withdrawn
		for _, wd := range r.Withdrawn {
			if wd.Generation == 2 {
				old = wd
			}
		}
		require.NotEmpty(t, old.Serial)
		require.Empty(t, w.act("revoke-certificate", map[string]any{"serial": old.Serial, "dry-run": true}).Failure)
	})
	t.Run("no list of that key holds for years", func(t *testing.T) {
		require.Empty(t, w.act("revoke-certificate", map[string]any{"serial": leaf.Serial}).Failure)
		w.rest()
		stale := w.s.Record().Lists[2]
		later := w.s.Now.Add(30 * day)
		list, err := pki.ParseCRL(stale.CRL, active)
		if err == nil && later.Before(list.NextUpdate) {
			found := false
			for _, e := range list.Entries {
				found = found || e.Serial.Text(16) == leaf.Serial
			}
			require.True(t, found, "crl/2.crl verifies for the CA that signs now, is good until %s and lacks what was revoked", list.NextUpdate)
		}
	})
}

// the same intermediate key and name, imported under another root.
func TestRevokingImportedAgainWithTheSameKey(t *testing.T) {
	w := newWorld(t)
	w.s.Config.RotationHold = 0
	key := newKey(t)
	ca := func(root foreignCA) *decision.Candidate {
		tmpl := authorityTemplate(t, pkix.Name{CommonName: "imported"}, 900*day)
		tmpl.SubjectKeyId = []byte{7, 7}
		c := createCertificate(t, tmpl, root.certificate, key.Public(), root.signer)
		return &decision.Candidate{Certificate: c.Raw, Chain: [][]byte{root.certificate.Raw}}
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	w.imported, err = pki.ParsePrivateKeyDER(der)
	require.NoError(t, err)
	w.s.Config.CASource = record.Imported
	w.relate(5, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "a.example.com"}))})
	w.settle()
	w.s.Candidate = ca(newForeignCA(t, "root 1", nil))
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	w.rotate()
	require.Equal(t, 2, w.s.Record().CA.Active)
	serial := w.s.Record().CSR[5].Certificates[0].Serial
	require.Empty(t, w.act("revoke-certificate", map[string]any{"serial": serial}).Failure)
	w.rest()
	w.s.Candidate = ca(newForeignCA(t, "root 2", nil))
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	w.rotate()
	require.Equal(t, 3, w.s.Record().CA.Active)
	two, err := pki.ParseCertificateDER(w.s.Record().CA.Generation(2).Certificate)
	require.NoError(t, err)
	list, err := pki.ParseCRL(w.s.Record().Lists[3].CRL, two) // same name, same key, same key identifier
	require.NoError(t, err)
	require.Len(t, list.Entries, 1, "the list of generation 3 verifies for a certificate of generation 2 and does not know that it is revoked")
}

// revoke-on-departure, and nobody departs.
func TestRevokingRefusedRenewalIsNoDeparture(t *testing.T) {
	w := newWorld(t)
	w.s.Config.RevokeOnDeparture = true
	w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "a.example.com"}))})
	w.settle()
	serial := w.s.Record().CSR[3].Certificates[0].Serial
	w.s.Relations, w.s.Live = nil, nil
	// The unit is there, serves with that certificate and asks for its renewal, which is refused.
	w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "client"}))})
	w.settle()
	require.NotEmpty(t, w.s.Record().CSR[3].Refused)
	for _, revoked := range w.s.Record().Revoked {
		require.NotEqual(t, serial, revoked.Serial, "the certificate that web/0 serves with is revoked for good")
	}
}

// a requirer that shows and hides a CSR, with revoke-on-departure.
func TestRevokingChurnGrowsTheRecord(t *testing.T) {
	w := newWorld(t)
	w.s.Config.RevokeOnDeparture = true
	w.settle()
	size := func() int {
		n := 0
		for k, v := range w.s.Peer.Bag {
			n += len(k) + len(v)
		}
		return n
	}
	csr := newCSR(t, pkix.Name{CommonName: "a.example.com"})
	before := size()
	const cycles = 10
	for range cycles {
		w.s.Relations, w.s.Live = nil, nil
		w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, csr)})
		w.settle()
		w.s.Relations, w.s.Live = nil, nil
		w.relate(3, "web", map[string]map[string]string{"web/0": {}})
		w.settle()
	}
	w.settle()
	t.Logf("%d bytes a cycle, %d revoked", (size()-before)/cycles, len(w.s.Record().Revoked))
	// What such a requirer leaves behind.
	r := w.s.Record()
	for i := range record.MaxRevoked {
		r.Revoked = append(r.Revoked, record.Revoked{Generation: 1, Serial: fmt.Sprintf("%032x", i+1), NotAfter: noon.Add(89 * day), At: noon, Reason: pki.CessationOfOperation})
		for j := range 2 {
			r.Withdrawn = append(r.Withdrawn, record.Withdrawn{Generation: 1, Serial: fmt.Sprintf("%032x", 2*i+j+1), NotAfter: noon.Add(89 * day).Unix()})
		}
	}
	bag, err := record.Encode(r)
	require.NoError(t, err)
	w.s.Peer.Bag, w.s.Peer.Record = bag, r
	w.settle()
	t.Logf("peer databag: %d of %d bytes", size(), 16<<20)
	w.relate(4, "victim", map[string]map[string]string{"victim/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "v.example.com"}))})
	w.settle()
	require.NotEmpty(t, w.answers(4), "one requirer takes the room of all: %s", w.s.Record().CSR[4].Problems)
	require.Less(t, size(), 16<<20)
}

// the clock of the leader was ahead when a certificate was revoked.
func TestRevokingClockAheadWhenRevoked(t *testing.T) {
	w := newWorld(t)
	csr := newCSR(t, pkix.Name{CommonName: "a.example.com"})
	w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	w.settle()
	w.s.Now = noon.Add(8 * day)
	require.Empty(t, w.act("revoke-certificate", map[string]any{"application": "web"}).Failure)
	w.s.Now = noon // it is set right, or another unit leads
	_, err := signing.CarryOut(w.s, decision.Make(w.s), w.keyring())
	require.NoError(t, err, "the hook fails until the time has come")
}

// the clock was ahead when the list was signed.
func TestRevokingClockAheadWhenListed(t *testing.T) {
	w := newWorld(t)
	w.s.Now = noon.Add(365 * day)
	w.settle()
	w.s.Now = noon
	w.settle()
	require.False(t, w.parsedList(1).ThisUpdate.After(w.s.Now), "for a year the only list is one that has yet to come")
}

// the CA above, or an operator, renews our certificate with another key identifier (or name).
func TestRevokingCARenewedWithAnotherKeyIdentifier(t *testing.T) {
	w, above := upstreamWorld(t, -1)
	w.rest()
	r := w.s.Record()
	g := *r.CA.ActiveGeneration()
	path, err := decision.Path(&g)
	require.NoError(t, err)
	tmpl := authorityTemplate(t, path[0].Subject, upstreamLife+day)
	tmpl.RawSubject = path[0].RawSubject
	tmpl.SubjectKeyId = []byte{1, 2, 3, 4} // SHA-256 instead of SHA-1, say
	g.Certificate = createCertificate(t, tmpl, above.certificate, path[0].PublicKey, above.signer).Raw
	d := decision.Decision{Record: r.Clone()}
	require.NoError(t, d.TakeRenewed(w.s, g, nil), "it is taken")
	require.Nil(t, d.Record.CA.Rotation)
	w.s.Peer.Record = d.Record
	w.s.Peer.Bag, err = record.Encode(d.Record)
	require.NoError(t, err)
	w.rest()
	r = w.s.Record()
	ca, err := pki.ParseCertificateDER(r.CA.ActiveGeneration().Certificate)
	require.NoError(t, err)
	_, err = pki.ParseCRL(r.Lists[r.CA.Active].CRL, ca)
	require.NoError(t, err, "the responder refuses the whole status with that list")
}

// a unit shows its key once. A hook that decides nothing about responders loses it.
func TestRevokingShownKeyIsLost(t *testing.T) {
	shown := juju.Event{Kind: juju.RelationChanged, Name: "authority-relation-changed", Unit: "tls-authority/0", RemoteUnit: "tls-authority/1", Model: "k8s", Relation: juju.RelationID{Endpoint: "authority", Number: 0}}
	for name, trouble := range map[string]func(w *world) (mend func()){
		"there is no CA yet": func(w *world) func() {
			ca := w.s.Peer.Record.CA
			w.s.Peer.Record.CA = nil
			w.s.Config.CASource = record.Offline
			return func() { w.s.Peer.Record.CA = ca; w.s.Config.CASource = record.SelfSigned }
		},
		"an option is bad": func(w *world) func() {
			w.s.ConfigProblems = []string{"bad"}
			return func() { w.s.ConfigProblems = nil }
		},
		"the CA is renewed in that hook": func(w *world) func() {
			w.s.Now = noon.Add(8 * 365 * day)
			return func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.s.Sweep = false
			mend := trouble(w)
			w.s.Event = shown
			w.s.PeerKeys = map[juju.UnitName][]byte{"tls-authority/1": publicKey(t)} // readPeerKeys reads it in this event alone
			w.settle()
			w.s.PeerKeys = nil
			mend()
			for _, e := range []juju.Event{recordChanged, updateStatus, recordChanged, configChanged, updateStatus} {
				w.s.Event = e
				w.settle()
			}
			require.Contains(t, w.s.Record().Responders, "tls-authority/1", "nothing has the leader read it again, and writeResponderKey writes it once")
		})
	}
}

// a CA that may not sign lists never forgets what was revoked.
func TestRevokingForgetsWithoutLists(t *testing.T) {
	w := newWorld(t)
	key := newKey(t)
	tmpl := authorityTemplate(t, pkix.Name{CommonName: "no crl sign"}, 3000*day)
	tmpl.KeyUsage = x509.KeyUsageCertSign
	c := createCertificate(t, tmpl, tmpl, key.Public(), key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	w.keys["ca-1"], err = pki.ParsePrivateKeyDER(der)
	require.NoError(t, err)
	w.s.Peer.Record.CA = record.NewAuthority(record.Generation{ID: 1, Certificate: c.Raw, Source: record.Imported})
	w.s.Config.RevokeOnDeparture = true
	w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "a.example.com"}))})
	w.settle()
	w.s.Relations, w.s.Live = nil, nil
	w.settle()
	require.Len(t, w.s.Record().Revoked, 1)
	for age := 10 * day; age < 300*day; age += 10 * day {
		w.s.Now = noon.Add(age)
		w.settle()
	}
	require.Empty(t, w.s.Record().Revoked, "it expired 200 days ago")
}

// a straggler that an operator gave up leaves: its generation goes in the same hook, with its last list.
func TestRevokingGenerationForgottenTooEarly(t *testing.T) {
	w := newWorld(t)
	w.s.Config.RotationHold = 0
	// It cannot be issued anew: it has the name of the next CA.
	w.relate(3, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "tls-authority k8s G2"}))})
	w.settle()
	old := w.s.Record().CSR[3].Certificates[0]
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	for range 40 {
		w.settle()
	}
	require.NotNil(t, w.s.Record().CA.Rotation, "the straggler")
	for w.s.Record().CA.Rotation != nil {
		if w.s.Record().CA.Rotation.Complete != nil {
			require.Empty(t, w.act("advance-rotation", map[string]any{"force": true}).Failure)
		}
		w.settle()
	}
	w.settle()
	require.Equal(t, old.Serial, w.s.Record().CSR[3].Certificates[0].Serial)
	require.True(t, w.s.Record().Lists[1].Final)
	w.s.Relations, w.s.Live = nil, nil
	w.settle() // the relation is removed
	require.NotNil(t, w.s.Record().CA.Generation(1), "its certificate is valid for another %s, and its list was to hold as long", old.NotAfter.Sub(w.s.Now))
	require.Len(t, w.s.Record().Withdrawn, 1)
}

// the leader is removed; the one who follows hears of it before it leads.
func TestRevokingResponderOfARemovedLeader(t *testing.T) {
	w := newWorld(t)
	w.s.Daemon.Key = publicKey(t)
	w.settle()
	require.Contains(t, w.s.Record().Responders, "tls-authority/0")
	// From here on this is unit 1.
	w.s.Leader, w.s.Sweep, w.s.Daemon.Key = false, false, publicKey(t)
	w.s.Event = juju.Event{Kind: juju.RelationDeparted, Unit: "tls-authority/1", RemoteUnit: "tls-authority/0", Model: "k8s", Relation: w.s.Peer.ID}
	w.s.Status = w.settle().Status
	w.s.Leader, w.s.Sweep = true, true
	w.s.Event = juju.Event{Kind: juju.LeaderElected, Unit: "tls-authority/1", Model: "k8s"}
	w.s.OwnUnits = []string{"tls-authority/1"} // nobody else is meant to be there
	w.settle()
	w.s.Event = updateStatus
	w.s.Event.Unit, w.s.PeerKeys = "tls-authority/1", nil
	for range 20 {
		w.s.Now = w.s.Now.Add(10 * day)
		w.settle()
	}
	require.NotContains(t, w.s.Record().Responders, "tls-authority/0", "200 days after it was removed")
}

// the other dialect: the requirer holds the key of a legacy pair, too.
func TestRevokingCompromisedLegacyKeyInACSR(t *testing.T) {
	w := busyWorld(t)
	stolen := w.s.Record().Legacy[3].Units[0].Pairs[0].Key
	require.Empty(t, w.act("revoke-certificate", map[string]any{"unit": "etcd/0", "reason": "key-compromise"}).Failure)
	w.rest()
	parsed, err := x509.ParsePKCS8PrivateKey(stolen)
	require.NoError(t, err)
	w.relate(9, "mallory", map[string]map[string]string{"mallory/0": csrBag(t, keyedCSR(t, parsed.(*ecdsa.PrivateKey), "etcd.example.com"))})
	w.rest()
	require.Empty(t, w.answers(9), "a key that was revoked as compromised is certified again")
}

// a record as full as measureRoom lets it become.
func fullRecord(t *testing.T) (r record.Record, size func(record.Record) int) {
	t.Helper()
	size = func(r record.Record) int {
		bag, err := record.Encode(r)
		require.NoError(t, err)
		n := 0
		for k, v := range bag {
			n += len(k) + len(v)
		}
		return n
	}
	w := newWorld(t)
	w.settle()
	r = w.s.Record()
	r.CSR = map[int]*record.Requests{}
	serial := 0
	empty := size(r)
	for number, total := 1, empty; total < 11<<20-2500*300; number++ {
		q := &record.Requests{Application: fmt.Sprintf("app-%d", number)}
		for i := range 2500 { // the option certificate-limit
			serial++
			q.Certificates = append(q.Certificates, record.Certificate{
				Request: record.Digest(fmt.Sprint(serial)), Requesters: []string{fmt.Sprintf("app-%d/%d", number, i)}, Name: fmt.Sprintf("app-%d-%d.example.com", number, i),
				Issued: record.Issued{Generation: 1, Serial: fmt.Sprintf("%032x", serial), NotBefore: noon, NotAfter: noon.Add(90 * day)},
			})
		}
		r.CSR[number] = q
		alone := r
		alone.CSR = map[int]*record.Requests{number: q} // to encode all of it at each turn takes long
		total += size(alone) - empty
	}
	require.Less(t, size(r), 11<<20)
	return r, size
}

func reissued(r record.Record, offset int) record.Record {
	after := r.Clone()
	serial := offset
	for _, number := range r.Relations() {
		q := *r.CSR[number]
		q.Certificates = append([]record.Certificate(nil), q.Certificates...)
		for i := range q.Certificates {
			serial++
			q.Certificates[i].Serial = fmt.Sprintf("%032x", serial)
		}
		after.CSR[number] = &q
	}
	return after
}

func TestRevokingFullRecordOverflows(t *testing.T) {
	const limit = 16 << 20 // bagLimit: a hook that writes more fails for everybody
	r, size := fullRecord(t)
	t.Run("by one renewal of all, as in a rotation", func(t *testing.T) {
		after := reissued(r, 1<<24)
		gone := after.Withdraw(r, noon)
		t.Logf("%d relations, %d certificates replaced, %d bytes before, %d after", len(r.CSR), len(gone), size(r), size(after))
		require.Less(t, size(after), limit)
	})
	t.Run("by revoking four applications of 27 and replacing what they had", func(t *testing.T) {
		after, fresh := r.Clone(), reissued(r, 1<<24)
		for number := 1; number <= 4; number++ {
			for _, c := range r.CSR[number].Certificates {
				after.Revoked = append(after.Revoked, record.Revoked{Generation: 1, Serial: c.Serial, NotAfter: c.NotAfter, At: noon, Reason: pki.Superseded})
			}
			after.CSR[number] = fresh.CSR[number]
		}
		after.Withdraw(r, noon)
		t.Logf("%d bytes before, %d after, without the list", size(r), size(after))
		require.Less(t, size(after), limit)
	})
}

// a change of names, or of the CA, keeps the key of a pair. What is revoked as compromised is the
// certificate before; the key stays in service.
func TestRevokingCompromisedKeyOfAReplacedPair(t *testing.T) {
	t.Run("a change of names", func(t *testing.T) {
		w := newWorld(t)
		w.relate(3, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `[]`)})
		w.settle()
		old := w.s.Record().Legacy[3].Units[0].Pairs[0]
		w.s.Relations, w.s.Live = nil, nil
		w.relate(3, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `["more"]`)})
		w.settle()
		now := w.s.Record().Legacy[3].Units[0].Pairs[0]
		require.NotEqual(t, old.Serial, now.Serial)
		require.Equal(t, old.Key, now.Key)
		require.Empty(t, w.act("revoke-certificate", map[string]any{"serial": old.Serial, "reason": "key-compromise"}).Failure)
		w.rest()
		require.NotEqual(t, old.Key, w.s.Record().Legacy[3].Units[0].Pairs[0].Key, "the compromised key stays in service")
	})
	t.Run("the global client while the CA is rotated", func(t *testing.T) {
		w := busyWorld(t)
		old := *w.s.Record().Client
		require.Empty(t, w.act("rotate-ca", nil).Failure)
		for w.s.Record().CA.Rotation.Stage != record.Issuing || w.s.Record().CA.Rotation.Client == nil {
			w.settle()
		}
		require.Empty(t, w.act("revoke-certificate", map[string]any{"serial": old.Serial, "reason": "key-compromise"}).Failure)
		w.rest()
		require.NotEqual(t, old.Key, w.s.Record().Client.Key, "the compromised key stays in service")
	})
}

// CAs that may sign servers and clients but not OCSP responders.
func TestRevokingResponderUnderARestrictedCA(t *testing.T) {
	for name, change := range map[string]func(*x509.Certificate){
		"extended key usage": func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		},
		"name constraints": func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"example.com"}, true
		},
		"begins now":   func(c *x509.Certificate) { c.NotBefore = noon },
		"ends soon":    func(c *x509.Certificate) { c.NotAfter = noon.Add(10 * time.Minute) },
		"ends at once": func(c *x509.Certificate) { c.NotAfter = noon.Add(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			key := newKey(t)
			tmpl := authorityTemplate(t, pkix.Name{CommonName: "restricted"}, 3000*day)
			change(tmpl)
			c := createCertificate(t, tmpl, tmpl, key.Public(), key)
			der, err := x509.MarshalPKCS8PrivateKey(key)
			require.NoError(t, err)
			w.keys["ca-1"], err = pki.ParsePrivateKeyDER(der)
			require.NoError(t, err)
			w.s.Peer.Record.CA = record.NewAuthority(record.Generation{ID: 1, Certificate: c.Raw, Source: record.Imported})
			w.s.Config.CASource = record.Imported
			w.s.Daemon.Key = publicKey(t)
			for range 3 {
				w.settle()
			}
			before := w.published()
			w.s.Now = w.s.Now.Add(5 * time.Minute)
			w.settle()
			require.Equal(t, before, w.published(), "an idle hook writes")
		})
	}
}

// It documents that such a CA is accepted at the door (it passes): the hook must not be what finds out.
func TestRevokingRestrictedCAIsNoFault(t *testing.T) {
	key := newKey(t)
	tmpl := authorityTemplate(t, pkix.Name{CommonName: "restricted"}, 3000*day)
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	c := createCertificate(t, tmpl, tmpl, key.Public(), key)
	require.Empty(t, pki.AuthorityFaults([]*x509.Certificate{c}, key.Public(), noon))
}

// numbers are lost with the lists when the service is turned off for a while.
func TestRevokingListNumberFalls(t *testing.T) {
	w := newWorld(t)
	w.s.Now = noon.Add(2 * day) // a clock that is ahead, or a leader on another machine
	w.settle()
	first := w.parsedList(1)
	w.s.Config.StatusPort = 0
	w.settle()
	w.s.Now, w.s.Config.StatusPort = noon, 9880
	w.settle()
	require.Positive(t, w.parsedList(1).Number.Cmp(first.Number))
}

// one that led until now has no key in its databag: any change of that (its address, say), or a leader
// that meets it only now, takes its certificate away until it has shown the key.
func TestRevokingFormerLeaderLosesItsCertificate(t *testing.T) {
	w := newWorld(t)
	w.s.Daemon.Key = publicKey(t)
	w.settle()
	// From here on this is unit 1, which leads.
	w.s.Sweep, w.s.Daemon.Key = false, nil
	w.s.Event = juju.Event{Kind: juju.RelationChanged, Unit: "tls-authority/1", RemoteUnit: "tls-authority/0", Model: "k8s", Relation: w.s.Peer.ID}
	w.s.PeerKeys = map[juju.UnitName][]byte{"tls-authority/0": {}} // as readPeerKeys reads a databag without responder-key
	w.settle()
	require.Contains(t, w.s.Record().Responders, "tls-authority/0")
}
