// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hookLimit ends Settle when the charm never comes to rest.
const hookLimit = 1000

// outputWait is how long output is awaited after the program has ended, when a
// child of it holds the pipe. The agent waits 100 ms and drops the rest
// (internal/worker/common/charmrunner/logger.go); a busy machine would lose
// lines by that which a test looks for.
const outputWait = 2 * time.Second

// logTail is how many lines of a failed hook its error shows.
const logTail = 20

// Settle runs hooks until nothing is pending. It stops at the first unit that
// is in error; the next call retries the hook. A killed charm is no error: its
// hook runs again, as after a restart of the agent.
func (m *Model) Settle() error {
	if !m.running.TryLock() {
		return errBusy
	}
	defer m.running.Unlock()
	for range hookLimit {
		ran, err := m.step("")
		if err != nil || !ran {
			return err
		}
	}
	return fmt.Errorf("the model does not settle: %d hooks ran, the last were %s", hookLimit, m.lastHooks(6))
}

// Step runs one hook of an arbitrary unit that has one pending.
func (m *Model) Step() (ran bool, err error) {
	if !m.running.TryLock() {
		return false, errBusy
	}
	defer m.running.Unlock()
	return m.step("")
}

// UpdateStatus runs what is pending for a unit, then one update-status.
func (m *Model) UpdateStatus(unit string) error {
	if !m.running.TryLock() {
		return errBusy
	}
	defer m.running.Unlock()
	err := m.Queue(unit, "update-status")
	if err != nil {
		return err
	}
	for range hookLimit {
		ran, err := m.step(unit)
		if err != nil || !ran {
			return err
		}
	}
	return fmt.Errorf("unit %q does not settle: %d hooks ran, the last were %s", unit, hookLimit, m.lastHooks(6))
}

func (m *Model) lastHooks(n int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for _, run := range m.hooks[max(0, len(m.hooks)-n):] {
		names = append(names, run.Unit+" "+run.Hook)
	}
	return strings.Join(names, ", ")
}

// step runs one hook of the unit named, or of any. The caller holds running.
func (m *Model) step(only string) (bool, error) {
	m.mu.Lock()
	u, e := m.choose(only)
	if u == nil {
		m.mu.Unlock()
		return false, nil
	}
	m.begin(u, e)
	c := m.newContext(u, e, nil)
	m.statusBefore(u, e)
	run := c.newRun()
	m.mu.Unlock()

	result := m.execute(c, &run)
	err := m.endHook(c, &run, result)
	m.observe(run)
	return true, err
}

// choose picks a unit and its next event.
func (m *Model) choose(only string) (*unit, *event) {
	var units []*unit
	for _, name := range shuffled(m, m.applications) {
		if app := m.applications[name]; app.charm != nil {
			units = append(units, app.units...)
		}
	}
	m.random.Shuffle(len(units), func(i, j int) { units[i], units[j] = units[j], units[i] })
	for _, u := range units {
		if only != "" && u.name != only {
			continue
		}
		if e := m.nextEvent(u); e != nil {
			return u, e
		}
	}
	return nil, nil
}

func (c *hookContext) newRun() HookRun {
	run := HookRun{Unit: c.unit.name, Attempt: c.attempt(), Started: c.model.now()}
	if c.action != nil {
		run.Hook, run.ActionID = c.action.name, c.action.id
		return run
	}
	e := c.event
	run.Hook, run.Secret = e.name(), e.secretURI
	if e.relation >= 0 {
		run.Relation = e.endpoint + ":" + strconv.Itoa(e.relation)
	}
	run.RemoteUnit, run.RemoteApplication, run.DepartingUnit = e.remoteUnit, e.remoteApplication, e.departing
	return run
}

// statusBefore and statusAfter are the agent's own changes of the workload
// status (worker/uniter/operation/runhook.go).
func (m *Model) statusBefore(u *unit, e *event) {
	switch {
	case e.kind == "install" && !u.statusSet:
		u.status = status{"maintenance", "installing charm software", m.now()}
	case e.kind == "stop":
		u.status = status{"maintenance", "stopping charm software", m.now()}
	case e.kind == "remove":
		u.status = status{"maintenance", "cleaning up prior to charm deletion", m.now()}
	}
}

func (m *Model) statusAfter(u *unit, e *event) {
	switch {
	case e.kind == "stop":
		u.status = status{"maintenance", "", m.now()}
	case e.kind == "remove":
		u.status = status{"terminated", "", m.now()}
	case e.kind == "start" && !u.statusSet:
		u.status = status{"unknown", "", m.now()}
	}
}

// outcome is how a program ended.
type outcome struct {
	code           int
	text           string // "exit status 1", "signal: killed"; "" for an Options.Program
	missing        bool   // the charm has no program for it
	startError     error  // it could not be run
	timedOut       bool
	stdout, stderr bytes.Buffer // of actions only
}

// failure is the agent's word for an unsuccessful end, "" for success.
func (o *outcome) failure() string {
	switch {
	case o.startError != nil:
		return o.startError.Error()
	case o.timedOut:
		return "jujusim: the hook ran longer than Options.HookTimeout"
	case o.code == 0:
		return ""
	case o.text != "":
		return o.text
	}
	return "exit status " + strconv.Itoa(o.code)
}

// execute serves the tools and runs the charm's program. It is called without
// locks.
func (m *Model) execute(c *hookContext, run *HookRun) *outcome {
	result := &outcome{}
	start := time.Now()
	m.mu.Lock()
	pass := m.pass
	m.mu.Unlock()
	if pass != nil && pass(*run) {
		result.missing = true
	} else {
		m.serveProgram(c, run, result)
	}
	run.Duration = time.Since(start)

	m.mu.Lock()
	defer m.mu.Unlock()
	c.ended = true
	run.Calls, run.Writes = c.calls, c.writes
	run.Killed = c.killed || result.timedOut
	run.Skipped = result.missing
	run.ExitCode = result.code
	if run.Killed || result.startError != nil {
		run.ExitCode = -1
	}
	return result
}

func (m *Model) serveProgram(c *hookContext, run *HookRun, result *outcome) {
	environ, stop, err := m.serveTools(c)
	if err != nil {
		result.startError = err
		return
	}
	defer stop()
	m.runProgram(c, environ, run, result)
}

func (m *Model) runProgram(c *hookContext, served []string, run *HookRun, result *outcome) {
	name := run.Hook
	module := "unit." + c.unit.name + "." + name
	stdout := &lineLogger{model: m, unit: c.unit.name, hook: name, module: module, level: "DEBUG"}
	stderr := &lineLogger{model: m, unit: c.unit.name, hook: name, module: module, level: "WARNING"}
	if c.action != nil {
		stdout.keep, stderr.keep = &result.stdout, &result.stderr
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.options.HookTimeout)
	defer cancel()
	m.mu.Lock()
	environ := replace(c.environ(), served)
	m.mu.Unlock()
	if m.options.Program != nil {
		m.callProgram(ctx, cancel, c, environ, stdout, stderr, result)
	} else {
		m.startProgram(ctx, cancel, c, environ, stdout, stderr, result, run)
	}
	stdout.flush()
	stderr.flush()
	m.mu.Lock()
	result.timedOut = !c.killed && errors.Is(ctx.Err(), context.DeadlineExceeded)
	m.mu.Unlock()
}

func (m *Model) callProgram(ctx context.Context, cancel func(), c *hookContext, environ []string, stdout, stderr *lineLogger, result *outcome) {
	c.setKill(cancel)
	done := make(chan int, 1)
	go func() {
		code := -1
		defer func() { done <- code }() // also when a test ends the goroutine
		code = m.options.Program(ctx, environ, c.unit.charmDirectory, stdout, stderr)
	}()
	select {
	case result.code = <-done:
	case <-ctx.Done():
		// A charm that was killed must not go on beside the next hook.
		c.breakOff()
		select {
		case result.code = <-done:
		case <-time.After(m.options.HookTimeout):
			result.startError = errors.New("jujusim: the program goes on after its context has ended")
		}
	}
}

func (m *Model) startProgram(ctx context.Context, cancel func(), c *hookContext, environ []string, stdout, stderr *lineLogger, result *outcome, run *HookRun) {
	program, err := c.program()
	if err != nil || program == "" {
		result.startError, result.missing = err, program == ""
		return
	}
	c.setKill(cancel) // the end of the context is SIGKILL
	state, err := runCommand(func() *exec.Cmd {
		cmd := exec.CommandContext(ctx, program)
		cmd.Dir = c.unit.charmDirectory
		cmd.Env = environ
		cmd.Stdout, cmd.Stderr = stdout, stderr
		cmd.WaitDelay = outputWait
		return cmd
	})
	if state == nil {
		result.startError = err
		return
	}
	result.code, result.text = state.ExitCode(), state.String()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		m.mu.Lock()
		signal := status.Signal()
		c.killed = c.killed || ctx.Err() == nil && (signal == syscall.SIGKILL || signal == syscall.SIGTERM)
		m.mu.Unlock()
	}
	run.CPU = state.UserTime() + state.SystemTime()
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		run.MaxRSS = usage.Maxrss * 1024 // Linux counts in KiB
	}
}

// runCommand runs a command. A process that another goroutine starts holds, for
// a moment, every file that is being written here; a program that was unpacked
// in that moment cannot be executed until then (ETXTBSY).
func runCommand(command func() *exec.Cmd) (*os.ProcessState, error) {
	const tries, pause = 50, 20 * time.Millisecond
	for try := 1; ; try++ {
		cmd := command()
		err := cmd.Run()
		if !errors.Is(err, syscall.ETXTBSY) || try == tries {
			return cmd.ProcessState, err
		}
		time.Sleep(pause)
	}
}

func (c *hookContext) setKill(f func()) {
	c.model.mu.Lock()
	defer c.model.mu.Unlock()
	c.kill = f
}

// program returns what to run, "" when the charm has nothing for the event
// (runner/runner.go, discoverHookHandler).
func (c *hookContext) program() (string, error) {
	_, err := os.Stat(filepath.Join(c.unit.charmDirectory, "metadata.yaml"))
	if err != nil {
		return "", errors.New("charm missing from disk")
	}
	for _, name := range []string{"dispatch", c.dispatchPath()} {
		path := filepath.Join(c.unit.charmDirectory, name)
		_, err = exec.LookPath(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return path, err
	}
	return "", nil
}

// endHook commits or drops what a hook wrote and moves the unit on.
func (m *Model) endHook(c *hookContext, run *HookRun, result *outcome) error {
	m.mu.Lock()
	ask := m.failCommit
	m.mu.Unlock()
	fault := NoFault
	if ask != nil && !run.Killed && result.failure() == "" {
		fault = ask(run.clone())
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	u := c.unit
	u.busy = false
	failure := result.failure()
	if !run.Killed && failure == "" {
		err := m.commit(c, fault)
		if err != nil {
			run.CommitError, failure = err.Error(), err.Error()
		}
	}
	m.hooks = append(m.hooks, run.clone())
	switch {
	case run.Killed && !result.timedOut:
		m.record(u.name, run.Hook, "juju.worker.uniter.operation", "WARNING", fmt.Sprintf("hook %q was terminated", run.Hook))
		return nil
	case failure != "":
		u.inError = true
		m.record(u.name, run.Hook, "juju.worker.uniter.operation", "ERROR",
			fmt.Sprintf("hook %q (via hook dispatching script: dispatch) failed: %s", run.Hook, failure))
		return m.hookError(run, failure)
	}
	m.statusAfter(u, c.event)
	return m.finish(u, c.event)
}

func (m *Model) hookError(run *HookRun, failure string) error {
	var tail []string
	for _, line := range m.log {
		if line.Unit == run.Unit && line.Hook == run.Hook && !line.Time.Before(run.Started) {
			tail = append(tail, line.String())
		}
	}
	tail = tail[max(0, len(tail)-logTail):]
	return fmt.Errorf("unit %q is in error: hook %q failed: %s\n%s", run.Unit, run.Hook, failure, strings.Join(tail, "\n"))
}

func (m *Model) observe(run HookRun) {
	if m.options.Observe != nil {
		m.options.Observe(run.clone())
	}
}
