// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"cmp"
	"fmt"
	"strings"
)

// EventKind is what happened, or what Juju wants.
type EventKind int

// The kinds of event that a charm may act on. Other is any other hook: Juju
// grows, and a hook that nobody needs must not put the unit into error.
const (
	Install EventKind = iota + 1
	Start
	ConfigChanged
	UpgradeCharm
	Stop
	Remove
	LeaderElected
	LeaderSettingsChanged
	UpdateStatus
	RelationCreated
	RelationJoined
	RelationChanged
	RelationDeparted
	RelationBroken
	SecretChanged
	SecretExpired
	SecretRemove
	SecretRotate
	Action
	Other
)

// Event is what Juju tells a hook or an action about itself.
type Event struct {
	Kind EventKind
	// Name is the hook's or the action's, for example
	// "certificates-relation-changed" or "get-ca-certificate".
	Name string
	// Unit is the unit the program runs for.
	Unit      UnitName
	Model     string
	ModelUUID string
	// CharmDirectory is absolute, and the working directory of the hook.
	CharmDirectory string
	// Version is the unit agent's, not always three numbers: "4.1-beta2.1".
	Version string

	// Relation and the names after it are set for relation events only.
	Relation RelationID
	// RemoteUnit is empty for created and broken, and for a change of the
	// remote application's data.
	RemoteUnit        UnitName
	RemoteApplication string
	// DepartingUnit, for departed only, is the unit that goes away: RemoteUnit,
	// or our own unit when it is the one to leave.
	DepartingUnit UnitName

	// Secret is set for secret events only; its label may be empty, and its
	// revision is 0 when Juju gives none, as for secret-changed.
	Secret         SecretID
	SecretLabel    string
	SecretRevision int

	// ActionID is the id of the task, a decimal number, for actions only.
	ActionID string
}

// ParseEvent reads the event from the environment of the process, in the shape
// of os.Environ. The error names the variable that is missing or malformed.
func ParseEvent(environ []string) (Event, error) {
	v := newVariables(environ)
	event := Event{
		Unit:           parsed(v, "JUJU_UNIT_NAME", parseUnitName),
		Model:          v.text("JUJU_MODEL_NAME"),
		ModelUUID:      v.text("JUJU_MODEL_UUID"),
		CharmDirectory: v.text("JUJU_CHARM_DIR"),
		Version:        v.text("JUJU_VERSION"),
	}
	event.Kind, event.Name = v.kind()
	switch event.Kind {
	case RelationCreated, RelationJoined, RelationChanged, RelationDeparted, RelationBroken:
		v.readRelation(&event)
	case SecretChanged, SecretExpired, SecretRemove, SecretRotate:
		event.Secret = parsed(v, "JUJU_SECRET_ID", ParseSecretID)
		event.SecretLabel = v.values["JUJU_SECRET_LABEL"]
		if v.values["JUJU_SECRET_REVISION"] != "" {
			event.SecretRevision = parsed(v, "JUJU_SECRET_REVISION", parseNumber)
		}
	case Action:
		event.ActionID = v.text("JUJU_ACTION_UUID")
	}
	if v.err != nil {
		return Event{}, fmt.Errorf("cannot read event: %w", v.err)
	}
	return event, nil
}

// kind tells hooks from actions by what only an action has: during an action
// JUJU_HOOK_NAME is there, but empty.
func (v *variables) kind() (EventKind, string) {
	path := v.values["JUJU_DISPATCH_PATH"]
	if v.values["JUJU_ACTION_NAME"] != "" || strings.HasPrefix(path, "actions/") {
		return Action, v.text("JUJU_ACTION_NAME")
	}
	hook := cmp.Or(v.values["JUJU_HOOK_NAME"], strings.TrimPrefix(path, "hooks/"))
	if hook == "" {
		// What "juju exec" runs sees neither variable.
		v.text("JUJU_HOOK_NAME")
	}
	return hookKind(hook), hook
}

// hookKind follows the names of charm/hooks in Juju's source. Endpoint names
// contain hyphens, even "-relation-", so only the end of a name counts.
func hookKind(hook string) EventKind {
	kinds := map[string]EventKind{
		"install":                 Install,
		"start":                   Start,
		"config-changed":          ConfigChanged,
		"upgrade-charm":           UpgradeCharm,
		"stop":                    Stop,
		"remove":                  Remove,
		"leader-elected":          LeaderElected,
		"leader-settings-changed": LeaderSettingsChanged,
		"update-status":           UpdateStatus,
		"secret-changed":          SecretChanged,
		"secret-expired":          SecretExpired,
		"secret-remove":           SecretRemove,
		"secret-rotate":           SecretRotate,
		"-relation-created":       RelationCreated,
		"-relation-joined":        RelationJoined,
		"-relation-changed":       RelationChanged,
		"-relation-departed":      RelationDeparted,
		"-relation-broken":        RelationBroken,
	}
	return cmp.Or(kinds[hook[len(hookEndpoint(hook)):]], Other)
}

// hookEndpoint returns the endpoint in the name of a relation hook, and
// nothing for other hooks.
func hookEndpoint(hook string) string {
	return hook[:max(0, strings.LastIndex(hook, "-relation-"))]
}

// readRelation requires a remote unit where Juju's own check does
// (uniter/hook/hook.go, Info.Validate); the remote application of created and
// broken is taken as it comes.
func (v *variables) readRelation(event *Event) {
	endpoint := v.text("JUJU_RELATION")
	event.Relation = parsed(v, "JUJU_RELATION_ID", ParseRelationID)
	if event.Relation.Endpoint != endpoint || hookEndpoint(event.Name) != endpoint {
		v.fail(fmt.Errorf("JUJU_RELATION %q does not fit hook %q and JUJU_RELATION_ID %q",
			endpoint, event.Name, event.Relation))
	}
	if v.values["JUJU_REMOTE_UNIT"] != "" || event.Kind == RelationJoined || event.Kind == RelationDeparted {
		event.RemoteUnit = parsed(v, "JUJU_REMOTE_UNIT", parseUnitName)
	} else if event.Kind == RelationChanged {
		v.text("JUJU_REMOTE_APP")
	}
	event.RemoteApplication = cmp.Or(v.values["JUJU_REMOTE_APP"], event.RemoteUnit.Application())
	if event.Kind == RelationDeparted {
		event.DepartingUnit = parsed(v, "JUJU_DEPARTING_UNIT", parseUnitName)
	}
}

// variables reads one environment and remembers the first thing wrong with it.
type variables struct {
	values map[string]string
	err    error
}

// newVariables lets the first of two equal names win, as os.Getenv does.
func newVariables(environ []string) *variables {
	values := make(map[string]string, len(environ))
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if _, seen := values[name]; !seen {
			values[name] = value
		}
	}
	return &variables{values: values}
}

func (v *variables) fail(err error) {
	v.err = cmp.Or(v.err, err)
}

// text returns a variable that must not be empty.
func (v *variables) text(name string) string {
	value := v.values[name]
	if value == "" {
		v.fail(fmt.Errorf("%s is not set", name))
	}
	return value
}

// parsed returns the value of a variable that must be there and well formed.
func parsed[T any](v *variables, name string, parse func(string) (T, error)) T {
	text := v.text(name)
	value, err := parse(text)
	if err != nil {
		v.fail(fmt.Errorf("%s: %w", name, err))
	}
	return value
}
