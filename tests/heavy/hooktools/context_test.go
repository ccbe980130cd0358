// SPDX-License-Identifier: GPL-3.0-only

// Package hooktools serves the hook tools of Juju 3.5.4, Juju's own code, to a
// charm in a simulated model: what the charm calls is parsed, judged and
// answered by Juju, and only what Juju asks its controller comes from the
// simulator. Its tests compare the simulator's tools with Juju's, call by call,
// and let the whole charm live on Juju's.
//
// It is a module of its own because of Juju: AGPL, large, and not to be built
// without a replacement in go.mod. Nothing that ships is linked with it.
package hooktools_test

import (
	"errors"
	"time"

	"github.com/juju/charm/v12"
	jujuerrors "github.com/juju/errors"
	"github.com/juju/juju/core/application"
	"github.com/juju/juju/worker/uniter/runner/jujuc"
	"github.com/juju/loggo"

	"tls-authority/internal/jujusim"
)

// toolContext is what Juju's tools know of a hook. The methods that it leaves
// to RestrictedContext are of tools that the charm does not use: they fail.
type toolContext struct {
	jujuc.RestrictedContext
	hook jujusim.HookContext
}

var _ jujuc.Context = (*toolContext)(nil)

func (c *toolContext) UnitName() string { return c.hook.Unit() }

func (c *toolContext) IsLeader() (bool, error) { return c.hook.Leads(), nil }

func (c *toolContext) ConfigSettings() (charm.Settings, error) { return c.hook.Config(), nil }

func (c *toolContext) UnitStatus() (*jujuc.StatusInfo, error) {
	name, message := c.hook.Status()
	return &jujuc.StatusInfo{Status: name, Info: message}, nil
}

func (c *toolContext) SetUnitStatus(s jujuc.StatusInfo) error {
	return c.hook.SetStatus(s.Status, s.Info, false)
}

func (c *toolContext) SetApplicationStatus(s jujuc.StatusInfo) error {
	return c.hook.SetStatus(s.Status, s.Info, true)
}

// GetLogger returns a logger whose lines go to the model's log.
func (c *toolContext) GetLogger(module string) loggo.Logger {
	logs := loggo.NewContext(loggo.TRACE)
	// Adding fails only for a name that is taken.
	_ = logs.AddWriter("model", logWriter{c.hook})
	return logs.GetLogger(module)
}

type logWriter struct{ hook jujusim.HookContext }

func (w logWriter) Write(entry loggo.Entry) {
	w.hook.Log(entry.Module, entry.Level.String(), entry.Message)
}

// goalTime is the form in which the simulator tells times, which is that of
// goal-state.
const goalTime = "2006-01-02 15:04:05Z"

func (c *toolContext) GoalState() (*application.GoalState, error) {
	units, relations := c.hook.Goals()
	state := &application.GoalState{Relations: map[string]application.UnitsGoalState{}}
	var err error
	state.Units, err = goals(units)
	for name, entries := range relations {
		found, relationErr := goals(entries)
		state.Relations[name], err = found, errors.Join(err, relationErr)
	}
	return state, err
}

func goals(entries map[string][2]string) (application.UnitsGoalState, error) {
	state, errs := application.UnitsGoalState{}, error(nil)
	for name, entry := range entries {
		since, err := time.Parse(goalTime, entry[1])
		state[name], errs = application.GoalStateStatus{Status: entry[0], Since: &since}, errors.Join(errs, err)
	}
	return state, errs
}

var errNoAction = errors.New("not running an action")

func (c *toolContext) ActionParams() (map[string]any, error) {
	params, found := c.hook.Action()
	if !found {
		return nil, errNoAction
	}
	return params, nil
}

func (c *toolContext) UpdateActionResults(keys []string, value any) error {
	text, _ := value.(string) // action-set has nothing else
	return c.hook.SetActionResult(keys, text)
}

func (c *toolContext) SetActionMessage(message string) error { return c.hook.SetActionMessage(message) }

func (c *toolContext) SetActionFailed() error { return c.hook.FailAction() }

func (c *toolContext) LogActionMessage(message string) error { return c.hook.LogAction(message) }

func (c *toolContext) RemoteUnitName() (string, error) {
	if name := c.hook.RemoteUnit(); name != "" {
		return name, nil
	}
	return "", jujuerrors.NotFoundf("remote unit")
}

func (c *toolContext) RemoteApplicationName() (string, error) {
	if name := c.hook.RemoteApplication(); name != "" {
		return name, nil
	}
	return "", jujuerrors.NotFoundf("saas application")
}
