// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"errors"
	"fmt"
	"slices"
)

// AddUserSecret adds a secret of the model, as juju add-secret does, and
// returns what a configuration option of type secret takes.
func (m *Model) AddUserSecret(name string, content map[string]string) (uri string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.secrets {
		if s.owner == "" && s.label == name {
			return "", fmt.Errorf("secret with name %q already exists", name)
		}
	}
	encoded, err := m.encodeSecret(content)
	if err != nil {
		return "", err
	}
	if len(encoded) == 0 {
		return "", errors.New("empty secret value not valid")
	}
	s := &secret{id: m.newSecretID(), label: name, rotate: "never", revisions: map[int]*secretRevision{}, consumers: map[string]*secretConsumer{}}
	s.addRevision(&secretArgs{content: encoded})
	m.secrets[s.id] = s
	return "secret:" + s.id, nil
}

// UpdateUserSecret makes a new revision of a user secret, as juju update-secret
// does: units that have read it get secret-changed.
func (m *Model) UpdateUserSecret(uri string, content map[string]string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.userSecret(uri)
	if err != nil {
		return err
	}
	encoded, err := m.encodeSecret(content)
	if err != nil {
		return err
	}
	s.addRevision(&secretArgs{content: encoded})
	return nil
}

// GrantUserSecret lets an application read a user secret, as juju grant-secret
// does. It fires no hook.
func (m *Model) GrantUserSecret(uri, application string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.userSecret(uri)
	if err != nil {
		return err
	}
	if m.applications[application] == nil {
		return fmt.Errorf("no application %q in the model", application)
	}
	grant := secretGrant{subject: application, relation: -1}
	if !slices.Contains(s.grants, grant) {
		s.grants = append(s.grants, grant)
	}
	return nil
}

// RevokeUserSecret takes a grant back, as juju revoke-secret does: reading is
// denied from then on, and no hook is fired.
func (m *Model) RevokeUserSecret(uri, application string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.userSecret(uri)
	if err != nil {
		return err
	}
	s.grants = slices.DeleteFunc(s.grants, func(g secretGrant) bool { return g.subject == application })
	return nil
}

// RemoveUserSecret removes a user secret with all its revisions, as juju
// remove-secret does. Options that name it keep its URI, and no hook is fired.
func (m *Model) RemoveUserSecret(uri string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.userSecret(uri)
	if err != nil {
		return err
	}
	delete(m.secrets, s.id)
	return nil
}

func (m *Model) userSecret(uri string) (*secret, error) {
	id, err := parseSecretURI(uri)
	if err != nil {
		return nil, err
	}
	s := m.secrets[id]
	if s == nil || s.owner != "" {
		return nil, fmt.Errorf("no user secret %q in the model", uri)
	}
	return s, nil
}
