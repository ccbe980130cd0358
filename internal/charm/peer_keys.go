// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"encoding/base64"
	"fmt"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/tlscertificates"
)

// responderKeyName is the key of our unit databags in the peer relation under
// which a unit shows the leader its public key, in base64 of PKIX DER.
const responderKeyName = "responder-key"

// readPeerKeys reads what others of our units show the leader: the one whose
// event this is, and all of them when this unit begins to lead. One that led
// until now shows nothing, and is known to the record. A new leader also asks
// who is meant to be there: nobody told it of units that left before.
func readPeerKeys(ctx context.Context, client *juju.Client, s decision.Snapshot) (decision.Snapshot, error) {
	s.PeerKeys = map[juju.UnitName][]byte{}
	units := []juju.UnitName{s.Event.RemoteUnit}
	switch {
	case s.Event.Kind == juju.LeaderElected:
		goal, err := client.Goal(ctx)
		if err != nil {
			return decision.Snapshot{}, fmt.Errorf("cannot learn who is meant to be there: %w", err)
		}
		s.OwnUnits = []string{string(s.Event.Unit)}
		for unit := range goal.Units {
			s.OwnUnits = append(s.OwnUnits, string(unit))
		}
		if units, err = client.RemoteUnits(ctx, s.Peer.ID); err != nil {
			return decision.Snapshot{}, fmt.Errorf("cannot learn who else is there: %w", err)
		}
	case s.Event.Relation != s.Peer.ID || s.Event.RemoteUnit == "" || s.Event.Kind == juju.RelationDeparted:
		return s, nil
	}
	for _, unit := range units {
		key, err := readPeerKey(ctx, client, s, unit)
		if err != nil {
			return decision.Snapshot{}, err
		}
		if len(key) > 0 {
			s.PeerKeys[unit] = key
		}
	}
	return s, nil
}

func readPeerKey(ctx context.Context, client *juju.Client, s decision.Snapshot, unit juju.UnitName) ([]byte, error) {
	bag, err := client.ReadUnitBag(ctx, s.Peer.ID, unit)
	if err != nil {
		return nil, fmt.Errorf("cannot read the peer databag of %s: %w", unit, err)
	}
	key, err := base64.StdEncoding.DecodeString(bag[responderKeyName])
	if err != nil {
		return nil, nil // whoever wrote that runs another charm
	}
	return key, nil
}

// writeResponderKey shows the leader our key until the record has it.
func writeResponderKey(ctx context.Context, client *juju.Client, s decision.Snapshot) error {
	if s.Peer == nil || s.Leader || aboutRequirer(s.Event) || s.Event.Kind == juju.Action {
		return nil
	}
	var recorded []byte
	if known := s.Peer.Record.Responders[string(s.Event.Unit)]; known != nil {
		recorded = known.Key
	}
	if len(s.Daemon.Key) == 0 || string(recorded) == string(s.Daemon.Key) {
		return nil
	}
	before, err := client.ReadUnitBag(ctx, s.Peer.ID, s.Event.Unit)
	if err != nil {
		return fmt.Errorf("cannot read the peer databag: %w", err)
	}
	after := map[string]string{responderKeyName: base64.StdEncoding.EncodeToString(s.Daemon.Key)}
	owned := func(key string) bool { return key == responderKeyName }
	if err := client.WriteUnitBag(ctx, s.Peer.ID, tlscertificates.Diff(before, after, owned)); err != nil {
		return fmt.Errorf("cannot write the peer databag: %w", err)
	}
	return nil
}
