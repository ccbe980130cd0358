// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

var versions = []string{"3.5.4", "3.6.11", "4.1"}

func TestLifeCycle(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run("on "+version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jujusim.Options{Version: version})
			id := w.newPair()

			leader := []string{"install", "certificates-relation-created web:", "authority-relation-created goca:", "leader-elected", "config-changed", "start"}
			other := []string{"install", "certificates-relation-created web:", "authority-relation-created goca:"}
			if version != "4.1" {
				other = append(other, "leader-settings-changed")
			}
			other = append(other, "config-changed", "start")
			require.ElementsMatch(t, leader[:3], w.ran("goca/0", 0)[:3])
			require.Equal(t, leader[3:], w.ran("goca/0", 0)[3:6])
			require.ElementsMatch(t, other[:3], w.ran("goca/1", 0)[:3])
			require.Equal(t, other[3:], w.ran("goca/1", 0)[3:len(other)])

			joined := []string{
				"certificates-relation-joined web:web/0", "certificates-relation-changed web:web/0",
				"authority-relation-joined goca:goca/1", "authority-relation-changed goca:goca/1",
			}
			require.ElementsMatch(t, joined, w.ran("goca/0", 0)[6:])
			if version != "3.5.4" {
				require.Equal(t, joined[:2], w.ran("goca/0", 0)[6:8], "peers come last")
			}
			w.checkChanges(id)
			w.checkEnd(id)
		})
	}
}

// newPair deploys two units that are related to one of web.
func (w *world) newPair() int {
	require.NoError(w.t, w.Deploy(w.archive, "goca", 2))
	id := w.relate(1)
	require.NoError(w.t, w.Settle())
	return id
}

// expect settles and compares what ran on a unit.
func (w *world) expect(unit string, change func() error, want ...string) {
	w.t.Helper()
	since := len(w.Hooks())
	require.NoError(w.t, change())
	require.NoError(w.t, w.Settle())
	require.Equal(w.t, want, w.ran(unit, since))
}

func (w *world) checkChanges(id int) {
	w.expect("goca/0", func() error { return w.Configure("goca", map[string]any{"name": "x"}) }, "config-changed")
	w.expect("goca/0", func() error { return w.Configure("goca", map[string]any{"name": "x"}) })
	w.expect("goca/0", func() error { return w.Queue("goca/0", "upgrade-charm") }, "upgrade-charm", "config-changed")
	w.expect("goca/0", func() error { return w.Refresh("goca", w.archive) }, "upgrade-charm", "config-changed")
	w.expect("goca/0", func() error { return w.Queue("goca/0", "start") }, "start")
	w.expect("goca/1", func() error { return w.SetLeader("goca/1") }, "leader-elected")
	w.expect("goca/0", func() error { return w.SetBag(id, "web", map[string]string{"a": "b"}) },
		"certificates-relation-changed web:")
	w.expect("goca/0", func() error {
		_, err := w.AddUnit("web")
		return err
	}, "certificates-relation-joined web:web/1", "certificates-relation-changed web:web/1")
	w.expect("goca/0", func() error { return w.RemoveUnit("web/1") }, "certificates-relation-departed web:web/1 departing web/1")
}

func (w *world) checkEnd(id int) {
	since := len(w.Hooks())
	require.NoError(w.t, w.RemoveUnit("goca/1"))
	require.NoError(w.t, w.Settle())
	ran := w.ran("goca/1", since)
	require.Equal(w.t, []string{"certificates-relation-departed web:web/0 departing goca/1", "certificates-relation-broken web:"}, only(ran, "certificates-"))
	require.Equal(w.t, []string{"authority-relation-departed goca:goca/0 departing goca/1"}, only(ran, "authority-"), "a peer relation never breaks")
	require.Equal(w.t, []string{"stop", "remove"}, ran[3:])
	require.Equal(w.t, "goca/0", w.Leader("goca"), "the dead leader's office goes to the living")
	require.Contains(w.t, w.ran("goca/0", since), "authority-relation-departed goca:goca/1 departing goca/1")
	require.Contains(w.t, w.ran("goca/0", since), "leader-elected")

	w.expect("goca/0", func() error { return w.RemoveRelation(id) },
		"certificates-relation-departed web:web/0 departing web/0", "certificates-relation-broken web:")
	require.Nil(w.t, w.Bag(id, "web/0"), "the relation is gone with its last unit")
	w.expect("goca/0", func() error { return w.RemoveUnit("goca/0") }, "stop", "remove")
	require.Empty(w.t, w.Units("goca"))
	require.Empty(w.t, w.Leader("goca"))
}

func only(names []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

func TestEventsAreDifferencesOfState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	id := w.relate(1)
	require.NoError(t, w.Settle())

	t.Run("many changes make one event", func(t *testing.T) {
		w.expect("goca/0", func() error {
			for _, value := range []string{"1", "2", "3"} {
				require.NoError(t, w.SetBag(id, "web/0", map[string]string{"n": value}))
			}
			return nil
		}, "certificates-relation-changed web:web/0")
	})
	t.Run("a write of what is there makes none", func(t *testing.T) {
		w.expect("goca/0", func() error { return w.SetBag(id, "web/0", map[string]string{"n": "3", "absent": ""}) })
	})
	t.Run("the application comes before a joining unit", func(t *testing.T) {
		w.expect("goca/0", func() error {
			_, err := w.AddUnit("web")
			require.NoError(t, err)
			return w.SetBag(id, "web", map[string]string{"app": "1"})
		}, "certificates-relation-changed web:", "certificates-relation-joined web:web/1", "certificates-relation-changed web:web/1")
	})
	t.Run("a unit that comes and goes between hooks makes none", func(t *testing.T) {
		w.expect("goca/0", func() error {
			name, err := w.AddUnit("web")
			require.NoError(t, err)
			return w.RemoveUnit(name)
		})
	})
	t.Run("a change during the hook makes another event", func(t *testing.T) {
		once := true
		w.on("certificates-relation-changed", func(*hook) int {
			if once {
				once = false
				require.NoError(t, w.SetBag(id, "web/0", map[string]string{"n": "5"}))
			}
			return 0
		})
		w.expect("goca/0", func() error { return w.SetBag(id, "web/0", map[string]string{"n": "4"}) },
			"certificates-relation-changed web:web/0", "certificates-relation-changed web:web/0")
	})
}

func TestPeerApplicationDataWakesTheWriterToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(2)
	since := len(w.Hooks())
	w.during("goca/0", func(h *hook) {
		h.ok(t, "relation-set", "-r", "0", "--app", "epoch=1")
		h.ok(t, "relation-set", "-r", "0", "unit=1")
	})
	require.NoError(t, w.Settle())
	require.Equal(t, []string{"update-status", "authority-relation-changed goca:"}, w.ran("goca/0", since))
	require.ElementsMatch(t, []string{"authority-relation-changed goca:", "authority-relation-changed goca:goca/0"}, w.ran("goca/1", since))
}

func TestHookInError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	id := w.relate(1)
	broken, ids := true, map[string]bool{}
	w.charmed(func(h *hook) int {
		if h.name == "certificates-relation-joined" {
			ids[h.env["JUJU_CONTEXT_ID"]] = true
			h.run("juju-log", "about to fail")
			h.run("status-set", "blocked", errStillBroken.Error())
			if broken {
				return 7
			}
		}
		return 0
	})
	err := w.Settle()
	require.ErrorContains(t, err, `unit "goca/0" is in error: hook "certificates-relation-joined" failed: exit status 7`)
	require.ErrorContains(t, err, "about to fail")
	name, message := w.Status("goca/0")
	require.Equal(t, "blocked still broken", name+" "+message, "a status is set at once")

	since := len(w.Hooks())
	require.NoError(t, w.Configure("goca", map[string]any{"name": "other"}))
	require.NoError(t, w.RemoveUnit("web/0"))
	result, err := w.RunAction("goca/0", "list", nil)
	require.NoError(t, err, "actions run while the unit is in error")
	require.Equal(t, "completed", result.Status)
	require.Error(t, w.Settle())
	broken = false
	require.NoError(t, w.Settle())
	require.Equal(t, []string{
		"list", "certificates-relation-joined web:web/0", "certificates-relation-joined web:web/0",
		"config-changed", "certificates-relation-changed web:web/0", "certificates-relation-departed web:web/0 departing web/0",
	}, w.ran("goca/0", since), "the same hook first, then what changed meanwhile")
	require.Len(t, ids, 3, "each attempt has its own context")
	require.Equal(t, 3, w.Hooks()[since+2].Attempt)
	require.NotNil(t, w.Bag(id, "web/0"), "a departed unit's bag stays readable")
}

func TestUpdateStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	require.NoError(t, w.Configure("goca", map[string]any{"debug": true}))
	since := len(w.Hooks())
	require.NoError(t, w.UpdateStatus("goca/0"))
	require.Equal(t, []string{"config-changed", "update-status"}, w.ran("goca/0", since), "it runs only when nothing else is pending")
}

func TestStatusAroundHooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	seen := map[string]string{}
	w.charmed(func(h *hook) int {
		seen[h.name] = h.ok(t, "status-get", "--include-data", "--format", "json")
		return 0
	})
	w.deploy(1)
	name, _ := w.Status("goca/0")
	require.Equal(t, "unknown", name, "a charm that never said is unknown after start")
	require.NoError(t, w.RemoveUnit("goca/0"))
	require.NoError(t, w.Settle())
	require.Contains(t, seen["install"], `"message":"installing charm software","status":"maintenance"`)
	require.Contains(t, seen["stop"], `"message":"stopping charm software"`)
	require.Contains(t, seen["remove"], `"message":"cleaning up prior to charm deletion"`)
}

func TestRelationsAreUnknownUntilInstalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.on("install", func(h *hook) int {
		require.Equal(t, "[]", h.ok(t, "relation-ids", "authority", "--format", "json"))
		return 0
	})
	w.deploy(1)
}

func TestSeedsOrderDifferently(t *testing.T) {
	t.Parallel()
	order := func(seed uint64) []string {
		w := newWorld(t, jujusim.Options{Seed: seed, Now: func() time.Time { return time.Unix(0, 0) }})
		w.deploy(3)
		var names []string
		for _, run := range w.Hooks() {
			names = append(names, run.Unit+run.Hook)
		}
		return names
	}
	require.Equal(t, order(1), order(1))
	require.NotEqual(t, order(1), order(2))
}

func TestSettleEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	w.charmed(func(h *hook) int {
		h.run("relation-set", "-r", "0", "--app", "n="+h.env["JUJU_CONTEXT_ID"])
		return 0
	})
	require.NoError(t, w.Queue("goca/0", "update-status"))
	require.ErrorContains(t, w.Settle(), "does not settle")
}
