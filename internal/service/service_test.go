// SPDX-License-Identifier: GPL-3.0-only

package service

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/responder"
)

// TestMain lets the test binary be the daemon that Pebble runs.
func TestMain(m *testing.M) {
	if len(os.Args) == 6 && os.Args[1] == "serve" {
		daemon(os.Args[3], os.Args[5])
		return
	}
	code := m.Run()
	if pebble, err := buildPebble(); err == nil {
		_ = os.RemoveAll(filepath.Dir(pebble)) // a folder of temporary files
	}
	os.Exit(code)
}

// daemon answers from a spool until it is ended.
func daemon(spool, address string) {
	server := responder.New(responder.Spool{Directory: spool}, time.Now, slog.New(slog.DiscardHandler))
	err := http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/live" {
			fmt.Fprintln(w, os.Getpid())
			return
		}
		server.ServeHTTP(w, r)
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// wait is far longer than anything here takes.
const wait = time.Minute

// buildPebble builds the Pebble of go.mod, once.
var buildPebble = sync.OnceValues(func() (path string, err error) {
	folder, err := os.MkdirTemp("", "service-test")
	if err != nil {
		return "", err
	}
	path = filepath.Join(folder, "pebble")
	text, err := exec.Command("go", "build", "-o", path, "github.com/canonical/pebble/cmd/pebble").CombinedOutput()
	if err != nil {
		return string(text), err
	}
	return path, nil
})

// newSite is the site of a unit whose charm has this test binary as its daemon
// and the Pebble of go.mod.
func newSite(t *testing.T) Site {
	t.Helper()
	charm := filepath.Join(t.TempDir(), "unit-ca-0", "charm")
	require.NoError(t, os.MkdirAll(filepath.Join(charm, "bin"), 0o755))
	pebble, err := buildPebble()
	require.NoError(t, err, pebble)
	require.NoError(t, os.Symlink(pebble, filepath.Join(charm, "bin", "pebble")))
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(charm, "bin", "tls-authority")))
	s := At(charm, "ca/0")
	s.period = 300 * time.Millisecond
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

// freePort is one on which nobody listens now.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func get(t *testing.T, p Plan, path string) (int, string) {
	t.Helper()
	response, err := http.Get("http://" + p.listen() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

// daemonPID is the process that answers; 0 for none.
func daemonPID(t *testing.T, p Plan) int {
	t.Helper()
	_, text := get(t, p, "/live")
	pid, _ := strconv.Atoi(strings.TrimSpace(text))
	return pid
}

// pebblePID is the other process of a site.
func pebblePID(t *testing.T, s Site, daemon int) int {
	t.Helper()
	running, err := s.processes()
	require.NoError(t, err)
	require.Len(t, running, 2)
	require.Contains(t, running, daemon)
	return running[0] + running[1] - daemon
}

func TestTheServiceRunsAndComesBack(t *testing.T) {
	ctx := context.Background()
	s, p := newSite(t), Plan{Address: "127.0.0.1", Port: freePort(t)}
	require.False(t, s.Exists())
	require.NoError(t, s.Stop(ctx), "there is nothing to stop")
	t.Setenv("JUJU_AGENT_TOKEN", "of the hook alone")
	require.NoError(t, s.Start(ctx, p))
	require.True(t, s.Exists())
	require.NoError(t, s.Check(ctx))
	code, text := get(t, p, "/health")
	require.Equal(t, http.StatusServiceUnavailable, code, "nothing was told yet")
	require.Contains(t, text, "status.json")
	first := daemonPID(t, p)
	pebble := pebblePID(t, s, first)

	t.Run("a second start changes nothing", func(t *testing.T) {
		require.NoError(t, s.Start(ctx, p))
		require.Equal(t, first, daemonPID(t, p))
	})
	t.Run("it has nothing of the hook", func(t *testing.T) {
		for _, pid := range []int{pebble, first} {
			environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			require.NoError(t, err)
			require.NotContains(t, string(environ), "JUJU_")
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			require.NoError(t, err)
			_, after, _ := strings.Cut(string(stat), ") ")
			require.Equal(t, strconv.Itoa(pebble), strings.Fields(after)[3], "session")
			for _, number := range []string{"0", "1", "2"} {
				target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, number))
				require.NoError(t, err)
				own, err := os.Readlink("/proc/self/fd/" + number)
				require.NoError(t, err)
				require.True(t, target == "/dev/null" || target != own, "a hook's pipes would never close: %s", target)
			}
		}
	})
	t.Run("a daemon that is killed comes back by itself", func(t *testing.T) {
		require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
		require.Eventually(t, func() bool { pid := daemonPID(t, p); return pid != 0 && pid != first }, wait, 10*time.Millisecond)
		require.Eventually(t, func() bool { return s.Check(ctx) == nil }, wait, 10*time.Millisecond)
	})
	t.Run("a daemon that hangs is replaced", func(t *testing.T) {
		hung := daemonPID(t, p)
		require.NoError(t, syscall.Kill(hung, syscall.SIGSTOP))
		client := http.Client{Timeout: 300 * time.Millisecond}
		require.Eventually(t, func() bool {
			response, err := client.Get("http://" + p.listen() + "/live")
			if err != nil {
				return false
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			return err == nil && strings.TrimSpace(string(text)) != strconv.Itoa(hung)
		}, wait, 50*time.Millisecond)
	})
	t.Run("a Pebble that is killed is brought back by a hook", func(t *testing.T) {
		orphan := daemonPID(t, p)
		require.NoError(t, syscall.Kill(pebble, syscall.SIGKILL))
		require.Eventually(t, func() bool { return s.Check(ctx) != nil }, wait, 10*time.Millisecond)
		require.EqualError(t, s.Check(ctx), "Pebble does not answer")
		require.NoError(t, s.Restart(ctx))
		require.NoError(t, s.Check(ctx))
		require.NotEqual(t, orphan, daemonPID(t, p))
	})
	t.Run("another port moves it", func(t *testing.T) {
		old := p
		p.Port = freePort(t)
		require.NoError(t, s.Start(ctx, p))
		require.NotZero(t, daemonPID(t, p))
		require.Zero(t, daemonPID(t, old))
	})
	t.Run("another program is started anew", func(t *testing.T) {
		before := daemonPID(t, p)
		later := time.Now().Add(time.Hour)
		copied := filepath.Join(t.TempDir(), "program")
		content, err := os.ReadFile(s.program())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(copied, content, 0o755))
		require.NoError(t, os.Chtimes(copied, later, later))
		require.NoError(t, os.Rename(copied, s.program()))
		require.NoError(t, s.Start(ctx, p))
		require.NotEqual(t, before, daemonPID(t, p))
	})
	t.Run("Stop leaves nothing", func(t *testing.T) {
		daemon := daemonPID(t, p)
		pebble := pebblePID(t, s, daemon)
		require.NoError(t, s.SetTrouble("too hot"))
		require.NoError(t, s.Stop(ctx))
		for _, pid := range []int{pebble, daemon} {
			require.Eventually(t, func() bool { return syscall.Kill(pid, 0) != nil }, wait, 10*time.Millisecond)
		}
		left, err := filepath.Glob(s.state + "*")
		require.NoError(t, err)
		require.Empty(t, left)
		require.False(t, s.Exists())
	})
}

func TestAPortThatIsTaken(t *testing.T) {
	ctx := context.Background()
	s := newSite(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	p := Plan{Address: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port}
	err = s.Start(ctx, p)
	require.EqualError(t, err, fmt.Sprintf("cannot listen on %s: bind: address already in use", p.listen()))
	running, err := s.processes()
	require.NoError(t, err)
	require.Empty(t, running, "nothing is left running")
	require.NoError(t, listener.Close())
	require.NoError(t, s.Restart(ctx), "the next hook tries again")
}

func TestACharmWithoutPrograms(t *testing.T) {
	s := At(filepath.Join(t.TempDir(), "charm"), "ca/0")
	require.EqualError(t, s.Start(context.Background(), Plan{Address: "127.0.0.1", Port: 1}), "the charm has no pebble")
	require.False(t, s.Exists())
}

func TestALongPath(t *testing.T) {
	ctx := context.Background()
	s := newSite(t)
	long := filepath.Join(t.TempDir(), strings.Repeat("n", 100), "charm")
	require.NoError(t, os.MkdirAll(filepath.Dir(long), 0o755))
	require.NoError(t, os.Rename(s.charm, long))
	other := At(long, "ca/0")
	other.period = s.period
	t.Cleanup(func() { require.NoError(t, other.Stop(ctx)) })
	p := Plan{Address: "127.0.0.1", Port: freePort(t)}
	require.NoError(t, other.Start(ctx, p))
	require.NoError(t, other.Check(ctx))
	require.NotZero(t, daemonPID(t, p))
	folder := filepath.Dir(other.socket())
	require.NoError(t, other.Stop(ctx))
	require.NoDirExists(t, folder)
}

func TestTrouble(t *testing.T) {
	s := At(filepath.Join(t.TempDir(), "charm"), "ca/0")
	require.Empty(t, s.Trouble())
	require.NoError(t, s.SetTrouble(""))
	require.NoError(t, s.SetTrouble("port 80 is taken"))
	require.Equal(t, "port 80 is taken", s.Trouble())
	require.False(t, s.Exists())
	require.NoError(t, s.SetTrouble(""))
	require.Empty(t, s.Trouble())
}
