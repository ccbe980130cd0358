// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// secretArgs is a pending secret-add or secret-set. Nil means unchanged.
type secretArgs struct {
	id                         string
	owner                      string // of an add
	label, description, rotate *string
	expires                    *time.Time
	content                    map[string]string // base64
}

type secretDelete struct {
	id       string
	revision int // 0: all
}

// secretChanges is what a hook wants of secrets, kept by the agent until the
// hook has ended (runner/context/secrets.go).
type secretChanges struct {
	creates map[string]*secretArgs
	updates map[string]*secretArgs
	deletes map[string]secretDelete
	// grants has one entry per secret and relation: a second replaces the
	// first.
	grants      map[string]map[int]secretGrant
	revokes     map[string][]string // subjects
	trackLatest map[string]bool
}

func newSecretChanges() secretChanges {
	return secretChanges{
		creates:     map[string]*secretArgs{},
		updates:     map[string]*secretArgs{},
		deletes:     map[string]secretDelete{},
		grants:      map[string]map[int]secretGrant{},
		revokes:     map[string][]string{},
		trackLatest: map[string]bool{},
	}
}

func (a *secretArgs) merge(b *secretArgs) {
	if b.label != nil {
		a.label = b.label
	}
	if b.description != nil {
		a.description = b.description
	}
	if b.rotate != nil {
		a.rotate = b.rotate
	}
	if b.expires != nil {
		a.expires = b.expires
	}
	if len(b.content) > 0 {
		a.content = b.content
	}
}

// update keeps a secret-set. One on a secret of the same hook changes the
// add; a second one replaces the first where Juju does so.
func (s *secretChanges) update(a *secretArgs, merges bool) {
	delete(s.deletes, a.id)
	switch {
	case s.creates[a.id] != nil:
		s.creates[a.id].merge(a)
	case s.updates[a.id] != nil && merges:
		s.updates[a.id].merge(a)
	default:
		s.updates[a.id] = a
	}
}

func (s *secretChanges) remove(id string, revision int) {
	delete(s.creates, id)
	delete(s.updates, id)
	delete(s.grants, id)
	delete(s.revokes, id)
	delete(s.trackLatest, id)
	s.deletes[id] = secretDelete{id: id, revision: revision}
}

// secretMetadata is what secret-info-get knows of a secret.
type secretMetadata struct {
	owner, label, description, rotate string
	revision                          int
	expires, rotates                  time.Time
	grants                            []secretGrant
	content                           map[string]string // of the latest revision, to compare
}

// manageable returns the metadata of the secrets that a unit may manage.
func (m *Model) manageable(u *unit) map[string]secretMetadata {
	managed := map[string]secretMetadata{}
	for id, s := range m.secrets {
		if !u.tends(s) {
			continue
		}
		md := secretMetadata{
			owner: s.owner, label: s.label, description: s.description, rotate: s.rotate,
			revision: s.latest, rotates: s.nextRotate, grants: slices.Clone(s.grants),
		}
		if r := s.revisions[s.latest]; r != nil {
			md.expires, md.content = r.expires, r.content
		}
		managed[id] = md
	}
	return managed
}

// secretMetadata adds the hook's own changes to what was known at its start.
// The revision is not raised by a pending secret-set, and the pending removal
// of one revision hides the secret.
func (c *hookContext) secretMetadata() map[string]secretMetadata {
	all := map[string]secretMetadata{}
	for id, a := range c.secrets.creates {
		all[id] = secretMetadata{owner: a.owner, revision: 1}.with(a)
	}
	for id, md := range c.managed {
		if _, removed := c.secrets.deletes[id]; removed {
			continue
		}
		if a := c.secrets.updates[id]; a != nil {
			md = md.with(a)
		}
		all[id] = md
	}
	for id, md := range all {
		md.grants = slices.Clone(md.grants)
		for _, relation := range slices.Sorted(maps.Keys(c.secrets.grants[id])) {
			md.grants = append(md.grants, c.secrets.grants[id][relation])
		}
		md.grants = slices.DeleteFunc(md.grants, func(g secretGrant) bool { return slices.Contains(c.secrets.revokes[id], g.subject) })
		all[id] = md
	}
	return all
}

func (md secretMetadata) with(a *secretArgs) secretMetadata {
	if a.label != nil {
		md.label = *a.label
	}
	if a.description != nil {
		md.description = *a.description
	}
	if a.rotate != nil {
		md.rotate = *a.rotate
	}
	if a.expires != nil {
		md.expires = *a.expires
	}
	return md
}

// Limits of secret content in bytes: per value and in all, before 3.6.9 as
// given, since then encoded (core/secrets/createsecret.go).
const (
	plainValueLimit  = 8 << 10
	plainSecretLimit = 64 << 10
	encodedLimit     = 1_000_000
)

// parseSecretValues reads key=value, key#base64=value and key#file=path.
func (m *Model) parseSecretValues(args []string, file string) (map[string]string, error) {
	values := map[string]string{}
	for _, arg := range args {
		// Padding is taken off first, so that base64 needs no care; an empty
		// value cannot be written for the same reason.
		i := strings.Index(strings.TrimRight(arg, "="), "=")
		if i < 1 {
			return nil, fmt.Errorf("key value %q not valid", arg)
		}
		key, value := arg[:i], arg[i+1:]
		if name, found := strings.CutSuffix(key, "#file"); found {
			content, err := m.readSecretFile(value, m.secretLimit(plainValueLimit))
			if err != nil {
				return nil, fmt.Errorf("reading content for secret key %q: %w", name, err)
			}
			key, value = name, string(content)
		}
		values[key] = value
	}
	encoded, err := m.encodeSecret(values)
	if err != nil || file == "" {
		return encoded, err
	}
	content, err := m.readSecretFile(file, m.secretLimit(plainSecretLimit))
	if err != nil {
		return nil, err
	}
	var fromFile map[string]string
	err = json.Unmarshal(content, &fromFile)
	if err != nil {
		err = yaml.Unmarshal(content, &fromFile)
	}
	if err != nil {
		return nil, err
	}
	more, err := m.encodeSecret(fromFile)
	maps.Copy(encoded, more)
	return encoded, err
}

func (m *Model) secretLimit(plain int) int {
	if m.version.limitsSecretsEncoded() {
		return encodedLimit
	}
	return plain
}

// readSecretFile reads as the agent does: relative to its own directory, not
// to the hook's.
func (m *Model) readSecretFile(path string, limit int) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > int64(limit) {
		return nil, fmt.Errorf("secret content in file %q too large: %d bytes", path, info.Size())
	}
	return os.ReadFile(path)
}

func (m *Model) encodeSecret(values map[string]string) (map[string]string, error) {
	encoded := map[string]string{}
	total := 0
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		name, isEncoded := strings.CutSuffix(key, "#base64")
		if !secretKeyRule.MatchString(name) {
			return nil, fmt.Errorf("key %q not valid", name)
		}
		encoded[name] = value // not checked until it is read
		if !isEncoded {
			encoded[name] = base64.StdEncoding.EncodeToString([]byte(value))
		}
		size := len(value)
		if m.version.limitsSecretsEncoded() {
			size = len(encoded[name])
		}
		total += size
		if size > m.secretLimit(plainValueLimit) {
			return nil, m.tooLarge(fmt.Sprintf(" for key %q", name), size)
		}
	}
	if total > m.secretLimit(plainSecretLimit) {
		return nil, m.tooLarge("", total)
	}
	return encoded, nil
}

func (m *Model) tooLarge(key string, size int) error {
	if m.version.limitsSecretsEncoded() {
		return fmt.Errorf("base64 encoded secret content%s too large: %d bytes", key, size)
	}
	return fmt.Errorf("secret content%s too large: %d bytes", key, size)
}

// readSecret returns the content that a secret-get sees and leaves the
// consumer's record at once, whatever becomes of the hook.
func (c *hookContext) readSecret(id, label string, refresh, peek bool) (map[string]string, error) {
	if content, found := c.pendingSecret(id, label, refresh, peek); found {
		return content, nil
	}
	m, u := c.model, c.unit
	if id == "" {
		id = c.labelled(label)
		label = ""
	}
	if id == "" {
		return nil, errUnknownLabel
	}
	s := m.secrets[id]
	switch {
	case s == nil:
		return nil, fmt.Errorf("secret %q not found", id)
	case !s.readableBy(u):
		return nil, errors.New("permission denied")
	}
	err := c.relabel(s, label)
	if err != nil {
		return nil, err
	}
	number := s.latest
	if consumer := s.consumers[u.name]; consumer != nil && consumer.revision > 0 && !refresh && !peek {
		number = consumer.revision
	} else if consumer := s.consumer(u.name); consumer.revision == 0 || refresh {
		consumer.revision = s.latest
	}
	if s.revisions[number] == nil {
		return nil, fmt.Errorf("secret revision %d for secret %q not found", number, id)
	}
	return s.revisions[number].content, nil
}

// errUnknownLabel is worded by secret-get, which knows the label.
var errUnknownLabel = errors.New("unknown label")

// labelled finds a committed secret by its owner's label, of the unit or its
// application, or by the unit's own label for another's secret.
func (c *hookContext) labelled(label string) string {
	byConsumer := ""
	for id, s := range c.model.secrets {
		if s.label == label && (s.owner == c.unit.name || s.owner == c.unit.application.name) {
			return id
		}
		if consumer := s.consumers[c.unit.name]; consumer != nil && consumer.label == label {
			byConsumer = id
		}
	}
	return byConsumer
}

// relabel is the effect of secret-get with both id and label. The owner's
// label changes for a secret of one's own, and only its manager's word
// counts; a foreign secret gets a label of the reader's.
func (c *hookContext) relabel(s *secret, label string) error {
	u := c.unit
	if label == "" {
		return nil
	}
	if s.owner == u.name || s.owner == u.application.name {
		if !u.tends(s) || s.label == label {
			return nil
		}
		err := c.model.checkLabel(s.owner, label, "owner")
		if err == nil {
			s.label = label
		}
		return err
	}
	if consumer := s.consumers[u.name]; consumer != nil && consumer.label == label {
		return nil
	}
	err := c.model.checkLabel(u.name, label, "consumer")
	if err != nil {
		return fmt.Errorf("getting latest secret revision: %w", err)
	}
	s.consumer(u.name).label = label
	return nil
}

// pendingSecret looks for the secret among those that the hook adds or, with
// peek or refresh, changes.
func (c *hookContext) pendingSecret(id, label string, refresh, peek bool) (map[string]string, bool) {
	matches := func(a *secretArgs) bool {
		return id == a.id || id == "" && a.label != nil && *a.label == label
	}
	for _, a := range c.secrets.creates {
		if matches(a) {
			if id != "" && label != "" {
				a.label = &label
			}
			return a.content, true
		}
	}
	if !refresh && !peek {
		return nil, false
	}
	for _, a := range c.secrets.updates {
		if matches(a) {
			if refresh {
				c.secrets.trackLatest[a.id] = true
			}
			return a.content, len(a.content) > 0
		}
	}
	return nil, false
}
