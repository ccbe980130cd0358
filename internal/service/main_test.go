// SPDX-License-Identifier: GPL-3.0-only

package service_test

import (
	"context"
	"errors"
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
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/control"
	"tls-authority/internal/responder"
	"tls-authority/internal/service"
	"tls-authority/internal/spool"
)

// TestMain is the daemon too: what Pebble runs in these tests is this program.
// It is also what stands in for the programs of a machine with systemd.
func TestMain(m *testing.M) {
	if root := os.Getenv(machineRoot); root != "" {
		if err := beMachine(root, filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := serve(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "tls-authority:", err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if err := os.RemoveAll(tools); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// serve is what the charm's own program does when it is the daemon.
func serve(arguments []string) error {
	if len(arguments) != 4 || arguments[0] != "--spool" || arguments[2] != "--listen" {
		return errors.New("usage: serve --spool directory --listen address:port")
	}
	listener, err := net.Listen("tcp", arguments[3])
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	answers := responder.New(spool.Folder{Path: arguments[1]}, time.Now, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/live" {
			answers.ServeHTTP(w, r)
		}
	}))
}

// tools is a directory for what is built once.
var tools = filepath.Join(os.TempDir(), fmt.Sprintf("service-test-%d", os.Getpid()))

// buildPebble is Pebble as the charm carries it.
var buildPebble = sync.OnceValues(func() (string, error) {
	path := filepath.Join(tools, "pebble")
	output, err := exec.Command("go", "build", "-o", path, "github.com/canonical/pebble/cmd/pebble").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot build Pebble: %w: %s", err, output)
	}
	return path, nil
})

// newSite is a unit with a charm whose programs are links: to a file of its
// own each would be as good, and forty times as large.
func newSite(t *testing.T) service.Keeper {
	t.Helper()
	return newSiteAt(t, t.TempDir())
}

func newSiteAt(t *testing.T, directory string) service.Keeper {
	t.Helper()
	pebble, err := buildPebble()
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	site := service.New(control.At(filepath.Join(directory, "charm"), "authority/0")).Quick(t.TempDir(), "")
	require.NoError(t, os.MkdirAll(filepath.Dir(site.Site().Program()), 0o755))
	require.NoError(t, os.Symlink(self, site.Site().Program()))
	require.NoError(t, os.Symlink(pebble, site.Site().PebbleProgram()))
	t.Cleanup(func() {
		require.NoError(t, site.Stop(context.Background()))
		requireNoProcess(t, site)
	})
	return site
}

// newPlan is one for a port that nobody has.
func newPlan(t *testing.T) control.Plan {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return control.Plan{Address: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port}
}

// start starts a service that must start, and returns its processes.
func start(t *testing.T, site service.Keeper, plan control.Plan) (pebble, daemon int) {
	t.Helper()
	require.NoError(t, site.Start(t.Context(), plan))
	require.NoError(t, site.Site().Check(t.Context()))
	require.True(t, answers(plan))
	return processes(t, site)
}

// processes are Pebble and the daemon, of which there is one each.
func processes(t *testing.T, site service.Keeper) (pebble, daemon int) {
	t.Helper()
	pebbles, daemons := site.Processes()
	require.Len(t, pebbles, 1)
	require.Len(t, daemons, 1)
	return pebbles[0], daemons[0]
}

func requireNoProcess(t *testing.T, site service.Keeper) {
	t.Helper()
	pebbles, daemons := site.Processes()
	require.Empty(t, pebbles)
	require.Empty(t, daemons)
}

// answers tells whether a daemon answers at the address of the plan.
func answers(plan control.Plan) bool {
	response, err := http.Get("http://" + net.JoinHostPort(plan.Address, strconv.Itoa(plan.Port)) + "/live")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil && response.StatusCode == http.StatusOK
}

// eventually polls as long as a slow machine may need.
func eventually(t *testing.T, condition func() bool, message string) {
	t.Helper()
	require.Eventually(t, condition, time.Minute, 20*time.Millisecond, message)
}

// environment is that of a process.
func environment(t *testing.T, pid int) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	require.NoError(t, err)
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
}
