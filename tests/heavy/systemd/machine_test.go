// SPDX-License-Identifier: GPL-3.0-only

package systemd

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// bootWord is the argument that makes this program the machine's first.
	bootWord = "boot-a-machine"

	// systemVariable names the variable with the root of another distribution.
	systemVariable = "SYSTEMD_TEST_ROOT"

	// account is that of the daemon.
	account = "tls-authority"

	// consoleName is the file that is the console of a machine.
	consoleName = "/console"

	// hooksMemory is where a machine has the /dev/shm of this one. Hooks hand
	// secrets to the simulator in files there.
	hooksMemory = "/hooks-memory"

	// patience is far longer than anything takes.
	patience = 3 * time.Minute
)

// machine is a container that systemd runs.
type machine struct {
	layout
	cgroup string
	first  int           // the machine's first process, as seen from here
	ended  chan struct{} // closed when it has
	why    error
}

// newMachine boots one. It needs root, and says what else it lacks.
func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT TRIED on systemd: only root can boot it in a container")
	}
	if _, err := exec.LookPath("nsenter"); err != nil {
		t.Skipf("NOT TRIED on systemd: %v", err)
	}
	system := cmp.Or(os.Getenv(systemVariable), "/")
	for _, program := range []string{initProgram, "/usr/bin/systemctl", "/usr/bin/systemd-analyze", "/usr/sbin/useradd", "/usr/bin/curl", "/usr/bin/openssl"} {
		if _, err := os.Stat(filepath.Join(system, program)); err != nil {
			t.Skipf("NOT TRIED on systemd: %v", err)
		}
	}
	hierarchy, err := findCgroup()
	if err != nil {
		t.Skipf("NOT TRIED on systemd: %v", err)
	}
	// Units may not look into /tmp, so that a model cannot be there.
	folder, err := os.MkdirTemp("/var/lib", "juju")
	require.NoError(t, err)
	m := &machine{
		layout: layout{root: filepath.Join(folder, "root"), shared: filepath.Join(folder, "model"), system: system},
		cgroup: filepath.Join(hierarchy, cgroupName()),
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	require.NoError(t, os.Chmod(folder, 0o755))
	require.NoError(t, os.Mkdir(m.shared, 0o755))
	require.NoError(t, m.furnish())
	if err := os.Mkdir(m.cgroup, 0o755); err != nil {
		t.Skipf("NOT TRIED on systemd: cannot make a cgroup for it: %v", err)
	}
	t.Cleanup(func() {
		m.end()
		require.Eventually(t, func() bool { return removeCgroup(m.cgroup) == nil }, patience, 50*time.Millisecond, "the cgroup can be removed")
	})
	if err := m.start(); err != nil {
		t.Skipf("NOT TRIED on systemd: it cannot be started: %v", err)
	}
	if err := m.awaitBoot(t); err != nil {
		t.Skipf("NOT TRIED on systemd: it does not boot: %v\n%s", err, m.console())
	}
	return m
}

// start starts the first process.
func (m *machine) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cgroup, err := os.Open(m.cgroup)
	if err != nil {
		return err
	}
	defer cgroup.Close()
	cmd := exec.Command(self, bootWord, m.root, m.shared, m.system)
	complaint, err := os.Create(m.bootLog())
	if err != nil {
		return err
	}
	defer complaint.Close()
	cmd.Stderr = complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET,
		UseCgroupFD: true,
		CgroupFD:    int(cgroup.Fd()),
		Setsid:      true,
		Pdeathsig:   syscall.SIGKILL, // with it goes all of the machine
	}
	m.ended = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is about the end of this thread
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			m.first = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		m.why = cmd.Wait()
		close(m.ended)
	}()
	return <-started
}

// bootLog is what the first process says before it is systemd.
func (m *machine) bootLog() string { return m.root + ".log" }

// awaitBoot waits until systemd has started all that it is to start.
func (m *machine) awaitBoot(t *testing.T) error {
	limit := time.Now().Add(patience)
	for {
		select {
		case <-m.ended:
			text, _ := os.ReadFile(m.bootLog())
			return errors.Join(errors.New(strings.TrimSpace(string(text))), m.why)
		default:
		}
		text, _ := m.command(context.Background(), "systemctl", "is-system-running").CombinedOutput()
		switch state := strings.TrimSpace(string(text)); {
		case state == "running":
			return nil
		case state == "degraded":
			failed, _ := m.command(context.Background(), "systemctl", "--failed", "--no-legend", "--plain").CombinedOutput()
			t.Logf("units of the distribution that do not run in a container: %s", failed)
			return nil
		case time.Now().After(limit):
			return errors.New(state)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// command is a command in the machine.
func (m *machine) command(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(m.first), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", slices.Concat(enter, []string{name}, arguments)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	return cmd
}

// run calls a program in the machine, which must succeed.
func (m *machine) run(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	text, err := m.command(t.Context(), name, arguments...).CombinedOutput()
	require.NoError(t, err, "%s", text)
	return strings.TrimSpace(string(text))
}

// program runs dispatch in the machine, as jujusim's Options.Program.
func (m *machine) program(ctx context.Context, environ []string, dir string, stdout, stderr io.Writer) int {
	const script = `mount --bind ` + hooksMemory + ` /dev/shm && cd "$0" && exec ./dispatch`
	cmd := m.command(ctx, "unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, dir)
	cmd.Env, cmd.Stdout, cmd.Stderr = environ, stdout, stderr
	cmd.WaitDelay = time.Second
	_ = cmd.Run() // what it was is in the exit code
	return cmd.ProcessState.ExitCode()
}

// end ends the machine as a loss of power does.
func (m *machine) end() {
	if m.first != 0 {
		_ = syscall.Kill(m.first, syscall.SIGKILL) // it may have ended
		<-m.ended
	}
}

// reboot has systemd end everything, and boots again.
func (m *machine) reboot(t *testing.T) {
	t.Helper()
	m.run(t, "systemctl", "reboot")
	m.await(t)
	require.NoError(t, m.start())
	require.NoError(t, m.awaitBoot(t), m.console())
}

// crash loses power and boots again.
func (m *machine) crash(t *testing.T) {
	t.Helper()
	m.end()
	// A machine tells what is left of the boot before by the number of the boot,
	// which is the kernel's: in a container it stays.
	left, err := filepath.Glob(filepath.Join(m.root, "var/tmp/systemd-private-*"))
	require.NoError(t, err)
	for _, path := range left {
		require.NoError(t, os.RemoveAll(path))
	}
	require.NoError(t, m.start())
	require.NoError(t, m.awaitBoot(t), m.console())
}

func (m *machine) await(t *testing.T) {
	t.Helper()
	select {
	case <-m.ended:
	case <-time.After(patience):
		require.Fail(t, "the machine does not end", m.console())
	}
}

func (m *machine) console() string {
	text, _ := os.ReadFile(m.root + consoleName)
	return string(text)
}
