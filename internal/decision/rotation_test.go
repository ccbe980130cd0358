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
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// told is what one relation was told at one stage: what to trust, and chains
// to present.
type told struct {
	what  string
	stage record.Stage
	trust string
	// chains have the leaf first.
	chains []string
}

// tell collects what all relations of the world are told now.
func (w *world) tell(rest record.Stage) []told {
	w.t.Helper()
	ca := w.s.Record().CA
	stage := func(number int) record.Stage {
		switch {
		case ca.Rotation == nil:
			return rest
		case ca.Rotation.HasReached(number):
			return ca.Rotation.Stage
		case ca.Rotation.Before == "":
			return record.Preparing
		}
		return ca.Rotation.Before
	}
	target := rest
	if ca.Rotation != nil {
		target = ca.Rotation.Stage
	}
	var all []told
	for _, relation := range w.s.Relations {
		if bag := relation.OwnUnitBag; bag["ca"] != "" {
			legacy := told{what: fmt.Sprintf("legacy %s", relation.Application), stage: stage(relation.ID.Number), trust: bag["ca"]}
			for key, value := range bag {
				if strings.HasSuffix(key, ".cert") {
					legacy.chains = append(legacy.chains, value+bag["chain"])
				}
			}
			all = append(all, legacy)
		}
		text := relation.OwnApplicationBag[tlscertificates.KeyCertificates]
		if text == "" {
			continue
		}
		answers, err := tlscertificates.ParseCertificates(text)
		require.NoError(w.t, err)
		for _, answer := range answers {
			require.Equal(w.t, 1, strings.Count(answer.CA, "BEGIN"), "ca is one certificate")
			all = append(all, told{
				what:   fmt.Sprintf("csr %s", relation.Application),
				stage:  stage(relation.ID.Number),
				trust:  answer.CA,
				chains: []string{strings.Join(answer.Chain, "\n")},
			})
		}
	}
	return append(all, told{what: "certificate_transfer", stage: target, trust: strings.Join(w.s.Record().Roots(), "")})
}

func certificatesOf(t *testing.T, text string) []*x509.Certificate {
	t.Helper()
	certificates, err := pki.ParseCertificatesPEM(text)
	require.NoError(t, err)
	return certificates
}

// verifies tells whether a chain is good for whoever trusts what is told.
func verifies(t *testing.T, chain, trust string, now time.Time) error {
	t.Helper()
	options := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, root := range certificatesOf(t, trust) {
		options.Roots.AddCert(root)
	}
	certificates := certificatesOf(t, chain)
	for _, c := range certificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := certificates[0].Verify(options)
	return err
}

// opensslVerifies asks another implementation, which follows fewer paths.
func opensslVerifies(t *testing.T, folder, chain, trust string, now time.Time) error {
	t.Helper()
	rest := []byte(chain)
	block, rest := pem.Decode(rest)
	for name, content := range map[string][]byte{"leaf.pem": pem.EncodeToMemory(block), "chain.pem": rest, "trust.pem": []byte(trust)} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	args := []string{"verify", "-attime", fmt.Sprint(now.Unix()), "-x509_strict", "-CAfile", "trust.pem"}
	if len(strings.TrimSpace(string(rest))) > 0 {
		args = append(args, "-untrusted", "chain.pem")
	}
	cmd := exec.Command("openssl", append(args, "leaf.pem")...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// rotate plays a rotation to its end and returns what was told, by stage.
func (w *world) rotate() (order []record.Stage, byStage map[record.Stage][]told) {
	w.t.Helper()
	const last = "after"
	byStage = map[record.Stage][]told{}
	note := func(all []told) {
		for _, one := range all {
			if len(order) == 0 || !contains(order, one.stage) {
				order = append(order, one.stage)
			}
			byStage[one.stage] = append(byStage[one.stage], one)
		}
	}
	note(w.tell(last))
	epoch := w.s.Record().CA.Epoch
	for hooks := 0; w.s.Record().CA.Rotation != nil || len(w.s.Record().Doomed) > 0; hooks++ {
		require.Less(w.t, hooks, 200, "the rotation ends: %s", w.s.Status.Message)
		changes := w.settle()
		w.s.Status = changes.Status
		require.GreaterOrEqual(w.t, w.s.Record().CA.Epoch, epoch, "epochs never fall")
		epoch = w.s.Record().CA.Epoch
		w.checkKeys()
		note(w.tell(last))
	}
	return order, byStage
}

func contains(stages []record.Stage, stage record.Stage) bool {
	for _, s := range stages {
		if s == stage {
			return true
		}
	}
	return false
}

// checkKeys sees that every pair published has the key of its certificate.
func (w *world) checkKeys() {
	w.t.Helper()
	for _, legacy := range w.s.Record().Legacy {
		for _, unit := range legacy.Units {
			for _, pair := range unit.Pairs {
				c, err := pki.ParseCertificateDER(pair.Certificate)
				require.NoError(w.t, err)
				key, err := pki.ParsePrivateKeyDER(pair.Key)
				require.NoError(w.t, err)
				require.True(w.t, pki.KeyMatches(c, key))
			}
		}
	}
}

// requireInvariant checks that every chain told at a stage is good for all that
// was told to be trusted at that stage, the one before and the one after, and
// that no leaf outlives what it is presented with.
func requireInvariant(t *testing.T, order []record.Stage, byStage map[record.Stage][]told, now time.Time) {
	t.Helper()
	_, err := exec.LookPath("openssl")
	withOpenSSL := err == nil
	folder := t.TempDir()
	seen := map[string]bool{}
	checks := 0
	for i, stage := range order {
		for _, presenter := range byStage[stage] {
			for _, chain := range presenter.chains {
				certificates := certificatesOf(t, chain)
				for _, above := range certificates[1:] {
					require.False(t, certificates[0].NotAfter.After(above.NotAfter), "%s at %s outlives %q", presenter.what, stage, above.Subject)
				}
				for j := max(0, i-1); j <= min(i+1, len(order)-1); j++ {
					for _, truster := range byStage[order[j]] {
						if seen[chain+truster.trust] {
							continue
						}
						seen[chain+truster.trust] = true
						checks++
						what := fmt.Sprintf("%s at %s, for %s at %s", presenter.what, stage, truster.what, order[j])
						require.NoError(t, verifies(t, chain, truster.trust, now), what)
						if withOpenSSL {
							require.NoError(t, opensslVerifies(t, folder, chain, truster.trust, now), what)
						}
					}
				}
			}
		}
	}
	require.Greater(t, checks, 4, "something was checked")
	if !withOpenSSL {
		t.Log("openssl is not here: chains were verified with Go alone")
	}
}

// busyWorld has requirers of both dialects.
func busyWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.s.Config.RotationHold = 0
	w.s.Sweep = true
	w.relate(3, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `[]`), "etcd/1": etcd("etcd_1", "10.0.0.2", `[]`)})
	w.relate(4, "worker", map[string]map[string]string{"worker/0": etcd("worker_0", "10.0.1.1", `["w"]`)})
	w.relate(5, "traefik", map[string]map[string]string{"traefik/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "a.example.com"}, "a.example.com"))})
	w.relate(6, "loki", map[string]map[string]string{
		"loki/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "l0"}, "l0.example.com")),
		"loki/1": csrBag(t, newCSR(t, pkix.Name{CommonName: "l1"}, "l1.example.com")),
	})
	w.settle()
	return w
}

func TestRotationOfASelfSignedRoot(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	before := w.s.Record()
	reply := w.act("rotate-ca", nil)
	require.Empty(t, reply.Failure)
	order, byStage := w.rotate()
	require.Equal(t, []record.Stage{record.Preparing, record.Distributing, record.Issuing, record.Flipping, record.Retiring, record.Destroying, "after"}, order)
	requireInvariant(t, order, byStage, noon)

	after := w.s.Record()
	require.Equal(t, 2, after.CA.Active)
	require.NotContains(t, w.keys, "ca-1", "the old key is destroyed")
	require.Contains(t, w.keys, "ca-2")
	require.True(t, after.CA.Generation(1).Destroyed)
	require.Equal(t, before.Legacy[3].Units[0].Pairs[0].Key, after.Legacy[3].Units[0].Pairs[0].Key, "a rotation keeps the keys of pairs")
	for _, c := range after.CSR[6].Certificates {
		require.Equal(t, 2, c.Generation)
		require.Equal(t, 2, c.AnchorGeneration())
	}
	require.Equal(t, 2, after.Client.Generation)

	t.Run("one more hook changes nothing", func(t *testing.T) {
		bag := w.s.Peer.Bag
		unit := w.s.Relations[0].OwnUnitBag
		application := w.s.Relations[3].OwnApplicationBag
		w.settle()
		require.Equal(t, bag, w.s.Peer.Bag)
		require.Equal(t, unit, w.s.Relations[0].OwnUnitBag)
		require.Equal(t, application, w.s.Relations[3].OwnApplicationBag)
	})
}

func TestRotationHolds(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	w.s.Config.RotationHold = day
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	// hook runs as many hooks as change something.
	hooks := func() string {
		for n := 0; ; n++ {
			require.Less(t, n, 50)
			bag := w.s.Peer.Bag
			w.s.Status = w.settle().Status
			if fmt.Sprint(bag) == fmt.Sprint(w.s.Peer.Bag) {
				return w.s.Status.Message
			}
		}
	}
	require.Contains(t, hooks(), "rotating: distributing done; 1d of hold left")
	w.s.Now = w.s.Now.Add(3 * time.Hour)
	require.Contains(t, hooks(), "rotating: distributing done; 21h of hold left")
	require.Equal(t, 1, w.s.Record().CA.Active, "the new CA signs nothing yet")

	t.Run("it can be taken back", func(t *testing.T) {
		w := *w
		peer := *w.s.Peer
		w.s.Peer = &peer
		w.keys = map[string]pki.PrivateKey{"ca-1": w.keys["ca-1"], "ca-2": w.keys["ca-2"]}
		require.Empty(t, w.act("abort-rotation", nil).Failure)
		order, byStage := w.rotate()
		require.Equal(t, []record.Stage{record.Distributing, record.Aborting, record.Destroying, "after"}, order)
		requireInvariant(t, order, byStage, noon)
		require.NotContains(t, w.keys, "ca-2")
		require.Nil(t, w.s.Record().CA.Generation(2))
		require.Empty(t, w.act("rotate-ca", nil).Failure)
		require.Equal(t, 3, w.s.Record().CA.Rotation.To, "no number is given twice")
	})

	require.Empty(t, w.act("advance-rotation", nil).Failure)
	require.Contains(t, hooks(), "rotating: issuing done; 1d of hold left")
	require.Equal(t, 2, w.s.Record().CA.Active)
	require.Contains(t, w.act("abort-rotation", nil).Failure, "signs already")
	require.Contains(t, w.act("rotate-ca", nil).Failure, "a rotation is under way")

	status := w.act("rotation-status", nil)
	require.Equal(t, "issuing", status.Results["stage"])
	require.Equal(t, "1d", status.Results["hold-left"])

	w.s.Now = w.s.Now.Add(day)
	require.Contains(t, hooks(), "rotating: flipping done")
	w.s.Now = w.s.Now.Add(day)
	require.Contains(t, hooks(), "rotating: retiring done")
	w.s.Now = w.s.Now.Add(day)
	require.NotContains(t, hooks(), "rotating")
}

func TestRotationIsOneRelationAHook(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	for w.s.Record().CA.Rotation.Stage != record.Issuing {
		w.settle()
	}
	require.Len(t, w.s.Record().CA.Rotation.Reached, 1)
	relation := w.s.Relations[3]
	answers, err := tlscertificates.ParseCertificates(relation.OwnApplicationBag[tlscertificates.KeyCertificates])
	require.NoError(t, err)
	require.Len(t, answers, 2)

	t.Run("a relation that waits is left as it is", func(t *testing.T) {
		d := decision.Make(w.s)
		require.NotContains(t, d.Answers, 6)
		require.Equal(t, 1, d.Record.CSR[6].Certificates[0].Generation)
	})
	t.Run("a new requirer is told the stage at once", func(t *testing.T) {
		w.relate(9, "late", map[string]map[string]string{"late/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "late"}, "late.example.com"))})
		d := decision.Make(w.s)
		require.Len(t, d.Answers[9].Certificates, 1)
		require.True(t, d.Record.CA.Rotation.HasReached(9))
	})
	t.Run("the status says who is next", func(t *testing.T) {
		require.Contains(t, w.settle().Status.Message, "rotating: issuing")
		require.Contains(t, w.settle().Status.Message, "next ")
	})
}

func TestRotationKeepsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	// The leader changes: the new one has met nobody yet.
	for i := range w.s.Relations {
		r := &w.s.Relations[i]
		for _, unit := range r.Units {
			r.Unmet = append(r.Unmet, string(unit.Name))
		}
		r.Units = nil
	}
	order, byStage := w.rotate()
	requireInvariant(t, order, byStage, noon)
	after := w.s.Record()
	require.Len(t, after.CSR[6].Certificates, 2, "answers of units not met are issued anew too")
	require.Equal(t, 2, after.CSR[6].Certificates[0].Generation)
	require.Equal(t, 2, after.Legacy[3].Units[1].Pairs[0].Generation)
}

func TestRotationInAnEmergency(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	w.s.Config.RotationHold = day
	require.Empty(t, w.act("rotate-ca", map[string]any{"mode": "emergency"}).Failure)
	order, byStage := w.rotate()
	require.Equal(t, []record.Stage{record.Preparing, record.Replacing, record.Destroying, "after"}, order)
	require.NotContains(t, w.keys, "ca-1")
	old := certificatesOf(t, byStage[record.Preparing][0].trust)[0]
	for _, one := range byStage[record.Replacing] {
		for _, root := range certificatesOf(t, one.trust) {
			require.False(t, root.Equal(old), "%s still trusts the old root", one.what)
		}
		for _, chain := range one.chains {
			require.NoError(t, verifies(t, chain, one.trust, noon))
		}
	}

	t.Run("a staged rotation turns into one", func(t *testing.T) {
		w := busyWorld(t)
		w.s.Config.RotationHold = day
		require.Empty(t, w.act("rotate-ca", nil).Failure)
		for w.s.Record().CA.Rotation.Stage != record.Distributing {
			w.settle()
		}
		require.Empty(t, w.act("rotate-ca", map[string]any{"mode": "emergency"}).Failure)
		order, _ := w.rotate()
		require.Contains(t, order, record.Replacing)
		require.Equal(t, 2, w.s.Record().CA.Active)
	})
}

// pathLimited makes the active CA a root that may have no CA below it.
func pathLimited(t *testing.T, w *world) {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(signer)
	require.NoError(t, err)
	key, err := pki.ParsePrivateKeyDER(encoded)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: w.issuer.Certificate().SerialNumber, Subject: pkix.Name{CommonName: "imported"},
		NotBefore: noon.Add(-day), NotAfter: noon.Add(1000 * day), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true, SubjectKeyId: []byte{1, 2, 3, 4},
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "imported"}, SubjectKeyId: []byte{1, 2, 3, 4}}, signer.Public(), signer)
	require.NoError(t, err)
	w.s.Peer.Record.CA = record.NewAuthority(record.Generation{ID: 1, Certificate: der, Source: record.Imported})
	w.keys["ca-1"] = key
}

func TestRotationWithoutABridge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pathLimited(t, w)
	w.s.Config.RotationHold = 0
	w.relate(3, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `[]`)})
	w.relate(5, "traefik", map[string]map[string]string{"traefik/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "a.example.com"}, "a.example.com"))})
	w.settle()
	reply := w.act("rotate-ca", nil)
	require.Contains(t, reply.Failure, "cannot cross-sign")
	require.Contains(t, reply.Failure, "traefik")
	require.Nil(t, w.s.Record().CA.Rotation)

	reply = w.act("rotate-ca", map[string]any{"dry-run": true, "force": true})
	require.Empty(t, reply.Failure)
	require.Equal(t, "traefik", reply.Results["breaks"])
	require.Nil(t, w.s.Record().CA.Rotation, "a dry run changes nothing")

	require.Empty(t, w.act("rotate-ca", map[string]any{"force": true}).Failure)
	order, byStage := w.rotate()
	require.NotContains(t, order, record.Flipping)
	for _, one := range byStage[record.Issuing] {
		for _, chain := range one.chains {
			require.NoError(t, verifies(t, chain, one.trust, noon), "whoever follows is served")
		}
	}
	require.Equal(t, 2, w.s.Record().CA.Active)
}

func TestRotationDryRunTellsThePlan(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	w.s.Config.RotationHold = 2 * day
	bag := w.s.Peer.Bag
	reply := w.act("rotate-ca", map[string]any{"dry-run": true})
	require.Empty(t, reply.Failure)
	require.Contains(t, reply.Results["plan"], "2. distributing: hand out the new root beside the old one; hold 2d")
	require.Contains(t, reply.Results["plan"], "6. destroying: destroy the key of generation 1")
	require.Equal(t, bag, w.s.Peer.Bag)
}

func TestRotationWaitsForWhatCannotBeIssuedAnew(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	// Relation 5 cannot be read any more.
	w.s.Relations = append(w.s.Relations[:2:2], w.s.Relations[3:]...)
	for range 60 {
		w.s.Status = w.settle().Status
	}
	require.Contains(t, w.s.Status.Message, "next traefik")
	require.Contains(t, w.act("advance-rotation", nil).Failure, "not done")
	require.Contains(t, w.keys, "ca-1", "the old key stays as long")
	for range 20 {
		if w.s.Record().CA.Rotation != nil {
			require.Empty(t, w.act("advance-rotation", map[string]any{"force": true}).Failure)
			w.settle()
			w.settle()
		}
	}
	require.Nil(t, w.s.Record().CA.Rotation)
}

func TestTheOptionsOfToday(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	config, problems := policy.ParseConfig(nil, "tls-authority", "k8s")
	require.Empty(t, problems)
	require.Equal(t, day, config.RotationHold)
	require.Equal(t, record.SelfSigned, config.CASource)

	w.s.Config.CASource = record.Offline
	message := w.settle().Status
	require.Equal(t, juju.Active, message.Name)
	require.Contains(t, message.Message, "pending: ca-source is offline: run get-csr")
}
