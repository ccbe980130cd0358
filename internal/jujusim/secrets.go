// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// secret is a secret as the controller keeps it.
type secret struct {
	id                 string // 20 characters
	owner              string // application or unit; "" for a user secret
	label, description string
	rotate             string // "never" or a policy
	nextRotate         time.Time
	latest             int // does not go back when that revision is removed
	revisions          map[int]*secretRevision
	grants             []secretGrant
	consumers          map[string]*secretConsumer // by unit
}

type secretRevision struct {
	content               map[string]string // base64
	expires, expiredAgain time.Time         // zero: never; not yet told
}

// secretGrant lets an application or a unit read while a relation exists. The
// relation of a user secret's grant is -1.
type secretGrant struct {
	subject  string
	relation int
}

func (g secretGrant) tag() string { return subjectTag(g.subject) }

// secretConsumer is left by a unit's first read, its own application's
// secrets included.
type secretConsumer struct {
	label    string
	revision int // tracked
}

func subjectTag(name string) string {
	if unitRule.MatchString(name) {
		return "unit-" + strings.ReplaceAll(name, "/", "-")
	}
	return "application-" + name
}

var (
	secretURIRule = regexp.MustCompile(`^(?:secret:)?(?://[0-9a-f-]{36}/|[0-9a-f-]{36}/)?([0-9a-v]{20})$`)
	secretKeyRule = regexp.MustCompile(`^([a-z](?:-?[a-z0-9]){2,})$`)
)

// parseSecretURI accepts every spelling that Juju does and returns the id.
func parseSecretURI(text string) (string, error) {
	found := secretURIRule.FindStringSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("secret URI %q not valid", text)
	}
	return found[1], nil
}

// newSecretID makes an id of Juju's form: 12 bytes in base 32.
func (m *Model) newSecretID() string {
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(m.randomBytes(12)))
}

func (s *secret) change(a *secretArgs) {
	if a.label != nil {
		s.label = *a.label
	}
	if a.description != nil {
		s.description = *a.description
	}
	if a.rotate != nil {
		s.rotate = *a.rotate
	}
}

// addRevision makes a new revision, which expires only if the caller says so
// again.
func (s *secret) addRevision(a *secretArgs) {
	s.latest++
	r := &secretRevision{content: maps.Clone(a.content)}
	if a.expires != nil {
		r.expires = *a.expires
	}
	s.revisions[s.latest] = r
}

func (s *secret) consumer(unit string) *secretConsumer {
	if s.consumers[unit] == nil {
		s.consumers[unit] = &secretConsumer{}
	}
	return s.consumers[unit]
}

func (s *secret) tracked(revision int) bool {
	for _, consumer := range s.consumers {
		if consumer.revision == revision {
			return true
		}
	}
	return false
}

// readableBy: a unit reads its own secrets, its application's, and those that
// were granted to either.
func (s *secret) readableBy(u *unit) bool {
	if s.owner == u.name || s.owner == u.application.name {
		return true
	}
	return slices.ContainsFunc(s.grants, func(g secretGrant) bool {
		return g.subject == u.name || g.subject == u.application.name
	})
}

func (s *secret) clone() *secret {
	c := *s
	c.revisions, c.consumers = map[int]*secretRevision{}, map[string]*secretConsumer{}
	for number, r := range s.revisions {
		copied := *r
		c.revisions[number] = &copied // content never changes
	}
	for name, consumer := range s.consumers {
		copied := *consumer
		c.consumers[name] = &copied
	}
	c.grants = slices.Clone(s.grants)
	return &c
}

func cloneSecrets(secrets map[string]*secret) map[string]*secret {
	copied := map[string]*secret{}
	for id, s := range secrets {
		copied[id] = s.clone()
	}
	return copied
}

// checkOwnerLabel refuses a label that is in use in the one name space that
// an application shares with its units (state/secrets.go,
// uniqueSecretLabelBaseOps).
func (m *Model) checkOwnerLabel(owner, label string) error {
	return m.checkLabel(owner, label, "owner")
}

func (m *Model) checkLabel(tagged, label, role string) error {
	app := applicationOf(tagged)
	ofUnit := tagged != app
	for _, s := range m.secrets {
		switch {
		case s.label != label || s.owner == "":
		case s.owner == tagged:
			return m.labelExists(label, "owner", tagged)
		case ofUnit && s.owner == app:
			return m.labelTaken(label, fmt.Sprintf("application %q", app))
		case !ofUnit && applicationOf(s.owner) == app:
			return m.labelTaken(label, fmt.Sprintf("a unit of application %q", app))
		}
		for name, consumer := range s.consumers {
			switch {
			case consumer.label != label:
			case name == tagged:
				return m.labelExists(label, "consumer", tagged)
			case !ofUnit && applicationOf(name) == app:
				return m.labelTaken(label, fmt.Sprintf("a unit of application %q", app))
			}
		}
	}
	return nil
}

func (m *Model) labelExists(label, role, tagged string) error {
	if !m.version.atLeast(3, 6, 0) {
		return fmt.Errorf("secret with label %q already exists", label)
	}
	return fmt.Errorf("secret label %q for %s %q already exists", label, role, subjectTag(tagged))
}

func (m *Model) labelTaken(label, by string) error {
	if !m.version.atLeast(3, 6, 0) {
		return fmt.Errorf("secret with label %q already exists", label)
	}
	return fmt.Errorf("secret label %q for %s already exists", label, by)
}

// rotateAfter returns the time a policy makes due after another.
func rotateAfter(policy string, t time.Time) time.Time {
	switch policy {
	case "hourly":
		return t.Add(time.Hour)
	case "daily":
		return t.AddDate(0, 0, 1)
	case "weekly":
		return t.AddDate(0, 0, 7)
	case "monthly":
		return t.AddDate(0, 1, 0)
	case "quarterly":
		return t.AddDate(0, 3, 0)
	case "yearly":
		return t.AddDate(1, 0, 0)
	}
	return time.Time{}
}

// SecretView is what a test may see of a secret without its content.
type SecretView struct {
	ID, Label, Owner, Description string // Owner is "" for a user secret
	Revisions                     []int
	Consumers                     map[string]int // unit → tracked revision
	Granted                       []string       // applications and units
}

// Secrets returns every secret, in the order of their ids.
func (m *Model) Secrets() []SecretView {
	m.mu.Lock()
	defer m.mu.Unlock()
	var views []SecretView
	for _, id := range slices.Sorted(maps.Keys(m.secrets)) {
		s := m.secrets[id]
		view := SecretView{
			ID: id, Label: s.label, Owner: s.owner, Description: s.description,
			Revisions: slices.Sorted(maps.Keys(s.revisions)),
			Consumers: map[string]int{},
		}
		for name, consumer := range s.consumers {
			view.Consumers[name] = consumer.revision
		}
		for _, grant := range s.grants {
			view.Granted = append(view.Granted, grant.subject)
		}
		views = append(views, view)
	}
	return views
}

// SecretContent returns the decoded content of the latest revision, nil for
// an unknown secret. The id may be spelled in any way.
func (m *Model) SecretContent(id string) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	id, err := parseSecretURI(id)
	if err != nil || m.secrets[id] == nil || m.secrets[id].revisions[m.secrets[id].latest] == nil {
		return nil
	}
	content, err := decodeSecret(m.secrets[id].revisions[m.secrets[id].latest].content)
	if err != nil {
		return nil
	}
	return content
}

func decodeSecret(content map[string]string) (map[string]string, error) {
	decoded := map[string]string{}
	for key, value := range content {
		raw, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return nil, err
		}
		decoded[key] = string(raw)
	}
	return decoded, nil
}
