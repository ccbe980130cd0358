// SPDX-License-Identifier: GPL-3.0-only

package backup

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode/utf8"

	"filippo.io/age"
)

const (
	// minPassphrase is the least length of a passphrase that seals, in
	// characters. One that is shorter still opens what was sealed elsewhere.
	minPassphrase = 12

	// workFactor is the cost of one guess at a passphrase, as a power of two:
	// a second of one core and 256 MiB. maxWorkFactor bounds what a foreign
	// file may cost: four of these.
	workFactor    = 18
	maxWorkFactor = 20
)

// Lock says who can open a backup. Exactly one of its fields is set. It shows
// as [redacted] however it is printed, logged or marshalled, but not in an
// unexported field of something that is printed, where fmt calls no method.
type Lock struct {
	redacted
	// Passphrase seals and opens.
	Passphrase string
	// Recipient is a public key of age (age1...), which seals only.
	Recipient string
	// Identity is its private key (AGE-SECRET-KEY-1...), which opens, and
	// seals for its own recipient.
	Identity string
}

// ParseLock reads a lock from the content of a secret: one of the keys
// passphrase, recipient and identity. A recipient and an identity may be the
// file that age-keygen writes, with its comments.
func ParseLock(content map[string]string) (Lock, error) {
	lock := Lock{
		// A passphrase that comes from a file ends in a newline.
		Passphrase: strings.TrimRight(content["passphrase"], "\r\n"),
		Recipient:  strings.TrimSpace(content["recipient"]),
		Identity:   strings.TrimSpace(content["identity"]),
	}
	if err := lock.check(); err != nil {
		return Lock{}, fmt.Errorf("cannot read the lock of backups: %w", err)
	}
	return lock, nil
}

func (l Lock) check() error {
	var set []string
	for _, field := range []struct{ name, text string }{
		{"passphrase", l.Passphrase}, {"recipient", l.Recipient}, {"identity", l.Identity},
	} {
		if field.text != "" {
			set = append(set, field.name)
		}
	}
	var err error
	switch {
	case len(set) == 0:
		return errors.New("none of passphrase, recipient and identity is set: want one of them")
	case len(set) > 1:
		return fmt.Errorf("%s are set: want one of them", strings.Join(set, " and "))
	case l.Recipient != "":
		_, err = parseRecipient(l.Recipient)
	case l.Identity != "":
		_, err = parseIdentity(l.Identity)
	}
	return err
}

// recipient is what seals.
func (l Lock) recipient() (age.Recipient, error) {
	err := l.check()
	switch {
	case err != nil:
		return nil, err
	case l.Recipient != "":
		return parseRecipient(l.Recipient)
	case l.Identity != "":
		return recipientOf(l.Identity)
	case utf8.RuneCountInString(l.Passphrase) < minPassphrase:
		return nil, fmt.Errorf("the passphrase is shorter than %d characters", minPassphrase)
	}
	recipient, err := age.NewScryptRecipient(l.Passphrase)
	if err != nil {
		return nil, errors.New("the passphrase cannot be used")
	}
	recipient.SetWorkFactor(workFactor)
	return recipient, nil
}

// identity is what opens.
func (l Lock) identity() (age.Identity, error) {
	err := l.check()
	switch {
	case err != nil:
		return nil, err
	case l.Recipient != "":
		return nil, errors.New("a recipient only seals: give its identity, or the passphrase")
	case l.Identity != "":
		return parseIdentity(l.Identity)
	}
	identity, err := age.NewScryptIdentity(l.Passphrase)
	if err != nil {
		return nil, errors.New("the passphrase cannot be used")
	}
	identity.SetMaxWorkFactor(maxWorkFactor)
	return identity, nil
}

// The parsers of age repeat what they read, which may be the other half of
// the pair: none of their causes is passed on.

func parseRecipient(text string) (age.Recipient, error) {
	recipients, err := age.ParseRecipients(strings.NewReader(text))
	switch {
	case err != nil && strings.Contains(text, "AGE-SECRET-KEY-"):
		return nil, errors.New("the recipient is a private key of age: give it as identity")
	case err != nil || len(recipients) != 1:
		return nil, errors.New("the recipient is not one public key of age (age1...)")
	}
	return recipients[0], nil
}

func parseIdentity(text string) (age.Identity, error) {
	identities, err := age.ParseIdentities(strings.NewReader(text))
	switch {
	case err != nil && strings.HasPrefix(text, "age1"):
		return nil, errors.New("the identity is a public key of age: give it as recipient")
	case err != nil || len(identities) != 1:
		return nil, errors.New("the identity is not one private key of age (AGE-SECRET-KEY-1...)")
	}
	return identities[0], nil
}

func recipientOf(text string) (age.Recipient, error) {
	identity, err := parseIdentity(text)
	if err != nil {
		return nil, err
	}
	switch own := identity.(type) {
	case *age.X25519Identity:
		return own.Recipient(), nil
	case *age.HybridIdentity:
		return own.Recipient(), nil
	}
	return nil, errors.New("the identity is of a kind that does not name its recipient")
}

// redacted is embedded by types that hold a secret. Its methods are the ones
// fmt, log/slog and the encoders look for.
type redacted struct{}

const redactedText = "[redacted]"

func (redacted) String() string { return redactedText }

func (redacted) GoString() string { return redactedText }

func (redacted) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redactedText) }

func (redacted) MarshalText() ([]byte, error) { return []byte(redactedText), nil }

func (redacted) MarshalJSON() ([]byte, error) { return []byte(`"` + redactedText + `"`), nil }

func (redacted) LogValue() slog.Value { return slog.StringValue(redactedText) }
