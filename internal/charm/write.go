// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/record"
	"tls-authority/internal/signing"
	"tls-authority/internal/store"
	"tls-authority/internal/tlscertificates"
)

// write puts the changes into Juju: the secret, the databags, the reply, the
// log, and the status last, because it takes effect at once while the rest
// waits for the end of the hook. What is there already is not written again:
// each write to a relation wakes all its units, and some restart a service.
func write(ctx context.Context, client *juju.Client, s decision.Snapshot, c signing.Changes) error {
	if err := writeSecrets(ctx, client, c); err != nil {
		return err
	}
	if err := writePeer(ctx, client, s, c.Peer); err != nil {
		return err
	}
	if err := writeRelations(ctx, client, s, c); err != nil {
		return err
	}
	if err := writeResponderKey(ctx, client, s); err != nil {
		return err
	}
	if err := writeReply(ctx, client, c.Reply); err != nil {
		return fmt.Errorf("cannot answer the action: %w", err)
	}
	for _, line := range c.Log {
		if err := client.Log(ctx, line.Level, line.Message); err != nil {
			return fmt.Errorf("cannot log: %w", err)
		}
	}
	if c.Status == s.Status {
		return nil
	}
	if err := client.SetStatus(ctx, c.Status); err != nil {
		return fmt.Errorf("cannot set status: %w", err)
	}
	return nil
}

// writeRelations writes our databags in the relations that were looked at.
func writeRelations(ctx context.Context, client *juju.Client, s decision.Snapshot, c signing.Changes) error {
	for _, r := range c.Relations {
		if err := writeRelation(ctx, client, r); err != nil {
			return fmt.Errorf("cannot write relation %s: %w", r.Relation.ID, err)
		}
	}
	for _, t := range c.Transfers {
		application := bag{t.Transfer.OwnApplicationBag, t.Application, tlscertificates.IsTransferKeyV1}
		unit := bag{t.Transfer.OwnUnitBag, t.Unit, tlscertificates.IsTransferKeyV0}
		if err := writeBags(ctx, client, t.Transfer.ID, application, unit); err != nil {
			return err
		}
	}
	if err := writeObservers(ctx, client, c); err != nil {
		return err
	}
	if s.Upstream == nil || s.Event.Kind == juju.Action {
		return nil
	}
	return writeBags(ctx, client, s.Upstream.ID, bag{}, bag{s.Upstream.OwnUnitBag, c.Upstream, ownsRequests})
}

// writeRelation writes our databags in one relation of the certificates
// endpoint. That of the application holds the list of all answers.
func writeRelation(ctx context.Context, client *juju.Client, r signing.RelationChanges) error {
	id := r.Relation.ID
	if r.Application != nil {
		changes := tlscertificates.DiffPieces(r.Relation.OwnApplicationBag, r.Application, signing.OwnsAnswerKey)
		if err := client.WriteApplicationPieces(ctx, id, changes); err != nil {
			return err
		}
	}
	unit := bag{r.Relation.OwnUnitBag, r.Unit, tlscertificates.IsLegacyAnswerKey}
	return client.WriteUnitBag(ctx, id, unit.changes())
}

// writeSecrets makes and removes secrets. One that is gone already was removed
// by a hook that died before it could say so.
func writeSecrets(ctx context.Context, client *juju.Client, c signing.Changes) error {
	for _, secret := range c.Secrets {
		if _, err := client.AddSecret(ctx, secret); err != nil {
			return fmt.Errorf("cannot store a key: %w", err)
		}
	}
	if c.Issued != nil {
		id, err := client.AddSecret(ctx, *c.Issued)
		if err != nil {
			return fmt.Errorf("cannot store a key: %w", err)
		}
		c.Reply.Results["secret-id"] = "secret:" + string(id)
	}
	for _, label := range c.Removed {
		if err := client.RemoveSecret(ctx, label); err != nil && !errors.Is(err, juju.ErrNotFound) {
			return fmt.Errorf("cannot destroy a key: %w", err)
		}
	}
	return nil
}

// writeFile writes a backup and tells where it is, and what stands beside it.
func writeFile(c signing.Changes) error {
	path, err := store.Write(c.File.Directory, c.File.Name, c.File.Content)
	if err != nil {
		return fmt.Errorf("cannot write the backup: %w", err)
	}
	backups, err := store.Prune(c.File.Directory, c.File.Name, c.File.Stem, c.File.Keep)
	if err != nil {
		return fmt.Errorf("cannot remove old backups: %w", err)
	}
	sum := sha256.Sum256(c.File.Content)
	c.Reply.Results["file"] = path
	c.Reply.Results["size"] = strconv.Itoa(len(c.File.Content))
	c.Reply.Results["sha256"] = hex.EncodeToString(sum[:])
	c.Reply.Results["backups"] = strings.Join(backups, " ")
	return nil
}

// writePeer writes the record; only the leader may.
func writePeer(ctx context.Context, client *juju.Client, s decision.Snapshot, desired map[string]string) error {
	changes := peerChanges(s, desired)
	if changes == nil {
		return nil
	}
	if err := client.WriteApplicationBag(ctx, s.Peer.ID, changes); err != nil {
		return fmt.Errorf("cannot write the peer databag: %w", err)
	}
	return nil
}

// peerChanges is what changes in the record; nil for nothing.
func peerChanges(s decision.Snapshot, desired map[string]string) map[string]string {
	if !s.Leader || s.Peer == nil || desired == nil {
		return nil
	}
	changes := tlscertificates.Diff(s.Peer.Bag, desired, record.OwnsKey)
	if len(changes) == 0 {
		return nil
	}
	return changes
}

// bag is one databag of ours in a relation, as it is and as it shall be.
type bag struct {
	before, after map[string]string
	owns          func(key string) bool
}

func (b bag) changes() map[string]string {
	return tlscertificates.Diff(b.before, b.after, b.owns)
}

// writeBags writes our databags in one relation. An application databag that is
// to be nil is not ours to write: only the leader may.
func writeBags(ctx context.Context, client *juju.Client, id juju.RelationID, application, unit bag) error {
	if application.after != nil {
		if err := client.WriteApplicationBag(ctx, id, application.changes()); err != nil {
			return fmt.Errorf("cannot write relation %s: %w", id, err)
		}
	}
	if err := client.WriteUnitBag(ctx, id, unit.changes()); err != nil {
		return fmt.Errorf("cannot write relation %s: %w", id, err)
	}
	return nil
}

// ownsRequests tells the key of our databag in the relation to the CA above.
func ownsRequests(key string) bool { return key == tlscertificates.KeyCSRs }

func writeReply(ctx context.Context, client *juju.Client, reply *decision.Reply) error {
	if reply == nil {
		return nil
	}
	if reply.Failure != "" {
		return client.FailAction(ctx, reply.Failure)
	}
	return client.SetActionResults(ctx, reply.Results)
}
