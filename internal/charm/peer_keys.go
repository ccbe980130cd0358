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
// event this is, and all of them when this unit begins to lead.
func readPeerKeys(ctx context.Context, client *juju.Client, s decision.Snapshot) (map[juju.UnitName][]byte, error) {
	keys := map[juju.UnitName][]byte{}
	if s.Event.Kind == juju.LeaderElected {
		units, err := client.RemoteUnits(ctx, s.Peer.ID)
		if err != nil {
			return nil, fmt.Errorf("cannot learn who else is there: %w", err)
		}
		for _, unit := range units {
			key, err := readPeerKey(ctx, client, s, unit)
			if err != nil {
				return nil, err
			}
			if len(key) > 0 { // one that led until now never had to show it
				keys[unit] = key
			}
		}
		return keys, nil
	}
	unit := s.Event.RemoteUnit
	if s.Event.Relation != s.Peer.ID || unit == "" || s.Event.Kind == juju.RelationDeparted {
		return nil, nil
	}
	key, err := readPeerKey(ctx, client, s, unit)
	if err != nil {
		return nil, err
	}
	keys[unit] = key
	return keys, nil
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
	if string(recorded) == string(s.Daemon.Key) {
		return nil
	}
	before, err := client.ReadUnitBag(ctx, s.Peer.ID, s.Event.Unit)
	if err != nil {
		return fmt.Errorf("cannot read the peer databag: %w", err)
	}
	after := map[string]string{}
	if len(s.Daemon.Key) > 0 {
		after[responderKeyName] = base64.StdEncoding.EncodeToString(s.Daemon.Key)
	}
	owned := func(key string) bool { return key == responderKeyName }
	if err := client.WriteUnitBag(ctx, s.Peer.ID, tlscertificates.Diff(before, after, owned)); err != nil {
		return fmt.Errorf("cannot write the peer databag: %w", err)
	}
	return nil
}
