// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

const (
	denied   = "ERROR permission denied\n"
	notFound = "ERROR secret %q not found\n"
)

// readError requires that a unit cannot read a secret and returns Juju's word.
func (w *world) readError(unit, uri string) string {
	w.t.Helper()
	var a answer
	w.during(unit, func(h *hook) { a = h.run("secret-get", uri, "--refresh") })
	require.Equal(w.t, 1, a.code)
	require.Empty(w.t, a.stdout)
	return a.stderr
}

func (w *world) readUserSecret(unit, uri string) string {
	w.t.Helper()
	var content string
	w.during(unit, func(h *hook) { content = h.ok(w.t, "secret-get", uri, "--refresh") })
	return content
}

func (w *world) addUserSecret(name, value string) (uri, id string) {
	w.t.Helper()
	uri, err := w.AddUserSecret(name, map[string]string{"private-key": value})
	require.NoError(w.t, err)
	return uri, uri[len(uri)-20:]
}

func TestOnlyAGrantOpensAUserSecret(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(2)
		require.NoError(t, w.Deploy(w.archive, "other", 1))
		require.NoError(t, w.Settle())
		uri, id := w.addUserSecret("ca", "one")
		require.NoError(t, w.Configure("goca", map[string]any{"key": uri}))
		require.NoError(t, w.Configure("other", map[string]any{"key": uri}))
		require.NoError(t, w.Settle())
		w.during("goca/0", func(h *hook) {
			require.Equal(t, `"`+uri+`"`, h.ok(t, "config-get", "key", "--format", "json"))
			require.Equal(t, 1, h.run("secret-get", "--label", "ca").code, "its name is no label")
			require.Equal(t, 1, h.run("secret-info-get", uri).code, "no unit manages it")
		})
		require.Equal(t, denied, w.readError("goca/0", uri), "the option alone opens nothing")
		require.Empty(t, w.Secrets()[0].Consumers, "a refusal leaves no trace")

		since := len(w.Hooks())
		require.NoError(t, w.GrantUserSecret(uri, "goca"))
		require.NoError(t, w.GrantUserSecret(uri, "goca"))
		require.Equal(t, []string{"goca"}, w.Secrets()[0].Granted)
		require.NoError(t, w.Settle())
		require.Empty(t, w.ran("goca/0", since), "a grant fires nothing")
		require.Equal(t, "private-key: one", w.readUserSecret("goca/0", uri))
		require.Equal(t, "private-key: one", w.readUserSecret("goca/1", id), "every unit of the application")
		require.Equal(t, denied, w.readError("other/0", uri), "and of no other")

		require.NoError(t, w.RevokeUserSecret(uri, "goca"))
		require.Equal(t, denied, w.readError("goca/0", uri))
		require.NoError(t, w.GrantUserSecret(uri, "goca"))
		require.Equal(t, "private-key: one", w.readUserSecret("goca/0", uri))

		since = len(w.Hooks())
		require.NoError(t, w.RemoveUserSecret(uri))
		require.NoError(t, w.Settle())
		require.Empty(t, w.ran("goca/0", since), "a removal fires nothing")
		for _, unit := range []string{"goca/0", "other/0"} {
			require.Equal(t, fmt.Sprintf(notFound, id), w.readError(unit, uri), "gone is gone, granted or not")
		}
		w.during("goca/0", func(h *hook) { require.Equal(t, uri, h.ok(t, "config-get", "key"), "the option keeps its value") })
		again, _ := w.addUserSecret("ca", "two")
		require.NotEqual(t, uri, again, "the name is free, the id is not used again")
		require.ErrorContains(t, w.GrantUserSecret(uri, "goca"), "no user secret")
		require.ErrorContains(t, w.RemoveUserSecret(uri), "no user secret")
		require.ErrorContains(t, w.RevokeUserSecret(uri, "goca"), "no user secret")
	}
}

func TestEventsOfUserSecrets(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(3)
		units := []string{"goca/0", "goca/1", "goca/2"}
		first, _ := w.addUserSecret("first", "one")
		second, _ := w.addUserSecret("second", "one")
		for _, uri := range []string{first, second} {
			require.NoError(t, w.GrantUserSecret(uri, "goca"))
		}
		// ranEverywhere settles and requires these hooks, unit by unit.
		ranEverywhere := func(change func() error, want ...[]string) {
			t.Helper()
			since := len(w.Hooks())
			require.NoError(t, change())
			require.NoError(t, w.Settle())
			for i, unit := range units {
				require.Equal(t, want[i], w.ran(unit, since), "%s on %s", unit, version)
			}
		}
		changed := []string{"config-changed"}
		set := func(value any) func() error {
			return func() error { return w.Configure("goca", map[string]any{"key": value}) }
		}
		ranEverywhere(set(first), changed, changed, changed)
		ranEverywhere(set(first), nil, nil, nil)
		for _, unit := range units[:2] {
			require.Equal(t, "private-key: one", w.readUserSecret(unit, first))
		}
		update := func(uri, value string) func() error {
			return func() error { return w.UpdateUserSecret(uri, map[string]string{"private-key": value}) }
		}
		told := []string{"secret-changed"}
		ranEverywhere(update(first, "two"), told, told, nil)
		require.Equal(t, first+"||", w.secretVariables["secret-changed"], "without a label of the reader's")
		require.Equal(t, "private-key: two", w.readUserSecret("goca/0", first))
		ranEverywhere(update(second, "two"), nil, nil, nil)
		ranEverywhere(set(second), changed, changed, changed)
		ranEverywhere(update(first, "three"), told, told, nil)
		ranEverywhere(set(nil), changed, changed, changed)
		w.during("goca/0", func(h *hook) { require.Empty(t, h.ok(t, "config-get", "key")) })
		require.Error(t, w.attempt("goca/0", func(h *hook) int { return h.run("secret-remove", first).code }), "no unit manages it")
	}
}

func TestUserSecretsInActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	uri, id := w.addUserSecret("lock", "one")
	var got answer
	w.on("list", func(h *hook) int { got = h.run("secret-get", uri); return 0 })
	run := func() answer {
		_, err := w.RunAction("goca/0", "list", nil)
		require.NoError(t, err)
		return got
	}
	require.Equal(t, denied, run().stderr)
	require.NoError(t, w.GrantUserSecret(uri, "goca"))
	require.Equal(t, "private-key: one\n", run().stdout)
	require.NoError(t, w.RemoveUserSecret(uri))
	require.Equal(t, fmt.Sprintf(notFound, id), run().stderr)
}
