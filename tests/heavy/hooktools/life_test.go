// SPDX-License-Identifier: GPL-3.0-only

package hooktools_test

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
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
			require.GreaterOrEqual(t, len(l.Published()), 3, "somebody must have been served")
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
	{"an action is refused", func(l *life.Life) error {
		result, err := l.Model.RunAction(l.Model.Leader(life.Application), "sign-csr", map[string]any{"csr": "none"})
		if err == nil && result.Status != "failed" {
			err = fmt.Errorf("the action is %s", result.Status)
		}
		return err
	}},
	{"an option changes", func(l *life.Life) error { return l.SetOption("extra_sans", "vip.example.com") }},
	{"a requirer's unit goes", (*life.Life).LoseOne},
	{"the leader is removed", (*life.Life).RemoveLeader},
	{"requirers come again", func(l *life.Life) error { return errors.Join(l.Fleet(true, 1), l.Fleet(false, 1)) }},
	{"a requirer goes", (*life.Life).PartOne},
	{"the CA is replaced at once", func(l *life.Life) error { return l.Rotate("emergency") }},
}

// TestTheTableHasWhatTheCharmUses lets the charm live on the simulator's tools,
// whose record has all arguments, and looks for each way of calling a tool in
// the table of calls.
func TestTheTableHasWhatTheCharmUses(t *testing.T) {
	t.Parallel()
	compared := map[string]bool{}
	for _, s := range scenes() {
		for _, l := range slices.Concat(s.earlier, s.calls) {
			words := strings.Split(l.words, "|")
			compared[form(words[0], words[1:])] = true
		}
	}
	l, err := life.NewIn(charmPath(t), 1, jujusim.Options{Version: version})
	require.NoError(t, err)
	defer l.Close()
	for _, step := range chapters {
		l.Now = time.Now()
		require.NoError(t, errors.Join(step.run(l), l.Rest()), step.name)
	}
	used := map[string]bool{}
	for _, run := range l.Model.Hooks() {
		for _, call := range run.Calls {
			used[form(call.Tool, call.Args)] = true
		}
	}
	require.Greater(t, len(used), 15)
	for _, way := range slices.Sorted(maps.Keys(used)) {
		require.Contains(t, compared, way)
	}
	t.Logf("%d ways of calling tools", len(used))
}

// form is a tool with the names of its flags, sorted, and how many words
// follow them: 2 for two and more.
func form(tool string, args []string) string {
	var flags []string
	words := 0
	takesWord := []string{"-r", "--format", "--file", "--log-level"}
	for i := 0; i < len(args); i++ {
		name, _, _ := strings.Cut(args[i], "=")
		switch {
		case args[i] == "--":
			flags, words, i = append(flags, "--"), words+len(args)-i-1, len(args)
		case len(name) > 1 && name[0] == '-':
			flags = append(flags, name)
			if slices.Contains(takesWord, args[i]) {
				i++
			}
		default:
			words++
		}
	}
	slices.Sort(flags)
	return fmt.Sprintf("%s %v %d", tool, flags, min(words, 2))
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
	used := slices.Sorted(maps.Keys(tools))
	for _, tool := range []string{
		"is-leader", "config-get", "relation-ids", "relation-list", "relation-get", "relation-set", "secret-add", "secret-get", "secret-info-get",
		"secret-remove", "status-get", "status-set", "action-get", "action-set", "action-fail",
	} {
		require.Contains(t, used, tool)
	}
	t.Logf("%d hooks and actions, %d calls of %v", len(m.Hooks()), calls, used)
}

// Size of the sample of random lives. Their faults at calls have no effect
// here, because it is not the simulator that answers; those of commits have.
const (
	lives = 100
	steps = 15
	// firstSeed keeps clear of the seeds that the other tests play.
	firstSeed = 9000
)

// TestRandomLivesOnJujusTools plays lives with the clock of the model, in which
// certificates and CAs come of age.
func TestRandomLivesOnJujusTools(t *testing.T) {
	t.Parallel()
	light, err := life.Pack(root, filepath.Join(scratch, "light"))
	require.NoError(t, err)
	for seed := range uint64(lives) {
		t.Run(fmt.Sprintf("seed %d", firstSeed+seed), func(t *testing.T) {
			t.Parallel()
			l, err := life.NewIn(light, firstSeed+seed, jujusim.Options{Version: version, Serve: serveSocket})
			require.NoError(t, err)
			defer l.Close()
			require.NoError(t, l.Play(steps))
			for _, run := range l.Model.Hooks() {
				for _, call := range run.Calls {
					require.NotEqual(t, 2, call.Code, "the charm uses a tool wrongly: %s %q: %s", call.Tool, call.Args, call.Error)
				}
			}
		})
	}
}
