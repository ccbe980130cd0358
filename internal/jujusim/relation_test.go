// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// TestWhoReadsWhichBag is the table of permissions of relation-get.
func TestWhoReadsWhichBag(t *testing.T) {
	t.Parallel()
	const denied = "ERROR permission denied\n"
	for _, version := range versions {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(2)
		id := w.relate(1)
		require.NoError(t, w.AddStandIn("other", 1))
		require.NoError(t, w.SetBag(id, "web", map[string]string{"who": "web"}))
		require.NoError(t, w.SetBag(id, "web/0", map[string]string{"who": "web/0"}))
		require.NoError(t, w.Settle())
		w.during("goca/0", func(h *hook) {
			for _, relation := range []int{0, id} {
				h.ok(t, "relation-set", "-r", strconv.Itoa(relation), "who=goca/0")
				h.ok(t, "relation-set", "-r", strconv.Itoa(relation), "--app", "who=goca")
			}
		})
		w.during("goca/1", func(h *hook) {
			h.ok(t, "relation-set", "-r", strconv.Itoa(id), "who=goca/1")
			a := h.run("relation-set", "-r", "0", "--app", "a=b")
			require.Equal(t, answer{1, "", "ERROR cannot write relation settings\n", nil}, a)
		})
		require.NoError(t, w.Settle())

		ownByOther := denied
		if version == "4.1" {
			ownByOther = "goca"
		}
		provider := strconv.Itoa(id)
		tests := map[string]struct {
			args          []string
			leader, other string // a value, or what stderr holds
		}{
			"own unit":                         {[]string{"-r", provider, "who", "goca/0"}, "goca/0", "goca/0"},
			"sibling in a provider relation":   {[]string{"-r", provider, "who", "goca/1"}, "goca/1", "goca/1"},
			"own application, provider":        {[]string{"-r", provider, "--app", "who", "goca"}, "goca", ownByOther},
			"own application by a unit's name": {[]string{"-r", provider, "--app", "who", "goca/1"}, "goca", ownByOther},
			"own application, peer":            {[]string{"-r", "0", "--app", "who", "goca"}, "goca", "goca"},
			"sibling, peer":                    {[]string{"-r", "0", "who", "goca/0"}, "goca/0", "goca/0"},
			"remote unit":                      {[]string{"-r", provider, "who", "web/0"}, "web/0", "web/0"},
			"remote application":               {[]string{"-r", provider, "--app", "who", "web"}, "web", "web"},
			"stranger's unit":                  {[]string{"-r", provider, "who", "other/0"}, denied, denied},
			"stranger's application":           {[]string{"-r", provider, "--app", "who", "other"}, denied, denied},
			"unit that never joined":           {[]string{"-r", provider, "who", "web/9"}, "settings not found", "settings not found"},
			"nobody named":                     {[]string{"-r", provider, "who"}, "ERROR no unit or application specified\n", "ERROR no unit or application specified\n"},
		}
		for unit := range 2 {
			w.during("goca/"+strconv.Itoa(unit), func(h *hook) {
				for name, tc := range tests {
					want := []string{tc.leader, tc.other}[unit]
					got := h.run("relation-get", tc.args...)
					require.Contains(t, got.stdout+got.stderr, want, "%s by goca/%d on %s", name, unit, version)
				}
			})
		}
	}
}

func TestRelationToolsInRelationHooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	id := w.relate(2)
	number := strconv.Itoa(id)
	require.NoError(t, w.SetBag(id, "web/0", map[string]string{"a": "1"}))
	type look struct{ ids, list, bag string }
	seen := map[string]look{}
	w.charmed(func(h *hook) int {
		if strings.HasPrefix(h.name, "certificates-") {
			require.Equal(t, "certificates:"+number, h.env["JUJU_RELATION_ID"])
			require.Equal(t, "web", h.ok(t, "relation-list", "--app"))
			seen[h.name+h.env["JUJU_REMOTE_UNIT"]] = look{
				h.ok(t, "relation-ids", "--format", "json"), h.ok(t, "relation-list", "--format", "json"), h.run("relation-get", "a").stdout,
			}
		}
		return 0
	})
	require.NoError(t, w.Settle())
	present := `["certificates:` + number + `"]`
	require.Equal(t, look{present, `[]`, ""}, seen["certificates-relation-created"])
	require.Equal(t, look{present, `["web/0"]`, "1\n"}, seen["certificates-relation-joinedweb/0"], "a unit that joins is listed")
	require.Equal(t, look{present, `["web/0","web/1"]`, ""}, seen["certificates-relation-joinedweb/1"])

	require.NoError(t, w.RemoveRelation(id))
	require.NoError(t, w.Settle())
	require.Equal(t, look{present, `["web/1"]`, "1\n"}, seen["certificates-relation-departedweb/0"], "a unit that departs is not listed but can be read")
	require.Equal(t, look{present, `[]`, ""}, seen["certificates-relation-departedweb/1"])
	require.Equal(t, look{`[]`, `[]`, ""}, seen["certificates-relation-broken"], "a broken relation is not among the ids")
}

func TestBrokenRelationStaysListedWhileTheUnitGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	w.relate(1)
	require.NoError(t, w.Settle())
	w.on("certificates-relation-broken", func(h *hook) int {
		require.Equal(t, "certificates:1", h.ok(t, "relation-ids", "certificates"))
		return 0
	})
	require.NoError(t, w.RemoveUnit("goca/0"))
	require.NoError(t, w.Settle())
}

func TestOtherUnitsBagsAreCachedAcrossHooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	id := w.relate(2)
	require.NoError(t, w.Settle())
	read := func(h *hook) string { return h.ok(t, "relation-get", "-r", strconv.Itoa(id), "n", "web/1") }
	require.NoError(t, w.SetBag(id, "web/1", map[string]string{"n": "1"}))
	w.during("goca/0", func(h *hook) { require.Equal(t, "1", read(h)) })

	seen := map[string]string{}
	w.charmed(func(h *hook) int {
		seen[h.name+h.env["JUJU_REMOTE_UNIT"]] = read(h)
		return 0
	})
	require.NoError(t, w.SetBag(id, "web/0", map[string]string{"n": "2"}))
	require.NoError(t, w.SetBag(id, "web/1", map[string]string{"n": "2"}))
	require.NoError(t, w.Settle())
	require.Equal(t, "1", seen["certificates-relation-changedweb/0"], "an event about another unit does not renew it")
	require.Equal(t, "2", seen["certificates-relation-changedweb/1"])
}

func TestJujuWritesAddresses(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		w := newWorld(t, jujusim.Options{Version: version})
		id := w.newPair()
		for _, unit := range []string{"goca/0", "web/0"} {
			bag := w.Bag(id, unit)
			require.Contains(t, bag, "ingress-address")
			require.Equal(t, bag["ingress-address"]+"/32", bag["egress-subnets"])
			require.Equal(t, version != "4.1", bag["private-address"] != "", version)
		}
	}
}

func TestRelationSetValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	w.during("goca/0", func(h *hook) {
		h.ok(t, "relation-set", "-r", "0", " a = trimmed\n", "gone=1", "number=1")
		a := h.runWith(`{"pem":"text\n","a":"from file","quote":"\"<>\u2028","null":null,"kept":"1"}`, "relation-set", "-r", "0", "--file", "-", "number=2")
		require.Equal(t, answer{}, a)
		h.ok(t, "relation-set", "-r", "0", "gone=")
		require.JSONEq(t, `{"pem":"text\n","a":"from file","quote":"\"<>\u2028","kept":"1","number":"2","egress-subnets":"127.20.0.10/32","ingress-address":"127.20.0.10","private-address":"127.20.0.10"}`,
			h.ok(t, "relation-get", "-r", "0", "-", "goca/0", "--format", "json"))
		a = h.runWith(`{"a":["b"]}`, "relation-set", "-r", "0", "--file", "-")
		require.Equal(t, 1, a.code)
		require.Contains(t, a.stderr, "cannot unmarshal")
		a = h.runWith(`{"a":"\ud83d\ude00"}`, "relation-set", "-r", "0", "--file", "-")
		require.Contains(t, a.stderr, "invalid Unicode character escape code")
	})
	require.Equal(t, "text\n", w.Bag(0, "goca/0")["pem"])
	require.NotContains(t, w.Bag(0, "goca/0"), "gone")
}

func TestImpossibleStatesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	id := w.relate(1)
	relate := func(a, b string) error { _, err := w.Relate(a, b); return err }
	add := func(err error) func() error { return func() error { return err } }
	_, unknown := w.AddUnit("nobody")
	_, badVersion := jujusim.New(jujusim.Options{Version: "2.9.37"})
	require.NoError(t, w.AddStandIn("web2", 1))
	require.NoError(t, w.AddStandIn("ca", 1))
	require.NoError(t, w.AddStandIn("ca2", 1))
	require.NoError(t, relate("goca:upstream", "ca:certificates"))
	tests := map[string]struct {
		err  func() error
		want string
	}{
		"an old Juju":                       {add(badVersion), "only 3 and 4"},
		"a unit of nobody":                  {add(unknown), `no application "nobody"`},
		"the same application":              {func() error { return w.AddStandIn("goca", 1) }, "is in the model already"},
		"a bad name":                        {func() error { return w.AddStandIn("Web", 1) }, "invalid application name"},
		"an endpoint the charm lacks":       {func() error { return relate("goca:nope", "web2:x") }, `declares no endpoint "nope"`},
		"a peer endpoint":                   {func() error { return relate("goca:authority", "web2:x") }, "declares no endpoint"},
		"a relation that exists":            {func() error { return relate("web:certificates", "goca:certificates") }, "exists"},
		"a relation above the limit":        {func() error { return relate("goca:upstream", "ca2:certificates") }, "limit of 1"},
		"a relation with itself":            {func() error { return relate("goca:upstream", "goca:certificates") }, "to itself"},
		"a bag of the charm's":              {func() error { return w.SetBag(id, "goca", map[string]string{"a": "b"}) }, "its charm writes it"},
		"a bag of a unit that is not there": {func() error { return w.SetBag(id, "web/7", map[string]string{"a": "b"}) }, "not in relation"},
		"a bag of a stranger":               {func() error { return w.SetBag(id, "ca", map[string]string{"a": "b"}) }, "not part of relation"},
		"an option the charm lacks":         {func() error { return w.Configure("goca", map[string]any{"nope": 1}) }, `unknown option "nope"`},
		"an option of another type":         {func() error { return w.Configure("goca", map[string]any{"limit": "many"}) }, `option "limit" expected int`},
		"a secret option without a secret":  {func() error { return w.Configure("goca", map[string]any{"key": "hello"}) }, `option "key" expected secret`},
		"leadership of a stand-in":          {func() error { return w.SetLeader("web/0") }, "stand-in"},
		"a hook that state must cause":      {func() error { return w.Queue("goca/0", "certificates-relation-joined") }, "must follow from the model's state"},
		"removing a peer relation":          {func() error { return w.RemoveRelation(0) }, "peer relation"},
	}
	for name, tc := range tests {
		require.ErrorContains(t, tc.err(), tc.want, name)
	}
}

func TestCopiesAreDeep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	id := w.relate(1)
	mine := map[string]string{"a": "1"}
	require.NoError(t, w.SetBag(id, "web/0", mine))
	mine["a"] = "2"
	w.Bag(id, "web/0")["a"] = "3"
	require.Equal(t, "1", w.Bag(id, "web/0")["a"])
	w.during("goca/0", func(h *hook) { h.runWith("{}", "relation-set", "-r", "0", "--file", "-") })
	last := func() jujusim.Call { runs := w.Hooks(); return runs[len(runs)-1].Calls[0] }
	last().Args[0], last().Stdin[0] = "x", 'x'
	require.Equal(t, "-r", last().Args[0])
	require.Equal(t, "{}", string(last().Stdin))
}

func TestCrossModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	const app = "remote-0123456789abcdef0123456789abcdef"
	require.NoError(t, w.AddStandIn(app, 1))
	id, err := w.Relate("goca:certificates", app+":certificates")
	require.NoError(t, err)
	require.NoError(t, w.Settle())
	w.during("goca/0", func(h *hook) {
		require.Equal(t, app+"/0", h.ok(t, "relation-list", "-r", strconv.Itoa(id)))
		require.NotContains(t, h.ok(t, "relation-model-get", "-r", strconv.Itoa(id)), w.UUID())
		require.Contains(t, h.ok(t, "relation-model-get", "-r", "0"), w.UUID())
		require.NotContains(t, h.ok(t, "goal-state"), app)
	})
}
