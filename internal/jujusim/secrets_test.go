// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// clock is a model's time, moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// addSecret lets the leader add a secret and returns its bare id.
func (w *world) addSecret(args ...string) string {
	w.t.Helper()
	var uri string
	w.during("goca/0", func(h *hook) { uri = h.ok(w.t, "secret-add", args...) })
	return uri[len(uri)-20:]
}

func TestSecretSpellings(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"3.5.4": `^secret:[0-9a-v]{20}$`, "3.6.11": `^secret://[0-9a-f-]{36}/[0-9a-v]{20}$`, "4.1": `^secret://[0-9a-f-]{36}/[0-9a-v]{20}$`} {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(1)
		var uri string
		w.during("goca/0", func(h *hook) {
			require.Equal(t, "null", h.ok(t, "secret-ids", "--format", "json"))
			uri = h.ok(t, "secret-add", "--label", "ca", "key=value")
		})
		require.Regexp(t, want, uri)
		id := uri[len(uri)-20:]
		w.during("goca/0", func(h *hook) {
			require.Equal(t, `["`+id+`"]`, h.ok(t, "secret-ids", "--format", "json"))
			for _, spelled := range []string{id, "secret:" + id, "secret://" + w.UUID() + "/" + id, "secret:" + w.UUID() + "/" + id} {
				require.Equal(t, "value", h.ok(t, "secret-get", spelled, "key"))
			}
		})
		require.Equal(t, map[string]string{"key": "value"}, w.SecretContent(uri))
	}
}

func TestWhoReadsAndManagesSecrets(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(2)
		id := w.addSecret("--label", "ca", "key=value")
		w.during("goca/1", func(h *hook) {
			require.Equal(t, "key: value", h.ok(t, "secret-get", "--label", "ca"), "every unit reads by the owner's label")
			require.Equal(t, "null", h.ok(t, "secret-ids", "--format", "json"), "but does not see it as its own")
			require.Equal(t, "ERROR secret \"ca\" not found\n", h.run("secret-info-get", "--label", "ca").stderr)
			require.Equal(t, "ERROR this unit is not the leader\n", h.run("secret-add", "key=value").stderr)
			require.Equal(t, "ERROR secret \""+id+"\" not found\n", h.run("secret-grant", id, "-r", "0").stderr)
			h.ok(t, "secret-add", "--owner", "unit", "--label", "mine", "key=value")
			want := "ERROR consumer label \"none\" not found\n"
			if version == "4.1" {
				want = "ERROR secret URI for consumer label \"none\" not found\n"
			}
			require.Equal(t, answer{1, "", want, nil}, h.run("secret-get", "--label", "none"))
		})
		w.during("goca/0", func(h *hook) {
			require.Equal(t, 1, h.run("secret-get", "--label", "mine").code, "a unit's secret is its own, the leader included")
		})
		for _, tool := range []string{"secret-set", "secret-remove"} {
			err := w.attempt("goca/1", func(h *hook) int {
				args := []string{id}
				if tool == "secret-set" {
					args = append(args, "key=other")
				}
				h.ok(t, tool, args...)
				return 0
			})
			require.ErrorContains(t, err, `"goca/1" is not leader of "goca"`, "%s of a minion is refused by the commit", tool)
			require.NoError(t, w.Settle())
		}
		require.NoError(t, w.RemoveUnit("goca/1"))
		require.NoError(t, w.Settle())
		require.Len(t, w.Secrets(), 1, "a unit's secrets go with it")
	}
}

func TestSecretLabelsShareANameSpace(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"3.5.4":  `creating secrets: secret with label "ca" already exists`,
		"3.6.11": `creating secrets: secret label "ca" for owner "application-goca" already exists`,
	} {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(1)
		w.addSecret("--label", "ca", "key=value")
		err := w.attempt("goca/0", func(h *hook) int {
			require.Equal(t, 0, h.run("secret-add", "--label", "ca", "key=value").code)
			require.Equal(t, "ERROR secret with label \"ca\" already exists\n", h.run("secret-add", "--label", "ca", "key=value").stderr)
			return 0
		})
		require.ErrorContains(t, err, want)
		require.NoError(t, w.Settle())
		require.Error(t, w.attempt("goca/0", func(h *hook) int {
			return h.run("secret-add", "--owner", "unit", "--label", "ca", "key=value").code
		}), "nor may a unit use it")
		require.Len(t, w.Secrets(), 1)
	}
}

func TestSecretUpdates(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(1)
		id := w.addSecret("--label", "ca", "--description", "first", "--expire", "2030-01-01T00:00:00Z", "key=one", "cert=c")
		w.during("goca/0", func(h *hook) {
			require.JSONEq(t, `{"`+id+`":{"revision":1,"label":"ca","owner":"application","description":"first","rotation":"never","expiry":"2030-01-01T00:00:00Z"}}`,
				h.ok(t, "secret-info-get", id, "--format", "json"))
			h.ok(t, "secret-set", id, "key=two")
			require.Contains(t, h.ok(t, "secret-info-get", "--label", "ca"), "revision: 1", "a pending update does not raise it")
			require.Equal(t, "one", h.ok(t, "secret-get", id, "key"))
			require.Equal(t, "two", h.ok(t, "secret-get", id, "key", "--peek"))
		})
		w.during("goca/0", func(h *hook) {
			require.Equal(t, "one", h.ok(t, "secret-get", id, "key"), "the tracked revision")
			require.Equal(t, "two", h.ok(t, "secret-get", id, "key", "--peek"))
			require.Equal(t, "one", h.ok(t, "secret-get", id, "key"))
			require.Equal(t, "key: two", h.ok(t, "secret-get", id, "--refresh"), "content is replaced as a whole")
			require.Equal(t, "two", h.ok(t, "secret-get", id, "key"))
			require.NotContains(t, h.ok(t, "secret-info-get", id), "expiry", "a new revision does not expire")
			h.ok(t, "secret-set", id, "key=two")
		})
		same := []int{1, 2}
		if version == "3.5.4" {
			same = []int{1, 2, 3}
		}
		require.Equal(t, same, w.Secrets()[0].Revisions, "the same content on "+version)

		w.during("goca/0", func(h *hook) {
			h.ok(t, "secret-set", id, "--description", "second")
			h.ok(t, "secret-set", id, "--label", "renamed")
		})
		view := w.Secrets()[0]
		require.Equal(t, "renamed", view.Label)
		require.Equal(t, version == "3.5.4", view.Description == "first", "a second secret-set replaces or joins the first")
	}
}

func TestSecretRemovals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	id := w.addSecret("key=one")
	w.during("goca/0", func(h *hook) { h.ok(t, "secret-set", id, "key=two") })
	w.during("goca/0", func(h *hook) {
		h.ok(t, "secret-remove", id, "--revision", "1")
		require.Equal(t, 1, h.run("secret-info-get", id).code, "a pending removal hides the secret")
	})
	require.Equal(t, []int{2}, w.Secrets()[0].Revisions)
	w.during("goca/0", func(h *hook) { h.ok(t, "secret-remove", id, "--revision", "2") })
	require.Empty(t, w.Secrets(), "the last revision takes the secret with it")
	w.during("goca/0", func(h *hook) {
		h.ok(t, "secret-remove", id)
		require.Equal(t, "ERROR secret \""+id+"\" not found\n", h.run("secret-get", id).stderr)
	})
	old := newWorld(t, jujusim.Options{Version: "3.5.4"})
	old.deploy(1)
	require.ErrorContains(t, old.attempt("goca/0", func(h *hook) int { return h.run("secret-remove", id).code }), "removing secrets")
}

// TestRemovalAndItsCommit: Juju 3 removes a secret although the rest of the
// hook is lost, so that the retry finds no label.
func TestRemovalAndItsCommit(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run("on "+version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, jujusim.Options{Version: version})
			w.deploy(1)
			id := w.addSecret("--label", "ca", "key=one")
			refused := false
			w.FailCommit(func(run jujusim.HookRun) jujusim.CommitFault {
				if refused {
					return jujusim.NoFault
				}
				refused = true
				return jujusim.RefuseCommit
			})
			var found []bool
			w.on("update-status", func(h *hook) int {
				a := h.run("secret-info-get", "--label", "ca")
				found = append(found, a.code == 0)
				if a.code == 0 {
					h.ok(t, "secret-remove", id)
					require.Equal(t, "ERROR secret \"ca\" not found\n", h.run("secret-info-get", "--label", "ca").stderr)
				}
				h.ok(t, "relation-set", "-r", "0", "--app", "destroyed=1")
				return 0
			})
			require.Error(t, w.UpdateStatus("goca/0"))
			kept := version == "4.1"
			require.Equal(t, kept, len(w.Secrets()) == 1)
			require.Empty(t, w.Bag(0, "goca"))
			require.NoError(t, w.Settle())
			require.Equal(t, []bool{true, kept}, found)
			require.Empty(t, w.Secrets())
			require.Equal(t, "1", w.Bag(0, "goca")["destroyed"])
		})
	}
}

func TestALabelIsFreeOnceItsSecretIsRemoved(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(2)
		id := w.addSecret("--label", "ca", "key=one")
		w.during("goca/0", func(h *hook) { h.ok(t, "secret-set", id, "key=two") })
		read := func(unit string) (a answer) {
			w.during(unit, func(h *hook) { a = h.run("secret-get", "--label", "ca") })
			return a
		}
		for _, unit := range w.Units("goca") {
			require.Equal(t, answer{0, "key: two\n", "", nil}, read(unit))
		}
		require.ErrorContains(t, w.attempt("goca/0", func(h *hook) int {
			h.ok(t, "secret-remove", id)
			h.ok(t, "secret-add", "--label", "ca", "key=three")
			return 0
		}), "creating secrets: ", "secrets are made before others are removed")
		require.Len(t, w.Secrets(), 1)
		require.NoError(t, w.Settle())

		w.during("goca/0", func(h *hook) { h.ok(t, "secret-remove", id) })
		require.Empty(t, w.Secrets(), "all its revisions go")
		unknown := "ERROR consumer label \"ca\" not found\n"
		if version == "4.1" {
			unknown = "ERROR secret URI for consumer label \"ca\" not found\n"
		}
		for _, unit := range w.Units("goca") {
			require.Equal(t, answer{1, "", unknown, nil}, read(unit))
		}
		since := len(w.Hooks())
		again := w.addSecret("--label", "ca", "key=three")
		require.NotEqual(t, id, again)
		for _, unit := range w.Units("goca") {
			require.Equal(t, answer{0, "key: three\n", "", nil}, read(unit))
		}
		require.NoError(t, w.Settle())
		for _, unit := range w.Units("goca") {
			require.Empty(t, only(w.ran(unit, since), "secret-"), "nothing is left of the old one")
		}
	}
}

func TestSecretGrants(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.6.11", "4.1"} {
		w := newWorld(t, jujusim.Options{Version: version})
		require.NoError(t, w.Deploy(w.archive, "goca", 1))
		require.NoError(t, w.Deploy(w.archive, "user", 2))
		relation, err := w.Relate("goca:certificates", "user:upstream")
		require.NoError(t, err)
		require.NoError(t, w.Settle())
		r := strconv.Itoa(relation)
		var id string
		w.during("goca/0", func(h *hook) {
			uri := h.ok(t, "secret-add", "key=value")
			id = uri[len(uri)-20:]
			h.ok(t, "secret-grant", uri, "-r", r)
		})
		require.Equal(t, version != "4.1", len(w.Secrets()[0].Granted) == 1, "4.1 loses a grant in the hook of the add")
		w.during("goca/0", func(h *hook) { h.ok(t, "secret-grant", id, "-r", r) })
		w.during("goca/0", func(h *hook) {
			require.Contains(t, h.ok(t, "secret-info-get", id, "--format", "json"),
				`"access":[{"target":"application-user","scope":"relation-user.upstream#goca.certificates","role":"view"}]`)
			require.Equal(t, answer{}, h.run("secret-grant", id, "-r", r, "--unit", "user/0"), "the application has it already")
			require.Equal(t, 2, h.run("secret-grant", id, "-r", r, "--unit", "other/0").code)
		})
		w.during("user/1", func(h *hook) {
			require.Equal(t, "value", h.ok(t, "secret-get", id, "key", "--label", "theirs"))
			require.Equal(t, "key: value", h.ok(t, "secret-get", "--label", "theirs"))
		})
		since := len(w.Hooks())
		w.during("goca/0", func(h *hook) { h.ok(t, "secret-set", id, "key=new") })
		require.NoError(t, w.Settle())
		require.Equal(t, []string{"secret-changed"}, w.ran("user/1", since), "only who has read it is told")
		require.Empty(t, w.ran("user/0", since))
		w.during("goca/0", func(h *hook) { h.ok(t, "secret-revoke", id, "--app", "user") })
		w.during("user/1", func(h *hook) {
			require.Equal(t, "ERROR permission denied\n", h.run("secret-get", id, "--refresh").stderr)
		})
		w.during("goca/0", func(h *hook) {
			h.ok(t, "secret-grant", id, "-r", r, "--unit", "user/0")
			h.ok(t, "secret-grant", id, "-r", r, "--unit", "user/1")
		})
		require.Equal(t, []string{"user/1"}, w.Secrets()[0].Granted, "one pending grant a relation")
		w.during("goca/0", func(h *hook) {
			require.Equal(t, "ERROR any unit level grants need to be revoked before granting access to the corresponding application\n",
				h.run("secret-grant", id, "-r", r).stderr)
		})
		require.NoError(t, w.RemoveRelation(relation))
		require.NoError(t, w.Settle())
		require.Empty(t, w.Secrets()[0].Granted, "a grant lives as long as its relation")
	}
}

func TestSecretEvents(t *testing.T) {
	t.Parallel()
	time := newClock()
	w := newWorld(t, jujusim.Options{Now: time.read})
	w.deploy(2)
	id := w.addSecret("--label", "ca", "key=one")
	look := func(unit string) { w.during(unit, func(h *hook) { h.ok(t, "secret-get", id) }) }
	env := w.secretVariables
	secrets := func(unit string, since int) []string { return only(w.ran(unit, since), "secret-") }

	look("goca/0")
	since := len(w.Hooks())
	w.during("goca/0", func(h *hook) { h.ok(t, "secret-set", id, "key=two") })
	w.during("goca/0", func(h *hook) { h.ok(t, "secret-set", id, "key=three") })
	require.NoError(t, w.Settle())
	require.Equal(t, []string{"secret-changed", "secret-changed", "secret-remove"}, secrets("goca/0", since), "%v", w.ran("goca/0", since))
	require.Equal(t, "secret:"+id+"|ca|", env["secret-changed"])
	require.Equal(t, "secret:"+id+"|ca|2", env["secret-remove"])

	look("goca/1")
	require.NoError(t, w.Settle())
	require.Equal(t, []string{"secret-changed"}, secrets("goca/1", since), "a first read of a later revision is followed by one event")

	since = len(w.Hooks())
	require.NoError(t, w.SetLeader("goca/1"))
	require.NoError(t, w.Settle())
	require.Equal(t, []string{"secret-remove"}, secrets("goca/1", since), "a new leader is told again of what is obsolete")

	require.NoError(t, w.SetLeader("goca/0"))
	w.during("goca/0", func(h *hook) { h.ok(t, "secret-set", id, "--expire", "1h", "--rotate", "daily") })
	since = len(w.Hooks())
	time.advance(61 * 60e9)
	require.NoError(t, w.Settle())
	require.NoError(t, w.Settle())
	require.Equal(t, []string{"secret-expired"}, secrets("goca/0", since))
	require.Equal(t, id+"|ca|3", env["secret-expired"], "the bare id")
	time.advance(5 * 60e9)
	require.NoError(t, w.Settle())
	require.Equal(t, []string{"secret-expired", "secret-expired"}, secrets("goca/0", since), "again until the revision is gone")

	w.on("secret-rotate", func(h *hook) int { h.ok(t, "secret-set", id, "key=rotated"); return 0 })
	since = len(w.Hooks())
	time.advance(24 * 60 * 60e9)
	require.NoError(t, w.Settle())
	require.Equal(t, 1, count(secrets("goca/0", since), "secret-rotate"))
	w.charmed(func(*hook) int { return 0 })
	time.advance(24 * 60 * 60e9)
	require.NoError(t, w.Settle())
	time.advance(5 * 60e9)
	require.NoError(t, w.Settle())
	require.Equal(t, 3, count(secrets("goca/0", since), "secret-rotate"), "without a new revision it comes back after five minutes")
	require.Equal(t, "secret:"+id+"|ca|", env["secret-rotate"])
}

func count(names []string, name string) int {
	n := 0
	for _, other := range names {
		if other == name {
			n++
		}
	}
	return n
}

func TestRotatingAgain(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"3.6.11": "updating secrets: must specify a secret rotate time", "3.6.12": "", "4.1": ""} {
		w := newWorld(t, jujusim.Options{Version: version})
		w.deploy(1)
		id := w.addSecret("--rotate", "daily", "key=one")
		err := w.attempt("goca/0", func(h *hook) int { return h.run("secret-set", id, "--rotate", "daily").code })
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}

func TestSecretContent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(file, []byte("line\n"), 0o600))
	both := filepath.Join(dir, "all.yaml")
	require.NoError(t, os.WriteFile(both, []byte("first: 1\nsecond: two\n"), 0o600))
	type result struct {
		code   int
		stderr string
	}
	const kib = 1024
	large := strings.Repeat("x", 8*kib+1)
	tests := map[string]struct {
		version string
		args    []string
		want    result
	}{
		"a value with padding":     {"3.6.11", []string{"key=YQ=="}, result{}},
		"base64":                   {"3.6.11", []string{"key#base64=YQ=="}, result{}},
		"a file":                   {"3.6.11", []string{"key#file=" + file}, result{}},
		"a file of all":            {"3.6.11", []string{"--file", both}, result{}},
		"an empty value":           {"3.6.11", []string{"key="}, result{2, "ERROR key value \"key=\" not valid\n"}},
		"no value":                 {"3.6.11", []string{"key"}, result{2, "ERROR key value \"key\" not valid\n"}},
		"nothing":                  {"3.6.11", nil, result{2, "ERROR missing secret value or filename\n"}},
		"a short key":              {"3.6.11", []string{"ab=x"}, result{2, "ERROR key \"ab\" not valid\n"}},
		"an upper-case key":        {"3.6.11", []string{"Key=x"}, result{2, "ERROR key \"Key\" not valid\n"}},
		"a bad policy":             {"3.6.11", []string{"--rotate", "foo", "key=x"}, result{2, "ERROR rotate policy \"foo\" not valid\n"}},
		"a bad owner":              {"3.6.11", []string{"--owner", "foo", "key=x"}, result{2, "ERROR secret owner \"foo\" not valid\n"}},
		"a bad time":               {"3.6.11", []string{"--expire", "soon", "key=x"}, result{2, "ERROR expire time or duration \"soon\" not valid\n"}},
		"a past duration":          {"3.6.11", []string{"--expire", "-1h", "key=x"}, result{2, "ERROR negative expire duration \"-1h\" not valid\n"}},
		"8 KiB and one on 3.5":     {"3.5.4", []string{"key=" + large}, result{2, "ERROR secret content for key \"key\" too large: 8193 bytes\n"}},
		"8 KiB and one on 3.6.8":   {"3.6.8", []string{"key=" + large}, result{2, "ERROR secret content for key \"key\" too large: 8193 bytes\n"}},
		"8 KiB and one on 3.6.9":   {"3.6.9", []string{"key=" + large}, result{}},
		"a megabyte on 4.1":        {"4.1", []string{"key=" + strings.Repeat("x", 750_001)}, result{2, "ERROR base64 encoded secret content for key \"key\" too large: 1000004 bytes\n"}},
		"a file that is not there": {"3.6.11", []string{"key#file=/nonexistent"}, result{2, "ERROR reading content for secret key \"key\": open /nonexistent: no such file or directory\n"}},
	}
	for name, tc := range tests {
		w := newWorld(t, jujusim.Options{Version: tc.version})
		w.deploy(1)
		w.during("goca/0", func(h *hook) {
			a := h.run("secret-add", tc.args...)
			require.Equal(t, tc.want, result{a.code, a.stderr}, name)
		})
	}
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	id := w.addSecret("pem#file="+file, "raw#base64=AP8=", "bad#base64=%%")
	require.Nil(t, w.SecretContent(id), "base64 is not checked until it is read")
	id = w.addSecret("pem#file="+file, "raw#base64=AP8=")
	w.during("goca/0", func(h *hook) {
		require.Equal(t, answer{0, "AP8=\n", "", nil}, h.run("secret-get", id, "raw#base64"))
		require.Equal(t, "ERROR secret key value \"none\" not found\n", h.run("secret-get", id, "none").stderr)
	})
	require.Equal(t, map[string]string{"pem": "line\n", "raw": "\x00\xff"}, w.SecretContent(id))
}

func TestRefreshOfAPendingUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(1)
	id := w.addSecret("key=one")
	w.during("goca/0", func(h *hook) {
		require.Equal(t, "one", h.ok(t, "secret-get", id, "key"))
		h.ok(t, "secret-set", id, "key=two", "--expire", "1h")
		require.Equal(t, "two", h.ok(t, "secret-get", id, "key", "--refresh"))
	})
	require.Equal(t, map[string]int{"goca/0": 2}, w.Secrets()[0].Consumers, "the commit moves the tracked revision")
}

func TestReadingRelabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{})
	w.deploy(2)
	id := w.addSecret("--label", "old", "key=one")
	w.addSecret("--label", "taken", "key=one")
	w.during("goca/1", func(h *hook) { h.ok(t, "secret-get", id, "--label", "mine") })
	w.during("goca/1", func(h *hook) {
		require.Equal(t, 1, h.run("secret-get", "--label", "mine").code, "a minion's word does not count")
	})
	w.during("goca/0", func(h *hook) {
		h.ok(t, "secret-get", id, "--label", "new")
		h.ok(t, "secret-get", "--label", "new")
		require.Equal(t, 1, h.run("secret-get", "--label", "old").code)
		require.Contains(t, h.run("secret-get", id, "--label", "taken").stderr, "already exists")
	})
	require.Error(t, w.attempt("goca/0", func(h *hook) int {
		h.ok(t, "secret-get", id, "--label", "newest")
		return 1
	}))
	labels := map[string]bool{}
	for _, view := range w.Secrets() {
		labels[view.Label] = true
	}
	require.Equal(t, map[string]bool{"newest": true, "taken": true}, labels, "it is changed at once, whatever becomes of the hook")
}
