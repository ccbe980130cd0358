// SPDX-License-Identifier: GPL-3.0-only

package service_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/control"
	"tls-authority/internal/service"
	"tls-authority/internal/spool"
)

// machineRoot names the variable with the root of a machine with systemd. A
// program that finds it in its environment is one of that machine's.
const machineRoot = "SERVICE_TEST_MACHINE"

// machine is one with systemd, as far as a site looks at it: its systemctl
// runs what units say. The user of the daemon is nobody, if the test may become
// another user, else that of the test.
type machine struct {
	root, account string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	me, err := user.Current()
	require.NoError(t, err)
	m := machine{t.TempDir(), me.Username}
	if os.Geteuid() == 0 {
		m.account = "nobody"
		require.NoError(t, os.Chmod(filepath.Dir(m.root), 0o755)) // as the directories of agents are
	}
	for _, directory := range []string{"run/systemd/system", "etc/systemd/system", "bin"} {
		require.NoError(t, os.MkdirAll(filepath.Join(m.root, directory), 0o755))
	}
	self, err := os.Executable()
	require.NoError(t, err)
	for _, name := range []string{"systemctl", "useradd"} {
		require.NoError(t, os.Symlink(self, filepath.Join(m.root, "bin", name)))
	}
	t.Setenv("PATH", filepath.Join(m.root, "bin"))
	t.Setenv(machineRoot, m.root)
	return m
}

// calls are the command lines of what was called since the last look.
func (m machine) calls(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.root, "calls"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(m.root, "calls")))
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// fail has every later call of a program fail with a complaint.
func (m machine) fail(t *testing.T, name, complaint string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(m.root, name+".complaint"), []byte(complaint), 0o600))
}

// beMachine is a program of the machine.
func beMachine(root, name string, arguments []string) error {
	calls, err := os.OpenFile(filepath.Join(root, "calls"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer calls.Close()
	if _, err := fmt.Fprintln(calls, name, strings.Join(arguments, " ")); err != nil {
		return err
	}
	if complaint, err := os.ReadFile(filepath.Join(root, name+".complaint")); err == nil {
		return errors.New(string(complaint))
	}
	unit := filepath.Join(root, "etc/systemd/system", arguments[len(arguments)-1])
	switch {
	case name == "systemctl" && arguments[0] == "restart":
		return errors.Join(stopUnit(unit), startUnit(root, unit))
	case name == "systemctl" && arguments[0] == "disable" && slices.Contains(arguments, "--now"):
		return stopUnit(unit)
	}
	return nil
}

// startUnit runs what a unit says below the root of the machine.
func startUnit(root, unit string) error {
	text, err := os.ReadFile(unit)
	if err != nil {
		return err
	}
	settings := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		settings[key] = strings.ReplaceAll(value, `"`, "")
	}
	if err := os.MkdirAll(filepath.Join(root, "run", settings["RuntimeDirectory"]), 0o700); err != nil {
		return err
	}
	as, err := credential(settings["User"])
	if err != nil {
		return err
	}
	if err := os.Chown(filepath.Join(root, "run", settings["RuntimeDirectory"]), int(as.Uid), int(as.Gid)); err != nil {
		return err
	}
	link := strings.Fields(settings["ExecStartPre"])
	link[len(link)-1] = root + link[len(link)-1]
	before := exec.Command(link[0], link[1:]...)
	before.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if output, err := before.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	words := strings.Fields(settings["ExecStart"])
	command := exec.Command(words[0], words[1:]...)
	command.Dir = settings["WorkingDirectory"]
	command.Env = strings.Fields(strings.ReplaceAll(settings["Environment"], "PEBBLE=", "PEBBLE="+root))
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: as}
	if err := command.Start(); err != nil {
		return err
	}
	return os.WriteFile(unit+".pid", []byte(strconv.Itoa(command.Process.Pid)), 0o600)
}

// credential is that of a user, who may be the one of the test.
func credential(name string) (*syscall.Credential, error) {
	account, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: os.Geteuid() != 0}, err
}

// stopUnit ends what startUnit started, and waits for its end.
func stopUnit(unit string) error {
	text, err := os.ReadFile(unit + ".pid")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	for err = syscall.Kill(pid, syscall.SIGTERM); err == nil; err = syscall.Kill(pid, 0) {
		if line, _ := os.ReadFile(filepath.Join("/proc", string(text), "cmdline")); len(line) == 0 {
			break // it has ended, and nobody has asked how
		}
		time.Sleep(10 * time.Millisecond)
	}
	return os.Remove(unit + ".pid")
}

func TestSystemd(t *testing.T) {
	site, plan := newSite(t), newPlan(t)
	upgrade(t, site.Site().Program()) // what the links lead to is not for everybody
	upgrade(t, site.Site().PebbleProgram())
	m := newMachine(t)
	site = site.Quick(m.root, m.account)
	t.Cleanup(func() { require.NoError(t, site.Stop(context.Background())) })
	const unit = "tls-authority-status-authority-0.service"
	starts := []string{"systemctl enable " + unit, "systemctl restart " + unit}

	pebble, daemon := start(t, site, plan)
	require.Equal(t, starts, m.calls(t))
	require.Equal(t, filepath.Join(m.root, "etc/systemd/system", unit), site.Site().UnitPath())
	text, err := os.ReadFile(site.Site().UnitPath())
	require.NoError(t, err)
	require.Equal(t, site.UnitFile(plan), string(text))

	t.Run("the daemon may read what it needs, and write nothing", func(t *testing.T) {
		as, err := credential(m.account)
		require.NoError(t, err)
		require.Equal(t, &spool.Owner{UID: int(as.Uid), GID: int(as.Gid)}, site.Site().Spool().Owner)
		for _, pid := range []int{pebble, daemon} {
			state, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
			require.NoError(t, err)
			require.Equal(t, as.Uid, state.Sys().(*syscall.Stat_t).Uid)
		}
		for path, mode := range map[string]os.FileMode{
			site.Site().State: 0o750, site.Site().Spool().Path: 0o750, filepath.Dir(site.Layer()): 0o750, site.Layer(): 0o640,
		} {
			state, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, mode, state.Mode().Perm(), path)
		}
	})
	t.Run("again changes nothing", func(t *testing.T) {
		p, d := start(t, site, plan)
		require.Equal(t, []int{pebble, daemon}, []int{p, d})
		require.Empty(t, m.calls(t))
	})
	t.Run("another port is Pebble's business alone", func(t *testing.T) {
		plan = newPlan(t)
		p, _ := start(t, site, plan)
		require.Equal(t, pebble, p)
		require.Empty(t, m.calls(t))
	})
	t.Run("another Pebble is a start of the unit", func(t *testing.T) {
		t.Setenv("PATH", "/usr/bin:/bin")
		upgrade(t, site.Site().PebbleProgram())
		t.Setenv("PATH", filepath.Join(m.root, "bin"))
		p, _ := start(t, site, plan)
		require.NotEqual(t, pebble, p)
		require.Equal(t, starts, m.calls(t))
	})
	t.Run("one that is down comes back", func(t *testing.T) {
		require.NoError(t, stopUnit(site.Site().UnitPath()))
		require.Error(t, site.Site().Check(t.Context()))
		require.NoError(t, site.Restart(t.Context()))
		require.NoError(t, site.Site().Check(t.Context()))
		require.Equal(t, starts, m.calls(t))
	})
	t.Run("one that could not start with the machine, and can now", func(t *testing.T) {
		require.NoError(t, stopUnit(site.Site().UnitPath()))
		listener, err := net.Listen("tcp", net.JoinHostPort(plan.Address, strconv.Itoa(plan.Port)))
		require.NoError(t, err)
		defer listener.Close()
		require.NoError(t, startUnit(m.root, site.Site().UnitPath()))
		eventually(t, func() bool {
			err := site.Site().Check(t.Context())
			return err != nil && strings.Contains(err.Error(), "in state backoff")
		}, "Pebble tries again and again")
		require.NoError(t, listener.Close())
		start(t, site, plan)
		require.Empty(t, m.calls(t))
	})
	t.Run("stopped, nothing is left", func(t *testing.T) {
		require.NoError(t, site.Stop(t.Context()))
		require.Equal(t, []string{"systemctl disable --now " + unit, "systemctl reset-failed " + unit, "systemctl daemon-reload"}, m.calls(t))
		requireNoProcess(t, site)
		require.NoFileExists(t, site.Site().UnitPath())
		require.NoDirExists(t, site.Site().State)
		require.NoError(t, site.Stop(t.Context()))
		require.Empty(t, m.calls(t))
	})
}

func TestSystemdFails(t *testing.T) {
	site, plan := newSite(t), newPlan(t)
	m := newMachine(t)
	t.Run("the user cannot be made", func(t *testing.T) {
		site := site.Quick(m.root, "tls-authority-nobody")
		m.fail(t, "useradd", "useradd: cannot lock /etc/passwd; try again later.\nmore")
		require.EqualError(t, site.Start(t.Context(), plan),
			"cannot start the status service: cannot run useradd --system: useradd: cannot lock /etc/passwd; try again later.")
		require.Equal(t, []string{"useradd --system --user-group --no-create-home --shell /usr/sbin/nologin tls-authority-nobody"}, m.calls(t))
		require.Nil(t, site.Site().Spool().Owner)
	})
	t.Run("the user of the daemon may not enter a directory", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("NOT TRIED: the user of the daemon is that of the test, who may enter everything")
		}
		site := site.Quick(m.root, m.account)
		agent := filepath.Dir(site.Site().State)
		mode, err := os.Stat(agent)
		require.NoError(t, err)
		defer func() { require.NoError(t, os.Chmod(agent, mode.Mode())) }()
		require.NoError(t, os.Chmod(agent, 0o700))
		err = site.Start(t.Context(), plan)
		require.ErrorContains(t, err, "cannot start the status service: user "+m.account+" may not enter /")
		require.Contains(t, m.calls(t), "systemctl disable --now "+filepath.Base(site.Site().UnitPath()))
	})
	t.Run("systemctl fails", func(t *testing.T) {
		site := site.Quick(m.root, m.account)
		m.fail(t, "systemctl", "Failed to connect to bus")
		require.ErrorContains(t, site.Start(t.Context(), plan),
			"cannot start the status service: cannot run systemctl enable: Failed to connect to bus, nor stop it: ")
	})
	requireNoProcess(t, site)
}

func TestUnitFile(t *testing.T) {
	t.Parallel()
	site := service.New(control.At("/var/lib/juju/agents/unit-authority-0/charm", "authority/0")).Quick(t.TempDir(), "tls-authority")
	settings := func(port int) map[string]string {
		found := map[string]string{}
		for line := range strings.Lines(site.UnitFile(control.Plan{Port: port})) {
			if key, value, isSetting := strings.Cut(strings.TrimSpace(line), "="); isSetting {
				require.NotContains(t, found, key)
				found[key] = value
			}
		}
		return found
	}
	got := settings(9402)
	for key, want := range map[string]string{
		"ExecStart": `"/var/lib/juju/agents/unit-authority-0/charm/bin/pebble" run`, "User": "tls-authority", "Group": "tls-authority",
		"WorkingDirectory": "/var/lib/juju/agents/unit-authority-0/status", "Restart": "always",
		"NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
		"ProtectKernelTunables": "yes", "ProtectControlGroups": "yes", "RestrictSUIDSGID": "yes", "MemoryDenyWriteExecute": "yes",
		"RestrictNamespaces": "yes", "LockPersonality": "yes", "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
		"SystemCallFilter": "@system-service", "LimitCORE": "0", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
	} {
		require.Equal(t, want, got[key], key)
	}
	require.NotContains(t, got, "ReadWritePaths", "there is nothing to write")
	directory := "/run/" + got["RuntimeDirectory"]
	require.Equal(t, `"PEBBLE=`+directory+`" "XDG_CONFIG_HOME=`+directory+`" PEBBLE_PERSIST=never PEBBLE_VERBOSE=1`, got["Environment"])
	require.Equal(t, `/bin/ln -sfn "/var/lib/juju/agents/unit-authority-0/status/pebble/layers" "`+directory+`/layers"`, got["ExecStartPre"])

	got = settings(80)
	require.Equal(t, "CAP_NET_BIND_SERVICE", got["CapabilityBoundingSet"])
	require.Equal(t, "CAP_NET_BIND_SERVICE", got["AmbientCapabilities"])
}

// TestUnitFileVerified asks systemd itself.
func TestUnitFileVerified(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze: nobody but this project has checked the unit file")
	}
	site := newSite(t)
	path := filepath.Join(t.TempDir(), "tls-authority-status-authority-0.service")
	require.NoError(t, os.WriteFile(path, []byte(site.UnitFile(newPlan(t))), 0o644))
	output, err := exec.Command(analyze, "verify", path).CombinedOutput()
	require.NoError(t, err, string(output))
	require.NotContains(t, string(output), filepath.Base(path)+":", "it has complaints about lines of the file")

	output, err = exec.Command(analyze, "security", "--offline=true", "--threshold=30", path).CombinedOutput()
	require.NoError(t, err, "its exposure is over 3.0: %s", output)
}
