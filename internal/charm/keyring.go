// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"errors"
	"fmt"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/signing"
	"tls-authority/internal/store"
)

// keyring knows where keys are. It hands them to package signing when an order
// needs one, and keeps none longer than the hook; what a snapshot says of them
// is public.
type keyring struct {
	client      *juju.Client
	application string
	desk        *Desk         // nil where no action runs
	secret      juju.SecretID // ca-secret
	restored    map[int]pki.PrivateKey
}

func (k *keyring) keys(ctx context.Context, s decision.Snapshot) signing.Keys {
	return signing.Keys{
		Stored: func(generation int) (pki.PrivateKey, error) {
			label := record.SecretLabel(generation)
			content, err := k.client.ReadSecret(ctx, label)
			if err != nil {
				return pki.PrivateKey{}, fmt.Errorf("cannot read the key of the CA in secret %q: %w", label, err)
			}
			key, err := signing.ParseKey(content)
			if err != nil {
				return pki.PrivateKey{}, fmt.Errorf("cannot use the key in secret %q: %w", label, err)
			}
			return key, nil
		},
		Imported: func() (pki.PrivateKey, error) {
			content, err := k.client.ReadUserSecret(ctx, k.secret)
			if err != nil {
				return pki.PrivateKey{}, fmt.Errorf("cannot read ca-secret: %w", err)
			}
			return signing.ParseKey(content)
		},
		Seal: func(secret string, state map[string]string, keys map[int]pki.PrivateKey) ([]byte, error) {
			lock, err := k.lock(ctx, secret)
			if err != nil {
				return nil, err
			}
			return k.desk.Seal(s, state, keys, lock)
		},
		Restored: func() (map[int]pki.PrivateKey, error) { return k.restored, nil },
	}
}

// grant is what an operator does to let the charm read a secret.
func (k *keyring) grant(id juju.SecretID) string {
	return fmt.Sprintf("run juju grant-secret %s %s", id, k.application)
}

// lock reads what opens and seals backups.
func (k *keyring) lock(ctx context.Context, secret string) (map[string]string, error) {
	id, err := juju.ParseSecretID(secret)
	if err != nil {
		return nil, err
	}
	content, err := k.client.ReadUserSecret(ctx, id)
	if errors.Is(err, juju.ErrDenied) {
		return nil, fmt.Errorf("cannot read the secret that locks the backup: %s", k.grant(id))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the secret that locks the backup: %w", err)
	}
	return content, nil
}

// readCandidate reads the CA of ca-secret and finds its faults. That the
// secret cannot be read is one: the operator mends it.
func (k *keyring) readCandidate(ctx context.Context, s decision.Snapshot) (*decision.Candidate, error) {
	id, err := juju.ParseSecretID(s.Config.CASecret)
	if err != nil {
		return &decision.Candidate{Faults: []string{err.Error()}}, nil
	}
	k.secret = id
	content, err := k.client.ReadUserSecret(ctx, k.secret)
	if errors.Is(err, juju.ErrDenied) || errors.Is(err, juju.ErrNotFound) {
		return &decision.Candidate{Faults: []string{"the secret cannot be read: " + k.grant(id)}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read ca-secret: %w", err)
	}
	c := signing.ParseCandidate(content, s.Now)
	return &c, nil
}

// readRestored reads the file that a restore action names. What is wrong with
// it is the answer of the action.
func (k *keyring) readRestored(ctx context.Context, s decision.Snapshot) (*decision.Restored, string) {
	path, err := decision.Parameter[string](s, "file")
	if err != nil {
		return nil, err.Error()
	}
	secret, err := decision.Parameter[string](s, "secret")
	if err != nil {
		return nil, err.Error()
	}
	file, err := store.Open(path)
	if err != nil {
		return nil, err.Error()
	}
	defer file.Close()
	restored, keys, err := k.desk.Restore(file, func() (map[string]string, error) {
		if secret == "" {
			return nil, errors.New("name the user secret with the passphrase or identity in the parameter secret")
		}
		return k.lock(ctx, secret)
	})
	if err != nil {
		return nil, err.Error()
	}
	k.restored = keys
	return &restored, ""
}
