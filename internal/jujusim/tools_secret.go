// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
)

var errNoSecretURI = errors.New("missing secret URI")

// secretFlags defines what secret-add and secret-set have in common.
type secretFlags struct{ expire, rotate, description, label, file, owner string }

func (i *invocation) secretFlags() *secretFlags {
	f := &secretFlags{}
	i.flags.text(&f.expire, "expire")
	i.flags.text(&f.rotate, "rotate")
	i.flags.text(&f.description, "description")
	i.flags.text(&f.label, "label")
	i.flags.text(&f.file, "file")
	f.owner = "application"
	i.flags.text(&f.owner, "owner")
	return f
}

// secretArgs checks flags and content. Empty flags mean "unchanged".
func (i *invocation) secretArgs(f *secretFlags, args []string) (*secretArgs, error) {
	a := &secretArgs{}
	if f.expire != "" {
		expires, err := parseExpiry(f.expire, i.model.now())
		if err != nil {
			return nil, err
		}
		a.expires = &expires
	}
	if f.rotate != "" {
		if f.rotate != "never" && rotateAfter(f.rotate, i.model.now()).IsZero() {
			return nil, fmt.Errorf("rotate policy %q not valid", f.rotate)
		}
		a.rotate = &f.rotate
	}
	if f.owner != "application" && f.owner != "unit" {
		return nil, fmt.Errorf("secret owner %q not valid", f.owner)
	}
	if f.description != "" {
		a.description = &f.description
	}
	if f.label != "" {
		a.label = &f.label
	}
	var err error
	a.content, err = i.model.parseSecretValues(args, f.file)
	return a, err
}

func parseExpiry(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		t, err := time.Parse(layout, text)
		if err == nil {
			return t.UTC(), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("expire time or duration %q not valid", text)
	}
	if d <= 0 {
		return time.Time{}, fmt.Errorf("negative expire duration %q not valid", text)
	}
	return now.Add(d).Truncate(time.Millisecond), nil
}

func secretAdd(i *invocation) (func() error, error) {
	flags := i.secretFlags()
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 && flags.file == "" {
		return nil, errors.New("missing secret value or filename")
	}
	a, err := i.secretArgs(flags, args)
	if err != nil {
		return nil, err
	}
	return func() error {
		if len(a.content) == 0 {
			return errors.New("empty secret value not valid")
		}
		a.owner = i.unit.name
		if flags.owner == "application" {
			a.owner = i.unit.application.name
		}
		err := i.addSecret(a)
		if err != nil {
			return err
		}
		fmt.Fprintln(&i.stdout, i.model.secretURI(a.id))
		return nil
	}, nil
}

// addSecret buffers an add and gives it an id (runner/context/context.go,
// CreateSecret).
func (c *hookContext) addSecret(a *secretArgs) error {
	if a.owner == c.unit.application.name && !c.leads() {
		return errNotLeader
	}
	for _, other := range c.secrets.creates {
		if a.label != nil && other.label != nil && *a.label == *other.label {
			return fmt.Errorf("secret with label %q already exists", *a.label)
		}
	}
	a.id = c.model.newSecretID()
	c.secrets.creates[a.id] = a
	return nil
}

// secretURI is how secret-add spells an id.
func (m *Model) secretURI(id string) string {
	if m.version.printsLongSecretIDs() {
		return "secret://" + m.uuid + "/" + id
	}
	return "secret:" + id
}

func secretSet(i *invocation) (func() error, error) {
	flags := i.secretFlags()
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, errNoSecretURI
	}
	id, err := parseSecretURI(args[0])
	if err != nil {
		return nil, err
	}
	a, err := i.secretArgs(flags, args[1:])
	if err != nil {
		return nil, err
	}
	a.id = id
	return func() error { return i.setSecret(a) }, nil
}

// setSecret buffers a change (runner/context/context.go, UpdateSecret).
func (c *hookContext) setSecret(a *secretArgs) error {
	md, known := c.managed[a.id]
	err := c.mayChange(md, known)
	if err != nil {
		return err
	}
	// Content that is there already is left out, but the rest is kept
	// (internal/worker/uniter/runner/context, since 3.6).
	if known && c.model.version.comparesSecrets() && len(a.content) > 0 && maps.Equal(a.content, md.content) {
		a.content = nil
		if a.label == nil && a.description == nil && a.rotate == nil && a.expires == nil {
			return nil
		}
	}
	c.secrets.update(a, c.model.version.comparesSecrets())
	return nil
}

// mayChange refuses a former leader. A unit that never could manage the
// secret is refused only by the commit.
func (c *hookContext) mayChange(md secretMetadata, known bool) error {
	if known && md.owner == c.unit.application.name && !c.leads() {
		return errNotLeader
	}
	return nil
}

func secretGet(i *invocation) (func() error, error) {
	out, label, peek, refresh := i.outputFlags("yaml", "json"), "", false, false
	i.flags.text(&label, "label")
	i.flags.boolean(&peek, "peek")
	i.flags.boolean(&refresh, "refresh")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	id, key := "", ""
	if len(args) > 0 {
		id, err = parseSecretURI(args[0])
		if err != nil {
			return nil, err
		}
		args = args[1:]
	}
	switch {
	case id == "" && label == "":
		return nil, errors.New("require either a secret URI or label")
	case peek && refresh:
		return nil, errors.New("specify one of --peek or --refresh but not both")
	case len(args) > 0:
		key, args = args[0], args[1:]
	}
	return func() error {
		content, err := i.readSecret(id, label, refresh, peek)
		if errors.Is(err, errUnknownLabel) {
			return i.model.unknownLabel(label)
		}
		if err != nil {
			return err
		}
		return printSecret(out, content, key)
	}, noMore(args)
}

func (m *Model) unknownLabel(label string) error {
	if m.version.major >= 4 {
		return fmt.Errorf("secret URI for consumer label %q not found", label)
	}
	return fmt.Errorf("consumer label %q not found", label)
}

func printSecret(out *output, content map[string]string, key string) error {
	if key == "" {
		decoded, err := decodeSecret(content)
		if err != nil {
			return err
		}
		return out.print(decoded)
	}
	name, encoded := strings.CutSuffix(key, "#base64")
	value, found := content[name]
	if !found {
		return fmt.Errorf("secret key value %q not found", name)
	}
	if encoded {
		return out.print(value)
	}
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return err
	}
	return out.print(string(raw))
}

// secretDisplay is what secret-info-get prints. Its fields are in Juju's
// order.
type secretDisplay struct {
	Revision    int            `json:"revision" yaml:"revision"`
	Label       string         `json:"label" yaml:"label"`
	Owner       string         `json:"owner" yaml:"owner"`
	Description string         `json:"description,omitempty" yaml:"description,omitempty"`
	Rotation    string         `json:"rotation,omitempty" yaml:"rotation,omitempty"`
	Expiry      *time.Time     `json:"expiry,omitempty" yaml:"expiry,omitempty"`
	Rotates     *time.Time     `json:"rotates,omitempty" yaml:"rotates,omitempty"`
	Access      []secretAccess `json:"access,omitempty" yaml:"access,omitempty"`
}

type secretAccess struct {
	Target string `json:"target" yaml:"target"`
	Scope  string `json:"scope" yaml:"scope"`
	Role   string `json:"role" yaml:"role"`
}

func (c *hookContext) display(md secretMetadata) secretDisplay {
	d := secretDisplay{Revision: md.revision, Label: md.label, Owner: "application", Description: md.description, Rotation: md.rotate}
	if unitRule.MatchString(md.owner) {
		d.Owner = "unit"
	}
	if !md.expires.IsZero() {
		d.Expiry = &md.expires
	}
	if !md.rotates.IsZero() {
		d.Rotates = &md.rotates
	}
	for _, grant := range md.grants {
		scope := ""
		if r := c.model.relations[grant.relation]; r != nil {
			scope = r.tag()
		}
		d.Access = append(d.Access, secretAccess{Target: grant.tag(), Scope: scope, Role: "view"})
	}
	return d
}

func secretInfoGet(i *invocation) (func() error, error) {
	out, label := i.outputFlags("yaml", "json"), ""
	i.flags.text(&label, "label")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	id := ""
	if len(args) > 0 {
		id, err = parseSecretURI(args[0])
		if err != nil {
			return nil, err
		}
		args = args[1:]
	}
	switch {
	case id == "" && label == "":
		return nil, errors.New("require either a secret URI or label")
	case id != "" && label != "":
		return nil, errors.New("specify either a secret URI or label but not both")
	}
	return func() error {
		for known, md := range i.secretMetadata() {
			if known == id || id == "" && md.label == label {
				return out.print(map[string]secretDisplay{known: i.display(md)})
			}
		}
		return fmt.Errorf("secret %q not found", id+label)
	}, noMore(args)
}

func secretIDs(i *invocation) (func() error, error) {
	out := i.smartOutput()
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	return func() error {
		var ids []string // null in JSON when there are none
		ids = append(ids, shuffled(i.model, i.secretMetadata())...)
		if len(ids) == 0 {
			ids = nil
		}
		return out.print(ids)
	}, noMore(args)
}
