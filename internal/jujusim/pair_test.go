// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// introduce is a charm that tells its name in every relation: each unit in
// its bag, the leader in the application's.
func introduce(t *testing.T) func(*hook) int {
	return func(h *hook) int {
		if !strings.HasSuffix(h.name, "-relation-created") {
			return 0
		}
		unit := h.env["JUJU_UNIT_NAME"]
		h.ok(t, "relation-set", "who="+unit)
		if h.ok(t, "is-leader") == "True" {
			application, _, _ := strings.Cut(unit, "/")
			h.ok(t, "relation-set", "--app", "who="+application)
		}
		return 0
	}
}

// deployChain deploys a CA "ca" and a CA "sub" below it and relates them.
func (w *world) deployChain(units int) int {
	w.t.Helper()
	require.NoError(w.t, w.Deploy(w.archive, "ca", units))
	require.NoError(w.t, w.Deploy(w.archive, "sub", units))
	require.NoError(w.t, w.Settle())
	id, err := w.Relate("sub:upstream", "ca:certificates")
	require.NoError(w.t, err)
	require.NoError(w.t, w.Settle())
	return id
}

func TestTwoCharmsSeeEachOther(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		w := newWorld(t, jujusim.Options{Version: version})
		w.charmed(introduce(t))
		id := w.deployChain(2)
		sides := []struct{ application, endpoint, remote string }{
			{"ca", "certificates", "sub"},
			{"sub", "upstream", "ca"},
		}
		for _, side := range sides {
			for _, unit := range w.Units(side.application) {
				ran := only(w.ran(unit, 0), side.endpoint+"-")
				require.Equal(t, side.endpoint+"-relation-created "+side.remote+":", ran[0])
				for _, remote := range w.Units(side.remote) {
					i := slices.Index(ran, side.endpoint+"-relation-joined "+side.remote+":"+remote)
					require.Positive(t, i, "%s on %s: %v", unit, version, ran)
					require.Equal(t, side.endpoint+"-relation-changed "+side.remote+":"+remote, ran[i+1], "joined is followed by changed")
				}
				require.Contains(t, ran, side.endpoint+"-relation-changed "+side.remote+":", "the application's bag")
				w.during(unit, func(h *hook) {
					number := strconv.Itoa(id)
					require.Equal(t, side.endpoint+":"+number, h.ok(t, "relation-ids", side.endpoint))
					require.Equal(t, side.remote, h.ok(t, "relation-list", "-r", number, "--app"))
					require.Equal(t, side.remote+"/0\n"+side.remote+"/1", h.ok(t, "relation-list", "-r", number))
					require.Equal(t, side.remote+"/1", h.ok(t, "relation-get", "-r", number, "who", side.remote+"/1"))
					require.Equal(t, side.remote, h.ok(t, "relation-get", "-r", number, "--app", "who", side.remote))
				})
			}
		}
		require.Equal(t, "ca", w.Bag(id, "ca")["who"])
		require.Equal(t, "sub/1", w.Bag(id, "sub/1")["who"])
	}
}

func TestTwoCharmsWakeEachOther(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		w := newWorld(t, jujusim.Options{Version: version})
		id := w.deployChain(2)
		write := func(unit string, args ...string) func() {
			return func() {
				w.during(unit, func(h *hook) { h.ok(t, "relation-set", append([]string{"-r", strconv.Itoa(id)}, args...)...) })
			}
		}
		for _, tc := range []struct {
			change  func()
			ca, sub []string // of each unit
		}{
			{write("sub/1", "csr=1"), []string{"certificates-relation-changed sub:sub/1"}, nil},
			{write("sub/1", "csr=1"), nil, nil},
			{write("ca/0", "--app", "certificate=1"), nil, []string{"upstream-relation-changed ca:"}},
			{write("sub/0", "--app", "csr=2"), []string{"certificates-relation-changed sub:"}, nil},
		} {
			since := len(w.Hooks())
			tc.change()
			require.NoError(t, w.Settle())
			for _, n := range []string{"0", "1"} {
				require.Equal(t, tc.ca, relationHooks(w.ran("ca/"+n, since)), version)
				require.Equal(t, tc.sub, relationHooks(w.ran("sub/"+n, since)), version)
			}
		}
		err := w.attempt("sub/1", func(h *hook) int { return h.run("relation-set", "-r", strconv.Itoa(id), "--app", "a=b").code })
		require.Error(t, err, "only the leader writes the application's bag")
	}
}

// relationHooks leaves out the hooks that a test queued.
func relationHooks(names []string) []string {
	var left []string
	for _, name := range names {
		if strings.Contains(name, "-relation-") {
			left = append(left, name)
		}
	}
	return left
}

func TestTwoCharmsPart(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		w := newWorld(t, jujusim.Options{Version: version})
		id := w.deployChain(2)

		since := len(w.Hooks())
		require.NoError(t, w.RemoveUnit("sub/1"))
		require.NoError(t, w.Settle())
		require.Equal(t, []string{
			"upstream-relation-departed ca:ca/0 departing sub/1",
			"upstream-relation-departed ca:ca/1 departing sub/1",
			"upstream-relation-broken ca:",
		}, only(w.ran("sub/1", since), "upstream-"))
		require.Empty(t, only(w.ran("sub/0", since), "upstream-"), "its sibling stays related")
		for _, unit := range w.Units("ca") {
			require.Equal(t, []string{"certificates-relation-departed sub:sub/1 departing sub/1"}, w.ran(unit, since))
		}

		since = len(w.Hooks())
		require.NoError(t, w.RemoveRelation(id))
		_, err := w.Relate("sub:upstream", "ca:certificates")
		require.ErrorContains(t, err, "exists", "it is there until its last unit has left")
		require.NoError(t, w.Settle())
		require.Equal(t, []string{
			"upstream-relation-departed ca:ca/0 departing ca/0",
			"upstream-relation-departed ca:ca/1 departing ca/1",
			"upstream-relation-broken ca:",
		}, w.ran("sub/0", since))
		for _, unit := range w.Units("ca") {
			require.Equal(t, []string{
				"certificates-relation-departed sub:sub/0 departing sub/0",
				"certificates-relation-broken sub:",
			}, w.ran(unit, since))
		}
		require.Nil(t, w.Bag(id, "ca"))

		w.charmed(introduce(t))
		again, err := w.Relate("ca:certificates", "sub:upstream")
		require.NoError(t, err)
		require.Greater(t, again, id, "numbers are not used again")
		require.NoError(t, w.Settle())
		require.Equal(t, "sub/0", w.Bag(again, "sub/0")["who"])
		require.Equal(t, "ca", w.Bag(again, "ca")["who"])
	}
}

func TestLimitOfAnEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	id := w.deployChain(1)
	for _, name := range []string{"ca2", "sub2"} {
		require.NoError(t, w.Deploy(w.archive, name, 1))
	}
	const exceeded = "establishing a new relation for sub:upstream would exceed its maximum relation limit of 1"
	_, err := w.Relate("sub:upstream", "ca2:certificates")
	require.ErrorContains(t, err, exceeded)
	_, err = w.Relate("ca:certificates", "sub2:upstream")
	require.NoError(t, err, "the other side has no limit")
	require.NoError(t, w.AddStandIn("web", 1))
	below, err := w.Relate("sub:certificates", "web:certificates")
	require.NoError(t, err, "nor has another endpoint of the same application")
	require.NoError(t, w.Settle())
	w.during("sub/0", func(h *hook) {
		require.Equal(t, "upstream:"+strconv.Itoa(id), h.ok(t, "relation-ids", "upstream"))
		require.Equal(t, "certificates:"+strconv.Itoa(below), h.ok(t, "relation-ids", "certificates"))
	})

	require.NoError(t, w.RemoveRelation(id))
	_, err = w.Relate("sub:upstream", "ca2:certificates")
	require.ErrorContains(t, err, exceeded, "a relation that is being removed counts")
	require.NoError(t, w.Settle())
	_, err = w.Relate("sub:upstream", "ca2:certificates")
	require.NoError(t, err)
}

// TestTwoProcesses runs two charms that are shell scripts: one asks in its
// units' bags, the other answers in its application's.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	const script = `#!/bin/sh
export GORACE=atexit_sleep_ms=0
set -e
case "$JUJU_HOOK_NAME:$JUJU_REMOTE_UNIT" in
upstream-relation-joined:*) relation-set "csr=of-$JUJU_UNIT_NAME" ;;
certificates-relation-changed:?*) relation-set --app "certificate=for-$(relation-get csr)" ;;
upstream-relation-changed:) status-set active "$(relation-get --app certificate ca)" ;;
upstream-relation-broken:) status-set blocked gone ;;
esac
`
	m, err := jujusim.New(jujusim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	archive := packCharm(t, script)
	require.NoError(t, m.Deploy(archive, "ca", 1))
	require.NoError(t, m.Deploy(archive, "sub", 1))
	id, err := m.Relate("sub:upstream", "ca:certificates")
	require.NoError(t, err)
	require.NoError(t, m.Settle())
	status, message := m.Status("sub/0")
	require.Equal(t, "active for-of-sub/0", status+" "+message)
	require.NoError(t, m.RemoveRelation(id))
	require.NoError(t, m.Settle())
	status, message = m.Status("sub/0")
	require.Equal(t, "blocked gone", status+" "+message)
}
