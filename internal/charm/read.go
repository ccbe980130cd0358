// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// read gathers the snapshot. Only "not found" is an answer; every other
// failure ends the hook.
func read(ctx context.Context, ring *keyring, daemon decision.Daemon, event juju.Event, now time.Time) (decision.Snapshot, error) {
	client := ring.client
	s := decision.Snapshot{Now: now.UTC().Truncate(time.Second), Event: event, Daemon: daemon}
	var err error
	if s.Leader, err = client.IsLeader(ctx); err != nil {
		return decision.Snapshot{}, fmt.Errorf("cannot read leadership: %w", err)
	}
	if s.Leader || event.Kind == juju.Action || s.ReadsLogTargets() {
		raw, err := client.Config(ctx)
		if err != nil {
			return decision.Snapshot{}, fmt.Errorf("cannot read configuration: %w", err)
		}
		s.Config, s.ConfigProblems = policy.ParseConfig(raw, event.Unit.Application(), event.Model)
	}
	if event.Kind == juju.Action {
		if s.Parameters, err = client.ActionParameters(ctx); err != nil {
			return decision.Snapshot{}, fmt.Errorf("cannot read the parameters of the action: %w", err)
		}
	}
	if s.Peer, err = readPeer(ctx, client, event); err != nil {
		return decision.Snapshot{}, err
	}
	s.Sweep = s.Sweeps()
	if s.Status, err = readStatus(ctx, client, s); err != nil {
		return decision.Snapshot{}, fmt.Errorf("cannot read status: %w", err)
	}
	if s.Peer == nil {
		return s, nil
	}
	if s, err = readAuthority(ctx, ring, s); err != nil {
		return decision.Snapshot{}, err
	}
	if s, err = readRelations(ctx, client, s); err != nil {
		return decision.Snapshot{}, err
	}
	if s.Transfers, err = readTransfers(ctx, client, s); err != nil {
		return decision.Snapshot{}, err
	}
	if s, err = readObservers(ctx, client, s); err != nil {
		return decision.Snapshot{}, err
	}
	if s, err = readLogTargets(ctx, client, s); err != nil {
		return decision.Snapshot{}, err
	}
	if !s.Leader {
		return s, nil
	}
	if s, err = readPeerKeys(ctx, client, s); err != nil {
		return decision.Snapshot{}, err
	}
	return readAbsence(ctx, client, s)
}

// readStatus asks for the status. In an event of a requirer the record tells
// what it says, unless something else has happened since; the next event of
// another kind mends that.
func readStatus(ctx context.Context, client *juju.Client, s decision.Snapshot) (juju.Status, error) {
	if relationEvent(s.Event) && s.Event.Relation.Endpoint != decision.PeerEndpoint {
		if expected := s.ExpectedStatus(); expected.Name != "" {
			return expected, nil
		}
	}
	return client.Status(ctx)
}

func relationEvent(event juju.Event) bool {
	switch event.Kind {
	case juju.RelationCreated, juju.RelationJoined, juju.RelationChanged, juju.RelationDeparted, juju.RelationBroken:
		return true
	}
	return false
}

// readAbsence looks into what is missing on the leader. That a unit is not in
// relation-list says little: Juju lists those whose relation-joined this unit
// has run, so that a new leader sees few at first, and one that is being
// removed sees fewer by the hook. A unit has left when this very hook says so,
// or when Juju does not mean it to be there.
func readAbsence(ctx context.Context, client *juju.Client, s decision.Snapshot) (decision.Snapshot, error) {
	suspect := s.Listed && s.Gone()
	for i := range s.Relations {
		r := &s.Relations[i]
		if r.Owner != "" {
			continue // it says itself who was not read
		}
		r.Unmet = slices.DeleteFunc(r.Missing(s.Record()), func(unit string) bool { return departed(s.Event, unit) })
		suspect = suspect || len(r.Unmet) > 0
	}
	if !suspect {
		return s, nil
	}
	goal, err := client.Goal(ctx)
	if err != nil {
		return decision.Snapshot{}, fmt.Errorf("cannot learn who is meant to be there: %w", err)
	}
	s.Dying = goal.Units[s.Event.Unit].Status == "dying"
	related := goal.Relations[decision.CertificatesEndpoint]
	for i := range s.Relations {
		r := &s.Relations[i]
		if r.Owner != "" {
			continue
		}
		r.Unmet = slices.DeleteFunc(r.Unmet, func(unit string) bool {
			_, meant := related[unit]
			return !meant && !crossModel(unit)
		})
	}
	return s, nil
}

// departed tells whether an event says that a remote unit has left.
func departed(event juju.Event, unit string) bool {
	return event.Kind == juju.RelationDeparted && string(event.RemoteUnit) == unit
}

// crossModel tells the name that Juju gives to a unit of another model. Its
// goal state does not show those; they leave with their own departed hook.
func crossModel(unit string) bool {
	return strings.HasPrefix(unit, "remote-")
}

func readPeer(ctx context.Context, client *juju.Client, event juju.Event) (*decision.PeerRelation, error) {
	peer := &decision.PeerRelation{ID: event.Relation}
	if event.Relation.Endpoint != decision.PeerEndpoint || event.Kind == juju.RelationBroken {
		ids, err := client.Relations(ctx, decision.PeerEndpoint)
		if err != nil {
			return nil, fmt.Errorf("cannot list peer relations: %w", err)
		}
		if len(ids) == 0 {
			return nil, nil
		}
		peer.ID = ids[0]
	}
	var err error
	peer.Bag, err = client.ReadApplicationBag(ctx, peer.ID, event.Unit.Application())
	if err != nil {
		return nil, fmt.Errorf("cannot read the peer databag: %w", err)
	}
	if peer.Record, err = record.Parse(peer.Bag); err != nil {
		return nil, err
	}
	return peer, nil
}

// readTransfers reads our bags in the relations that only want the CA
// certificate; what the other side writes there says nothing that matters.
func readTransfers(ctx context.Context, client *juju.Client, s decision.Snapshot) ([]decision.Transfer, error) {
	var ids []juju.RelationID
	var err error
	switch about := s.Event.Relation; {
	case s.Sweep:
		if ids, err = client.Relations(ctx, decision.TransferEndpoint); err != nil {
			return nil, fmt.Errorf("cannot list relations: %w", err)
		}
	case about.Endpoint == decision.TransferEndpoint && s.Event.Kind != juju.RelationBroken:
		ids = append(ids, about)
	}
	var transfers []decision.Transfer
	for _, id := range ids {
		t := decision.Transfer{ID: id}
		if t.OwnUnitBag, err = client.ReadUnitBag(ctx, id, s.Event.Unit); err != nil {
			return nil, fmt.Errorf("cannot read relation %s: %w", id, err)
		}
		if s.Leader {
			if t.OwnApplicationBag, err = client.ReadApplicationBag(ctx, id, s.Event.Unit.Application()); err != nil {
				return nil, fmt.Errorf("cannot read relation %s: %w", id, err)
			}
		}
		transfers = append(transfers, t)
	}
	return transfers, nil
}
