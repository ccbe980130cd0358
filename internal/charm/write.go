// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"fmt"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/record"
	"tls-authority/internal/signing"
	"tls-authority/internal/tlscertificates"
)

// write puts the changes into Juju: the secret, the databags, the reply, the
// log, and the status last, because it takes effect at once while the rest
// waits for the end of the hook. What is there already is not written again:
// each write to a relation wakes all its units, and some restart a service.
func write(ctx context.Context, client *juju.Client, s decision.Snapshot, c signing.Changes) error {
	if c.Secret != nil {
		id, err := client.AddSecret(ctx, *c.Secret)
		if err != nil {
			return fmt.Errorf("cannot store a key: %w", err)
		}
		if c.Reply != nil {
			c.Reply.Results["secret-id"] = "secret:" + string(id)
		}
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
