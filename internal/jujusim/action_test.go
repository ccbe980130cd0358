// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// TestActionOutcomes is the table of how an action's end is shown.
func TestActionOutcomes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code            int
		fail, refused   bool
		status, message string
		committed       bool
	}{
		"well":                    {0, false, false, "completed", "", true},
		"failed by its own word":  {0, true, false, "failed", "no good", true},
		"failed by its exit":      {3, false, false, "failed", "exit status 3", false},
		"failed in both ways":     {3, true, false, "failed", "exit status 3", false},
		"refused":                 {0, false, true, "failed", "committing requested changes failed", false},
		"refused and failed":      {0, true, true, "failed", "no good", false},
		"failed before a refusal": {3, false, true, "failed", "exit status 3", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jujusim.Options{})
			w.deploy(1)
			if tc.refused {
				w.FailCommit(func(jujusim.HookRun) jujusim.CommitFault { return jujusim.RefuseCommit })
			}
			w.on("list", func(h *hook) int {
				h.ok(t, "action-set", "count=1")
				h.ok(t, "action-log", "on", "the", "way")
				h.ok(t, "relation-set", "-r", "0", "--app", "a=1")
				if tc.fail {
					h.ok(t, "action-fail", "no good")
				}
				return tc.code
			})
			result, err := w.RunAction("goca/0", "list", nil)
			require.NoError(t, err)
			require.Equal(t, tc.status, result.Status)
			require.Equal(t, tc.message, result.Message)
			require.Equal(t, tc.committed, w.Bag(0, "goca")["a"] == "1")
			require.Equal(t, "1", result.Results["count"], "results are kept")
			require.Equal(t, tc.code, result.Results["return-code"])
			require.Equal(t, []string{"on the way"}, result.Log)
			if tc.refused && tc.code == 0 {
				require.Equal(t, "jujusim: the controller refused the transaction", result.Results["stderr"])
			}
			runs := w.Hooks()
			require.Equal(t, "list", runs[len(runs)-1].Hook)
			require.Equal(t, result.ID, runs[len(runs)-1].ActionID)
			require.NoError(t, w.Settle(), "a failed action is no error of the unit")
		})
	}
}

func TestActionParametersAndResults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	w.on("sign", func(h *hook) int {
		require.JSONEq(t, `{"csr":"x","days":90,"deep":{"inner":"y"}}`, h.ok(t, "action-get", "--format", "json"), "with defaults")
		require.Equal(t, "y", h.ok(t, "action-get", "deep.inner"))
		require.Equal(t, "90", h.ok(t, "action-get", "days"))
		require.Equal(t, "null", h.ok(t, "action-get", "deep.inner.more", "--format", "json"))
		require.Equal(t, "null", h.ok(t, "action-get", "none", "--format", "json"))
		require.Equal(t, "null", h.ok(t, "action-get", "", "--format", "json"), "an empty path is a path")
		h.ok(t, "action-set", "a=scalar", "b.c= kept ", "b.d=2")
		h.ok(t, "action-set", "a.e=replaced")
		require.Equal(t, "ERROR no relation id specified\n", h.run("relation-list").stderr, "an action has no relation")
		return 0
	})
	result, err := w.RunAction("goca/0", "sign", map[string]any{"csr": "x", "deep": map[string]any{"inner": "y"}})
	require.NoError(t, err)
	require.Equal(t, "completed", result.Status, result.Message)
	require.Equal(t, map[string]any{
		"a": map[string]any{"e": "replaced"}, "b": map[string]any{"c": " kept ", "d": "2"}, "return-code": 0,
	}, result.Results)

	w.on("list", func(h *hook) int {
		require.Equal(t, "{}", h.ok(t, "action-get", "--format", "json"))
		h.ok(t, "action-fail")
		return 0
	})
	result, err = w.RunAction("goca/0", "list", nil)
	require.NoError(t, err)
	require.Equal(t, "action failed without reason given, check action for errors", result.Message)
}

func TestActionsThatAreNotQueued(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.6.11", "4.1"} {
		w := newWorld(t, jujusim.Options{Version: version})
		require.NoError(t, w.Deploy(w.archive, "goca", 1))
		_, err := w.RunAction("goca/0", "list", nil)
		require.ErrorContains(t, err, "not installed")
		require.NoError(t, w.Settle())
		_, err = w.RunAction("goca/0", "nope", nil)
		require.EqualError(t, err, `cannot run "nope" action: not defined`)
		_, err = w.RunAction("goca/0", "sign", nil)
		require.ErrorContains(t, err, `"csr" property is missing and required`)
		_, err = w.RunAction("goca/0", "sign", map[string]any{"csr": 1})
		require.ErrorContains(t, err, "validation failed")
		_, err = w.RunAction("goca/0", "sign", map[string]any{"csr": "x", "unknown": 1})
		require.Equal(t, version == "4.1", err != nil, "Juju 4 closes schemas")
		_, err = w.RunAction("goca/0", "list", map[string]any{"unknown": 1})
		require.NoError(t, err, "unless they say otherwise")
	}
}

func TestActionOutput(t *testing.T) {
	t.Parallel()
	m := newProcess(t, jujusim.Options{}, `[ "$JUJU_ACTION_NAME" = list ] && { echo out; printf '\377' >&2; exit 4; } || true`)
	require.NoError(t, m.Settle())
	result, err := m.RunAction("goca/0", "list", nil)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"stdout": "out\n", "stderr": "/w==", "stderr-encoding": "base64", "return-code": 4}, result.Results)
	require.Equal(t, "exit status 4", result.Message)
}

func TestKilledAction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	w.Intervene(killAt("list", 0, jujusim.KillCharm))
	w.on("list", func(h *hook) int { h.run("is-leader"); return 0 })
	result, err := w.RunAction("goca/0", "list", nil)
	require.NoError(t, err)
	require.Equal(t, "failed", result.Status)
	require.Equal(t, "signal: killed", result.Message)
	since := len(w.Hooks())
	require.NoError(t, w.Settle())
	require.Len(t, w.Hooks(), since, "an action never runs again")
}

func TestObserve(t *testing.T) {
	t.Parallel()
	var seen []string
	m, err := jujusim.New(jujusim.Options{
		Observe: func(run jujusim.HookRun) { seen = append(seen, run.Hook) },
		Program: func(context.Context, []string, string, io.Writer, io.Writer) int { return 0 },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	require.NoError(t, m.Deploy(packCharm(t, "#!/bin/sh\n"), "goca", 1))
	require.NoError(t, m.Settle())
	_, err = m.RunAction("goca/0", "list", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"install", "authority-relation-created", "leader-elected", "config-changed", "start", "list"}, seen)
}
