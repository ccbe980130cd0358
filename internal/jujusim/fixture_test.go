// SPDX-License-Identifier: GPL-3.0-only

package jujusim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/juju/charm/v12"
	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
	"tls-authority/internal/jujusim"
)

func TestMain(m *testing.M) {
	if code, isTool := jujusim.Shim(os.Args[0], os.Args[1:]); isTool {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

const (
	metadata = `
name: goca
summary: A charm to test with.
description: A charm to test with.
provides:
  certificates: {interface: tls-certificates}
requires:
  upstream: {interface: tls-certificates, limit: 1}
peers:
  authority: {interface: goca}
extra-bindings:
  admin:
`
	options = `
options:
  name: {type: string, default: ca}
  limit: {type: int, default: 1000000}
  ratio: {type: float}
  debug: {type: boolean, default: false}
  key: {type: secret}
  unset: {type: string}
`
	actions = `
sign:
  description: Sign.
  params:
    csr: {type: string}
    days: {type: integer, default: 90}
    deep: {type: object, properties: {inner: {type: string}}}
  required: [csr]
list:
  description: List.
  additionalProperties: true
`
	manifest = `
bases:
  - {name: ubuntu, channel: "24.04", architectures: [amd64]}
`
)

// packCharm makes a charm archive with the dispatch script and returns its
// path. An empty script leaves dispatch out.
func packCharm(t *testing.T, dispatch string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"metadata.yaml": metadata, "config.yaml": options, "actions.yaml": actions, "manifest.yaml": manifest}
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	if dispatch != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "dispatch"), []byte(dispatch), 0o755))
	}
	source, err := charm.ReadCharmDir(dir)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "goca.charm")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, source.ArchiveTo(f))
	require.NoError(t, f.Close())
	return path
}

// hook is a charm's view of one run.
type hook struct {
	name   string // hook or action
	env    map[string]string
	client *rpc.Client
}

// answer is what a tool gave.
type answer struct {
	code           int
	stdout, stderr string
	broken         error // of the RPC
}

func (h *hook) run(tool string, args ...string) answer {
	return h.call(juju.Request{CommandName: tool, Args: args})
}

func (h *hook) runWith(stdin, tool string, args ...string) answer {
	return h.call(juju.Request{CommandName: tool, Args: args, StdinSet: true, Stdin: []byte(stdin)})
}

func (h *hook) call(request juju.Request) answer {
	if request.ContextId == "" {
		request.ContextId = h.env["JUJU_CONTEXT_ID"]
	}
	if request.Dir == "" {
		request.Dir = h.env["CHARM_DIR"]
	}
	var response juju.Response
	err := h.client.Call(juju.ServiceMethod, request, &response)
	return answer{response.Code, string(response.Stdout), string(response.Stderr), err}
}

// ok runs a tool that must work and returns what it printed.
func (h *hook) ok(t *testing.T, tool string, args ...string) string {
	t.Helper()
	a := h.run(tool, args...)
	require.NoError(t, a.broken)
	require.Equal(t, 0, a.code, a.stderr)
	return strings.TrimSuffix(a.stdout, "\n")
}

// world is a model whose charm is a function in this process.
type world struct {
	*jujusim.Model
	t       *testing.T
	archive string

	mu      sync.Mutex
	program func(*hook) int
	// secretVariables holds the JUJU_SECRET variables of the last hook of
	// each name: id, label, revision.
	secretVariables map[string]string
}

// charmed replaces the charm; the default one does nothing.
func (w *world) charmed(program func(*hook) int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.program = program
}

// on runs f in the hook named and nothing in others.
func (w *world) on(name string, f func(*hook) int) {
	w.charmed(func(h *hook) int {
		if h.name != name {
			return 0
		}
		return f(h)
	})
}

func newWorld(t *testing.T, o jujusim.Options) *world {
	t.Helper()
	w := &world{t: t, archive: packCharm(t, "#!/bin/sh\n"), program: func(*hook) int { return 0 }, secretVariables: map[string]string{}}
	o.Program = w.dispatch
	model, err := jujusim.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, model.Close()) })
	w.Model = model
	return w
}

func (w *world) dispatch(_ context.Context, environ []string, _ string, _, stderr io.Writer) int {
	h := &hook{env: map[string]string{}}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		h.env[name] = value
	}
	_, h.name, _ = strings.Cut(h.env["JUJU_DISPATCH_PATH"], "/")
	var err error
	h.client, err = rpc.Dial(h.env["JUJU_AGENT_SOCKET_NETWORK"], h.env["JUJU_AGENT_SOCKET_ADDRESS"])
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 99
	}
	defer h.client.Close()
	w.mu.Lock()
	program := w.program
	if id, found := h.env["JUJU_SECRET_ID"]; found {
		w.secretVariables[h.name] = strings.Join([]string{id, h.env["JUJU_SECRET_LABEL"], h.env["JUJU_SECRET_REVISION"]}, "|")
	}
	w.mu.Unlock()
	return program(h)
}

// deploy deploys the charm as goca and settles.
func (w *world) deploy(units int) {
	w.t.Helper()
	require.NoError(w.t, w.Deploy(w.archive, "goca", units))
	require.NoError(w.t, w.Settle())
}

// relate adds a stand-in "web" and relates it, without running hooks.
func (w *world) relate(units int) int {
	w.t.Helper()
	require.NoError(w.t, w.AddStandIn("web", units))
	id, err := w.Relate("goca:certificates", "web:certificates")
	require.NoError(w.t, err)
	return id
}

// during runs f inside one hook of a unit and requires that the hook ends
// well.
func (w *world) during(unit string, f func(*hook)) {
	w.t.Helper()
	require.NoError(w.t, w.attempt(unit, func(h *hook) int { f(h); return 0 }))
}

func (w *world) attempt(unit string, f func(*hook) int) error {
	w.on("update-status", f)
	defer w.charmed(func(*hook) int { return 0 })
	return w.UpdateStatus(unit)
}

// ran describes the hooks of a unit since the nth: name, remote unit or
// application, departing unit.
func (w *world) ran(unit string, since int) []string {
	var names []string
	for _, run := range w.Hooks()[since:] {
		if run.Unit != unit {
			continue
		}
		name := run.Hook
		if run.Relation != "" {
			name += " " + run.RemoteApplication + ":" + run.RemoteUnit
		}
		if run.DepartingUnit != "" {
			name += " departing " + run.DepartingUnit
		}
		names = append(names, name)
	}
	return names
}

var errStillBroken = errors.New("still broken")
