// SPDX-License-Identifier: GPL-3.0-only

package control_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/control"
)

func TestCalls(t *testing.T) {
	t.Parallel()
	site := newSite(t, "do")
	plan := control.Plan{Address: "127.0.0.1", Port: 9880, Logs: []control.LogTarget{{Name: "a", URL: "http://a/push", Labels: map[string]string{"odd": "\n"}}}}
	called := func(verb, input string) []string {
		return []string{"service", verb, "--charm", site.Charm, "--unit", "authority/0", input}
	}
	require.NoError(t, site.Start(t.Context(), plan))
	require.Equal(t, called("start", `{"address":"127.0.0.1","port":9880,"logs":[{"name":"a","url":"http://a/push","labels":{"odd":"\n"}}]}`), call(t, site))
	require.NoError(t, site.Restart(t.Context()))
	require.Equal(t, called("restart", ""), call(t, site))

	require.NoError(t, site.Stop(t.Context()))
	require.NoFileExists(t, filepath.Join(site.Charm, "call"), "there is nothing to stop")
	require.NoError(t, os.MkdirAll(site.State, 0o700))
	require.NoError(t, site.Stop(t.Context()))
	require.Equal(t, called("stop", ""), call(t, site))
	require.NoError(t, os.Remove(site.State))
	require.NoError(t, os.MkdirAll(filepath.Dir(site.UnitPath()), 0o755))
	require.NoError(t, os.WriteFile(site.UnitPath(), nil, 0o644))
	require.NoError(t, site.Stop(t.Context()))
	require.Equal(t, called("stop", ""), call(t, site), "a unit of systemd is there")
}

func TestTroubleOfTheProgram(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		how   string
		spoil func(t *testing.T, program string)
		want  string
	}{
		"its sentence is the error": {"complain cannot start the status service: port 80 is taken\n", nil,
			"cannot start the status service: port 80 is taken"},
		"its sentence is made one line": {"complain one\ntwo  three", nil, "one two three"},
		"its sentence is cut":           {"complain " + strings.Repeat("x", 1<<20), nil, strings.Repeat("x", 119) + "…"},
		"it fails without a word":       {"complain ", nil, "cannot start the status service: bin/tls-authority has ended: exit status 1"},
		"it crashes":                    {"crash badly", nil, "cannot start the status service: bin/tls-authority has ended: exit status 2"},
		"it is killed":                  {"die", nil, "cannot start the status service: bin/tls-authority has ended: signal: killed"},
		"it is not there": {"do", func(t *testing.T, program string) {
			require.NoError(t, os.Remove(program))
		}, "cannot start the status service: fork/exec bin/tls-authority: no such file or directory"},
		"it is no program": {"do", func(t *testing.T, program string) {
			require.NoError(t, os.Remove(program))
			require.NoError(t, os.WriteFile(program, nil, 0o600))
		}, "cannot start the status service: fork/exec bin/tls-authority: permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t, tc.how)
			if tc.spoil != nil {
				tc.spoil(t, site.Program())
			}
			require.EqualError(t, site.Start(t.Context(), control.Plan{}), tc.want)
		})
	}
}

// TestProgramIsEnded has one that never does what it was told.
func TestProgramIsEnded(t *testing.T) {
	t.Parallel()
	site := newSite(t, "hang")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- site.Restart(ctx) }()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(site.Charm, "hangs"))
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	cancel()
	require.EqualError(t, <-ended, "cannot restart the status service: bin/tls-authority has ended: signal: terminated")
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	site := newSite(t, "do")
	require.Empty(t, site.Trouble())
	require.NoError(t, site.SetTrouble(""), "there is none to remove")
	require.NoDirExists(t, site.State)
	require.NoError(t, site.SetTrouble("one\nline  "))
	require.Equal(t, "one line", site.Trouble())
	require.False(t, site.Exists(), "the service has not been started")
	require.NoError(t, site.SetTrouble("another"))
	require.Equal(t, "another", site.Trouble())
	require.NoError(t, site.SetTrouble(""))
	require.Empty(t, site.Trouble())
}
