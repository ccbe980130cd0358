// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"errors"
	"maps"
	"time"
)

// SecretChange is what a tool wants of a secret. Nil means unchanged.
type SecretChange struct {
	Label, Description, Rotate *string
	Expires                    *time.Time
	Content                    map[string]string // base64
}

func (s SecretChange) args() *secretArgs {
	return &secretArgs{label: s.Label, description: s.Description, rotate: s.Rotate, expires: s.Expires, content: maps.Clone(s.Content)}
}

// SecretAccess is a grant as Juju's tags tell it.
type SecretAccess struct{ Target, Scope, Role string }

// SecretInfo is what the agent knows of a secret that the unit may manage.
// Times are nil where there is none.
type SecretInfo struct {
	Owner, Label, Description, Rotate string
	Revision                          int
	Expires, Rotates                  *time.Time
	Access                            []SecretAccess
}

// ReadSecret returns the content of a secret by its id, or by its label where
// the id is "".
func (h HookContext) ReadSecret(id, label string, refresh, peek bool) (map[string]string, error) {
	c, unlock := h.lock()
	defer unlock()
	content, err := c.readSecret(id, label, refresh, peek)
	if errors.Is(err, errUnknownLabel) {
		return nil, c.model.unknownLabel(label)
	}
	return maps.Clone(content), err
}

// AddSecret adds a secret of the unit or its application and returns its URI.
func (h HookContext) AddSecret(ofApplication bool, s SecretChange) (uri string, err error) {
	c, unlock := h.lock()
	defer unlock()
	a := s.args()
	a.owner = c.unit.name
	if ofApplication {
		a.owner = c.unit.application.name
	}
	err = c.addSecret(a)
	return c.model.secretURI(a.id), err
}

// SetSecret changes a secret.
func (h HookContext) SetSecret(id string, s SecretChange) error {
	c, unlock := h.lock()
	defer unlock()
	a := s.args()
	a.id = id
	return c.setSecret(a)
}

// RemoveSecret removes one revision of a secret, or all for 0.
func (h HookContext) RemoveSecret(id string, revision int) error {
	c, unlock := h.lock()
	defer unlock()
	return c.removeSecret(id, revision)
}

// GrantSecret lets an application or a unit read a secret while a relation
// exists.
func (h HookContext) GrantSecret(id, subject string, relation int) error {
	c, unlock := h.lock()
	defer unlock()
	return c.grant(id, secretGrant{subject: subject, relation: relation})
}

// RevokeSecret takes back what was granted to an application or a unit.
func (h HookContext) RevokeSecret(id, subject string) error {
	c, unlock := h.lock()
	defer unlock()
	return c.revoke(id, subject)
}

// Secrets describes the secrets that the unit may manage, by id, with the
// changes of this hook.
func (h HookContext) Secrets() map[string]SecretInfo {
	c, unlock := h.lock()
	defer unlock()
	infos := map[string]SecretInfo{}
	for id, md := range c.secretMetadata() {
		d := c.display(md)
		info := SecretInfo{
			Owner: md.owner, Label: d.Label, Description: d.Description, Rotate: d.Rotation,
			Revision: d.Revision, Expires: d.Expiry, Rotates: d.Rotates,
		}
		for _, access := range d.Access {
			info.Access = append(info.Access, SecretAccess(access))
		}
		infos[id] = info
	}
	return infos
}
