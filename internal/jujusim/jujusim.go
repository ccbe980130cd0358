// SPDX-License-Identifier: GPL-3.0-only

// Package jujusim is a simulated Juju model. It unpacks a real .charm archive,
// runs its dispatch program with exactly the environment a unit agent gives
// it, and answers the hook tools it calls, over the agent socket and as
// programs on PATH. It keeps what a controller keeps: applications, units,
// leadership, relations and their databags, secrets, configuration, actions,
// status.
//
// It is a fake, not a mock: it applies Juju's rules (who may read and write
// what, what is buffered until the hook ends, which event follows which) with
// Juju's error texts and exit codes, differs by version where Juju does, and
// fails loudly on what it lacks. It is awkward on purpose: what Juju leaves
// arbitrary is shuffled, and charms can be killed, deposed or refused their
// commit at any point.
//
// It is not a controller: no machines, no storage, no resources, no payloads,
// no subordinate charms, no suspended relations. Hooks run one at a time in
// the whole model, so that a test sees the same thing every time.
//
// The rules were read in Juju 3.5 (worker/uniter, apiserver/facades/agent),
// 3.6 and 4.1; comments name the file where a rule may surprise.
package jujusim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Options says how a model is to behave. The zero value is a usable one.
type Options struct {
	// Version is the Juju version to behave as: "3.5.4", "3.6.11" (the
	// default), "4.1".
	Version string
	// Seed settles what Juju leaves arbitrary: secret ids, the order of units
	// and of relations. 0 is a fixed seed.
	Seed uint64
	// ExecOnly makes the agent socket refuse Juju's RPC method, so that only
	// the tools on PATH work.
	ExecOnly bool
	// Directory is where units live; its agents and tools folders are removed
	// by Close. Empty means a new folder with a short name, because the path
	// of a unix socket may have 107 bytes.
	Directory string
	// Cache is a folder where charms stay unpacked, for many models that deploy
	// the same one. Their units share its files by hard links, so that the
	// charm must not write to them. Empty means that each unit unpacks its own.
	Cache string
	// ToolBinary is a program that calls Shim first. Empty means this one. A
	// program with the race detector takes a second to end unless the charm
	// sets GORACE=atexit_sleep_ms=0.
	ToolBinary string
	// Subnet is the first half of the addresses of units, "127.20" by default.
	// Linux has the whole loopback network, so that what a charm runs can listen
	// on the address of its unit; models that run at the same time and listen on
	// the same port need one each.
	Subnet string
	// Observe is called after each hook and action, from the goroutine that
	// runs it.
	Observe func(HookRun)
	// Now is the model's clock: expiry, rotation, timestamps. Nil means
	// time.Now.
	Now func() time.Time
	// Program, when set, is called where dispatch would be executed, with the
	// same environment and socket. Its result is the exit code. The context
	// ends when the charm is killed.
	Program func(ctx context.Context, environ []string, dir string, stdout, stderr io.Writer) int
	// Serve, when set, serves the tools of each hook and action in place of
	// the simulator's own, until stop is called. What it returns as environ,
	// in the form NAME=value, takes the place of variables of the same name.
	// Interventions need the simulator's own tools.
	Serve func(HookContext) (environ []string, stop func(), err error)
	// HookTimeout ends a hook that hangs; the unit is then in error. 0 means
	// a minute. Juju has no such limit.
	HookTimeout time.Duration
}

// Model is a simulated Juju model. Its methods may be called from several
// goroutines, but only one at a time may run hooks; those that run hooks fail
// when called from inside one.
type Model struct {
	options       Options
	version       version
	directory     string
	ownsDirectory bool
	name, uuid    string
	startedAt     time.Time

	running sync.Mutex // held while a hook or action runs

	mu           sync.Mutex // guards everything below
	random       *rand.Rand
	applications map[string]*application
	relations    map[int]*relation
	secrets      map[string]*secret
	lastRelation int
	lastMachine  int
	lastTask     int
	hooks        []HookRun
	log          []LogLine
	intervene    func(Call) Intervention
	failCommit   func(HookRun) CommitFault
	pass         func(HookRun) bool
}

// defaultSeed stands for Options.Seed 0. Any number would do; it must not
// change, or tests that rely on an order change with it.
const defaultSeed = 20260713

// socketPathLimit is the longest path that fits sockaddr_un on Linux with its
// terminating zero.
const socketPathLimit = 107

// errBusy answers a call that would run a hook inside another.
var errBusy = errors.New("cannot run a hook: another one is running")

// New makes an empty model.
func New(o Options) (*Model, error) {
	if o.Version == "" {
		o.Version = "3.6.11"
	}
	v, err := parseVersion(o.Version)
	if err != nil {
		return nil, err
	}
	if o.Seed == 0 {
		o.Seed = defaultSeed
	}
	if o.Subnet == "" {
		o.Subnet = "127.20"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HookTimeout == 0 {
		o.HookTimeout = time.Minute
	}
	m := &Model{
		options:      o,
		version:      v,
		name:         "demo",
		random:       rand.New(rand.NewPCG(o.Seed, o.Seed)),
		applications: map[string]*application{},
		relations:    map[int]*relation{},
		secrets:      map[string]*secret{},
		lastRelation: -1,
		lastMachine:  -1,
		startedAt:    o.Now(),
	}
	m.uuid = m.newUUID()
	err = m.makeDirectory()
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Model) makeDirectory() error {
	var err error
	if m.options.ToolBinary == "" {
		m.options.ToolBinary, err = os.Executable()
		if err != nil {
			return fmt.Errorf("cannot find this program to use it as hook tools: %w", err)
		}
	}
	m.options.ToolBinary, err = filepath.Abs(m.options.ToolBinary)
	if err != nil {
		return fmt.Errorf("cannot resolve the tool program: %w", err)
	}
	if m.options.Directory == "" {
		m.ownsDirectory = true
		m.directory, err = os.MkdirTemp("", "juju")
	} else {
		m.directory, err = filepath.Abs(m.options.Directory)
	}
	if err != nil {
		return fmt.Errorf("cannot make the model's directory: %w", err)
	}
	return nil
}

// Close ends what charms left running and removes the files of the model. It
// must not be called while a hook runs.
func (m *Model) Close() error {
	ended := endProcesses(filepath.Join(m.directory, "agents"))
	if m.ownsDirectory {
		return errors.Join(ended, os.RemoveAll(m.directory))
	}
	return errors.Join(
		ended,
		os.RemoveAll(filepath.Join(m.directory, "agents")),
		os.RemoveAll(filepath.Join(m.directory, "tools")),
	)
}

// Directory returns the folder that holds agents/unit-<app>-<n>/charm and
// tools.
func (m *Model) Directory() string { return m.directory }

// UUID returns the identity of the model.
func (m *Model) UUID() string { return m.uuid }

func (m *Model) now() time.Time { return m.options.Now().UTC() }

func (m *Model) newUUID() string {
	b := m.randomBytes(16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (m *Model) randomBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.random.Uint32())
	}
	return b
}

// shuffled returns the keys of a map in an order that depends on the seed
// alone: Go's own map order would differ between two runs of one test.
func shuffled[K int | string, V any](m *Model, set map[K]V) []K {
	keys := slices.Sorted(maps.Keys(set))
	m.random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys
}

// unitNamed finds a unit that has not been removed.
func (m *Model) unitNamed(name string) (*unit, error) {
	app := m.applications[applicationOf(name)]
	if app != nil {
		for _, u := range app.units {
			if u.name == name {
				return u, nil
			}
		}
	}
	return nil, fmt.Errorf("no unit %q in the model", name)
}

func (m *Model) charmedUnit(name string) (*unit, error) {
	u, err := m.unitNamed(name)
	if err != nil {
		return nil, err
	}
	if u.application.charm == nil {
		return nil, fmt.Errorf("unit %q belongs to a stand-in, which has no charm", name)
	}
	return u, nil
}
