// SPDX-License-Identifier: GPL-3.0-only

package service_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/control"
	"tls-authority/internal/service"
)

func TestStart(t *testing.T) {
	t.Parallel()
	site, plan := newSite(t), newPlan(t)
	require.False(t, site.Site().Exists())
	require.ErrorContains(t, site.Site().Check(t.Context()), "has not been started")
	pebble, daemon := start(t, site, plan)
	require.True(t, site.Site().Exists())

	t.Run("again changes nothing", func(t *testing.T) {
		p, d := start(t, site, plan)
		require.Equal(t, []int{pebble, daemon}, []int{p, d})
	})
	t.Run("the spool is the daemon's alone", func(t *testing.T) {
		require.Nil(t, site.Site().Spool().Owner)
		state, err := os.Stat(site.Site().Spool().Path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), state.Mode().Perm())
	})
	t.Run("it is apart from who started it", func(t *testing.T) {
		session, _, errno := syscall.Syscall(syscall.SYS_GETSID, uintptr(pebble), 0, 0)
		require.Zero(t, errno)
		require.Equal(t, pebble, int(session))
		working, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pebble), "cwd"))
		require.NoError(t, err)
		require.Equal(t, site.Site().State, working)
	})
	t.Run("another port moves it", func(t *testing.T) {
		moved := newPlan(t)
		p, d := start(t, site, moved)
		require.Equal(t, pebble, p)
		require.NotEqual(t, daemon, d)
		require.False(t, answers(plan))
	})
	t.Run("stopped, nothing is left", func(t *testing.T) {
		require.NoError(t, site.Stop(t.Context()))
		requireNoProcess(t, site)
		require.False(t, site.Site().Exists())
		require.NoDirExists(t, site.Site().State)
		require.NoError(t, site.Stop(t.Context()), "there is none")
	})
}

func TestPebbleBringsTheDaemonBack(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{
		"one that was killed":     syscall.SIGKILL,
		"one that is only silent": syscall.SIGSTOP, // killed when it does not end either
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site, plan := newSite(t), newPlan(t)
			pebble, daemon := start(t, site, plan)
			require.NoError(t, syscall.Kill(daemon, signal))
			eventually(t, func() bool {
				_, daemons := site.Processes()
				return len(daemons) == 1 && daemons[0] != daemon && answers(plan)
			}, name)
			p, _ := processes(t, site)
			require.Equal(t, pebble, p)
		})
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	site, plan := newSite(t), newPlan(t)
	require.EqualError(t, site.Restart(t.Context()), "cannot restart the status service: it has never been started")
	pebble, daemon := start(t, site, plan)
	require.NoError(t, syscall.Kill(pebble, syscall.SIGKILL))
	eventually(t, func() bool { return site.Site().Check(t.Context()) != nil }, "the end of Pebble shows")
	require.EqualError(t, site.Site().Check(t.Context()), "the status service is down: pebble does not run")
	_, daemons := site.Processes()
	require.Equal(t, []int{daemon}, daemons, "the daemon outlives Pebble and keeps the port")

	require.NoError(t, site.Restart(t.Context()))
	require.NoError(t, site.Site().Check(t.Context()))
	require.True(t, answers(plan))
	_, d := processes(t, site)
	require.NotEqual(t, daemon, d)
}

// TestSilentPebble has one that lives and does nothing.
func TestSilentPebble(t *testing.T) {
	t.Parallel()
	site, plan := newSite(t), newPlan(t)
	pebble, daemon := start(t, site, plan)
	require.NoError(t, syscall.Kill(pebble, syscall.SIGSTOP))
	// All of its threads stop some time after the signal was sent.
	eventually(t, func() bool { return site.Site().Check(t.Context()) != nil }, "Pebble is silent")
	require.ErrorContains(t, site.Site().Check(t.Context()), "the status service is down: pebble does not answer")
	require.NoError(t, syscall.Kill(daemon, 0))
	require.NoError(t, site.Stop(t.Context()))
	requireNoProcess(t, site)
	require.NoDirExists(t, site.Site().State)
}

// TestPortTaken starts at an address where somebody else answers, of whom the
// service must not be thought.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	site, other := newSite(t), newSite(t)
	plan := newPlan(t)
	start(t, other, plan)
	want := "cannot start the status service: port " + strconv.Itoa(plan.Port) + " is taken"
	require.EqualError(t, site.Start(t.Context(), plan), want)
	requireNoProcess(t, site)

	t.Run("for one that runs elsewhere", func(t *testing.T) {
		free := newPlan(t)
		start(t, site, free)
		require.EqualError(t, site.Start(t.Context(), plan), want)
		requireNoProcess(t, site)
		require.False(t, answers(free))
		start(t, site, free)
	})
	require.True(t, answers(plan))
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	site, plan := newSite(t), newPlan(t)
	pebble, daemon := start(t, site, plan)

	upgrade(t, site.Site().Program())
	p, d := start(t, site, plan)
	require.Equal(t, pebble, p)
	require.NotEqual(t, daemon, d, "the daemon is the new program")

	upgrade(t, site.Site().PebbleProgram())
	p, _ = start(t, site, plan)
	require.NotEqual(t, pebble, p, "Pebble is the new program")
}

// upgrade puts an equal program in the place of one. It is another process
// that writes it: a program cannot be run while it is open for writing, and a
// child that another test forks just then would have it open.
func upgrade(t *testing.T, program string) {
	t.Helper()
	old, err := filepath.EvalSymlinks(program)
	require.NoError(t, err)
	output, err := exec.Command("cp", old, program+".new").CombinedOutput()
	require.NoError(t, err, string(output))
	require.NoError(t, os.Rename(program+".new", program))
}

// TestNothingIsInherited has what an agent leaves open in a hook: a pipe that
// is at its end when nobody has it any more.
func TestNothingIsInherited(t *testing.T) {
	site, plan := newSite(t), newPlan(t)
	t.Setenv("JUJU_AGENT_TOKEN", "secret")
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	inherited, err := syscall.Dup(int(writer.Fd())) // unlike Go's own, it goes on to children
	require.NoError(t, err)
	pebble, daemon := start(t, site, plan)
	require.NoError(t, writer.Close())
	require.NoError(t, syscall.Close(inherited))
	require.NoError(t, reader.SetReadDeadline(time.Now().Add(time.Minute)))
	rest, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Empty(t, rest)

	for _, pid := range []int{pebble, daemon} {
		for _, variable := range environment(t, pid) {
			require.True(t, strings.HasPrefix(variable, "PEBBLE"), variable)
		}
	}
}

func TestCannotStart(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(t *testing.T, site service.Keeper, plan *control.Plan)
		want  string
	}{
		"there is no Pebble": {func(t *testing.T, site service.Keeper, _ *control.Plan) {
			require.NoError(t, os.Remove(site.Site().PebbleProgram()))
		}, "there is no program "},
		"there is no program": {func(t *testing.T, site service.Keeper, _ *control.Plan) {
			require.NoError(t, os.Remove(site.Site().Program()))
		}, "there is no program "},
		"Pebble cannot be run": {func(t *testing.T, site service.Keeper, _ *control.Plan) {
			require.NoError(t, os.Remove(site.Site().PebbleProgram()))
			require.NoError(t, os.WriteFile(site.Site().PebbleProgram(), []byte("no program"), 0o600))
		}, "cannot run Pebble: "},
		"Pebble ends": {func(t *testing.T, site service.Keeper, _ *control.Plan) {
			require.NoError(t, os.Remove(site.Site().PebbleProgram()))
			require.NoError(t, os.Symlink(site.Site().Program(), site.Site().PebbleProgram()+".new"))
			require.NoError(t, os.Rename(site.Site().PebbleProgram()+".new", site.Site().PebbleProgram()))
		}, "pebble has ended: "},
		"the program cannot be run": {func(t *testing.T, site service.Keeper, _ *control.Plan) {
			require.NoError(t, os.Remove(site.Site().Program()))
			require.NoError(t, os.WriteFile(site.Site().Program(), []byte("no program"), 0o600))
		}, "permission denied"},
		"the address is another machine's": {func(_ *testing.T, _ service.Keeper, plan *control.Plan) {
			plan.Address = "192.0.2.1"
		}, "192.0.2.1 is not an address of this machine"},
		"the address is a name": {func(_ *testing.T, _ service.Keeper, plan *control.Plan) {
			plan.Address = "localhost"
		}, `"localhost" is not an IP address`},
		"the port is none": {func(_ *testing.T, _ service.Keeper, plan *control.Plan) {
			plan.Port = 65536
		}, "65536 is not a port"},
		"a Loki has no address": {func(_ *testing.T, _ service.Keeper, plan *control.Plan) {
			plan.Logs = []control.LogTarget{{Name: "a", URL: "/push"}}
		}, `"/push" is not the address of a Loki`},
		"two Lokis have one name": {func(_ *testing.T, _ service.Keeper, plan *control.Plan) {
			one := control.LogTarget{Name: "a", URL: "http://a/push"}
			plan.Logs = []control.LogTarget{one, one}
		}, `there twice`},
		"a label has a variable": {func(_ *testing.T, _ service.Keeper, plan *control.Plan) {
			plan.Logs = []control.LogTarget{{Name: "a", URL: "http://a/push", Labels: map[string]string{"home": "$HOME"}}}
		}, `"home" of a Loki has a $`},
		"the state is a file": {func(t *testing.T, site service.Keeper, _ *control.Plan) {
			require.NoError(t, os.WriteFile(site.Site().State, nil, 0o600))
		}, "cannot make its directory"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site, plan := newSite(t), newPlan(t)
			tc.spoil(t, site, &plan)
			err := site.Start(t.Context(), plan)
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "\n")
			require.LessOrEqual(t, len([]rune(err.Error())), 120)
			requireNoProcess(t, site)
		})
	}
}

// TestLongPath has a state whose path no socket can have.
func TestLongPath(t *testing.T) {
	t.Parallel()
	long := filepath.Join(t.TempDir(), strings.Repeat("a long name ", 8), "it's")
	site, plan := newSiteAt(t, long), newPlan(t)
	pebble, _ := start(t, site, plan)
	socket, err := site.Site().Socket()
	require.NoError(t, err)
	require.NotContains(t, socket, site.Site().State)
	state, err := os.Stat(filepath.Dir(socket))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), state.Mode().Perm())

	p, _ := start(t, site, plan)
	require.Equal(t, pebble, p)
	// A machine that starts again has an empty /tmp.
	require.NoError(t, syscall.Kill(pebble, syscall.SIGKILL))
	require.NoError(t, os.RemoveAll(filepath.Dir(socket)))
	require.Error(t, site.Site().Check(t.Context()))
	require.NoError(t, site.Restart(t.Context()))
	require.NoError(t, site.Site().Check(t.Context()))

	socket, err = site.Site().Socket()
	require.NoError(t, err)
	require.NoError(t, site.Stop(t.Context()))
	require.NoDirExists(t, filepath.Dir(socket))
}

// TestListenEverywhere has addresses that a check cannot be sent to.
func TestListenEverywhere(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0", "::1", "::"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
			if err != nil {
				t.Skipf("this machine has no address %s: %v", address, err)
			}
			require.NoError(t, listener.Close())
			start(t, newSite(t), control.Plan{Address: address, Port: listener.Addr().(*net.TCPAddr).Port})
		})
	}
}
