// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// SecretMetadata is what Juju tells of a secret to those who manage it.
type SecretMetadata struct {
	ID SecretID `json:"-"`
	// Revision is the latest one; revisions count from 1.
	Revision int    `json:"revision"`
	Label    string `json:"label"`
	// Owner is "application" or "unit".
	Owner string `json:"owner"`
}

// Secret is a secret to be made, owned by the application.
type Secret struct {
	// Label is how the application finds the secret again.
	Label       string
	Description string
	// Content has keys of at least three characters: lower-case letters,
	// digits and single hyphens. Agents up to 3.6.8 refuse values over 8 KiB.
	Content map[string][]byte `json:"-"`
}

// Format prints the label only, with every verb.
func (s Secret) Format(f fmt.State, _ rune) {
	io.WriteString(f, "secret "+s.Label+" [redacted]")
}

// ReadSecret returns the content of the secret with a label, in the revision
// that the unit tracks: the latest at its first read. ErrNotFound when Juju
// knows no such label; every other error leaves open whether it exists.
func (c *Client) ReadSecret(ctx context.Context, label string) (map[string]string, error) {
	content, err := queryMap[string](ctx, c, "secret-get", "--label="+label)
	if err != nil {
		return nil, fmt.Errorf("cannot read secret %q: %w", label, err)
	}
	return content, nil
}

// ReadUserSecret returns the latest content of a secret that was granted to
// the application, and tells Juju at once that the unit is done with older
// revisions. ErrDenied when the secret is there and not granted, or no longer:
// juju grant-secret mends it and fires no hook. ErrNotFound when no secret has
// the id, or no longer. Every other error leaves open whether it can be read.
func (c *Client) ReadUserSecret(ctx context.Context, id SecretID) (map[string]string, error) {
	content, err := queryMap[string](ctx, c, "secret-get", "--refresh", id.uri())
	if err != nil {
		return nil, fmt.Errorf("cannot read secret %s: %w", id, err)
	}
	return content, nil
}

// SecretMetadata describes the secret with a label. Only the leader sees an
// application's: ErrNotFound for others, as for an unknown label.
func (c *Client) SecretMetadata(ctx context.Context, label string) (SecretMetadata, error) {
	answer, err := queryMap[SecretMetadata](ctx, c, "secret-info-get", "--label="+label)
	for text, metadata := range answer {
		metadata.ID, err = ParseSecretID(text)
		if err == nil && len(answer) == 1 {
			return metadata, nil
		}
	}
	if err == nil {
		// Not ErrNotFound: that is for Juju to say, in words.
		err = fmt.Errorf("%d secrets in the answer", len(answer))
	}
	return SecretMetadata{}, fmt.Errorf("cannot read metadata of secret %q: %w", label, err)
}

// AddSecret makes a secret of the application, which only the leader may:
// ErrNotLeader. Juju reserves the id at once and keeps the content when the
// hook succeeds; a label that is taken may show only then, and fails the hook.
//
// The content goes by files that the agent reads during the call. They are
// gone when AddSecret returns, whatever happened; if they cannot be removed
// that is an error, and the hook must fail.
func (c *Client) AddSecret(ctx context.Context, s Secret) (id SecretID, err error) {
	defer func() {
		if err != nil {
			id, err = "", fmt.Errorf("cannot add secret %q: %w", s.Label, err)
		}
	}()
	folder, err := c.makeFolder()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()

	args, err := writeContent(folder, s.Content)
	if err != nil {
		return "", err
	}
	// One word each, so that a text that starts with a hyphen is no flag.
	flags := []string{"--label=" + s.Label}
	if s.Description != "" {
		flags = append(flags, "--description="+message(s.Description))
	}
	stdout, err := c.call(ctx, Command{Name: "secret-add", Args: append(flags, args...)})
	if err != nil {
		return "", err
	}
	return ParseSecretID(strings.TrimSpace(string(stdout)))
}

// RemoveSecret destroys a secret of the application with all its revisions when
// the hook succeeds; from then on its label is free. ErrNotFound when Juju knows
// no such label: for others than the leader that is every label of the
// application, and for a secret that this hook removes already, its own.
//
// Juju makes secrets before it removes any: to add one with the same label in
// the same hook fails the hook.
func (c *Client) RemoveSecret(ctx context.Context, label string) error {
	metadata, err := c.SecretMetadata(ctx, label)
	if err == nil {
		err = c.run(ctx, "secret-remove", metadata.ID.uri())
	}
	if err != nil {
		return fmt.Errorf("cannot remove secret %q: %w", label, err)
	}
	return nil
}

// makeFolder makes a folder that only this user can enter. /dev/shm is memory:
// nothing written there reaches a disk, where removing a file leaves its bytes.
func (c *Client) makeFolder() (string, error) {
	const pattern = "tls-authority-"
	folder, err := os.MkdirTemp(cmp.Or(c.scratch, "/dev/shm"), pattern)
	if err != nil && c.scratch == "" {
		return os.MkdirTemp("", pattern)
	}
	return folder, err
}

// writeContent writes a file for each key and returns the arguments for them.
func writeContent(folder string, content map[string][]byte) ([]string, error) {
	var args []string
	for _, key := range slices.Sorted(maps.Keys(content)) {
		if !isSecretKey(key) {
			return nil, fmt.Errorf("%q is not a key for secret content", key)
		}
		path := filepath.Join(folder, key)
		err := os.WriteFile(path, content[key], 0o600)
		if err != nil {
			return nil, err
		}
		args = append(args, key+"#file="+path)
	}
	return args, nil
}
