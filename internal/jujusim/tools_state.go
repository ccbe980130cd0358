// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"errors"
	"fmt"
	"maps"
)

// Limits of charm state in bytes (core/quota).
const (
	stateKeyLimit   = 256
	stateValueLimit = 65536
)

// charmState returns the unit's state with this hook's writes.
func (c *hookContext) charmState() map[string]string {
	if c.state == nil {
		c.state = maps.Clone(c.unit.state)
	}
	return c.state
}

func stateGet(i *invocation) (func() error, error) {
	out, strict := i.smartOutput(), false
	i.flags.boolean(&strict, "strict")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	key := ""
	if len(args) > 0 {
		key, args = args[0], args[1:]
	}
	return func() error {
		if key == "" || key == "-" {
			return out.print(i.charmState())
		}
		value, found := i.charmState()[key]
		if !found && strict {
			return fmt.Errorf("%q not found", key)
		}
		return out.print(value)
	}, noMore(args)
}

func stateSet(i *invocation) (func() error, error) {
	file := i.fileFlag()
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	pairs, err := parsePairs(args)
	if err != nil {
		return nil, err
	}
	return func() error {
		settings, err := i.readSettings(*file, pairs)
		if err != nil {
			return err
		}
		for key, value := range settings {
			switch {
			case len(key) > stateKeyLimit:
				return fmt.Errorf("max allowed key length (%d) exceeded", stateKeyLimit)
			case len(value) > stateValueLimit:
				return fmt.Errorf("max allowed value length (%d) exceeded", stateValueLimit)
			}
			i.charmState()[key] = value // an empty value is kept
			i.stateSet = true
		}
		return nil
	}, i.needsStdin(*file)
}

func stateDelete(i *invocation) (func() error, error) {
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	key := ""
	if len(args) > 0 {
		key, args = args[0], args[1:]
	}
	return func() error {
		if _, found := i.charmState()[key]; found {
			delete(i.state, key)
			i.stateSet = true
		}
		return nil
	}, noMore(args)
}

// goalStatus is an entry of goal-state.
type goalStatus struct {
	Status string `json:"status" yaml:"status"`
	Since  string `json:"since,omitempty" yaml:"since,omitempty"`
}

type goals struct {
	Units     map[string]goalStatus            `json:"units" yaml:"units"`
	Relations map[string]map[string]goalStatus `json:"relations" yaml:"relations"`
}

func goalState(i *invocation) (func() error, error) {
	out := i.outputFlags("yaml", "json")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	return func() error { return out.print(i.goals()) }, noMore(args)
}

func (c *hookContext) goals() goals {
	app := c.unit.application
	g := goals{Units: unitGoals(app), Relations: map[string]map[string]goalStatus{}}
	for _, r := range c.model.relations {
		far := r.far(app.name).application
		// The offering side of a cross-model relation shows nothing.
		if !r.joins(app.name) || r.isPeer() || isRemoteName(far) {
			continue
		}
		name := r.near(app.name).name
		if g.Relations[name] == nil {
			g.Relations[name] = map[string]goalStatus{}
		}
		maps.Copy(g.Relations[name], unitGoals(c.model.applications[far]))
		g.Relations[name][far] = goalStatus{relationStatus(r), goalTime(c.model.startedAt)}
	}
	return g
}

func relationStatus(r *relation) string {
	switch {
	case r.dying:
		return "broken"
	case len(r.scope) == 0:
		return "joining"
	}
	return "joined"
}

func unitGoals(app *application) map[string]goalStatus {
	units := map[string]goalStatus{}
	for _, u := range app.units {
		shown := u.status.name
		if u.dying {
			shown = "dying"
		}
		units[u.name] = goalStatus{shown, goalTime(u.status.since)}
	}
	return units
}

func actionGet(i *invocation) (func() error, error) {
	out := i.smartOutput()
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) > 1 {
		return nil, noMore(args[1:])
	}
	return func() error {
		if i.action == nil {
			return errNoAction
		}
		if len(args) == 0 {
			return out.print(i.action.params)
		}
		return out.print(lookUp(i.action.params, args[0]))
	}, nil
}

var errNoAction = errors.New("not running an action")
