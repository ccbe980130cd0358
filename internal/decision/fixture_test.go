// SPDX-License-Identifier: GPL-3.0-only

package decision_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
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

const day = 24 * time.Hour

// noon is the time of every decision that a case does not move.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// world builds the snapshot of a leader with a CA and lets a case break one
// thing.
type world struct {
	t      *testing.T
	issuer *pki.Issuer
	s      decision.Snapshot
	// keys are in Juju's secrets, by their labels.
	keys map[string]pki.PrivateKey
	// imported is the key of ca-secret.
	imported pki.PrivateKey
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	root, err := pki.CreateSelfSigned(pki.Template{
		Profile:  pki.Root,
		Subject:  pki.Subject{CommonName: "test G1"},
		Validity: pki.NewValidity(noon, 10*365*day),
	}, key)
	require.NoError(t, err)
	issuer, err := pki.NewIssuer(root, key)
	require.NoError(t, err)
	config, problems := policy.ParseConfig(map[string]json.RawMessage{"key-type": json.RawMessage(`"ecdsa-p256"`)}, "tls-authority", "k8s")
	require.Empty(t, problems)
	return &world{t: t, issuer: issuer, keys: map[string]pki.PrivateKey{"ca-1": key}, s: decision.Snapshot{
		Now:    noon,
		Leader: true,
		Sweep:  true,
		Listed: true,
		Status: juju.Status{Name: juju.Active, Message: "as it was"},
		Event:  juju.Event{Kind: juju.UpdateStatus, Name: "update-status", Unit: "tls-authority/0", Model: "k8s"},
		Config: config,
		Peer: &decision.PeerRelation{
			ID: juju.RelationID{Endpoint: "authority", Number: 0},
			Record: record.Record{
				CA:     record.NewAuthority(record.Generation{ID: record.FirstGeneration, Certificate: root.Raw}),
				Legacy: map[int]*record.Legacy{},
				CSR:    map[int]*record.Requests{},
			},
		},
	}}
}

// relate adds a relation whose remote databags are given by owner.
func (w *world) relate(number int, application string, bags map[string]map[string]string) {
	relation := decision.Relation{
		ID:          juju.RelationID{Endpoint: decision.CertificatesEndpoint, Number: number},
		Application: application,
		Requests:    tlscertificates.ParseApplicationBag(bags[application]),
	}
	var units []string
	for owner := range bags {
		if owner != application {
			units = append(units, owner)
		}
	}
	slices.Sort(units)
	for _, unit := range units {
		relation.Units = append(relation.Units, decision.RemoteUnit{Name: juju.UnitName(unit), Requests: tlscertificates.ParseUnitBag(bags[unit])})
	}
	w.s.Live = append(w.s.Live, number)
	w.s.Relations = append(w.s.Relations, relation)
}

// settle carries a decision out, as sign and write would, and makes what they
// wrote the state of the next snapshot.
func (w *world) settle() signing.Changes {
	w.t.Helper()
	return w.write(decision.Make(w.s))
}

// act runs an action on the leader, whose event the next hook does not have.
func (w *world) act(name string, parameters map[string]any) *decision.Reply {
	w.t.Helper()
	before := w.s
	defer func() { w.s.Event, w.s.Parameters, w.s.Relations = before.Event, before.Parameters, before.Relations }()
	w.s.Event = juju.Event{Kind: juju.Action, Name: name, Unit: "tls-authority/0", Model: "k8s"}
	w.s.Relations, w.s.Parameters = nil, map[string]json.RawMessage{}
	for key, value := range parameters {
		text, err := json.Marshal(value)
		require.NoError(w.t, err)
		w.s.Parameters[key] = text
	}
	return w.write(action.Answer(w.s)).Reply
}

func (w *world) write(d decision.Decision) signing.Changes {
	w.t.Helper()
	changes, err := signing.CarryOut(w.s, d, w.keyring())
	require.NoError(w.t, err)
	for _, secret := range changes.Secrets {
		require.NotContains(w.t, w.keys, secret.Label, "a label is given once")
		key, err := pki.ParsePrivateKeyPEM(secret.Content[signing.SecretKey])
		require.NoError(w.t, err)
		w.keys[secret.Label] = key
	}
	for _, label := range changes.Removed {
		delete(w.keys, label)
	}
	if changes.Peer != nil {
		w.s.Peer.Bag = changes.Peer
		w.s.Peer.Record, err = record.Parse(changes.Peer)
		require.NoError(w.t, err)
	}
	for i, c := range changes.Relations {
		w.s.Relations[i].OwnUnitBag = c.Unit
		if c.Application != nil {
			w.s.Relations[i].OwnApplicationBag = whole(c.Application)
		}
	}
	return changes
}

// whole puts the values of a bag together.
func whole(pieces map[string][]string) map[string]string {
	bag := map[string]string{}
	for key, value := range pieces {
		bag[key] = strings.Join(value, "")
	}
	return bag
}

// keyring hands out the keys of the world's secrets.
func (w *world) keyring() signing.Keys {
	return signing.Keys{
		Stored: func(generation int) (pki.PrivateKey, error) {
			key, there := w.keys[record.SecretLabel(generation)]
			if !there {
				return pki.PrivateKey{}, fmt.Errorf("secret %q not found", record.SecretLabel(generation))
			}
			return key, nil
		},
		Imported: func() (pki.PrivateKey, error) { return w.imported, nil },
	}
}

// newCSR makes the text of a CSR, trimmed as most requirers send it.
func newCSR(t *testing.T, subject pkix.Name, dnsNames ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, DNSNames: dnsNames}, key)
	require.NoError(t, err)
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
}

// csrBag is the databag of a requirer of the CSR dialect.
func csrBag(t *testing.T, csrs ...string) map[string]string {
	t.Helper()
	type entry struct {
		CSR string `json:"certificate_signing_request"`
		CA  bool   `json:"ca"`
	}
	var entries []entry
	for _, csr := range csrs {
		entries = append(entries, entry{CSR: csr})
	}
	text, err := json.Marshal(entries)
	require.NoError(t, err)
	return map[string]string{tlscertificates.KeyCSRs: string(text)}
}

// describe tells a decision in sentences, in the order of relations.
func describe(d decision.Decision) []string {
	var lines []string
	if m := d.Making; m != nil {
		lines = append(lines, fmt.Sprintf("make %s %s %q: %s", m.Source, m.KeyType, m.Template.Subject.CommonName, m.Reason))
	}
	if d.Renew != nil {
		lines = append(lines, "renew: "+d.Renew.Reason)
	}
	if d.Record.Client != nil {
		lines = append(lines, "client: "+describePair(*d.Record.Client))
	}
	for _, number := range describedRelations(d) {
		if legacy := d.Record.Legacy[number]; legacy != nil {
			lines = append(lines, describeLegacy(number, legacy)...)
		}
		for _, answer := range d.Answers[number].Certificates {
			lines = append(lines, fmt.Sprintf("%d csr: %s", number, describeAnswer(answer)))
		}
		for _, refused := range d.Answers[number].Errors {
			lines = append(lines, fmt.Sprintf("%d csr: refuse %d %s", number, refused.Code, refused.Reason))
		}
	}
	return append(lines, fmt.Sprintf("%s: %s", d.Status.Name, d.Status.Message))
}

func describedRelations(d decision.Decision) []int {
	numbers := d.Record.Relations()
	for number := range d.Answers {
		if !slices.Contains(numbers, number) {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

func describeLegacy(number int, legacy *record.Legacy) []string {
	var lines []string
	for _, unit := range legacy.Units {
		lines = append(lines, fmt.Sprintf("%d %s as %s", number, unit.Unit, unit.Name))
		for _, pair := range unit.Pairs {
			lines = append(lines, fmt.Sprintf("%d %s: %s %s %v: %s", number, unit.Unit, pair.Kind, pair.CommonName, pair.Names, describePair(pair.Pair)))
		}
	}
	if shared := legacy.Shared; shared != nil {
		lines = append(lines, fmt.Sprintf("%d shared: %s %v: %s", number, shared.CommonName, shared.Names, describePair(shared.Pair)))
	}
	for _, p := range legacy.Problems {
		lines = append(lines, fmt.Sprintf("%d problem %d: %s %s: %s", number, p.Code, p.Requester, p.Subject, p.Reason))
	}
	return lines
}

func describePair(p record.Pair) string {
	switch {
	case p.Order == nil:
		return "keep"
	case p.Order.KeepKey:
		return "sign the same key: " + p.Order.Reason
	}
	return fmt.Sprintf("issue %s %s: %s", p.Order.Template.Profile, p.Order.KeyType, p.Order.Reason)
}

func describeAnswer(a decision.RequestAnswer) string {
	if a.Order == nil {
		return "keep"
	}
	return fmt.Sprintf("issue %s %v: %s", a.Order.Template.Profile, a.Order.Template.Names.Texts(), a.Order.Reason)
}
