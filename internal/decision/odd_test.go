// SPDX-License-Identifier: GPL-3.0-only

package decision_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/action"
	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/signing"
	"tls-authority/internal/tlscertificates"
)

// bring puts a CA into ca-secret.
func (w *world) bring(ca foreignCA) {
	w.t.Helper()
	w.imported = ca.key(w.t)
	candidate := signing.ParseCandidate(map[string]string{
		signing.SecretCertificate: pki.EncodeCertificatePEM(ca.certificate.Raw),
		signing.SecretKey:         string(w.imported.EncodePEM()),
	}, w.s.Now)
	require.Empty(w.t, candidate.Faults)
	w.s.Config.CASource, w.s.Candidate = record.Imported, &candidate
}

// importedWorld has requirers of both dialects below a CA of the operator's.
func importedWorld(t *testing.T, ca foreignCA) *world {
	t.Helper()
	w := newWorld(t)
	w.s.Config.RotationHold = 0
	w.bring(ca)
	w.s.Peer.Record.CA = record.NewAuthority(record.Generation{ID: 1, Certificate: ca.certificate.Raw, Source: record.Imported})
	w.keys = map[string]pki.PrivateKey{"ca-1": w.imported}
	w.relate(3, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `[]`)})
	w.relate(5, "traefik", map[string]map[string]string{"traefik/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "a.example.com"}, "a.example.com"))})
	w.rest()
	return w
}

// look finds the secret of a generation that the record does not know, as the
// charm does before each hook.
func (w *world) look() {
	w.s.Found = nil
	generation, sought := w.s.SoughtKey()
	if _, there := w.keys[record.SecretLabel(generation)]; sought && there {
		w.s.Found = &record.Generation{ID: generation}
	}
}

// spareKey makes a key that belongs to nobody.
func spareKey(t *testing.T) pki.PrivateKey {
	t.Helper()
	key, err := pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	return key
}

// certificatePolicies is an extension that a cross-certificate cannot carry.
func certificatePolicies(c *x509.Certificate) {
	anyPolicy := []byte{0x30, 0x08, 0x30, 0x06, 0x06, 0x04, 0x55, 0x1d, 0x20, 0x00}
	c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 32}, Critical: true, Value: anyPolicy}}
}

// shortPath keeps a CA from being renewed by us.
func shortPath(c *x509.Certificate) { c.MaxPathLen = 3 }

func TestRotationToACAThatCannotBeCrossSigned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		today func(*x509.Certificate)
		next  func(*testing.T, foreignCA) foreignCA
		reads string
		later time.Duration
	}{
		"the CA of today has expired": {
			today: shortPath,
			next: func(t *testing.T, _ foreignCA) foreignCA {
				return newForeignCA(t, "next", func(c *x509.Certificate) { c.NotAfter = noon.Add(9000 * day) })
			},
			reads: "issuer is valid until", later: 2001 * day,
		},
		"the next CA has the same key and another subject": {
			next:  func(t *testing.T, today foreignCA) foreignCA { return today.named(t, "next", nil) },
			reads: "its key is the issuer's own",
		},
		"the next root has a critical extension": {
			next:  func(t *testing.T, _ foreignCA) foreignCA { return newForeignCA(t, "next", certificatePolicies) },
			reads: "its critical extension 2.5.29.32 cannot be carried over",
		},
	} {
		t.Run(name+": it is refused with the reason, and force goes on without a bridge", func(t *testing.T) {
			t.Parallel()
			today := newForeignCA(t, "today", c.today)
			w := importedWorld(t, today)
			w.s.Now = w.s.Now.Add(c.later)
			w.bring(c.next(t, today))
			reply := w.act("rotate-ca", nil)
			require.Contains(t, reply.Failure, "cannot cross-sign the next one")
			require.Contains(t, reply.Failure, c.reads)
			require.Contains(t, reply.Failure, "traefik")
			require.Nil(t, w.s.Record().CA.Rotation)
			w.rest()

			require.Empty(t, w.act("rotate-ca", map[string]any{"force": true}).Failure)
			order, _ := w.rotate()
			require.Contains(t, order, record.Distributing)
			require.NotContains(t, order, record.Flipping)
			require.Equal(t, 2, w.s.Record().CA.Active)
			w.serves()
		})
	}
}

// TestPreparingWaitsAndServes changes what a rotation goes to after it was
// accepted, so that the obstacle shows itself only then.
func TestPreparingWaitsAndServes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		next  func(*testing.T, foreignCA) foreignCA
		reads string
	}{
		"the next CA has the same key and another subject": {
			next:  func(t *testing.T, today foreignCA) foreignCA { return today.named(t, "next", nil) },
			reads: "its key is the issuer's own",
		},
		"the next root has a critical extension": {
			next:  func(t *testing.T, _ foreignCA) foreignCA { return newForeignCA(t, "next", certificatePolicies) },
			reads: "its critical extension 2.5.29.32 cannot be carried over",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			today := newForeignCA(t, "today", nil)
			w := importedWorld(t, today)
			w.bring(newForeignCA(t, "accepted", nil))
			require.Empty(t, w.act("rotate-ca", nil).Failure)
			w.bring(c.next(t, today))
			w.requireWaits(c.reads)
			for _, one := range w.tell(record.Preparing) {
				for _, root := range certificatesOf(t, one.trust) {
					require.True(t, root.Equal(today.certificate), "%s is told another root", one.what)
				}
			}
			w.serves()

			require.Empty(t, w.act("advance-rotation", map[string]any{"force": true}).Failure)
			order, _ := w.rotate()
			require.NotContains(t, order, record.Flipping)
			require.Equal(t, 2, w.s.Record().CA.Active)
			w.serves()
		})
	}
	t.Run("the CA of today has expired", func(t *testing.T) {
		t.Parallel()
		w := importedWorld(t, newForeignCA(t, "today", shortPath))
		w.s.Config.CASource = record.SelfSigned
		require.Empty(t, w.act("rotate-ca", nil).Failure)
		w.s.Now = noon.Add(2001 * day)
		w.requireWaits("issuer is valid until")
		require.Empty(t, w.act("advance-rotation", map[string]any{"force": true}).Failure)
		w.rotate()
		require.Equal(t, 2, w.s.Record().CA.Active)
		w.serves()
	})
}

// requireWaits runs hooks, none of which fails, until a rotation waits in
// Preparing and says why.
func (w *world) requireWaits(reason string) {
	w.t.Helper()
	status := w.rest()
	require.Contains(w.t, status, "rotating: preparing")
	require.Contains(w.t, status, reason)
	require.Equal(w.t, juju.Active, w.s.Status.Name)
	require.Equal(w.t, record.Preparing, w.s.Record().CA.Rotation.Stage)
	require.Equal(w.t, 1, w.s.Record().CA.Active)
}

func TestTheKeyOfTheNextCACannotBeRead(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	w.settle()
	key := w.keys["ca-2"]
	require.Contains(t, w.keys, "ca-2", "the next CA is made")
	require.Equal(t, record.Preparing, w.s.Record().CA.Rotation.Stage)
	delete(w.keys, "ca-2")

	w.requireWaits(`secret "ca-2" not found`)
	for _, one := range w.tell(record.Preparing) {
		for _, root := range certificatesOf(t, one.trust) {
			require.True(t, root.Equal(w.issuer.Certificate()), "%s is told a root whose key is lost", one.what)
		}
	}
	w.serves()

	t.Run("force does not put it into service", func(t *testing.T) {
		require.Empty(t, w.act("advance-rotation", map[string]any{"force": true}).Failure)
		w.requireWaits(`secret "ca-2" not found`)
		w.serves()
	})
	t.Run("it goes on when the key can be read", func(t *testing.T) {
		w.keys["ca-2"] = key
		order, byStage := w.rotate()
		requireInvariant(t, order, byStage, noon)
		require.Contains(t, order, record.Flipping, "with a bridge, although force was said")
		require.Equal(t, 2, w.s.Record().CA.Active)
	})
}

func TestGetCSRAfterAnUploadThatWaits(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	w.s.Config.CASource = record.Offline
	above := newForeignCA(t, "offline", nil)
	upload := func() *decision.Reply {
		return w.act("upload-ca-certificate", map[string]any{
			"certificate": pki.EncodeCertificatePEM(above.sign(t, w.s.Record().Request.CSR, 900*day, -1).Raw),
			"chain":       pki.EncodeCertificatePEM(above.certificate.Raw),
		})
	}
	require.Empty(t, w.act("get-csr", nil).Failure)
	require.Empty(t, upload().Failure)
	waiting := *w.s.Record().Request
	require.Equal(t, 2, waiting.Generation)

	require.Contains(t, w.act("get-csr", nil).Failure, "the certificate of generation 2 waits for rotate-ca; new-key=true gives it up")
	require.Equal(t, waiting, *w.s.Record().Request)
	w.rest()
	require.Contains(t, w.keys, "ca-2")

	require.Empty(t, w.act("get-csr", map[string]any{"new-key": true}).Failure)
	require.Equal(t, 3, w.s.Record().Request.Generation, "no number is given twice")
	require.False(t, w.s.Record().Request.Answered())
	w.rest()
	require.NotContains(t, w.keys, "ca-2", "what was given up is destroyed")
	require.Contains(t, w.act("rotate-ca", nil).Failure, "no certificate was uploaded")
	require.Empty(t, upload().Failure)
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	w.rotate()
	require.Equal(t, 3, w.s.Record().CA.Active)
	require.Greater(t, w.s.Record().Next(), 3)
}

// restore runs the action of that name for a file.
func (w *world) restore(file record.Record, keys map[int]pki.PrivateKey) {
	w.t.Helper()
	before := w.s
	ring := w.keyring()
	ring.Restored = func() (map[int]pki.PrivateKey, error) { return keys, nil }
	w.s.Event = juju.Event{Kind: juju.Action, Name: "restore", Unit: "tls-authority/0", Model: "k8s"}
	w.s.Parameters = map[string]json.RawMessage{"force": json.RawMessage("true")}
	w.s.Relations = nil
	w.s.Restored = &decision.Restored{Origin: "backup", Record: file}
	for id := range keys {
		w.s.Restored.Keys = append(w.s.Restored.Keys, id)
	}
	changes, err := signing.CarryOut(w.s, action.Answer(w.s), ring)
	require.NoError(w.t, err)
	require.Empty(w.t, changes.Reply.Failure)
	w.s = before
	for _, secret := range changes.Secrets {
		require.NotContains(w.t, w.keys, secret.Label, "a label is given once")
		w.keys[secret.Label], err = pki.ParsePrivateKeyPEM(secret.Content[signing.SecretKey])
		require.NoError(w.t, err)
	}
	w.s.Peer.Bag = changes.Peer
	w.s.Peer.Record, err = record.Parse(changes.Peer)
	require.NoError(w.t, err)
	w.rest()
}

// requireOwnKeys finds two pairs in service that share a key.
func requireOwnKeys(t *testing.T, r record.Record) {
	t.Helper()
	holders := map[string]string{}
	for pair := range r.Pairs() {
		require.NotContains(t, holders, string(pair.Key), "two pairs share a key")
		holders[string(pair.Key)] = pair.Serial
	}
}

func TestSparePairsAreNotGivenTwice(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	file, keys := w.s.Record(), map[int]pki.PrivateKey{1: w.keys["ca-1"]}
	held := file.Legacy[3].Units[0].Pairs[0].Key

	t.Run("what is in service is none", func(t *testing.T) {
		w.restore(file, keys)
		require.Equal(t, held, w.s.Record().Legacy[3].Units[0].Pairs[0].Key, "whoever has it keeps it")
		w.relate(9, "mallory", map[string]map[string]string{"mallory/0": etcd("mallory_0", "10.0.0.1", `[]`)})
		w.rest()
		require.Equal(t, 1, w.s.Record().Legacy[9].Count())
		require.NotEqual(t, held, w.s.Record().Legacy[9].Units[0].Pairs[0].Key)
		requireOwnKeys(t, w.s.Record())
	})
	t.Run("nor in a second restore", func(t *testing.T) {
		w.restore(file, keys)
		w.relate(10, "eve", map[string]map[string]string{"eve/0": etcd("eve_0", "10.0.0.1", `[]`)})
		w.rest()
		require.Equal(t, held, w.s.Record().Legacy[3].Units[0].Pairs[0].Key)
		require.NotEqual(t, held, w.s.Record().Legacy[10].Units[0].Pairs[0].Key)
		requireOwnKeys(t, w.s.Record())
	})
	t.Run("nor is one that was given back since", func(t *testing.T) {
		other := newWorld(t)
		other.restore(file, keys)
		other.relate(7, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `[]`)})
		other.rest()
		require.Equal(t, held, other.s.Record().Legacy[7].Units[0].Pairs[0].Key, "it comes back to who asks for its names")
		other.restore(file, keys)
		other.relate(8, "mallory", map[string]map[string]string{"mallory/0": etcd("mallory_0", "10.0.0.1", `[]`)})
		other.rest()
		require.Equal(t, held, other.s.Record().Legacy[7].Units[0].Pairs[0].Key)
		require.NotEqual(t, held, other.s.Record().Legacy[8].Units[0].Pairs[0].Key)
		requireOwnKeys(t, other.s.Record())
	})
}

func TestARequestOfAnotherSourceBeforeThereIsACA(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Peer.Record.CA, w.keys = nil, map[string]pki.PrivateKey{}
	w.s.Config.CASource = record.Offline
	require.Empty(t, w.act("get-csr", nil).Failure)
	require.Equal(t, 1, w.s.Record().Request.Generation)
	w.s.Config.CASource = record.SelfSigned
	for range 4 {
		w.look()
		w.s.Status = w.settle().Status
	}
	r := w.s.Record()
	require.NotNil(t, r.CA)
	require.Equal(t, 2, r.CA.Active, "the number of the request is not given again")
	require.Nil(t, r.Request)
	require.Contains(t, w.keys, "ca-2")
	require.Len(t, w.keys, 1, "the key of the request is destroyed")
	w.serves()
}

func TestAKeyWithoutARecordAtTheNumberOfTheNextCA(t *testing.T) {
	t.Parallel()
	for _, source := range []record.Source{record.Imported, record.SelfSigned} {
		t.Run(string(source)+": it is ended and the rotation goes on", func(t *testing.T) {
			t.Parallel()
			w := busyWorld(t)
			if source == record.Imported {
				w.bring(newForeignCA(t, "next", nil))
			}
			orphan := spareKey(t)
			w.keys["ca-2"] = orphan
			require.Empty(t, w.act("rotate-ca", nil).Failure)
			for range 100 {
				w.look()
				w.s.Status = w.settle().Status
			}
			ca := w.s.Record().CA
			require.Nil(t, ca.Rotation, w.s.Status.Message)
			require.Equal(t, ca.ActiveGeneration().Origin(), source)
			certificate, err := pki.ParseCertificateDER(ca.ActiveGeneration().Certificate)
			require.NoError(t, err)
			require.False(t, pki.KeyMatches(certificate, orphan))
			require.True(t, pki.KeyMatches(certificate, w.keys[record.SecretLabel(ca.Active)]))
			require.Len(t, w.keys, 1)
			w.serves()
		})
	}
}

func TestACommonNameLeavesRoomForItsGeneration(t *testing.T) {
	t.Parallel()
	const longest = 58 // with " G9999" it has 64 characters
	parse := func(length int) []string {
		text, err := json.Marshal(strings.Repeat("x", length))
		require.NoError(t, err)
		_, problems := policy.ParseConfig(map[string]json.RawMessage{"ca-common-name": text}, "tls-authority", "k8s")
		return problems
	}
	require.Empty(t, parse(longest))
	for _, length := range []int{longest + 1, 61} {
		problems := parse(length)
		require.Len(t, problems, 1)
		require.Contains(t, problems[0], "ca-common-name")
	}
}

func TestWhatTheNextCAMayNotNameStaysUnderTheOldOne(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	w.relate(7, "vault", map[string]map[string]string{"vault/0": etcd("vault_0", "vault.example.com", `[]`)})
	w.rest()
	before := w.s.Record()
	answer := w.s.Relations[2].OwnApplicationBag[tlscertificates.KeyCertificates]
	w.bring(newForeignCA(t, "next", func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"example.org"}, true
	}))
	require.Empty(t, w.act("rotate-ca", nil).Failure)

	status := w.rest()
	require.Contains(t, status, "waiting for 5 certificates of the old CA")
	r := w.s.Record()
	require.Equal(t, record.Flipping, r.CA.Rotation.Stage, "the old root is not retired")
	require.Equal(t, 2, r.CA.Active)
	require.Contains(t, w.keys, "ca-1")
	require.Equal(t, answer, w.s.Relations[2].OwnApplicationBag[tlscertificates.KeyCertificates])
	require.Equal(t, before.Legacy[7].Units[0].Pairs[0].Certificate, r.Legacy[7].Units[0].Pairs[0].Certificate)
	require.Equal(t, before.Legacy[7].Units[0].Pairs[0].Key, r.Legacy[7].Units[0].Pairs[0].Key)
	require.Equal(t, 2, r.Legacy[3].Units[0].Pairs[0].Generation, "what may be named is issued anew")
	w.serves()
	for _, one := range w.tell(record.Flipping) {
		for _, chain := range one.chains {
			require.NoError(t, verifies(t, chain, one.trust, noon), one.what)
		}
	}

	t.Run("it is retired when they are gone", func(t *testing.T) {
		w.s.Relations, w.s.Live = w.s.Relations[:1:1], w.s.Live[:1:1]
		w.rotate()
		require.Equal(t, 2, w.s.Record().CA.Active)
		require.NotContains(t, w.keys, "ca-1")
	})
}

func TestForceKeepsABridgeThatCanBeHad(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	require.Empty(t, w.act("advance-rotation", map[string]any{"force": true}).Failure)
	order, byStage := w.rotate()
	require.Contains(t, order, record.Flipping)
	requireInvariant(t, order, byStage, noon)
}

func TestAnEmergencyIsAbortedBeforeTheNewCASigns(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	w.s.Config.RotationHold = day
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	w.rest()
	require.Equal(t, record.Distributing, w.s.Record().CA.Rotation.Stage)
	require.Empty(t, w.act("rotate-ca", map[string]any{"mode": "emergency"}).Failure)
	require.Empty(t, w.act("abort-rotation", nil).Failure)
	order, byStage := w.rotate()
	require.Equal(t, []record.Stage{record.Distributing, record.Aborting, record.Destroying, "after"}, order)
	requireInvariant(t, order, byStage, noon)
	require.Equal(t, 1, w.s.Record().CA.Active)
	require.Contains(t, w.keys, "ca-1")
	require.NotContains(t, w.keys, "ca-2")
}

func TestARotationRenewsWhatAnOperatorAskedToRenew(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"staged", "emergency"} {
		t.Run(mode+": the pairs get new keys", func(t *testing.T) {
			t.Parallel()
			w := busyWorld(t)
			old := map[string]bool{}
			for pair := range w.s.Peer.Record.Pairs() {
				old[string(pair.Key)] = true
			}
			require.Len(t, old, 4)
			require.Empty(t, w.act("renew-certificates", map[string]any{"all": true}).Failure)
			require.Empty(t, w.act("rotate-ca", map[string]any{"mode": mode}).Failure)
			w.rotate()
			w.rest()
			now := 0
			for pair := range w.s.Peer.Record.Pairs() {
				now++
				require.NotContains(t, old, string(pair.Key))
				require.False(t, pair.Asked)
				require.Equal(t, 2, pair.Generation)
			}
			require.Equal(t, len(old), now)
		})
	}
}
