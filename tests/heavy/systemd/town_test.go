// SPDX-License-Identifier: GPL-3.0-only

package systemd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

const (
	application = "authority"
	unit        = application + "/0"
	systemdUnit = "tls-authority-status-authority-0.service"
	port        = 9402
)

// town is a model whose units are on one machine with systemd.
type town struct {
	*jujusim.Model
	*machine
	t    *testing.T
	port int // of the service
}

// newTown deploys the charm, with its status service.
func newTown(t *testing.T) *town {
	t.Helper()
	m := newMachine(t)
	model, err := jujusim.New(jujusim.Options{Directory: m.shared, Program: m.program, HookTimeout: patience})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, model.Close()) })
	w := &town{model, m, t, port}
	require.NoError(t, w.Deploy(charmPath(t), application, 1))
	w.configure(map[string]any{"key-type": "ecdsa-p256", "status-port": port})
	return w
}

// try runs a subtest.
func (w *town) try(name string, test func(w *town)) {
	w.t.Helper()
	w.t.Run(name, func(t *testing.T) {
		part := *w
		part.t = t
		test(&part)
	})
}

// call runs a program in the machine, which must succeed.
func (w *town) call(name string, arguments ...string) string {
	w.t.Helper()
	return w.machine.run(w.t, name, arguments...)
}

func (w *town) configure(options map[string]any) {
	w.t.Helper()
	require.NoError(w.t, w.Configure(application, options))
	require.NoError(w.t, w.Settle())
}

// agent is the directory of a unit.
func (w *town) agent(unit string) string {
	return filepath.Join(w.shared, "agents", "unit-"+strings.ReplaceAll(unit, "/", "-"))
}

// processes are those of a unit's service, as seen from here.
func (w *town) processes(unit string) (pebbles, daemons []int) {
	w.t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(w.t, err)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline")) // it may be gone
		switch words := strings.Split(string(line), "\x00"); {
		case words[0] == filepath.Join(w.agent(unit), "charm/bin/pebble"):
			pebbles = append(pebbles, pid)
		case words[0] == filepath.Join(w.agent(unit), "charm/bin/tls-authority") && words[1] == "serve":
			daemons = append(daemons, pid)
		}
	}
	return pebbles, daemons
}

// pair are the two processes of a unit's service, when these are all.
func (w *town) pair(unit string) (pebble, daemon int) {
	w.t.Helper()
	pebbles, daemons := w.processes(unit)
	require.Len(w.t, pebbles, 1)
	require.Len(w.t, daemons, 1)
	return pebbles[0], daemons[0]
}

// awaitOthers waits for a pair in which nobody is one of the past.
func (w *town) awaitOthers(unit string, past ...int) (pebble, daemon int) {
	w.t.Helper()
	w.eventually("the service comes back by itself", func() bool {
		pebbles, daemons := w.processes(unit)
		if len(pebbles) != 1 || len(daemons) != 1 || !w.live(unit) {
			return false
		}
		pebble, daemon = pebbles[0], daemons[0]
		for _, pid := range past {
			if pid == pebble || pid == daemon {
				return false
			}
		}
		return true
	})
	return pebble, daemon
}

func (w *town) eventually(what string, is func() bool) {
	w.t.Helper()
	require.Eventually(w.t, is, patience, 100*time.Millisecond, what)
}

// base is where a unit's service answers, inside the machine.
func (w *town) base(unit string) string {
	return "http://" + w.Address(unit) + ":" + strconv.Itoa(w.port)
}

func (w *town) live(unit string) bool {
	return w.command(w.t.Context(), "curl", "--fail", "--silent", w.base(unit)+"/live").Run() == nil
}

// property asks systemd about the unit of the service.
func (w *town) property(name string) string {
	w.t.Helper()
	return w.call("systemctl", "show", "--property", name, "--value", systemdUnit)
}

// starts counts how often systemd has started the unit.
func (w *town) starts() int {
	w.t.Helper()
	return strings.Count(w.call("journalctl", "--no-pager", "--output", "cat", "--identifier", "systemd", "--unit", systemdUnit), "Started ")
}

// requireStatus is what the operator reads.
func (w *town) requireStatus(unit string, parts ...string) {
	w.t.Helper()
	status, message := w.Status(unit)
	require.Equal(w.t, "active", status, message)
	for _, part := range parts {
		require.Contains(w.t, message, part)
	}
}

// requireWell is that the service answers, and that the status has nothing to
// say about it.
func (w *town) requireWell(unit string) {
	w.t.Helper()
	status, message := w.Status(unit)
	require.Equal(w.t, "active", status, message)
	require.NotContains(w.t, message, "status service")
	w.pair(unit)
	require.True(w.t, w.live(unit))
}

// requireSame is that nothing was started anew.
func (w *town) requireSame(unit string, pebble, daemon int) {
	w.t.Helper()
	p, d := w.pair(unit)
	require.Equal(w.t, []int{pebble, daemon}, []int{p, d})
}

// requireNothing is that a unit left neither process nor file nor trace in
// systemd.
func (w *town) requireNothing(unit string) {
	w.t.Helper()
	name := "tls-authority-status-" + strings.ReplaceAll(unit, "/", "-")
	pebbles, daemons := w.processes(unit)
	require.Empty(w.t, append(pebbles, daemons...))
	require.NoDirExists(w.t, filepath.Join(w.agent(unit), "status"))
	require.Empty(w.t, w.call("find", "/etc", "/run", "/tmp", "/var/tmp", "-name", "*"+name+"*"))
	require.Empty(w.t, w.call("systemctl", "list-units", "--all", "--no-legend", name+"*"))
	count := func(directory, pattern string) int {
		return len(strings.Fields(w.call("find", directory, "-maxdepth", "1", "-name", pattern)))
	}
	require.Equal(w.t, count("/etc/systemd/system", "tls-authority-status-*"), count("/run", "tls-authority-*"), "a directory for each unit that is left")
	require.Contains(w.t, w.call("getent", "passwd", account), "/usr/sbin/nologin")
}

// newCSR signs a request with a new key.
func newCSR(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "web.example.com"}}, key)
	require.NoError(t, err)
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
}

// csrBag is the databag of a requirer with one request.
func csrBag(t *testing.T, csr string) map[string]string {
	t.Helper()
	text, err := json.Marshal([]map[string]any{{"certificate_signing_request": csr, "ca": false}})
	require.NoError(t, err)
	return map[string]string{"certificate_signing_requests": string(text)}
}

// statusOf is what the kernel tells of a process.
func statusOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	require.NoError(t, err)
	status := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		status[name] = strings.TrimSpace(value)
	}
	return status
}
