// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// newProcess makes a model whose charm is a shell script.
func newProcess(t *testing.T, o jujusim.Options, script string) *jujusim.Model {
	t.Helper()
	m, err := jujusim.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	require.NoError(t, m.Deploy(packCharm(t, "#!/bin/sh\n"+script), "goca", 1))
	return m
}

// printed returns what hooks of a name wrote to standard output.
func printed(m *jujusim.Model, hook string) []string {
	var lines []string
	for _, line := range m.Log() {
		if line.Hook == hook && line.Module == "unit.goca/0."+hook && line.Level == "DEBUG" {
			lines = append(lines, line.Message)
		}
	}
	return lines
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	always := []string{
		"APT_LISTCHANGES_FRONTEND", "CHARM_DIR", "CLOUD_API_VERSION", "DEBIAN_FRONTEND", "JUJU_AGENT_SOCKET_ADDRESS", "JUJU_AGENT_SOCKET_NETWORK",
		"JUJU_API_ADDRESSES", "JUJU_AVAILABILITY_ZONE", "JUJU_CHARM_DIR", "JUJU_CHARM_FTP_PROXY", "JUJU_CHARM_HTTPS_PROXY", "JUJU_CHARM_HTTP_PROXY",
		"JUJU_CHARM_NO_PROXY", "JUJU_CONTEXT_ID", "JUJU_DISPATCH_PATH", "JUJU_HOOK_NAME", "JUJU_MACHINE_ID", "JUJU_MODEL_NAME", "JUJU_MODEL_UUID",
		"JUJU_PRINCIPAL_UNIT", "JUJU_UNIT_NAME", "JUJU_VERSION", "LANG", "PATH", "TERM",
	}
	more := map[string][]string{
		"3.5.4":  {"JUJU_METER_INFO", "JUJU_METER_STATUS", "JUJU_SLA"},
		"3.6.11": {"JUJU_SLA"},
		"4.1":    {"JUJU_CHARM_TRACE_CONFIG_CA_CERT", "JUJU_CHARM_TRACE_CONFIG_GRPC", "JUJU_CHARM_TRACE_CONFIG_HTTP"},
	}
	for version, extra := range more {
		t.Run("on "+version, func(t *testing.T) {
			t.Parallel()
			m := newProcess(t, jujusim.Options{Version: version}, `exec /usr/bin/env -0 | tr '\0' '\n'`)
			require.NoError(t, m.AddStandIn("web", 1))
			_, err := m.Relate("goca:certificates", "web:certificates")
			require.NoError(t, err)
			require.NoError(t, m.Settle())
			env := variables(printed(m, "install"))
			delete(env, "PWD") // the shell's own
			delete(env, "SHLVL")
			delete(env, "_")
			var names []string
			for name := range env {
				names = append(names, name)
			}
			require.ElementsMatch(t, slices.Concat(always, extra), names)
			require.Equal(t, "hooks/install", env["JUJU_DISPATCH_PATH"])
			require.Equal(t, version, env["JUJU_VERSION"])
			require.Regexp(t, `^goca/0-install-[0-9a-f]{32}$`, env["JUJU_CONTEXT_ID"])
			require.True(t, strings.HasSuffix(env["CHARM_DIR"], "/agents/unit-goca-0/charm"), env["CHARM_DIR"])
			require.Equal(t, filepath.Dir(env["CHARM_DIR"])+"/agent.socket", env["JUJU_AGENT_SOCKET_ADDRESS"])
			require.Contains(t, env["PATH"], "/tools/unit-goca-0:/usr/local/sbin:")

			joined := variables(printed(m, "certificates-relation-joined"))
			require.Equal(t, "certificates|certificates:1|web/0|web",
				strings.Join([]string{joined["JUJU_RELATION"], joined["JUJU_RELATION_ID"], joined["JUJU_REMOTE_UNIT"], joined["JUJU_REMOTE_APP"]}, "|"))
			require.NotContains(t, joined, "JUJU_DEPARTING_UNIT")
			created := variables(printed(m, "authority-relation-created"))
			require.Equal(t, "|goca", created["JUJU_REMOTE_UNIT"]+"|"+created["JUJU_REMOTE_APP"], "all four are set, even when empty")
			require.Contains(t, created, "JUJU_REMOTE_UNIT")

			_, err = m.RunAction("goca/0", "list", nil)
			require.NoError(t, err)
			action := variables(printed(m, "list"))
			require.Equal(t, "actions/list|list||2|action-2", strings.Join([]string{action["JUJU_DISPATCH_PATH"], action["JUJU_ACTION_NAME"],
				action["JUJU_HOOK_NAME"], action["JUJU_ACTION_UUID"], action["JUJU_ACTION_TAG"]}, "|"))
		})
	}
}

func variables(lines []string) map[string]string {
	env := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	return env
}

func TestToolsOnPath(t *testing.T) {
	t.Parallel()
	const script = `
export GORACE=atexit_sleep_ms=0
set -e
[ "$JUJU_HOOK_NAME" = config-changed ] || exit 0
[ "$(pwd)" = "$CHARM_DIR" ]
[ "$(cat)" = "" ]
echo "leader $(is-leader --format json)"
printf '%s' '{"pem": "line\n"}' | relation-set -r 0 --app --file -
printf 'from: file' > bag.yaml
relation-set -r 0 --file bag.yaml
relation-get -r 0 -o out.json --format json - goca/0
grep -q '"from":"file"' out.json
status-set active -- -ready-
if nosuchtool; then exit 3; fi
if secret-get --label absent; then exit 4; fi
echo oops >&2
`
	for _, execOnly := range []bool{false, true} {
		t.Run("exec only "+strconv.FormatBool(execOnly), func(t *testing.T) {
			t.Parallel()
			m := newProcess(t, jujusim.Options{ExecOnly: execOnly}, script)
			require.NoError(t, m.Settle())
			require.Equal(t, map[string]string{"pem": "line\n"}, m.Bag(0, "goca"))
			require.Equal(t, "file", m.Bag(0, "goca/0")["from"])
			_, message := m.Status("goca/0")
			require.Equal(t, "-ready-", message)
			require.Equal(t, []string{"leader true"}, printed(m, "config-changed"))
			var warnings []string
			for _, line := range m.Log() {
				if line.Hook == "config-changed" && line.Level == "WARNING" {
					warnings = append(warnings, line.Message)
				}
			}
			require.Contains(t, warnings, `ERROR consumer label "absent" not found`)
			require.Contains(t, warnings, "oops")
			i := slices.IndexFunc(m.Hooks(), func(run jujusim.HookRun) bool { return run.Hook == "config-changed" })
			run := m.Hooks()[i]
			require.Len(t, run.Calls, 6, "a call that is made twice for its input counts once")
			require.Equal(t, "exec", run.Calls[1].Transport)
			require.Equal(t, `{"pem": "line\n"}`, string(run.Calls[1].Stdin))
			require.Positive(t, run.CPU)
			require.Positive(t, run.MaxRSS)
		})
	}
}

func TestExecOnlyRefusesTheAgentsMethod(t *testing.T) {
	t.Parallel()
	w := newWorld(t, jujusim.Options{ExecOnly: true})
	w.on("install", func(h *hook) int {
		require.EqualError(t, h.run("is-leader").broken, "rpc: can't find service Jujuc.Main")
		return 0
	})
	w.deploy(1)
	runs := w.Hooks()
	require.Equal(t, 0, runs[0].ExitCode)
}

func TestToolsThatAVersionLacksAreNotOnPath(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"3.6.11": "yes", "4.1": "no"} {
		m := newProcess(t, jujusim.Options{Version: version}, "command -v leader-get >/dev/null && echo yes || echo no")
		require.NoError(t, m.Settle())
		require.Equal(t, want, printed(m, "install")[0])
	}
}

func TestKilledProcess(t *testing.T) {
	t.Parallel()
	m := newProcess(t, jujusim.Options{}, "export GORACE=atexit_sleep_ms=0\nrelation-ids authority\nstatus-set active x\necho survived\n")
	m.Intervene(killAt("install", 1, jujusim.KillCharm))
	require.NoError(t, m.Settle())
	runs := m.Hooks()
	require.True(t, runs[0].Killed)
	require.Equal(t, "install", runs[1].Hook)
	require.Equal(t, []string{"survived"}, printed(m, "install"), "only the second run came to its end")
}

func TestProgramOfAnEvent(t *testing.T) {
	t.Parallel()
	t.Run("a dispatch that is not executable is an error", func(t *testing.T) {
		t.Parallel()
		m := newProcess(t, jujusim.Options{}, "")
		require.NoError(t, os.Chmod(filepath.Join(m.Directory(), "agents", "unit-goca-0", "charm", "dispatch"), 0o644))
		require.ErrorContains(t, m.Settle(), "permission denied")
	})
	t.Run("a charm without a program skips hooks and fails actions", func(t *testing.T) {
		t.Parallel()
		m, err := jujusim.New(jujusim.Options{})
		require.NoError(t, err)
		defer m.Close()
		require.NoError(t, m.Deploy(packCharm(t, ""), "goca", 1))
		require.NoError(t, m.Settle())
		require.True(t, m.Hooks()[0].Skipped)
		result, err := m.RunAction("goca/0", "list", nil)
		require.NoError(t, err)
		require.Equal(t, "failed", result.Status)
		require.Equal(t, `action not implemented on unit "goca/0"`, result.Message)
	})
}

func TestLongLinesAreSplit(t *testing.T) {
	t.Parallel()
	m := newProcess(t, jujusim.Options{}, `[ "$JUJU_HOOK_NAME" = install ] && printf '%05000d\nshort' 7 || true`)
	require.NoError(t, m.Settle())
	lines := printed(m, "install")
	require.Len(t, lines, 3)
	require.Len(t, lines[0], 4096)
	require.Equal(t, "short", lines[2])
}

func TestSocketPathsAreShortEnough(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	m, err := jujusim.New(jujusim.Options{Directory: dir})
	require.NoError(t, err)
	require.ErrorContains(t, m.Deploy(packCharm(t, "#!/bin/sh\n"), "goca", 1), "longer than 107 bytes")
}

func TestCloseRemovesItsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keep := filepath.Join(dir, "keep")
	require.NoError(t, os.WriteFile(keep, nil, 0o600))
	m, err := jujusim.New(jujusim.Options{Directory: dir})
	require.NoError(t, err)
	require.NoError(t, m.Deploy(packCharm(t, "#!/bin/sh\n"), "goca", 1))
	require.NoError(t, m.Close())
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{keep}, left)
}

func TestRefreshKeepsTheCharmsOwnFiles(t *testing.T) {
	t.Parallel()
	m := newProcess(t, jujusim.Options{}, "echo mine > made-by-charm")
	require.NoError(t, m.Settle())
	folder := filepath.Join(m.Directory(), "agents", "unit-goca-0", "charm")
	before, err := os.Stat(filepath.Join(folder, "dispatch"))
	require.NoError(t, err)
	require.NoError(t, m.Refresh("goca", packCharm(t, "")))
	require.NoFileExists(t, filepath.Join(folder, "dispatch"))
	require.FileExists(t, filepath.Join(folder, "made-by-charm"))
	require.NoError(t, m.Settle())
	require.NoError(t, m.Refresh("goca", packCharm(t, "#!/bin/sh\n")))
	after, err := os.Stat(filepath.Join(folder, "dispatch"))
	require.NoError(t, err)
	require.False(t, os.SameFile(before, after))
}
