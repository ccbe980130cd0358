// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/tlscertificates"
)

// readRelations reads those relations of the certificates endpoint that the
// event asks to look at: one databag of one requirer in an event of its own,
// else whole relations.
func readRelations(ctx context.Context, client *juju.Client, s decision.Snapshot) (decision.Snapshot, error) {
	about := s.Event.Relation
	if relationEvent(s.Event) && about.Endpoint == decision.CertificatesEndpoint {
		return readAffected(ctx, client, s)
	}
	due := s.Due()
	if !s.Sweep && len(due) == 0 && !(s.Leader && s.Event.Kind == juju.UpdateStatus) {
		return s, nil
	}
	s, err := listRelations(ctx, client, s)
	if err != nil {
		return decision.Snapshot{}, err
	}
	for _, number := range s.Live {
		if !s.Sweep && !slices.Contains(due, number) {
			continue
		}
		relation, err := readRelation(ctx, client, s, relationID(number))
		if refused := (*juju.Error)(nil); errors.As(err, &refused) {
			// Juju may list a relation that was removed by force. What was
			// issued there stays as it is, and the others are served.
			s.Unread[number] = err.Error()
			continue
		}
		if err != nil {
			return decision.Snapshot{}, fmt.Errorf("cannot read relation %d: %w", number, err)
		}
		s.Relations = append(s.Relations, relation)
	}
	return s, nil
}

func relationID(number int) juju.RelationID {
	return juju.RelationID{Endpoint: decision.CertificatesEndpoint, Number: number}
}

func listRelations(ctx context.Context, client *juju.Client, s decision.Snapshot) (decision.Snapshot, error) {
	ids, err := client.Relations(ctx, decision.CertificatesEndpoint)
	if err != nil {
		return decision.Snapshot{}, fmt.Errorf("cannot list relations: %w", err)
	}
	s.Listed, s.Unread = true, map[int]string{}
	for _, id := range ids {
		s.Live = append(s.Live, id.Number)
	}
	return s, nil
}

// readAffected reads the relation of the event. While a rotation is under way
// a relation is told all at once, and so looked at as a whole.
func readAffected(ctx context.Context, client *juju.Client, s decision.Snapshot) (decision.Snapshot, error) {
	id, kind := s.Event.Relation, s.Event.Kind
	ca := s.Record().CA
	var relation decision.Relation
	var err error
	switch {
	case kind == juju.RelationBroken:
		if s, err = listRelations(ctx, client, s); err != nil || !slices.Contains(s.Live, id.Number) {
			return s, err
		}
		relation, err = readRelation(ctx, client, s, id)
	case kind == juju.RelationCreated || s.Leader && ca != nil && ca.Rotation != nil:
		relation, err = readRelation(ctx, client, s, id)
	case !s.Leader:
		return s, nil // what the leader makes of it comes with the record
	default:
		relation, err = readOwner(ctx, client, s, id)
	}
	if err != nil {
		return decision.Snapshot{}, fmt.Errorf("cannot read relation %s: %w", id, err)
	}
	s.Relations = append(s.Relations, relation)
	return s, nil
}

// readOwner reads the databag of the unit or application whose event this is.
// What our own unit publishes follows from the record; what our application
// does is read only if it may change.
func readOwner(ctx context.Context, client *juju.Client, s decision.Snapshot, id juju.RelationID) (decision.Relation, error) {
	unit := s.Event.RemoteUnit
	r := decision.Relation{ID: id, Owner: string(unit), OwnUnitBag: s.Record().UnitBag(id.Number)}
	var err error
	if r.Application, err = remoteApplication(ctx, client, s.Event, id); err != nil {
		return decision.Relation{}, err
	}
	switch {
	case unit == "":
		r.Owner = r.Application
		bag, err := client.ReadApplicationBag(ctx, id, r.Application)
		if err != nil {
			return decision.Relation{}, err
		}
		r.Requests = tlscertificates.ParseApplicationBag(bag)
	case s.Event.Kind != juju.RelationDeparted:
		bag, err := client.ReadUnitBag(ctx, id, unit)
		if err != nil {
			return decision.Relation{}, err
		}
		r.Units = []decision.RemoteUnit{{Name: unit, Requests: tlscertificates.ParseUnitBag(bag)}}
	}
	r.Unmet = r.Missing(s.Record())
	if s.Concerns(r) {
		if r.OwnApplicationBag, err = client.ReadApplicationBag(ctx, id, s.Event.Unit.Application()); err != nil {
			return decision.Relation{}, err
		}
	}
	return r, nil
}

// readRelation reads all of a relation.
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
	if event.Relation == id && event.RemoteApplication != "" {
		return event.RemoteApplication, nil
	}
	return client.RemoteApplication(ctx, id)
}
