// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
)

func configGet(i *invocation) (func() error, error) {
	out, all := i.smartOutput(), false
	i.flags.boolean(&all, "a", "all")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	key := ""
	if len(args) > 0 {
		key, args = args[0], args[1:]
	}
	if key != "" && all {
		return nil, fmt.Errorf("cannot use argument --all together with key %q", key)
	}
	return func() error {
		settings := i.settings()
		if key != "" {
			return out.print(settings[key]) // nil for an unknown one
		}
		if !all {
			maps.DeleteFunc(settings, func(_ string, value any) bool { return value == nil })
		}
		return out.print(settings)
	}, noMore(args)
}

// settings returns a copy of the configuration as first read in this hook.
// Whole numbers are floats, as they are after their way through the API.
func (c *hookContext) settings() map[string]any {
	if c.config == nil {
		c.config = map[string]any{}
		for name, value := range c.unit.application.config {
			if number, ok := value.(int64); ok {
				value = float64(number)
			}
			c.config[name] = value
		}
	}
	return maps.Clone(c.config)
}

func isLeader(i *invocation) (func() error, error) {
	out := i.smartOutput()
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	return func() error { return out.print(i.leads()) }, noMore(args)
}

func leaderGet(i *invocation) (func() error, error) {
	out := i.smartOutput()
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	key := ""
	if len(args) > 0 {
		key, args = args[0], args[1:]
	}
	if strings.Contains(key, "=") {
		return nil, fmt.Errorf("invalid key %q", key)
	}
	return func() error {
		if i.leaders == nil {
			i.leaders = maps.Clone(i.unit.application.leaderSettings)
		}
		if key == "" || key == "-" {
			return out.print(i.leaders)
		}
		if value, found := i.leaders[key]; found {
			return out.print(value)
		}
		return out.print(nil)
	}, noMore(args)
}

// leaderSet writes at once and wakes the other units.
func leaderSet(i *invocation) (func() error, error) {
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	pairs, err := parsePairs(args)
	return func() error {
		if !i.leads() {
			return errors.New("cannot write leadership settings: cannot write settings: not the leader")
		}
		app := i.unit.application
		before := maps.Clone(app.leaderSettings)
		for key, value := range pairs {
			app.leaderSettings[key] = value
			if value == "" {
				delete(app.leaderSettings, key)
			}
		}
		if !maps.Equal(before, app.leaderSettings) {
			app.leaderSettingsVersion++
		}
		i.leaders = nil
		return nil
	}, err
}

func statusSet(i *invocation) (func() error, error) {
	ofApplication := false
	i.flags.boolean(&ofApplication, "application")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, errors.New("invalid args, require <status> [message]")
	}
	switch args[0] {
	case "maintenance", "blocked", "waiting", "active":
	default:
		return nil, fmt.Errorf("invalid status %q, expected one of [maintenance blocked waiting active]", args[0])
	}
	set := status{name: args[0], since: i.model.now()}
	args = args[1:]
	if len(args) > 0 {
		set.message, args = args[0], args[1:]
	}
	return func() error {
		return i.setStatus(set, ofApplication)
	}, noMore(args)
}

// setStatus takes effect at once.
func (c *hookContext) setStatus(set status, ofApplication bool) error {
	switch {
	case !ofApplication:
		c.unit.status, c.unit.statusSet = set, true
	case !c.leads():
		return errNotLeader
	default:
		c.unit.application.status = set
	}
	return nil
}

var errNotLeader = errors.New("this unit is not the leader")

func statusGet(i *invocation) (func() error, error) {
	out, ofApplication, detailed := i.smartOutput(), false, false
	i.flags.boolean(&detailed, "include-data")
	i.flags.boolean(&ofApplication, "application")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	return func() error {
		if ofApplication {
			return i.applicationStatus(out, detailed)
		}
		shown := i.unitStatus()
		if out.format == "smart" && !detailed {
			return out.print(shown.name)
		}
		return out.print(shown.details(detailed))
	}, noMore(args)
}

// unitStatus is the status as first read: status-set does not renew it within
// a hook.
func (c *hookContext) unitStatus() status {
	if c.status == nil {
		first := c.unit.status
		c.status = &first
	}
	return *c.status
}

func (s status) details(all bool) map[string]any {
	details := map[string]any{"status": s.name}
	if all {
		details["message"], details["status-data"] = s.message, map[string]any{}
	}
	return details
}

func (i *invocation) applicationStatus(out *output, detailed bool) error {
	if !i.leads() {
		return fmt.Errorf("finding application status: %w", errNotLeader)
	}
	app := i.unit.application
	shown := app.status
	units := map[string]any{}
	for _, u := range app.units {
		units[u.name] = u.status.details(detailed)
		if app.status.name == "" && (shown.name == "" || severity(u.status.name) > severity(shown.name)) {
			shown = u.status
		}
	}
	if out.format == "smart" && !detailed {
		return out.print(shown.name)
	}
	details := shown.details(detailed)
	details["units"] = units
	return out.print(map[string]any{"application-status": details})
}

// severity orders statuses: an application without its own shows the worst of
// its units.
func severity(name string) int {
	for rank, other := range []string{"unknown", "active", "terminated", "maintenance", "waiting", "blocked", "error"} {
		if other == name {
			return rank
		}
	}
	return 0
}

func applicationVersionSet(i *invocation) (func() error, error) {
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, errors.New("no version specified")
	}
	return func() error {
		i.unit.application.workloadVersion = args[0]
		return nil
	}, noMore(args[1:])
}

func jujuLog(i *invocation) (func() error, error) {
	debug, level, format := false, "INFO", ""
	i.flags.boolean(&debug, "debug")
	i.flags.text(&level, "l", "log-level")
	i.flags.text(&format, "format")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, errors.New("no message specified")
	}
	return func() error {
		i.noteFormat(format)
		module := "unit." + i.unit.name + ".juju-log"
		known, ok := logLevel(level)
		switch {
		case debug:
			known = "DEBUG"
		case level == "":
			known = "INFO"
		case !ok:
			i.model.record(i.unit.name, i.hookOrAction(), module, "WARNING", fmt.Sprintf("Specified log level of %q is not valid", level))
			known = "INFO"
		}
		message := strings.Join(args, " ")
		if r := i.hookRelation(); r != nil {
			message = r.id() + ": " + message
		}
		i.model.record(i.unit.name, i.hookOrAction(), module, known, message)
		return nil
	}, nil
}

func logLevel(text string) (string, bool) {
	switch level := strings.ToUpper(text); level {
	case "TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL":
		return level, true
	case "WARN":
		return "WARNING", true
	}
	return "", false
}

// goalTime is how goal-state shows a time, which is always UTC.
func goalTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
