// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// killAt kills the first run of a hook at one call.
func killAt(name string, index int, verdict jujusim.Verdict) func(jujusim.Call) jujusim.Intervention {
	return func(call jujusim.Call) jujusim.Intervention {
		if call.Hook == name && call.Attempt == 1 && call.Index == index {
			return jujusim.Intervention{Verdict: verdict}
		}
		return jujusim.Intervention{}
	}
}

func TestKilledProgram(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		verdict jujusim.Verdict
		served  bool
	}{
		"before the call is served": {jujusim.KillCharm, false},
		"after the call is served":  {jujusim.KillAfter, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jujusim.Options{})
			w.deploy(1)
			w.Intervene(killAt("config-changed", 1, tc.verdict))
			var broken []error
			w.on("config-changed", func(h *hook) int {
				h.run("relation-set", "-r", "0", "a=1")
				broken = append(broken, h.run("status-set", "active", "served").broken)
				h.run("relation-set", "-r", "0", "b=1")
				return 0
			})
			require.NoError(t, w.Configure("goca", map[string]any{"name": "x"}))
			since := len(w.Hooks())
			ran, err := w.Step()
			require.NoError(t, err)
			require.True(t, ran)
			run := w.Hooks()[since]
			require.True(t, run.Killed)
			require.Equal(t, -1, run.ExitCode)
			require.Len(t, run.Calls, 2)
			require.Error(t, broken[0], "the connection breaks")
			_, message := w.Status("goca/0")
			require.Equal(t, tc.served, message == "served")
			require.NotContains(t, w.Bag(0, "goca/0"), "a", "nothing buffered survives")

			require.NoError(t, w.Settle(), "the hook runs again as after a restart of the agent")
			require.Equal(t, []string{"config-changed", "config-changed"}, w.ran("goca/0", since))
			require.Equal(t, 2, w.Hooks()[since+1].Attempt)
			require.Contains(t, w.Bag(0, "goca/0"), "b")
		})
	}
}

func TestFailedCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	w.Intervene(func(call jujusim.Call) jujusim.Intervention {
		if call.Tool != "secret-get" {
			return jujusim.Intervention{}
		}
		return jujusim.Intervention{Verdict: jujusim.Fail, Stderr: "cannot reach the controller"}
	})
	w.during("goca/0", func(h *hook) {
		require.Equal(t, answer{1, "", "ERROR cannot reach the controller\n", nil}, h.run("secret-get", "--label", "ca"))
	})
	runs := w.Hooks()
	call := runs[len(runs)-1].Calls[0]
	require.Equal(t, 1, call.Code)
	require.Equal(t, "ERROR cannot reach the controller\n", call.Error)
}

func TestHookThatHangs(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context, _ []string, _ string, _, _ io.Writer) int { <-ctx.Done(); return 0 }
	for name, o := range map[string]jujusim.Options{
		"a function": {Program: hang},
		"a process":  {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.HookTimeout = 200 * time.Millisecond
			m, err := jujusim.New(o)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, m.Close()) })
			require.NoError(t, m.Deploy(packCharm(t, "#!/bin/sh\nexec sleep 100\n"), "goca", 1))
			require.ErrorContains(t, m.Settle(), "longer than Options.HookTimeout")
			require.True(t, m.Hooks()[0].Killed)
		})
	}
}

func TestHooksDoNotNest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	w.during("goca/0", func(*hook) {
		_, err := w.Step()
		require.ErrorContains(t, err, "another one is running")
		require.Error(t, w.Settle())
		_, err = w.RunAction("goca/0", "list", nil)
		require.Error(t, err)
	})
}

func TestCallsOfAnEndedHookAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	var old string
	w.during("goca/0", func(h *hook) { old = h.env["JUJU_CONTEXT_ID"] })
	w.during("goca/0", func(h *hook) {
		h.env["JUJU_CONTEXT_ID"] = old
		require.EqualError(t, h.run("is-leader").broken, `bad request: wrong context ID; got "`+old+`"`)
	})
}

func TestAnswersThatAreSpoilt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		verdict jujusim.Verdict
		want    string
	}{
		"half of it is lost": {jujusim.Truncate, `{"a":`},
		"it is garbage":      {jujusim.Garble, "\x00\xff\xfe{[\x80"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jujusim.Options{})
			w.deploy(1)
			w.Intervene(killAt("config-changed", 0, tc.verdict))
			w.on("config-changed", func(h *hook) int {
				require.Equal(t, answer{0, tc.want, "", nil}, h.run("state-get", "--format", "json"))
				return 0
			})
			w.during("goca/0", func(h *hook) { h.ok(t, "state-set", "a=12") })
			require.NoError(t, w.Configure("goca", map[string]any{"name": "x"}))
			require.NoError(t, w.Settle())
		})
	}
}

func TestAnAgentThatHangsUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		verdict jujusim.Verdict
		served  bool
	}{
		"before the call is served": {jujusim.HangUp, false},
		"after the call is served":  {jujusim.HangUpAfter, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jujusim.Options{})
			w.deploy(1)
			w.Intervene(killAt("config-changed", 0, tc.verdict))
			w.on("config-changed", func(h *hook) int {
				if h.run("status-set", "active", "served").broken == nil {
					return 2
				}
				if h.run("is-leader").broken == nil {
					return 3
				}
				return 0
			})
			require.NoError(t, w.Configure("goca", map[string]any{"name": "x"}))
			since := len(w.Hooks())
			require.NoError(t, w.Settle())
			require.Zero(t, w.Hooks()[since].ExitCode, "the connection breaks, and the charm goes on")
			_, message := w.Status("goca/0")
			require.Equal(t, tc.served, message == "served")
		})
	}
}
