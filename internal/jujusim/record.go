// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// HookRun is one execution of a hook or an action.
type HookRun struct {
	Unit string
	// Hook is Juju's name, such as "certificates-relation-changed", or the
	// name of the action.
	Hook string
	// ActionID is set for actions only.
	ActionID string
	// Relation is set for relation hooks, as in "certificates:3".
	Relation                                     string
	RemoteUnit, RemoteApplication, DepartingUnit string
	// Secret is JUJU_SECRET_ID as the charm saw it.
	Secret string
	// Attempt counts from 1; a retried hook has the same values otherwise.
	Attempt int
	// Started is by the model's clock, Duration by the machine's.
	Started  time.Time
	Duration time.Duration
	// CPU is user and system time of the process and MaxRSS its largest size
	// in bytes; both are 0 for an Options.Program.
	CPU    time.Duration
	MaxRSS int64
	// Calls holds the tools that the charm called, in order. A call that
	// Juju's client makes twice to hand over its input counts once.
	Calls []Call
	// Writes counts the successful calls that change what others see of the
	// model: relation-set, state-set, state-delete, status-set, secret-add,
	// -set, -grant, -revoke and -remove, open-port, close-port,
	// application-version-set, leader-set. Logs and action results are not
	// counted, nor is the consumer record that a secret-get leaves.
	Writes int
	// ExitCode is -1 when the program did not start or was killed.
	ExitCode int
	// Skipped: the charm has no program for this hook, which is success.
	Skipped bool
	// Killed: by an Intervention, or because HookTimeout passed.
	Killed bool
	// CommitError is the refusal of what the hook had buffered.
	CommitError string
}

// Call is one call of a hook tool.
type Call struct {
	Unit, Hook string
	Attempt    int
	Index      int // counts from 0 in one run
	Tool       string
	Args       []string
	Stdin      []byte
	Code       int
	// Error is what the tool printed on its standard error.
	Error       string
	StdoutBytes int
	Transport   string // "rpc" or "exec"
}

// Verdict is what becomes of a call.
type Verdict int

const (
	// Proceed serves the call.
	Proceed Verdict = iota
	// Fail answers with Intervention.Code and Stderr and does nothing.
	Fail
	// KillCharm kills the charm before the call is served.
	KillCharm
	// KillAfter kills the charm after the call was served, before it sees the
	// answer.
	KillAfter
	// Truncate serves the call, and loses the second half of what the tool
	// prints.
	Truncate
	// Garble serves the call, and puts bytes that nobody can read in the place
	// of what the tool prints.
	Garble
	// HangUp closes the connection of the charm before the call is served. The
	// charm goes on, and may connect again.
	HangUp
	// HangUpAfter does so after the call was served, before the charm sees the
	// answer.
	HangUpAfter
)

// Intervention is what a test does to a call. Meanwhile, when set, runs first
// and may change the model, but not run hooks.
type Intervention struct {
	Verdict   Verdict
	Code      int    // 0 means 1
	Stderr    string // without "ERROR "
	Meanwhile func()
}

// CommitFault is what goes wrong after a hook has ended well.
type CommitFault int

const (
	// NoFault commits.
	NoFault CommitFault = iota
	// RefuseCommit lets the controller refuse the transaction. In Juju 3 the
	// secrets are stored by then.
	RefuseCommit
	// AgentDies stops the agent in the middle of the commit, with the same
	// result as RefuseCommit, but for an action, which is failed.
	AgentDies
	// AgentDiesAfter stops the agent when everything is committed, before it
	// has noted that the hook is done: the hook runs again.
	AgentDiesAfter
)

// LogLine is a line of the model's log.
type LogLine struct {
	Time    time.Time
	Unit    string
	Hook    string
	Module  string // "unit.<unit>.juju-log", "unit.<unit>.<hook>", …
	Level   string
	Message string
}

// String returns the line as juju debug-log shows it.
func (l LogLine) String() string {
	return fmt.Sprintf("%s: %s %s %s %s", l.Unit, l.Time.Format(time.TimeOnly), l.Level, l.Module, l.Message)
}

// Hooks returns everything that ran, oldest first.
func (m *Model) Hooks() []HookRun {
	m.mu.Lock()
	defer m.mu.Unlock()
	runs := make([]HookRun, len(m.hooks))
	for i, run := range m.hooks {
		runs[i] = run.clone()
	}
	return runs
}

// Log returns what charms logged and printed, oldest first.
func (m *Model) Log() []LogLine {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.log)
}

// Intervene sets a function that is consulted before each call of a tool; nil
// ends that. It is called without locks and may inspect and change the model.
func (m *Model) Intervene(f func(Call) Intervention) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.intervene = f
}

// Pass sets a function that names hooks which succeed without the charm being
// run; nil ends that. It leads quickly to a model in which much has happened
// long ago: a sweep of the charm then makes up for what it missed.
func (m *Model) Pass(f func(HookRun) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pass = f
}

// FailCommit sets a function that is asked before each commit; nil ends that.
func (m *Model) FailCommit(f func(HookRun) CommitFault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failCommit = f
}

func (r HookRun) clone() HookRun {
	r.Calls = slices.Clone(r.Calls)
	for i, call := range r.Calls {
		r.Calls[i] = call.clone()
	}
	return r
}

func (c Call) clone() Call {
	c.Args = slices.Clone(c.Args)
	c.Stdin = bytes.Clone(c.Stdin)
	return c
}

// record appends to the log. The caller holds m.mu.
func (m *Model) record(unit, hook, module, level, message string) {
	m.log = append(m.log, LogLine{Time: m.now(), Unit: unit, Hook: hook, Module: module, Level: level, Message: message})
}

// lineLimit is the size of the agent's read buffer: longer lines become
// several records (internal/worker/common/charmrunner/logger.go).
const lineLimit = 4096

// lineLogger writes a charm's output to the log line by line. It is used by
// one goroutine at a time.
type lineLogger struct {
	model              *Model
	unit, hook, module string
	level              string
	rest               []byte
	keep               *bytes.Buffer // nil unless the output is a result too
}

func (w *lineLogger) Write(p []byte) (int, error) {
	if w.keep != nil {
		w.keep.Write(p)
	}
	w.rest = append(w.rest, p...)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		switch {
		case end >= 0 && end <= lineLimit:
			w.emit(w.rest[:end])
			w.rest = w.rest[end+1:]
		case len(w.rest) > lineLimit:
			w.emit(w.rest[:lineLimit])
			w.rest = w.rest[lineLimit:]
		default:
			return len(p), nil
		}
	}
}

func (w *lineLogger) flush() {
	if len(w.rest) > 0 {
		w.emit(w.rest)
		w.rest = nil
	}
}

func (w *lineLogger) emit(line []byte) {
	w.model.mu.Lock()
	defer w.model.mu.Unlock()
	w.model.record(w.unit, w.hook, w.module, w.level, strings.TrimSuffix(string(line), "\r"))
}
