// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"maps"
	"slices"
)

// HookContext is the agent's side of one hook or action, for tools that are
// not the simulator's own: see Options.Serve. It has what Juju's tools ask of
// their context (runner/jujuc/context.go). What is written is held back until
// the hook has ended well, and then judged by the model, as ever.
type HookContext struct{ hook *hookContext }

func (h HookContext) lock() (c *hookContext, unlock func()) {
	h.hook.model.mu.Lock()
	return h.hook, h.hook.model.mu.Unlock
}

// ID is JUJU_CONTEXT_ID; requests with another are to be refused.
func (h HookContext) ID() string { return h.hook.id }

// Unit is the name of the unit whose hook it is.
func (h HookContext) Unit() string { return h.hook.unit.name }

// Socket is the path of the agent's socket, as in the environment.
func (h HookContext) Socket() string { return h.hook.unit.socket() }

// Record notes a call for HookRun. Unit, Hook, Attempt and Index are filled in.
func (h HookContext) Record(call Call) {
	c, unlock := h.lock()
	defer unlock()
	call.Unit, call.Hook, call.Attempt, call.Index = c.unit.name, c.hookOrAction(), c.attempt(), len(c.calls)
	c.calls = append(c.calls, call.clone())
	if call.Code == 0 && toolTable[call.Tool].writes {
		c.writes++
	}
}

// Leads tells whether the unit leads; once it does not, it stays so.
func (h HookContext) Leads() bool {
	c, unlock := h.lock()
	defer unlock()
	return c.leads()
}

// Config returns every option, nil for one without a value.
func (h HookContext) Config() map[string]any {
	c, unlock := h.lock()
	defer unlock()
	return c.settings()
}

// Status returns the unit's status as it was when the hook first asked.
func (h HookContext) Status() (name, message string) {
	c, unlock := h.lock()
	defer unlock()
	s := c.unitStatus()
	return s.name, s.message
}

// SetStatus sets the status of the unit or of its application, at once.
func (h HookContext) SetStatus(name, message string, ofApplication bool) error {
	c, unlock := h.lock()
	defer unlock()
	return c.setStatus(status{name: name, message: message, since: c.model.now()}, ofApplication)
}

// Log writes to the model's log.
func (h HookContext) Log(module, level, message string) {
	c, unlock := h.lock()
	defer unlock()
	c.model.record(c.unit.name, c.hookOrAction(), module, level, message)
}

// Goals is the goal state. Each entry is a status and the time since when, as
// goal-state prints them.
func (h HookContext) Goals() (units map[string][2]string, relations map[string]map[string][2]string) {
	c, unlock := h.lock()
	defer unlock()
	g := c.goals()
	relations = map[string]map[string][2]string{}
	for name, entries := range g.Relations {
		relations[name] = goalPairs(entries)
	}
	return goalPairs(g.Units), relations
}

func goalPairs(entries map[string]goalStatus) map[string][2]string {
	pairs := map[string][2]string{}
	for name, entry := range entries {
		pairs[name] = [2]string{entry.Status, entry.Since}
	}
	return pairs
}

// Action returns the parameters of the running action; false in a hook.
func (h HookContext) Action() (params map[string]any, found bool) {
	c, unlock := h.lock()
	defer unlock()
	if c.action == nil {
		return nil, false
	}
	return maps.Clone(c.action.params), true
}

// SetActionResult sets a nested result of the running action.
func (h HookContext) SetActionResult(path []string, value string) error {
	return h.changeAction(func(a *action) { store(a.results, path, value) })
}

// SetActionMessage sets what is shown of the running action.
func (h HookContext) SetActionMessage(message string) error {
	return h.changeAction(func(a *action) { a.message = message })
}

// FailAction marks the running action as failed.
func (h HookContext) FailAction() error {
	return h.changeAction(func(a *action) { a.failed = true })
}

// LogAction adds a line to the log of the running action.
func (h HookContext) LogAction(message string) error {
	return h.changeAction(func(a *action) { a.log = append(a.log, message) })
}

func (h HookContext) changeAction(change func(*action)) error {
	c, unlock := h.lock()
	defer unlock()
	if c.action == nil {
		return errNoAction
	}
	change(c.action)
	return nil
}

// RemoteUnit and RemoteApplication are what a relation hook is about, "" when
// there is none.
func (h HookContext) RemoteUnit() string {
	if h.hook.event == nil {
		return ""
	}
	return h.hook.event.remoteUnit
}

// RemoteApplication: see RemoteUnit.
func (h HookContext) RemoteApplication() string {
	if h.hook.event == nil {
		return ""
	}
	return h.hook.event.remoteApplication
}

// HookRelation is the relation of a relation hook; false in others.
func (h HookContext) HookRelation() (HookRelation, bool) {
	c, unlock := h.lock()
	defer unlock()
	r := c.hookRelation()
	return HookRelation{h, r}, r != nil
}

// Relation finds a relation of the unit by its number.
func (h HookContext) Relation(number int) (HookRelation, bool) {
	c, unlock := h.lock()
	defer unlock()
	r := c.relations[number]
	return HookRelation{h, r}, r != nil
}

// Relations are the numbers of the unit's relations, in no order, without the
// broken ones.
func (h HookContext) Relations() []int {
	c, unlock := h.lock()
	defer unlock()
	numbers := shuffled(c.model, c.relations)
	return slices.DeleteFunc(numbers, func(number int) bool { return c.relations[number].broken })
}

// HookRelation is a relation as one hook sees it.
type HookRelation struct {
	context  HookContext
	relation *contextRelation
}

// Number identifies the relation in the model.
func (r HookRelation) Number() int { return r.relation.view.relation.id }

// Endpoint is the local name of the relation.
func (r HookRelation) Endpoint() string { return r.relation.name }

// Key is Juju's name of the relation, as in "etcd:certificates ca:certificates".
func (r HookRelation) Key() string { return r.relation.view.relation.key() }

// Remote is the application at the other end.
func (r HookRelation) Remote() string { return r.relation.remote }

// Dying tells whether the relation is going away.
func (r HookRelation) Dying() bool {
	_, unlock := r.context.lock()
	defer unlock()
	return r.relation.view.relation.dying
}

// Members are the units at the other end, sorted.
func (r HookRelation) Members() []string {
	_, unlock := r.context.lock()
	defer unlock()
	return slices.Sorted(slices.Values(r.relation.members))
}

// Own returns the unit's or its application's databag with this hook's
// changes. Who may read it is for the tool to judge.
func (r HookRelation) Own(ofApplication bool) map[string]string {
	c, unlock := r.context.lock()
	defer unlock()
	return maps.Clone(r.relation.ownBag(c.unit, ofApplication))
}

// Write changes what Own returns; "" deletes.
func (r HookRelation) Write(ofApplication bool, key, value string) {
	c, unlock := r.context.lock()
	defer unlock()
	r.relation.write(c.unit, ofApplication, key, value)
}

// Read returns a databag that is not in the hook's own hands, if the
// controller lets the unit read it.
func (r HookRelation) Read(owner string, ofApplication bool) (map[string]string, error) {
	c, unlock := r.context.lock()
	defer unlock()
	bag, err := c.readRemote(r.relation, owner, ofApplication)
	return maps.Clone(bag), err
}
