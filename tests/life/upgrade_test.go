// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
	"tls-authority/internal/record"
	"tls-authority/tests/life"
)

var update = flag.Bool("update", false, "record the states that later releases must read")

// stateFile is where a state of a schema is kept. The ones of earlier schemas
// stay as they are: -update writes those of the present one.
func stateFile(schema int, name string) string {
	return filepath.Join("testdata", fmt.Sprintf("state-%d-%s.json", schema, name))
}

// TestAStateIsRecorded makes the model that later releases must take over: both
// dialects, a rotation that is over, one under way, certificates that were
// revoked and withdrawn, a responder. It is recorded at rest, and with work
// left to do.
func TestAStateIsRecorded(t *testing.T) {
	t.Parallel()
	s := newStand(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	s.shown = newResponderKey(t)
	options := map[string]any{"key-type": "ecdsa-p256", "rotation-hold": "0m", "status-port": 9880}
	require.NoError(t, s.Configure(life.Application, options))
	s.relate(3, asked(t))
	s.settle()
	s.update(1)
	s.act("rotate-ca", map[string]any{"mode": "staged"})
	s.settle()
	s.update(12)
	for _, application := range requirersOf {
		require.NoError(t, s.RemoveUnit(application+"/2"))
	}
	s.settle()
	s.act("revoke-certificate", map[string]any{"unit": "web/0", "reason": "key-compromise"})
	s.act("revoke-certificate", map[string]any{"unit": "cluster/0", "reason": "superseded"})
	s.settle()
	s.update(3)
	options["rotation-hold"] = "24h"
	require.NoError(t, s.Configure(life.Application, options))
	s.settle()
	s.act("rotate-ca", map[string]any{"mode": "staged"})

	busy := s.record(options)
	for len(busy.Peer[life.Application]["agenda"]) == 0 || parsed(t, busy).CA.Rotation.Stage != record.Distributing {
		ran, err := s.Step()
		require.NoError(t, err)
		require.True(t, ran, "the rotation leaves nothing to do")
		busy = s.record(options)
	}
	s.settle()
	s.update(3)
	states := map[string]state{"busy": busy, "quiet": s.record(options)}
	for name, found := range states {
		requireEverything(t, name, found)
		if *update {
			text, err := json.MarshalIndent(found, "", " ")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(stateFile(record.SchemaVersion, name), append(text, '\n'), 0o644))
		}
	}
}

func parsed(t *testing.T, s state) record.Record {
	t.Helper()
	r, err := record.Parse(s.Peer[life.Application])
	require.NoError(t, err)
	return r
}

// requireEverything holds a state to what it must have, so that a release that
// reads it has read everything.
func requireEverything(t *testing.T, name string, s state) {
	t.Helper()
	r := parsed(t, s)
	require.Equal(t, 2, r.CA.Active)
	require.True(t, r.CA.Generation(1).Destroyed, "a rotation is over")
	require.True(t, r.Lists[1].Final)
	require.NotNil(t, r.CA.Rotation)
	require.Equal(t, record.Distributing, r.CA.Rotation.Stage)
	require.Len(t, r.Legacy, 1)
	require.Len(t, r.CSR, 1)
	require.NotEmpty(t, r.Withdrawn)
	require.NotEmpty(t, r.Revoked)
	require.NotEmpty(t, r.Compromised)
	require.NotEmpty(t, r.Responders[served].Certificates)
	require.Equal(t, name == "busy", !r.Agenda.Empty())
	require.Equal(t, []string{"ca-2", "ca-3"}, slices.Sorted(maps.Keys(s.Secrets)))
	require.Contains(t, s.Relations["1"][leading]["ca"], "BEGIN CERTIFICATE")
	require.Contains(t, s.Relations["2"][life.Application]["certificates"], `"revoked":true`)
}

// recordedStates reads those of this schema and of the ones before.
func recordedStates(t *testing.T) map[string]state {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "state-*.json"))
	require.NoError(t, err)
	for schema := 1; schema <= record.SchemaVersion; schema++ {
		for _, name := range []string{"busy", "quiet"} {
			require.Contains(t, files, stateFile(schema, name), "a state of every schema is kept: go test ./tests/life -run '^TestAStateIsRecorded$' -update")
		}
	}
	states := map[string]state{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var s state
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		require.NoError(t, decoder.Decode(&s), file)
		require.Equal(t, comment, s.Comment)
		states[file] = s
	}
	return states
}

// TestARecordedStateIsAdopted is an upgrade from a release that wrote it.
func TestARecordedStateIsAdopted(t *testing.T) {
	t.Parallel()
	for file, recorded := range recordedStates(t) {
		busy := len(recorded.Peer[life.Application]["agenda"]) > 0
		t.Run("the record of "+file+" is read and written", func(t *testing.T) {
			t.Parallel()
			r := parsed(t, recorded)
			if r.CA.Schema < record.SchemaVersion {
				return // what is written has another form
			}
			bag, err := record.Encode(r)
			require.NoError(t, err)
			require.Equal(t, recorded.Peer[life.Application], bag)
			for _, unit := range []string{leading, next, served} {
				if busy {
					continue // not every unit has been told of the record
				}
				require.Equal(t, recorded.Relations["1"][unit], r.UnitBag(1), "what units mirror follows from it")
			}
		})
		for _, hook := range []string{"upgrade-charm", "config-changed", "update-status", "leader-elected"} {
			t.Run(hook+" on "+file, func(t *testing.T) {
				t.Parallel()
				s := adopt(t, recorded)
				if hook == "leader-elected" {
					require.NoError(t, s.SetLeader(next))
				} else {
					// The third has no process of the status service, which the
					// first look after it would find.
					require.NoError(t, s.Queue(leading, hook))
					require.NoError(t, s.Queue(next, hook))
				}
				since := len(s.Hooks())
				s.settle()
				ran := false
				for _, run := range s.Hooks()[since:] {
					require.Zero(t, run.ExitCode, run.Hook)
					ran = ran || run.Hook == hook
				}
				require.True(t, ran)
				found := s.record(recorded.Options).at(recorded.Now)
				if !busy {
					require.Equal(t, inPresentSchema(t, recorded), found, "there is nothing to do")
					return
				}
				// What is left to do tells of the next root, and touches no
				// certificate and no key.
				require.Equal(t, certificatesOf(t, recorded), certificatesOf(t, found))
				require.Equal(t, recorded.Secrets, found.Secrets)
			})
		}
	}
}

// inPresentSchema is a state whose record, if it has an earlier schema, is what
// a hook makes of it that has nothing else to do.
func inPresentSchema(t *testing.T, s state) state {
	t.Helper()
	peer := maps.Clone(s.Peer)
	bag, err := record.Encode(parsed(t, s))
	require.NoError(t, err)
	peer[life.Application] = bag
	s.Peer = peer
	return s
}

// certificatesOf are all certificates and keys that requirers and we have, by
// where they stand in the record.
func certificatesOf(t *testing.T, s state) map[string]any {
	t.Helper()
	r := parsed(t, s)
	found := map[string]any{"generations": r.CA.Generations, "client": r.Client, "revoked": r.Revoked, "withdrawn": r.Withdrawn, "responders": r.Responders, "lists": r.Lists}
	for number, legacy := range r.Legacy {
		found[fmt.Sprint("legacy ", number)] = legacy
	}
	for number, bags := range s.Relations {
		var answers []struct{ Certificate string }
		if text := bags[life.Application]["certificates"]; text != "" {
			require.NoError(t, json.Unmarshal([]byte(text), &answers))
		}
		found["answers "+number] = answers
	}
	return found
}

// TestARecordOfANewerCharmIsLeftAlone: what a charm does not know it must not
// write over, and nothing is made beside it.
func TestARecordOfANewerCharmIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, recorded := range recordedStates(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ca map[string]any
			require.NoError(t, json.Unmarshal([]byte(recorded.Peer[life.Application]["ca"]), &ca))
			ca["schema"] = record.SchemaVersion + 1
			text, err := json.Marshal(ca)
			require.NoError(t, err)
			recorded.Peer[life.Application]["ca"] = string(text)
			for _, hook := range []string{"upgrade-charm", "config-changed", "update-status"} {
				s := adopt(t, recorded)
				require.NoError(t, s.Queue(leading, hook))
				require.Error(t, s.Settle(), hook)
				runs := s.Hooks()
				require.Zero(t, runs[len(runs)-1].Writes, hook)
				require.Equal(t, recorded, s.record(recorded.Options).at(recorded.Now), hook)
				require.True(t, slices.ContainsFunc(s.Log(), func(l jujusim.LogLine) bool {
					return strings.Contains(l.Message, "refresh to the newer charm")
				}))
			}
			s := adopt(t, recorded)
			require.NoError(t, s.SetLeader(next))
			require.Error(t, s.Settle())
			_, err = s.RunAction(next, "rotate-ca", map[string]any{"mode": "emergency"})
			require.NoError(t, err)
			require.Equal(t, recorded, s.record(recorded.Options).at(recorded.Now), "neither a new leader nor an action writes")
		})
	}
}
