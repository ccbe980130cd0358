// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"errors"
	"fmt"
)

func secretGrantTool(i *invocation) (func() error, error) {
	relation, unit := i.relationFlag(), ""
	i.flags.text(&unit, "unit")
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
	r := *relation
	switch {
	case r == nil:
		return nil, errNoRelation
	case unit != "" && !unitRule.MatchString(unit):
		return nil, fmt.Errorf("unit %q not valid", unit)
	case unit != "" && applicationOf(unit) != r.remote:
		return nil, fmt.Errorf("cannot specify unit %q in relation to application %q", unit, r.remote)
	}
	grant := secretGrant{subject: r.remote, relation: r.view.relation.id}
	if unit != "" {
		grant.subject = unit
	}
	return func() error { return i.grant(id, grant) }, noMore(args[1:])
}

func (c *hookContext) grant(id string, grant secretGrant) error {
	md, found := c.secretMetadata()[id]
	if !found {
		return fmt.Errorf("secret %q not found", id)
	}
	err := c.mayChange(md, true)
	if err != nil {
		return err
	}
	for _, other := range md.grants {
		switch {
		case other.relation != grant.relation:
		case other == grant, !unitRule.MatchString(other.subject):
			return nil // granted already, to the unit or its whole application
		case !unitRule.MatchString(grant.subject):
			return errors.New("any unit level grants need to be revoked before granting access to the corresponding application")
		}
	}
	if c.secrets.grants[id] == nil {
		c.secrets.grants[id] = map[int]secretGrant{}
	}
	c.secrets.grants[id][grant.relation] = grant
	return nil
}

func secretRevoke(i *invocation) (func() error, error) {
	relation, app, unit := i.relationFlag(), "", ""
	i.flags.text(&app, "app", "application")
	i.flags.text(&unit, "unit")
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
	switch {
	case app != "" && !applicationRule.MatchString(app):
		return nil, fmt.Errorf("application %q not valid", app)
	case unit != "" && !unitRule.MatchString(unit):
		return nil, fmt.Errorf("unit %q not valid", unit)
	case app != "" && unit != "":
		return nil, errors.New("specify only one of application or unit")
	case *relation != nil && app != "":
		return nil, errors.New("do not specify both relation and app")
	case *relation != nil:
		app = (*relation).remote
	case app == "" && unit == "":
		return nil, errors.New("missing relation or application or unit")
	}
	subject := app
	if unit != "" {
		subject = unit
	}
	return func() error { return i.revoke(id, subject) }, noMore(args[1:])
}

func (c *hookContext) revoke(id, subject string) error {
	md, known := c.managed[id]
	err := c.mayChange(md, known)
	if err == nil {
		c.secrets.revokes[id] = append(c.secrets.revokes[id], subject)
	}
	return err
}

func secretRemove(i *invocation) (func() error, error) {
	revision := 0
	i.flags.integer(&revision, "revision")
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
	return func() error { return i.removeSecret(id, max(0, revision)) }, noMore(args[1:])
}

// removeSecret buffers the removal of one revision, or with 0 of all.
func (c *hookContext) removeSecret(id string, revision int) error {
	md, known := c.managed[id]
	err := c.mayChange(md, known)
	if err == nil {
		c.secrets.remove(id, revision)
	}
	return err
}
