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
	for _, relation := range c.Relations {
		if err := writeRelation(ctx, client, relation); err != nil {
			return fmt.Errorf("cannot write relation %s: %w", relation.Relation.ID, err)
		}
	}
	for _, transfer := range c.Transfers {
		if err := writeTransfer(ctx, client, transfer); err != nil {
			return fmt.Errorf("cannot write relation %s: %w", transfer.Transfer.ID, err)
		}
	}
	if s.Upstream != nil && s.Event.Kind != juju.Action {
		changes := tlscertificates.Diff(s.Upstream.OwnUnitBag, c.Upstream, func(key string) bool { return key == tlscertificates.KeyCSRs })
		if err := client.WriteUnitBag(ctx, s.Upstream.ID, changes); err != nil {
			return fmt.Errorf("cannot write relation %s: %w", s.Upstream.ID, err)
		}
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
	if !s.Leader || s.Peer == nil || desired == nil {
		return nil
	}
	changes := tlscertificates.Diff(s.Peer.Bag, desired, record.OwnsKey)
	if err := client.WriteApplicationBag(ctx, s.Peer.ID, changes); err != nil {
		return fmt.Errorf("cannot write the peer databag: %w", err)
	}
	return nil
}

func writeRelation(ctx context.Context, client *juju.Client, c signing.RelationChanges) error {
	id := c.Relation.ID
	if c.Application != nil {
		changes := tlscertificates.Diff(c.Relation.OwnApplicationBag, c.Application, signing.OwnsAnswerKey)
		if err := client.WriteApplicationBag(ctx, id, changes); err != nil {
			return err
		}
	}
	changes := tlscertificates.Diff(c.Relation.OwnUnitBag, c.Unit, tlscertificates.IsLegacyAnswerKey)
	return client.WriteUnitBag(ctx, id, changes)
}

func writeTransfer(ctx context.Context, client *juju.Client, c signing.TransferChanges) error {
	if c.Application != nil {
		changes := tlscertificates.Diff(c.Transfer.OwnApplicationBag, c.Application, tlscertificates.IsTransferKeyV1)
		if err := client.WriteApplicationBag(ctx, c.Transfer.ID, changes); err != nil {
			return err
		}
	}
	changes := tlscertificates.Diff(c.Transfer.OwnUnitBag, c.Unit, tlscertificates.IsTransferKeyV0)
	return client.WriteUnitBag(ctx, c.Transfer.ID, changes)
}

func writeReply(ctx context.Context, client *juju.Client, reply *decision.Reply) error {
	if reply == nil {
		return nil
	}
	if reply.Failure != "" {
		return client.FailAction(ctx, reply.Failure)
	}
	return client.SetActionResults(ctx, reply.Results)
}
