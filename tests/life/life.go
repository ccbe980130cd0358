// SPDX-License-Identifier: GPL-3.0-only

// Package life plays random lives of a model against the charm and holds it,
// whenever the model is quiet, to what must always be true. The charm runs in
// this process, behind a real agent socket, with the clock of the model.
//
// A life follows from its seed alone; a failure tells the seed and what
// happened until then.
package life

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"tls-authority/internal/jujusim"
	"tls-authority/internal/operator"
)

// Application is the name under which the charm is deployed.
const Application = "tls-authority"

// Life is one model and what its requirers want of the charm.
type Life struct {
	Model *jujusim.Model
	// Now is the clock of the model and of the charm.
	Now time.Time
	// History tells what happened, oldest first.
	History []string

	random    *rand.Rand
	requirers []*requirer
	created   int
	authority []byte         // the CA's public key, once it is known
	between   *x509.CertPool // what stands between the root and leaves
	charm     string         // the archive
	book      book
	leaving   []*requirer // whose relation is being removed
	armed     bool        // a fault waits for its call, or has struck
}

// New deploys the packed charm with one unit in a new model.
func New(charmPath string, seed uint64) (*Life, error) {
	versions := []string{"3.5.4", "3.6.11", "4.1"}
	return NewIn(charmPath, seed, jujusim.Options{Version: versions[seed%uint64(len(versions))]})
}

// NewIn is New in a model with options of the caller's. An archive that has its
// program, as Pack's has not, runs that and not this process; it keeps the time
// of the machine, which the clock of the model must then follow.
func NewIn(charmPath string, seed uint64, o jujusim.Options) (*Life, error) {
	l := &Life{
		charm:  charmPath,
		Now:    time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		random: rand.New(rand.NewPCG(seed, 1)),
		book:   newBook(),
	}
	ships, err := hasProgram(charmPath)
	if err != nil {
		return nil, err
	}
	if !ships {
		o.Program = func(ctx context.Context, environ []string, _ string, _, stderr io.Writer) int {
			return operator.Dispatch(ctx, environ, func() time.Time { return l.Now }, stderr)
		}
	}
	o.Seed = seed + 1
	o.Cache = filepath.Join(filepath.Dir(charmPath), "unpacked")
	o.Now = func() time.Time { return l.Now }
	l.Model, err = jujusim.New(o)
	if err != nil {
		return nil, err
	}
	if err := l.Model.Deploy(charmPath, Application, 1); err != nil {
		return nil, err
	}
	return l, l.Model.Configure(Application, map[string]any{"key-type": "ecdsa-p256", "rotation-hold": "0m", "status-port": 0})
}

// Close removes the model.
func (l *Life) Close() error { return l.Model.Close() }

// Play lets a number of things happen, and checks the model after each.
func (l *Life) Play(steps int) error {
	if err := l.Rest(); err != nil {
		return err
	}
	for range steps {
		if err := l.step(); err != nil {
			return l.tell(err)
		}
		if err := l.Rest(); err != nil {
			return err
		}
	}
	return nil
}

// tell adds the history to an error.
func (l *Life) tell(err error) error {
	text := ""
	for i, line := range l.History {
		text += fmt.Sprintf("\n%3d %s", i+1, line)
	}
	return fmt.Errorf("%w\nafter:%s", err, text)
}

func (l *Life) note(format string, args ...any) {
	l.History = append(l.History, fmt.Sprintf(format, args...))
}

// Rest lets the model settle, retrying hooks that were made to fail, and
// checks it.
func (l *Life) Rest() error {
	if err := l.settle(); err != nil {
		return l.tell(err)
	}
	l.Model.Intervene(nil)
	l.Model.FailCommit(nil)
	l.armed = false
	if err := l.settle(); err != nil {
		return l.tell(err)
	}
	if err := l.pump(); err != nil {
		return l.tell(err)
	}
	if err := l.Check(); err != nil {
		return l.tell(err)
	}
	l.leaving = nil
	return nil
}

// maxRetries is how often a hook may fail before the life is over: faults are
// armed for one hook at a time.
const maxRetries = 5

func (l *Life) settle() error {
	var err error
	for range maxRetries {
		if err = l.run(); err == nil {
			return nil
		}
	}
	return err
}

// maxHooks is how many hooks run until a model counts as one that never
// settles.
const maxHooks = 5000

// run runs all hooks and notes after each what is published.
func (l *Life) run() error {
	for range maxHooks {
		ran, err := l.Model.Step()
		if err != nil {
			return err
		}
		if err := l.look(); err != nil || !ran {
			return err
		}
	}
	return errors.New("the model does not settle")
}

// maxWaves is how many update-status hooks a model may need until everything
// that was due is renewed: a wave is a tenth of a relation.
const maxWaves = 60

// pump runs update-status on all units until it writes nothing.
func (l *Life) pump() error {
	for range maxWaves {
		since := len(l.Model.Hooks())
		for _, unit := range l.units() {
			if err := errors.Join(l.Model.UpdateStatus(unit), l.look()); err != nil {
				return err
			}
		}
		if err := l.settle(); err != nil {
			return err
		}
		if l.writes(since) == 0 {
			return nil
		}
	}
	return fmt.Errorf("update-status still writes after %d rounds", maxWaves)
}

func (l *Life) writes(since int) int {
	writes := 0
	for _, run := range l.Model.Hooks()[since:] {
		writes += run.Writes
	}
	return writes
}

// units are those of our application.
func (l *Life) units() []string { return l.Model.Units(Application) }

// step lets one thing happen.
func (l *Life) step() error {
	type event struct {
		weight int
		run    func() error
	}
	events := []event{
		{5, l.join}, {5, l.change}, {2, l.addRemoteUnit}, {2, l.loseRemoteUnit}, {1, l.part},
		{2, l.scaleUp}, {2, l.scaleDown}, {2, l.depose}, {4, l.arm}, {3, l.wait}, {1, l.configure}, {1, l.rotate},
		{6, l.revokeSerial}, {2, l.revokeHolders}, {1, l.issue}, {1, l.turnDepartures}, {3, l.replaceKey},
	}
	total := 0
	for _, e := range events {
		total += e.weight
	}
	pick := l.random.IntN(total)
	for _, e := range events {
		if pick -= e.weight; pick < 0 {
			return e.run()
		}
	}
	return nil
}

const maxUnits = 4

func (l *Life) scaleUp() error {
	if len(l.units()) >= maxUnits {
		return nil
	}
	unit, err := l.Model.AddUnit(Application)
	l.note("add our unit %s", unit)
	return err
}

func (l *Life) scaleDown() error {
	units := l.units()
	if len(units) < 2 {
		return nil
	}
	unit := units[l.random.IntN(len(units))]
	l.note("remove our unit %s (leader is %s)", unit, l.Model.Leader(Application))
	return l.Model.RemoveUnit(unit)
}

func (l *Life) depose() error {
	units := l.units()
	unit := units[l.random.IntN(len(units))]
	l.note("lead %s", unit)
	return l.Model.SetLeader(unit)
}

// arm makes one of the next hooks fail: the charm is killed at a call, loses
// leadership there, or its commit is refused.
func (l *Life) arm() error {
	at, kind := l.random.IntN(25), l.random.IntN(4)
	l.note("arm fault %d at call %d", kind, at)
	l.armed = true
	if kind == 3 {
		faults := []jujusim.CommitFault{jujusim.RefuseCommit, jujusim.AgentDies, jujusim.AgentDiesAfter}
		fault, armed := faults[l.random.IntN(len(faults))], true
		l.Model.FailCommit(func(run jujusim.HookRun) jujusim.CommitFault {
			if !armed || run.Writes == 0 {
				return jujusim.NoFault
			}
			armed = false
			return fault
		})
	} else {
		count, next := 0, l.units()[l.random.IntN(len(l.units()))]
		l.Model.Intervene(func(jujusim.Call) jujusim.Intervention {
			count++
			if count != at+1 {
				return jujusim.Intervention{}
			}
			switch kind {
			case 0:
				return jujusim.Intervention{Verdict: jujusim.KillCharm}
			case 1:
				return jujusim.Intervention{Verdict: jujusim.KillAfter}
			}
			return jujusim.Intervention{Meanwhile: func() { _ = l.Model.SetLeader(next) }}
		})
	}
	// Something must happen for the fault to meet a hook that matters.
	switch l.random.IntN(4) {
	case 0:
		return l.rotate()
	case 1:
		return l.revokeSerial()
	}
	return l.change()
}

// rotate replaces the CA, in stages or at once. The action may meet a fault.
func (l *Life) rotate() error {
	mode := "staged"
	if l.random.IntN(4) == 0 {
		mode = "emergency"
	}
	leader := l.Model.Leader(Application)
	result, err := l.Model.RunAction(leader, "rotate-ca", map[string]any{"mode": mode})
	l.note("rotate, %s, on %s: %s %s", mode, leader, result.Status, result.Message)
	l.authority = nil
	return err
}

// wait moves the clock by hours or months.
func (l *Life) wait() error {
	steps := []time.Duration{5 * time.Hour, 6 * 24 * time.Hour, 20 * 24 * time.Hour, 80 * 24 * time.Hour, 200 * 24 * time.Hour}
	step := steps[l.random.IntN(len(steps))]
	l.Now = l.Now.Add(step)
	l.note("wait %s", step)
	return nil
}

func (l *Life) configure() error {
	values := []string{"", "vip.example.com", "10.0.0.100 vip.example.com"}
	value := values[l.random.IntN(len(values))]
	l.note("extra_sans=%q", value)
	return l.Model.Configure(Application, map[string]any{"extra_sans": value})
}

// pick returns one requirer at random, nil when there is none.
func (l *Life) pick() *requirer {
	if len(l.requirers) == 0 {
		return nil
	}
	return l.requirers[l.random.IntN(len(l.requirers))]
}

func (l *Life) part() error {
	r := l.pick()
	if r == nil {
		return nil
	}
	l.note("part from %s", r.application)
	l.requirers = slices.DeleteFunc(l.requirers, func(other *requirer) bool { return other == r })
	l.leaving = append(l.leaving, r)
	return l.Model.RemoveRelation(r.relation)
}
