// SPDX-License-Identifier: GPL-3.0-only

package responder_test

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
	"tls-authority/internal/responder"
)

// fullStatus has something in every field.
func fullStatus(t testing.TB, a *authority) responder.Status {
	t.Helper()
	status := a.status(t)
	status.Generations[0].Chain = [][]byte{{1}, {2}}
	status.Generations = append(status.Generations, responder.Generation{
		ID: 2, Certificate: []byte{3}, NoCRL: "its key has been destroyed", NoResponder: "its key has been destroyed",
	})
	status.Metrics = responder.Metrics{
		Leaves: []responder.Leaves{
			{Application: "etcd", Unit: "etcd/0", Count: 2, NotAfter: now.Add(time.Hour), Renewal: now.Add(-time.Minute)},
			{Application: "grafana"},
		},
		Expired: 1, Pending: 2, Denied: map[int]int{101: 3, 102: 1}, Stage: "issuing",
		StageSince: now.Add(-2 * time.Hour), StageDue: now.Add(22 * time.Hour),
		Hook: responder.Hook{Duration: 1500 * time.Millisecond, Calls: 31}, Backup: now.Add(-time.Hour),
	}
	return status
}

func TestStatusComesBack(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, now)
	for _, status := range []responder.Status{fullStatus(t, a), {ThisUpdate: now, NextUpdate: now.Add(time.Second)}} {
		text, err := responder.Encode(status)
		require.NoError(t, err)
		got, err := responder.Parse(text)
		require.NoError(t, err)
		status.Schema = responder.SchemaVersion
		require.Equal(t, status, got)
		again, err := responder.Encode(got)
		require.NoError(t, err)
		require.Equal(t, text, again)
	}
}

func TestStatusRefuses(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, now)
	for title, c := range map[string]struct {
		change func(*responder.Status)
		want   string
	}{
		"no beginning":       {func(s *responder.Status) { s.ThisUpdate = time.Time{} }, "beyond the years"},
		"no end":             {func(s *responder.Status) { s.NextUpdate = time.Time{} }, "ends before it begins"},
		"an end too far":     {func(s *responder.Status) { s.NextUpdate = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "beyond the years"},
		"generation zero":    {func(s *responder.Status) { s.Generations[0].ID = 0 }, "generation 0 is no number"},
		"a generation twice": {func(s *responder.Status) { s.Generations[1].ID = 1 }, "generation 1 is no number, or is there twice"},
		"two active ones":    {func(s *responder.Status) { s.Generations[1].Active = true }, "2 generations are active"},
		"no list and no why": {func(s *responder.Status) { s.Generations[0].CRL = nil }, "generation 1: neither a revocation list nor"},
		"a list and a why":   {func(s *responder.Status) { s.Generations[1].CRL = []byte{1} }, "generation 2: neither a revocation list nor"},
		"no responder":       {func(s *responder.Status) { s.Generations[0].Responder = nil }, "neither a responder nor"},
		"no serial":          {func(s *responder.Status) { s.Generations[0].Issued[0].Serial = "" }, `"" is no serial number`},
		"serial zero":        {func(s *responder.Status) { s.Generations[0].Issued[0].Serial = "0" }, "no serial number"},
		"a negative serial":  {func(s *responder.Status) { s.Generations[0].Issued[0].Serial = "-1" }, "no serial number"},
		"a serial in another spelling": {func(s *responder.Status) { s.Generations[0].Issued[0].Serial = "0a" },
			`"0a" is no serial number`},
		"a serial of 21 octets": {func(s *responder.Status) { s.Generations[0].Issued[0].Serial = strings.Repeat("7f", 21) },
			"no serial number"},
		"a serial in capitals": {func(s *responder.Status) { s.Generations[0].Issued[0].Serial = "AB" }, "no serial number"},
		"a serial twice": {func(s *responder.Status) { s.Generations[0].Issued[0] = s.Generations[0].Issued[1] },
			"is there twice"},
		"an odd reason": {func(s *responder.Status) {
			s.Generations[0].Issued[0].Revoked = &responder.Revoked{At: now, Reason: 7}
		}, "reason 7"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			status := fullStatus(t, a)
			c.change(&status)
			_, err := responder.Encode(status)
			require.ErrorContains(t, err, "cannot encode status: ")
			require.ErrorContains(t, err, c.want)
			require.Error(t, responder.Spool{Directory: t.TempDir()}.WriteStatus(status))
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
		_, err := responder.Parse([]byte(text))
		require.ErrorContains(t, err, "cannot read status: ", title)
		require.Less(t, len(err.Error()), 300, title)
	}
}

func TestSpoolFiles(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, now)
	require.NoError(t, a.spool.WriteStatus(a.status(t)))
	for name, mode := range map[string]os.FileMode{"status.json": 0o640, "responder.key": 0o600} {
		state, err := os.Stat(filepath.Join(a.spool.Directory, name))
		require.NoError(t, err)
		require.Equal(t, mode, state.Mode(), name)
	}
	keys, err := a.spool.ReadKeys()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.True(t, pki.SamePublicKey(a.key.Public(), keys[0].Public()))

	t.Run("with an owner", func(t *testing.T) {
		t.Parallel()
		spool := responder.Spool{Directory: t.TempDir(), Owner: &responder.Owner{UID: os.Getuid(), GID: os.Getgid()}}
		require.NoError(t, spool.WriteKeys([]pki.PrivateKey{a.key}))
		require.NoError(t, spool.WriteStatus(a.status(t)))
	})
	t.Run("beside what a killed hook left", func(t *testing.T) {
		t.Parallel()
		spool := responder.Spool{Directory: t.TempDir()}
		left := filepath.Join(spool.Directory, ".status.json.new")
		elsewhere := filepath.Join(t.TempDir(), "elsewhere")
		require.NoError(t, os.WriteFile(elsewhere, nil, 0o600))
		require.NoError(t, os.Symlink(elsewhere, left))
		require.NoError(t, spool.WriteStatus(a.status(t)))
		entries, err := os.ReadDir(spool.Directory)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		content, err := os.ReadFile(elsewhere)
		require.NoError(t, err)
		require.Empty(t, content)
	})
	t.Run("without keys", func(t *testing.T) {
		t.Parallel()
		spool := responder.Spool{Directory: t.TempDir()}
		keys, err := spool.ReadKeys()
		require.NoError(t, err)
		require.Empty(t, keys)
		require.NoError(t, spool.WriteKeys(nil))
		keys, err = spool.ReadKeys()
		require.NoError(t, err)
		require.Empty(t, keys)
	})
	t.Run("with too many keys", func(t *testing.T) {
		t.Parallel()
		spool := responder.Spool{Directory: t.TempDir()}
		err := spool.WriteKeys([]pki.PrivateKey{a.key, a.key, a.key, a.key, a.key})
		require.ErrorContains(t, err, "5 keys are more than the 4 allowed")
	})
	t.Run("without a directory", func(t *testing.T) {
		t.Parallel()
		spool := responder.Spool{Directory: filepath.Join(t.TempDir(), "none")}
		require.ErrorContains(t, spool.WriteStatus(a.status(t)), "cannot write status.json: ")
	})
}

// TestFullDisk writes a status that does not fit, in a process of its own, as
// the limit is one of processes.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if directory := os.Getenv("TEST_FULL_DISK"); directory != "" {
		signal.Ignore(syscall.SIGXFSZ) // or the process would not live to see the error
		limit := syscall.Rlimit{Cur: 100, Max: 100}
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
		a := newAuthorityWithout(t, now)
		err := responder.Spool{Directory: directory}.WriteStatus(a.status(t))
		require.ErrorContains(t, err, "cannot write status.json: ")
		require.ErrorIs(t, err, syscall.EFBIG)
		return
	}
	at, a := now, newAuthority(t, now)
	server := a.start(t, a.status(t), &at)
	before, err := os.ReadFile(filepath.Join(a.spool.Directory, "status.json"))
	require.NoError(t, err)
	command := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
	command.Env = append(os.Environ(), "TEST_FULL_DISK="+a.spool.Directory)
	output, err := command.CombinedOutput()
	require.NoError(t, err, string(output))

	after, err := os.ReadFile(filepath.Join(a.spool.Directory, "status.json"))
	require.NoError(t, err)
	require.Equal(t, before, after)
	entries, err := os.ReadDir(a.spool.Directory)
	require.NoError(t, err)
	require.Len(t, entries, 2, "nothing is left behind")
	server.Reload()
	requireHealth(t, server)
}
