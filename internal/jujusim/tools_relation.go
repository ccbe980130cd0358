// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

func (r *contextRelation) id() string { return r.name + ":" + strconv.Itoa(r.view.relation.id) }

func relationIDs(i *invocation) (func() error, error) {
	out := i.smartOutput()
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	endpoint := ""
	if r := i.hookRelation(); r != nil {
		endpoint = r.name
	}
	if len(args) > 0 {
		endpoint, args = args[0], args[1:]
	} else if endpoint == "" {
		return nil, errors.New("no endpoint name specified")
	}
	return func() error {
		ids := []string{}
		for _, r := range i.relations {
			if r.name == endpoint && !r.broken {
				ids = append(ids, r.id())
			}
		}
		slices.Sort(ids)
		return out.print(ids)
	}, noMore(args)
}

func relationList(i *invocation) (func() error, error) {
	out, relation, ofApplication := i.smartOutput(), i.relationFlag(), false
	i.flags.boolean(&ofApplication, "app")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if *relation == nil {
		return nil, errNoRelation
	}
	return func() error {
		if ofApplication {
			return out.print((*relation).remote)
		}
		members := append([]string{}, (*relation).members...)
		slices.Sort(members)
		return out.print(members)
	}, noMore(args)
}

func relationGet(i *invocation) (func() error, error) {
	out, relation, ofApplication := i.smartOutput(), i.relationFlag(), false
	i.flags.boolean(&ofApplication, "app")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if *relation == nil {
		return nil, errNoRelation
	}
	key := ""
	if len(args) > 0 {
		key, args = args[0], args[1:]
	}
	owner, ofApplication, err := i.bagOwner(args, ofApplication)
	if err != nil {
		return nil, err
	}
	if len(args) > 0 {
		args = args[1:]
	}
	return func() error {
		values, err := i.readBag(*relation, owner, ofApplication)
		if err != nil {
			return err
		}
		if key == "" || key == "-" {
			return out.print(values)
		}
		if value, found := values[key]; found {
			return out.print(value)
		}
		return out.print(nil)
	}, noMore(args)
}

// bagOwner settles whose bag is meant. Without a name it is the remote unit of
// the hook, also when -r names another relation, or else its application.
func (i *invocation) bagOwner(args []string, ofApplication bool) (string, bool, error) {
	if len(args) > 0 {
		name := args[0]
		switch {
		case ofApplication && unitRule.MatchString(name):
			return applicationOf(name), true, nil
		case ofApplication:
			return name, true, nil
		case unitRule.MatchString(name):
			return name, false, nil
		case applicationRule.MatchString(name):
			return "", false, fmt.Errorf("expected unit name, got application name %q", name)
		}
		return "", false, fmt.Errorf("invalid unit name %q", name)
	}
	if i.event != nil && i.event.remoteUnit != "" && !ofApplication {
		return i.event.remoteUnit, false, nil
	}
	if i.event != nil && i.event.remoteApplication != "" {
		return i.event.remoteApplication, true, nil
	}
	return "", false, errors.New("no unit or application specified")
}

// readBag reads own bags from the hook's context and others as the controller
// lets it (runner/jujuc/relation-get.go).
func (i *invocation) readBag(r *contextRelation, owner string, ofApplication bool) (map[string]string, error) {
	u := i.unit
	switch {
	case owner == u.name && !ofApplication:
		return r.ownBag(u, false), nil
	case owner == u.application.name && i.leads():
		return r.ownBag(u, true), nil
	}
	return i.readRemote(r, owner, ofApplication)
}

// readRemote applies the permissions of the uniter facade.
func (c *hookContext) readRemote(r *contextRelation, owner string, ofApplication bool) (map[string]string, error) {
	u, relation := c.unit, r.view.relation
	switch {
	case !relation.joins(applicationOf(owner)):
		return nil, errors.New("permission denied")
	case owner == u.application.name && !relation.isPeer() && !c.model.version.ownBagIsOpen():
		return nil, errors.New("permission denied")
	}
	read := r.readMember
	if ofApplication {
		read = r.readApplication
	}
	values, found := read(owner)
	if !found {
		return nil, fmt.Errorf("cannot read settings for unit %q in relation %q: settings not found", owner, relation.key())
	}
	return values, nil
}

func relationSet(i *invocation) (func() error, error) {
	relation, file, ofApplication, format := i.relationFlag(), i.fileFlag(), false, ""
	i.flags.boolean(&ofApplication, "app")
	i.flags.text(&format, "format")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if *relation == nil {
		return nil, errNoRelation
	}
	pairs, err := parsePairs(args)
	if err != nil {
		return nil, err
	}
	return func() error {
		i.noteFormat(format)
		settings, err := i.readSettings(*file, pairs)
		if err != nil {
			return err
		}
		if ofApplication && !i.leads() {
			return errors.New("cannot write relation settings")
		}
		for key, value := range settings {
			(*relation).write(i.unit, ofApplication, key, value)
		}
		return nil
	}, i.needsStdin(*file)
}

// noteFormat says that --format means nothing to a tool that prints nothing.
func (i *invocation) noteFormat(format string) {
	if format != "" {
		fmt.Fprintf(&i.stderr, "--format flag deprecated for command %q", i.request.CommandName)
	}
}

func relationModelGet(i *invocation) (func() error, error) {
	out, relation := i.smartOutput(), i.relationFlag()
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if *relation == nil {
		return nil, errNoRelation
	}
	return func() error {
		uuid := i.model.uuid
		if isRemoteName((*relation).remote) {
			uuid = i.model.foreignUUID((*relation).remote)
		}
		return out.print(map[string]string{"uuid": uuid})
	}, noMore(args)
}

// foreignUUID makes up the identity of the model that a cross-model
// application lives in, the same for each call.
func (m *Model) foreignUUID(application string) string {
	hex := fmt.Sprintf("%032s", application[len("remote-"):])
	hex = hex[len(hex)-32:]
	b := []byte(hex)
	for i, c := range b {
		if c == ' ' {
			b[i] = '0'
		}
	}
	return fmt.Sprintf("%s-%s-4%s-8%s-%s", b[:8], b[8:12], b[13:16], b[17:20], b[20:])
}
