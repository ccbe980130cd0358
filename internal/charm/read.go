// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/signing"
	"tls-authority/internal/tlscertificates"
)

// read gathers the snapshot. Only "not found" is an answer; every other
// failure ends the hook.
func read(ctx context.Context, client *juju.Client, event juju.Event, now time.Time) (decision.Snapshot, error) {
	s := decision.Snapshot{Now: now.UTC().Truncate(time.Second), Event: event}
	var err error
	if s.Leader, err = client.IsLeader(ctx); err != nil {
		return decision.Snapshot{}, fmt.Errorf("cannot read leadership: %w", err)
	}
	raw, err := client.Config(ctx)
	if err != nil {
		return decision.Snapshot{}, fmt.Errorf("cannot read configuration: %w", err)
	}
	s.Config, s.ConfigProblems = policy.ParseConfig(raw, event.Unit.Application(), event.Model)
	if s.Status, err = client.Status(ctx); err != nil {
		return decision.Snapshot{}, fmt.Errorf("cannot read status: %w", err)
	}
	if s.Peer, err = readPeer(ctx, client, event); err != nil {
		return decision.Snapshot{}, err
	}
	if s.Peer == nil {
		return s, nil
	}
	if s.Leader && s.Peer.Record.CA == nil {
		if s.Found, err = readFoundCA(ctx, client); err != nil {
			return decision.Snapshot{}, err
		}
	}
	return readRelations(ctx, client, s)
}

func readPeer(ctx context.Context, client *juju.Client, event juju.Event) (*decision.PeerRelation, error) {
	ids, err := client.Relations(ctx, peerEndpoint)
	if err != nil {
		return nil, fmt.Errorf("cannot list peer relations: %w", err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	peer := &decision.PeerRelation{ID: ids[0]}
	peer.Bag, err = client.ReadApplicationBag(ctx, peer.ID, event.Unit.Application())
	if err != nil {
		return nil, fmt.Errorf("cannot read the peer databag: %w", err)
	}
	if peer.Record, err = record.Parse(peer.Bag); err != nil {
		return nil, err
	}
	return peer, nil
}

// readFoundCA asks whether the secret of the first generation exists although
// no databag tells of it. Both tools must say "not found" before that counts:
// the content could be out of reach while the secret is there.
func readFoundCA(ctx context.Context, client *juju.Client) (*x509.Certificate, error) {
	label := record.SecretLabel(record.FirstGeneration)
	content, err := client.ReadSecret(ctx, label)
	switch {
	case err == nil:
		certificate, err := signing.ParseSecret(content)
		if err != nil {
			return nil, fmt.Errorf("cannot adopt the CA in secret %q: %w", label, err)
		}
		return certificate.Certificate(), nil
	case !errors.Is(err, juju.ErrNotFound):
		return nil, fmt.Errorf("cannot read secret %q: %w", label, err)
	}
	_, err = client.SecretMetadata(ctx, label)
	switch {
	case err == nil:
		return nil, fmt.Errorf("cannot read secret %q: Juju lists it but does not give its content", label)
	case !errors.Is(err, juju.ErrNotFound):
		return nil, fmt.Errorf("cannot look for secret %q: %w", label, err)
	}
	return nil, nil
}

// readRelations lists the relations of the certificates endpoint and reads
// those that the event asks to look at.
func readRelations(ctx context.Context, client *juju.Client, s decision.Snapshot) (decision.Snapshot, error) {
	ids, err := client.Relations(ctx, decision.CertificatesEndpoint)
	if err != nil {
		return decision.Snapshot{}, fmt.Errorf("cannot list relations: %w", err)
	}
	wanted := scope(s.Event)
	for _, id := range ids {
		s.Live = append(s.Live, id.Number)
		if !wanted(id) {
			continue
		}
		relation, err := readRelation(ctx, client, s, id)
		if err != nil {
			return decision.Snapshot{}, fmt.Errorf("cannot read relation %s: %w", id, err)
		}
		s.Relations = append(s.Relations, relation)
	}
	return s, nil
}

// scope says which relations an event concerns. What a relation event tells
// is about that relation alone; actions and the coming and going of our own
// units concern none; all other events look at every relation, so that
// whatever an earlier hook could not finish is finished.
func scope(event juju.Event) func(juju.RelationID) bool {
	switch event.Kind {
	case juju.Action:
		return func(juju.RelationID) bool { return false }
	case juju.RelationCreated, juju.RelationJoined, juju.RelationChanged, juju.RelationDeparted, juju.RelationBroken:
		if event.Relation.Endpoint == decision.CertificatesEndpoint {
			return func(id juju.RelationID) bool { return id.Number == event.Relation.Number }
		}
		ownUnitOnly := event.RemoteUnit != ""
		return func(juju.RelationID) bool { return !ownUnitOnly }
	}
	return func(juju.RelationID) bool { return true }
}

func readRelation(ctx context.Context, client *juju.Client, s decision.Snapshot, id juju.RelationID) (decision.Relation, error) {
	r := decision.Relation{ID: id}
	var err error
	if r.OwnUnitBag, err = client.ReadUnitBag(ctx, id, s.Event.Unit); err != nil {
		return decision.Relation{}, err
	}
	if !s.Leader {
		return r, nil
	}
	if r.OwnApplicationBag, err = client.ReadApplicationBag(ctx, id, s.Event.Unit.Application()); err != nil {
		return decision.Relation{}, err
	}
	if r.Application, err = remoteApplication(ctx, client, s.Event, id); err != nil {
		return decision.Relation{}, err
	}
	bag, err := client.ReadApplicationBag(ctx, id, r.Application)
	if err != nil {
		return decision.Relation{}, err
	}
	r.Requests = tlscertificates.ParseApplicationBag(bag)
	units, err := client.RemoteUnits(ctx, id)
	if err != nil {
		return decision.Relation{}, err
	}
	for _, unit := range units {
		bag, err := client.ReadUnitBag(ctx, id, unit)
		if err != nil {
			return decision.Relation{}, err
		}
		r.Units = append(r.Units, decision.RemoteUnit{Name: unit, Requests: tlscertificates.ParseUnitBag(bag)})
	}
	return r, nil
}

// remoteApplication is in the event of the relation itself; for the others
// Juju is asked.
func remoteApplication(ctx context.Context, client *juju.Client, event juju.Event, id juju.RelationID) (string, error) {
	if event.Relation.Number == id.Number && event.Relation.Endpoint == decision.CertificatesEndpoint && event.RemoteApplication != "" {
		return event.RemoteApplication, nil
	}
	return client.RemoteApplication(ctx, id)
}

// readIssuer reads the key of the active generation. The certificate is the
// one of the record, which is what requirers trust: a secret with another one
// is an error, never a reason to follow it.
func readIssuer(ctx context.Context, client *juju.Client, authority *record.Authority) (*pki.Issuer, error) {
	generation := authority.ActiveGeneration()
	label := record.SecretLabel(generation.ID)
	content, err := client.ReadSecret(ctx, label)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key of the CA in secret %q: %w", label, err)
	}
	issuer, err := signing.ParseSecret(content)
	if err != nil {
		return nil, fmt.Errorf("cannot use the CA in secret %q: %w", label, err)
	}
	if !slices.Equal(issuer.Certificate().Raw, generation.Certificate) {
		return nil, fmt.Errorf("cannot use the CA in secret %q: its certificate is not the one that the model trusts", label)
	}
	return issuer, nil
}
