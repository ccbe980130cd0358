// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// read gathers the snapshot. Only "not found" is an answer; every other
// failure ends the hook.
func read(ctx context.Context, ring *keyring, event juju.Event, now time.Time) (decision.Snapshot, error) {
	client := ring.client
	s := decision.Snapshot{Now: now.UTC().Truncate(time.Second), Event: event, Sweep: scope(event)(juju.RelationID{})}
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
	if event.Kind == juju.Action {
		if s.Parameters, err = client.ActionParameters(ctx); err != nil {
			return decision.Snapshot{}, fmt.Errorf("cannot read the parameters of the action: %w", err)
		}
	}
	if s.Peer, err = readPeer(ctx, client, event); err != nil {
		return decision.Snapshot{}, err
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
	if s.Leader {
		return readAbsence(ctx, client, s)
	}
	return s, nil
}

// readAbsence looks into what is missing on the leader. That a unit is not in
// relation-list says little: Juju lists those whose relation-joined this unit
// has run, so that a new leader sees few at first, and one that is being
// removed sees fewer by the hook. A unit has left when this very hook says so,
// or when Juju does not mean it to be there.
func readAbsence(ctx context.Context, client *juju.Client, s decision.Snapshot) (decision.Snapshot, error) {
	suspect := s.Gone()
	for i := range s.Relations {
		r := &s.Relations[i]
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
		if refused := (*juju.Error)(nil); errors.As(err, &refused) && id != s.Event.Relation {
			// Juju may list a relation that was removed by force. What was
			// issued there stays as it is, and the others are served.
			s.Unread = append(s.Unread, fmt.Sprintf("relation %s: %v", id, err))
			continue
		}
		if err != nil {
			return decision.Snapshot{}, fmt.Errorf("cannot read relation %s: %w", id, err)
		}
		s.Relations = append(s.Relations, relation)
	}
	return s, nil
}

// readTransfers reads our bags in the relations that only want the CA
// certificate; what the other side writes there says nothing that matters.
func readTransfers(ctx context.Context, client *juju.Client, s decision.Snapshot) ([]decision.Transfer, error) {
	wanted := scope(s.Event)
	if !wanted(juju.RelationID{Endpoint: decision.TransferEndpoint, Number: s.Event.Relation.Number}) {
		return nil, nil
	}
	ids, err := client.Relations(ctx, decision.TransferEndpoint)
	if err != nil {
		return nil, fmt.Errorf("cannot list relations: %w", err)
	}
	var transfers []decision.Transfer
	for _, id := range ids {
		if !wanted(id) {
			continue
		}
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

// scope says which relations an event concerns. What a relation event tells
// is about that relation alone; actions and the coming and going of our own
// units concern none; all other events look at every relation, so that
// whatever an earlier hook could not finish is finished.
func scope(event juju.Event) func(juju.RelationID) bool {
	none := func(juju.RelationID) bool { return false }
	switch event.Kind {
	case juju.Action:
		return none
	case juju.RelationCreated, juju.RelationJoined, juju.RelationChanged, juju.RelationDeparted, juju.RelationBroken:
		if event.Relation.Endpoint != peerEndpoint {
			return func(id juju.RelationID) bool { return id == event.Relation }
		}
		if event.RemoteUnit != "" {
			return none
		}
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
