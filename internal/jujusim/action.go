// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ActionResult is what juju run shows of an action.
type ActionResult struct {
	ID      string
	Status  string // "completed", "failed"
	Message string
	// Results holds what action-set gave, nested, and stdout, stderr and
	// return-code.
	Results map[string]any
	Log     []string // action-log
}

// action is an action while it runs.
type action struct {
	id, name string
	params   map[string]any
	results  map[string]any
	message  string
	failed   bool
	log      []string
}

// RunAction runs an action of a unit. A failed action is a result, not an
// error; errors are for what juju run would not have queued.
func (m *Model) RunAction(unit, name string, params map[string]any) (ActionResult, error) {
	if !m.running.TryLock() {
		return ActionResult{}, errBusy
	}
	defer m.running.Unlock()
	m.mu.Lock()
	u, a, err := m.queueAction(unit, name, params)
	if err != nil {
		m.mu.Unlock()
		return ActionResult{}, err
	}
	u.busy = true
	c := m.newContext(u, nil, a)
	run := c.newRun()
	m.mu.Unlock()

	result := m.execute(c, &run)
	final := m.endAction(c, &run, result)
	m.observe(run)
	return final, nil
}

func (m *Model) queueAction(unit, name string, params map[string]any) (*unit, *action, error) {
	u, err := m.charmedUnit(unit)
	if err != nil {
		return nil, nil, err
	}
	if !u.installed && !u.inError {
		return nil, nil, fmt.Errorf("cannot run action %q: unit %q is not installed", name, unit)
	}
	spec, found := u.application.charm.Actions().ActionSpecs[name]
	if !found {
		return nil, nil, fmt.Errorf("cannot run %q action: not defined", name)
	}
	if _, given := spec.Params["additionalProperties"]; !given && m.version.closesActionSchemas() {
		spec.Params = maps.Clone(spec.Params)
		spec.Params["additionalProperties"] = false
	}
	given, err := asJSON(params)
	if err != nil {
		return nil, nil, err
	}
	err = spec.ValidateParams(given)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot run %q action: %w", name, err)
	}
	complete, err := spec.InsertDefaults(given)
	if err != nil {
		return nil, nil, err
	}
	complete, err = asJSON(complete)
	if err != nil {
		return nil, nil, err
	}
	m.lastTask += 2 // an operation and its task share one sequence
	return u, &action{id: strconv.Itoa(m.lastTask), name: name, params: complete, results: map[string]any{}}, nil
}

// asJSON copies a map the way it reaches the agent: all numbers are floats.
func asJSON(values map[string]any) (map[string]any, error) {
	copied := map[string]any{}
	text, err := json.Marshal(values)
	if err == nil && values != nil {
		err = json.Unmarshal(text, &copied)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot encode action parameters: %w", err)
	}
	return copied, nil
}

// endAction works out the outcome (runner/context/context.go, finalizeAction).
func (m *Model) endAction(c *hookContext, run *HookRun, result *outcome) ActionResult {
	m.mu.Lock()
	ask := m.failCommit
	m.mu.Unlock()
	fault := NoFault
	if ask != nil && !run.Killed && result.failure() == "" {
		fault = ask(run.clone())
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	c.unit.busy = false
	a := c.action
	final := ActionResult{ID: a.id, Status: "completed", Message: a.message, Results: a.results, Log: slices.Clone(a.log)}
	if a.failed {
		final.Status = "failed"
	}
	keepOutput(final.Results, "stdout", result.stdout.Bytes())
	keepOutput(final.Results, "stderr", result.stderr.Bytes())
	if result.startError == nil && !result.missing {
		final.Results["return-code"] = run.ExitCode
	}
	failure := result.failure()
	switch {
	case result.missing:
		failure = fmt.Sprintf("action not implemented on unit %q", run.Unit)
	case run.Killed && failure == "":
		failure = "signal: killed"
	}
	if failure != "" {
		final.Status, final.Message = "failed", failure
	} else if err := m.commit(c, fault); err != nil {
		run.CommitError = err.Error()
		refuse(&final, err)
	}
	m.hooks = append(m.hooks, run.clone())
	return final
}

// refuse turns a failed commit into a result. The return code is changed only
// where Juju changes it: not when it is the number 0.
func refuse(final *ActionResult, err error) {
	final.Status = "failed"
	if final.Message == "" {
		final.Message = "committing requested changes failed"
	}
	text := err.Error()
	if stderr, ok := final.Results["stderr"].(string); ok {
		text = stderr + "\n" + text
	}
	final.Results["stderr"] = text
	code, found := final.Results["return-code"]
	if !found || code == "0" {
		final.Results["return-code"] = "1"
	}
}

func keepOutput(results map[string]any, name string, output []byte) {
	switch {
	case len(output) == 0:
	case utf8.Valid(output):
		results[name] = string(output)
	default:
		results[name] = base64.StdEncoding.EncodeToString(output)
		results[name+"-encoding"] = "base64"
	}
}

// lookUp finds a parameter by a dotted path; nil when it is not there.
func lookUp(params map[string]any, path string) any {
	key, rest, nested := strings.Cut(path, ".")
	if !nested {
		return params[key]
	}
	inner, ok := params[key].(map[string]any)
	if !ok {
		return nil
	}
	return lookUp(inner, rest)
}

var actionKeyRule = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$`)

func actionSet(i *invocation) (func() error, error) {
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	for _, arg := range args {
		err = i.checkActionKey(arg)
		if err != nil {
			return nil, err
		}
	}
	return func() error {
		if i.action == nil && len(args) > 0 {
			return errNoAction
		}
		for _, arg := range args {
			path, value, _ := strings.Cut(arg, "=")
			store(i.action.results, strings.Split(path, "."), value)
		}
		return nil
	}, nil
}

func (i *invocation) checkActionKey(arg string) error {
	path, _, found := strings.Cut(arg, "=")
	if !found {
		return fmt.Errorf("argument %q must be of the form key...=value", arg)
	}
	allowed := "lowercase alphanumeric and hyphens"
	if i.model.version.periodsInActionKeys() {
		allowed = "lowercase alphanumeric, hyphens and periods"
	}
	for _, key := range strings.Split(path, ".") {
		if !actionKeyRule.MatchString(key) {
			return fmt.Errorf("key %q must start and end with lowercase alphanumeric, and contain only %s", key, allowed)
		}
		switch key {
		case "stdout", "stdout-encoding", "stderr", "stderr-encoding":
			return fmt.Errorf("cannot set reserved action key %q", key)
		}
	}
	return nil
}

// store sets a nested value; a map takes the place of a value that is in the
// way.
func store(results map[string]any, path []string, value string) {
	if len(path) == 1 {
		results[path[0]] = value
		return
	}
	inner, ok := results[path[0]].(map[string]any)
	if !ok {
		inner = map[string]any{}
		results[path[0]] = inner
	}
	store(inner, path[1:], value)
}

func actionFail(i *invocation) (func() error, error) {
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	message := "action failed without reason given, check action for errors"
	if len(args) > 0 {
		message, args = args[0], args[1:]
	}
	return func() error {
		if i.action == nil {
			return errNoAction
		}
		i.action.message, i.action.failed = message, true
		return nil
	}, noMore(args)
}

func actionLog(i *invocation) (func() error, error) {
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, errors.New("no message specified")
	}
	return func() error {
		if i.action == nil {
			return errNoAction
		}
		i.action.log = append(i.action.log, strings.Join(args, " "))
		return nil
	}, nil
}
