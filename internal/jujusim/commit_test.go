// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

func TestWritesAreBufferedUntilTheHookEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	write := func(h *hook) {
		h.ok(t, "relation-set", "-r", "0", "a=1")
		h.ok(t, "relation-set", "-r", "0", "--app", "b=1")
		h.ok(t, "state-set", "c=1")
		h.ok(t, "open-port", "80")
		h.ok(t, "secret-add", "--label", "d", "key=value")
		h.ok(t, "status-set", "active", "early")
		h.ok(t, "application-version-set", "1.0")
		require.Equal(t, "1", h.ok(t, "relation-get", "-r", "0", "a", "goca/0"))
		require.Equal(t, "1", h.ok(t, "relation-get", "-r", "0", "--app", "b", "goca"))
		require.Equal(t, "1", h.ok(t, "state-get", "c"))
		require.Equal(t, "80/tcp", h.ok(t, "opened-ports"))
		require.Equal(t, "key: value", h.ok(t, "secret-get", "--label", "d"))
		require.Empty(t, w.Bag(0, "goca"))
		require.NotContains(t, w.Bag(0, "goca/0"), "a")
		require.Empty(t, w.Secrets())
	}
	require.Error(t, w.attempt("goca/0", func(h *hook) int { write(h); return 1 }))
	require.Empty(t, w.Bag(0, "goca"), "a failed hook leaves nothing")
	require.Empty(t, w.Secrets())
	_, message := w.Status("goca/0")
	require.Equal(t, "early", message, "but its status")

	w.on("update-status", func(h *hook) int {
		require.Empty(t, h.ok(t, "state-get", "c"))
		require.Empty(t, h.ok(t, "opened-ports"))
		write(h)
		return 0
	})
	require.NoError(t, w.Settle(), "the hook is retried")
	require.Equal(t, map[string]string{"b": "1"}, w.Bag(0, "goca"))
	require.Equal(t, "1", w.Bag(0, "goca/0")["a"])
	require.Len(t, w.Secrets(), 1)
	w.during("goca/0", func(h *hook) {
		require.Equal(t, "1", h.ok(t, "state-get", "c"))
		require.Equal(t, "80/tcp", h.ok(t, "opened-ports"))
	})
	runs := w.Hooks()
	require.Equal(t, 7, runs[len(runs)-3].Writes, "%v", runs[len(runs)-3])
}

func TestLeadershipIsLostWithinAHook(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run("on "+version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jujusim.Options{Version: version})
			w.deploy(2)
			depose := func() { require.NoError(t, w.SetLeader("goca/1")) }
			w.Intervene(func(call jujusim.Call) jujusim.Intervention {
				if call.Tool == "juju-log" && call.Args[0] == "now" {
					return jujusim.Intervention{Meanwhile: depose}
				}
				return jujusim.Intervention{}
			})
			err := w.attempt("goca/0", func(h *hook) int {
				require.Equal(t, "true", h.ok(t, "is-leader", "--format", "json"))
				h.ok(t, "relation-set", "-r", "0", "--app", "a=1")
				h.ok(t, "juju-log", "now")
				if h.env["JUJU_CONTEXT_ID"] != "" && h.run("is-leader").stdout == "False\n" {
					require.NoError(t, w.SetLeader("goca/0"))
					require.Equal(t, "False\n", h.run("is-leader").stdout, "a hook that saw itself deposed stays so")
					require.Equal(t, 1, h.run("relation-set", "-r", "0", "--app", "a=1").code)
					require.Equal(t, "ERROR this unit is not the leader\n", h.run("secret-add", "key=value").stderr)
					require.Equal(t, "ERROR this unit is not the leader\n", h.run("status-set", "--application", "active").stderr)
					require.Equal(t, "ERROR finding application status: this unit is not the leader\n", h.run("status-get", "--application").stderr)
					require.NoError(t, w.SetLeader("goca/1"))
				}
				return 0
			})
			require.ErrorContains(t, err, `"goca/0" is not leader of "goca"`)
			require.Equal(t, version != "4.1", strings.Contains(err.Error(), "checking leadership continuity"))
			require.Empty(t, w.Bag(0, "goca"))
			runs := w.Hooks()
			require.Contains(t, runs[len(runs)-1].CommitError, "is not leader of")
			require.NoError(t, w.Settle(), "the retry finds a minion, writes nothing and ends well")
		})
	}
}

// TestCommitFaults shows what each Juju leaves behind of a commit that broke
// in the middle.
func TestCommitFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		version       string
		fault         jujusim.CommitFault
		secrets, bags bool
	}{
		"3.5 stores secrets first":              {"3.5.4", jujusim.RefuseCommit, true, false},
		"3.6 stores secrets first":              {"3.6.11", jujusim.RefuseCommit, true, false},
		"3.6 stores secrets before it dies":     {"3.6.11", jujusim.AgentDies, true, false},
		"3.6 stores all before the agent dies":  {"3.6.11", jujusim.AgentDiesAfter, true, true},
		"4.1 stores nothing":                    {"4.1", jujusim.RefuseCommit, false, false},
		"4.1 stores nothing before it dies":     {"4.1", jujusim.AgentDies, false, false},
		"4.1 stores all before the agent dies ": {"4.1", jujusim.AgentDiesAfter, true, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jujusim.Options{Version: tc.version})
			w.deploy(1)
			once := true
			w.FailCommit(func(run jujusim.HookRun) jujusim.CommitFault {
				if !once || run.Hook != "update-status" {
					return jujusim.NoFault
				}
				once = false
				return tc.fault
			})
			w.on("update-status", func(h *hook) int {
				h.ok(t, "secret-add", "--label", "ca", "key=value")
				h.ok(t, "relation-set", "-r", "0", "--app", "ca=1")
				return 0
			})
			require.ErrorContains(t, w.UpdateStatus("goca/0"), "jujusim: the ")
			require.Equal(t, tc.secrets, len(w.Secrets()) == 1)
			require.Equal(t, tc.bags, w.Bag(0, "goca")["ca"] == "1")
			err := w.Settle()
			if tc.secrets {
				require.ErrorContains(t, err, "already exists", "the retry adds the label again")
				return
			}
			require.NoError(t, err)
			require.Equal(t, "1", w.Bag(0, "goca")["ca"])
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	const large = 16 << 20
	for _, version := range []string{"3.6.11", "4.1"} {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(1)
		err := w.attempt("goca/0", func(h *hook) int {
			a := h.runWith(`{"a":"`+strings.Repeat("x", large)+`"}`, "relation-set", "-r", "0", "--file", "-")
			require.Equal(t, 0, a.code, "the limit is found by the commit")
			return 0
		})
		require.ErrorContains(t, err, "max allowed size (16777216) exceeded")
	}
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	w.during("goca/0", func(h *hook) {
		require.Equal(t, "ERROR max allowed key length (256) exceeded\n", h.run("state-set", strings.Repeat("k", 257)+"=1").stderr)
		require.Equal(t, "ERROR max allowed value length (65536) exceeded\n", h.run("state-set", "k="+strings.Repeat("v", 65537)).stderr)
	})
	err := w.attempt("goca/0", func(h *hook) int {
		for i := range 33 {
			h.ok(t, "state-set", strings.Repeat("k", i+1)+"="+strings.Repeat("v", 65536))
		}
		return 0
	})
	require.ErrorContains(t, err, "persisting charm state: max allowed size (2097152) exceeded")
}
