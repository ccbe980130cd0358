// SPDX-License-Identifier: GPL-3.0-only

// Package backup is the format of a backup file: a binary file of age
// (age-encryption.org/v1) that holds compressed JSON with the record of the
// charm and the keys of its CA.
//
// It knows neither where the file is nor what is in force, and does not look
// into the record; it reads and writes streams only. No error says anything
// of the content.
package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"filippo.io/age"

	"tls-authority/internal/pki"
)

// Content is what a backup holds. It shows as [redacted] however it is
// printed: the record has the keys of leaves.
type Content struct {
	redacted
	// Application and Model are where it was made.
	Application, Model string
	// Created is when, to be shown to operators.
	Created time.Time
	// Record is the peer databag, as text.
	Record map[string]string
	// Keys are those of the CA, by generation.
	Keys map[int]pki.PrivateKey
}

// ErrWrongKey marks, through errors.Is, a lock that is not that of the file.
var ErrWrongKey = errors.New("wrong key")

// wrongKey is what is wrong with the lock; it is an ErrWrongKey.
type wrongKey string

func (w wrongKey) Error() string { return string(w) }

func (w wrongKey) Is(target error) bool { return target == ErrWrongKey }

// IsBackup tells by its first bytes whether a file might be a backup.
func IsBackup(head []byte) bool {
	return bytes.HasPrefix(head, []byte("age-encryption.org/v1\n"))
}

// Seal writes a backup that the lock opens. It writes nothing when the
// content or the lock is at fault. A passphrase costs a second.
func Seal(w io.Writer, c Content, lock Lock) error {
	recipient, err := lock.recipient()
	if err != nil {
		return fmt.Errorf("cannot seal backup: %w", err)
	}
	packed, err := encode(c)
	if err != nil {
		return fmt.Errorf("cannot seal backup: %w", err)
	}
	defer clear(packed)
	sealed, err := age.Encrypt(w, recipient)
	if err != nil {
		return fmt.Errorf("cannot seal backup: %w", err)
	}
	_, err = sealed.Write(packed)
	if err != nil {
		return fmt.Errorf("cannot seal backup: %w", err)
	}
	err = sealed.Close()
	if err != nil {
		return fmt.Errorf("cannot seal backup: %w", err)
	}
	return nil
}

// Open reads a backup whole; of one that was cut or changed nothing is
// returned. A lock that does not fit is ErrWrongKey; a file whose header was
// damaged may look like one.
func Open(r io.Reader, lock Lock) (Content, error) {
	identity, err := lock.identity()
	if err != nil {
		return Content{}, fmt.Errorf("cannot open backup: %w", err)
	}
	opened, err := age.Decrypt(r, identity)
	var mismatch *age.NoIdentityMatchError
	switch {
	case errors.As(err, &mismatch):
		return Content{}, fmt.Errorf("cannot open backup: %w", lock.explain(mismatch.StanzaTypes))
	case err != nil:
		// The causes that age gives repeat what is in the file.
		return Content{}, errors.New("cannot open backup: the file is damaged or not one of age")
	}
	c, err := decode(opened)
	if err != nil {
		return Content{}, fmt.Errorf("cannot open backup: %w", err)
	}
	return c, nil
}

// explain says why the lock does not open a file that was sealed in the given
// ways, as the header of age names them.
func (l Lock) explain(ways []string) wrongKey {
	byPassphrase := slices.Contains(ways, "scrypt")
	switch {
	case l.Passphrase != "" && byPassphrase:
		return "the passphrase is wrong"
	case l.Passphrase != "":
		return "it was sealed for a recipient: give its identity, not a passphrase"
	case byPassphrase:
		return "it was sealed with a passphrase: give that, not an identity"
	}
	return "it was sealed for a recipient of another identity"
}
