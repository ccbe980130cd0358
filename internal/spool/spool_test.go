// SPDX-License-Identifier: GPL-3.0-only

package spool_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
	"tls-authority/internal/spool"
)

var now = time.Date(2030, time.May, 17, 12, 0, 0, 0, time.UTC)

// fullStatus has something in every field.
func fullStatus() spool.Status {
	return spool.Status{
		ThisUpdate: now, NextUpdate: now.Add(48 * time.Hour),
		Generations: []spool.Generation{{
			ID: 1, Active: true, Certificate: []byte{1}, Chain: [][]byte{{1}, {2}}, CRL: []byte{3}, Responder: []byte{4},
			Issued: []spool.Issued{
				{Serial: "1f", NotAfter: now.Add(time.Hour)},
				{Serial: "2f", NotAfter: now.Add(time.Hour), Revoked: &spool.Revoked{At: now, Reason: pki.KeyCompromise}},
			},
		}, {
			ID: 2, Certificate: []byte{5}, NoCRL: "its key has been destroyed", NoResponder: "its key has been destroyed",
		}},
		Metrics: spool.Metrics{
			Leaves: []spool.Leaves{
				{Application: "etcd", Unit: "etcd/0", Count: 2, NotAfter: now.Add(time.Hour), Renewal: now.Add(-time.Minute)},
				{Application: "grafana"},
			},
			Expired: 1, Pending: 2, Denied: map[int]int{101: 3, 102: 1}, Stage: "issuing",
			StageSince: now.Add(-2 * time.Hour), StageDue: now.Add(22 * time.Hour),
			Hook: spool.Hook{Duration: 1500 * time.Millisecond, Calls: 31}, Backup: now.Add(-time.Hour),
		},
	}
}

func newKey(t *testing.T) pki.PrivateKey {
	t.Helper()
	key, err := pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	return key
}

func TestStatusComesBack(t *testing.T) {
	t.Parallel()
	for _, status := range []spool.Status{fullStatus(), {ThisUpdate: now, NextUpdate: now.Add(time.Second)}} {
		text, err := spool.Encode(status)
		require.NoError(t, err)
		got, err := spool.Parse(text)
		require.NoError(t, err)
		status.Schema = spool.SchemaVersion
		require.Equal(t, status, got)
		again, err := spool.Encode(got)
		require.NoError(t, err)
		require.Equal(t, text, again)
	}
}

func TestStatusRefuses(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		change func(*spool.Status)
		want   string
	}{
		"no beginning":       {func(s *spool.Status) { s.ThisUpdate = time.Time{} }, "beyond the years"},
		"no end":             {func(s *spool.Status) { s.NextUpdate = time.Time{} }, "ends before it begins"},
		"an end too far":     {func(s *spool.Status) { s.NextUpdate = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "beyond the years"},
		"generation zero":    {func(s *spool.Status) { s.Generations[0].ID = 0 }, "generation 0 is no number"},
		"a generation twice": {func(s *spool.Status) { s.Generations[1].ID = 1 }, "generation 1 is no number, or is there twice"},
		"two active ones":    {func(s *spool.Status) { s.Generations[1].Active = true }, "2 generations are active"},
		"no list and no why": {func(s *spool.Status) { s.Generations[0].CRL = nil }, "generation 1: neither a revocation list nor"},
		"a list and a why":   {func(s *spool.Status) { s.Generations[1].CRL = []byte{1} }, "generation 2: neither a revocation list nor"},
		"no responder":       {func(s *spool.Status) { s.Generations[0].Responder = nil }, "neither a responder nor"},
		"no serial":          {func(s *spool.Status) { s.Generations[0].Issued[0].Serial = "" }, `"" is no serial number`},
		"serial zero":        {func(s *spool.Status) { s.Generations[0].Issued[0].Serial = "0" }, "no serial number"},
		"a negative serial":  {func(s *spool.Status) { s.Generations[0].Issued[0].Serial = "-1" }, "no serial number"},
		"a serial in another spelling": {func(s *spool.Status) { s.Generations[0].Issued[0].Serial = "0a" },
			`"0a" is no serial number`},
		"a serial of 21 octets": {func(s *spool.Status) { s.Generations[0].Issued[0].Serial = strings.Repeat("7f", 21) },
			"no serial number"},
		"a serial in capitals": {func(s *spool.Status) { s.Generations[0].Issued[0].Serial = "AB" }, "no serial number"},
		"a serial twice": {func(s *spool.Status) { s.Generations[0].Issued[0] = s.Generations[0].Issued[1] },
			"is there twice"},
		"an odd reason": {func(s *spool.Status) {
			s.Generations[0].Issued[0].Revoked = &spool.Revoked{At: now, Reason: 7}
		}, "reason 7"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			status := fullStatus()
			c.change(&status)
			_, err := spool.Encode(status)
			require.ErrorContains(t, err, "cannot encode status: ")
			require.ErrorContains(t, err, c.want)
			require.Error(t, spool.Folder{Path: t.TempDir()}.WriteStatus(status))
		})
	}
	for title, text := range map[string]string{
		"nothing":           "",
		"an array":          "[]",
		"no schema":         `{"this-update": "2030-01-01T00:00:00Z", "next-update": "2030-01-02T00:00:00Z"}`,
		"another schema":    `{"schema": 2, "generations": 5}`,
		"two statuses":      `{"schema": 1, "this-update": "2030-01-01T00:00:00Z", "next-update": "2030-01-02T00:00:00Z"} {}`,
		"an unknown reason": `{"schema": 1, "generations": [{"id": 1, "issued": [{"serial": "1", "revoked": {"reason": "boredom"}}]}]}`,
		"a serial of kilobytes": `{"schema": 1, "this-update": "2030-01-01T00:00:00Z", "next-update": "2030-01-02T00:00:00Z", "generations": [
			{"id": 1, "no-crl": "-", "no-responder": "-", "issued": [{"serial": "` + strings.Repeat("0", 9000) + `"}]}]}`,
		"too much": strings.Repeat(" ", 32<<20+1),
	} {
		_, err := spool.Parse([]byte(text))
		require.ErrorContains(t, err, "cannot read status: ", title)
		require.Less(t, len(err.Error()), 300, title)
	}
}

func TestSpoolFiles(t *testing.T) {
	t.Parallel()
	key, folder := newKey(t), spool.Folder{Path: t.TempDir()}
	require.NoError(t, folder.WriteKeys([]pki.PrivateKey{key}))
	require.NoError(t, folder.WriteStatus(fullStatus()))
	for name, mode := range map[string]os.FileMode{"status.json": 0o640, "responder.key": 0o600} {
		state, err := os.Stat(filepath.Join(folder.Path, name))
		require.NoError(t, err)
		require.Equal(t, mode, state.Mode(), name)
	}
	keys, err := folder.ReadKeys()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.True(t, pki.SamePublicKey(key.Public(), keys[0].Public()))

	t.Run("with an owner", func(t *testing.T) {
		t.Parallel()
		folder := spool.Folder{Path: t.TempDir(), Owner: &spool.Owner{UID: os.Getuid(), GID: os.Getgid()}}
		require.NoError(t, folder.WriteKeys([]pki.PrivateKey{key}))
		require.NoError(t, folder.WriteStatus(fullStatus()))
	})
	t.Run("beside what a killed hook left", func(t *testing.T) {
		t.Parallel()
		folder := spool.Folder{Path: t.TempDir()}
		left := filepath.Join(folder.Path, ".status.json.new")
		elsewhere := filepath.Join(t.TempDir(), "elsewhere")
		require.NoError(t, os.WriteFile(elsewhere, nil, 0o600))
		require.NoError(t, os.Symlink(elsewhere, left))
		require.NoError(t, folder.WriteStatus(fullStatus()))
		entries, err := os.ReadDir(folder.Path)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		content, err := os.ReadFile(elsewhere)
		require.NoError(t, err)
		require.Empty(t, content)
	})
	t.Run("without keys", func(t *testing.T) {
		t.Parallel()
		folder := spool.Folder{Path: t.TempDir()}
		keys, err := folder.ReadKeys()
		require.NoError(t, err)
		require.Empty(t, keys)
		require.NoError(t, folder.WriteKeys(nil))
		keys, err = folder.ReadKeys()
		require.NoError(t, err)
		require.Empty(t, keys)
	})
	t.Run("with too many keys", func(t *testing.T) {
		t.Parallel()
		folder := spool.Folder{Path: t.TempDir()}
		err := folder.WriteKeys([]pki.PrivateKey{key, key, key, key, key})
		require.ErrorContains(t, err, "5 keys are more than the 4 allowed")
	})
	t.Run("without a directory", func(t *testing.T) {
		t.Parallel()
		folder := spool.Folder{Path: filepath.Join(t.TempDir(), "none")}
		require.ErrorContains(t, folder.WriteStatus(fullStatus()), "cannot write status.json: ")
	})
}
