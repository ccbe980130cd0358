// SPDX-License-Identifier: GPL-3.0-only

package hooktools_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
	"tls-authority/tests/life"
)

// transports are the two ways in which the charm calls tools.
var transports = map[string]struct {
	serve func(jujusim.HookContext) ([]string, func(), error)
	named string // in the record
}{
	"over the socket":  {serveSocket, "rpc"},
	"through programs": {servePrograms, "exec"},
}

// TestTheCharmLivesOnJujusTools plays one life with the charm as it ships: its
// own process in every hook, all its tools Juju's.
func TestTheCharmLivesOnJujusTools(t *testing.T) {
	t.Parallel()
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := life.NewIn(charmPath(t), 1, jujusim.Options{Version: version, Serve: transport.serve})
			require.NoError(t, err)
			defer l.Close()
			for _, step := range chapters {
				l.Now = time.Now()
				require.NoError(t, errors.Join(step.run(l), l.Rest()), step.name)
			}
			certificates := len(l.Published())
			require.GreaterOrEqual(t, certificates, 3, "somebody must have been served")
			require.NoError(t, end(l))
			requireLife(t, l.Model, transport.named)
		})
	}
}

// chapters are what happens to a charm between its install and its end. The
// model is held to all that must be true after each.
var chapters = []struct {
	name string
	run  func(*life.Life) error
}{
	{"it is deployed", func(*life.Life) error { return nil }},
	{"requirers of the legacy dialect come", func(l *life.Life) error { return l.Fleet(true, 2) }},
	{"requirers with CSRs come", func(l *life.Life) error { return l.Fleet(false, 2) }},
	{"it is scaled", (*life.Life).AddOurs},
	{"a legacy request changes", func(l *life.Life) error { return l.ChangeOne(true) }},
	{"a CSR changes", func(l *life.Life) error { return l.ChangeOne(false) }},
	{"another unit is elected", (*life.Life).ElectNext},
	{"the CA is rotated", func(l *life.Life) error { return l.Rotate("staged") }},
	{"an action lists what is in service", func(l *life.Life) error {
		_, err := l.Act("list-certificates", nil)
		return err
	}},
	{"an option changes", func(l *life.Life) error { return l.SetOption("extra_sans", "vip.example.com") }},
	{"a requirer's unit goes", (*life.Life).LoseOne},
	{"the leader is removed", (*life.Life).RemoveLeader},
	{"requirers come again", func(l *life.Life) error { return errors.Join(l.Fleet(true, 1), l.Fleet(false, 1)) }},
	{"a requirer goes", (*life.Life).PartOne},
	{"the CA is replaced at once", func(l *life.Life) error { return l.Rotate("emergency") }},
}

// end removes the units of the charm.
func end(l *life.Life) error {
	for _, unit := range l.Model.Units(life.Application) {
		if err := errors.Join(l.Model.RemoveUnit(unit), l.Model.Settle()); err != nil {
			return err
		}
	}
	return nil
}

// requireLife reads in the record that a life was whole, and on which tools.
func requireLife(t *testing.T, m *jujusim.Model, transport string) {
	t.Helper()
	require.Empty(t, m.Units(life.Application))
	hooks, tools, calls := map[string]bool{}, map[string]bool{}, 0
	for _, run := range m.Hooks() {
		hooks[run.Hook] = true
		require.Zero(t, run.ExitCode, run.Hook)
		for _, call := range run.Calls {
			tools[call.Tool] = true
			calls++
			require.Equal(t, transport, call.Transport)
			require.NotEqual(t, 2, call.Code, "the charm uses a tool wrongly: %s %q: %s", call.Tool, call.Args, call.Error)
		}
	}
	for _, hook := range []string{
		"install", "leader-elected", "config-changed", "start", "certificates-relation-created", "certificates-relation-joined",
		"certificates-relation-changed", "certificates-relation-departed", "certificates-relation-broken", "authority-relation-changed",
		"update-status", "rotate-ca", "list-certificates", "stop", "remove",
	} {
		require.Contains(t, hooks, hook)
	}
	for _, tool := range []string{
		"is-leader", "config-get", "relation-ids", "relation-list", "relation-get", "relation-set", "secret-add", "secret-get", "secret-info-get",
		"secret-remove", "status-get", "status-set", "action-get", "action-set",
	} {
		require.Contains(t, tools, tool)
	}
	t.Logf("%d hooks and actions, %d calls of %d tools", len(m.Hooks()), calls, len(tools))
}
