// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tls-authority/internal/jujusim"
)

// Fault is what befalls the charm at one call of a hook tool.
type Fault int

const (
	// KillBefore kills the charm before the call is served.
	KillBefore Fault = iota
	// KillAfter kills it when the call has been served.
	KillAfter
	// Depose gives the lead to another unit in the middle of the hook.
	Depose
	// Fail lets the tool fail, without an effect.
	Fail
	// Truncate loses the second half of what the tool prints.
	Truncate
	// Garble puts bytes that nobody can read in its place.
	Garble
	// HangUp closes the agent's socket before the call is served.
	HangUp
	// HangUpAfter closes it when the call has been served.
	HangUpAfter
	// Leap moves the clock on by a day, as a call that is answered late.
	Leap
	// Relapse puts the clock back by a day until the model is at rest.
	Relapse
)

// Faults are the names of all of them.
var Faults = map[string]Fault{
	"killed before": KillBefore, "killed after": KillAfter, "deposed at": Depose,
	"failed at": Fail, "given half an answer at": Truncate, "given garbage at": Garble,
	"cut off before": HangUp, "cut off after": HangUpAfter,
	"a day late after": Leap, "a day early after": Relapse,
}

// NewCluster is a life with three units of ours and requirers of both
// dialects, with no hook pending.
func NewCluster(charmPath string, seed uint64) (*Life, error) {
	l, err := New(charmPath, seed)
	if err != nil {
		return nil, err
	}
	for range 2 {
		if _, err := l.Model.AddUnit(Application); err != nil {
			return nil, err
		}
	}
	return l, errors.Join(l.settle(), l.Fleet(true, 2), l.Fleet(false, 2), l.settle())
}

// Sweep plays one scenario again and again in new models. Each time the fault
// strikes at another call of those that the scenario makes: at the one numbered
// first, and at every stride-th after it, until the scenario makes no more. A
// scenario that makes fewer calls is struck earlier; that none is struck is an
// error.
func Sweep(charmPath string, scenario func(*Life) error, fault Fault, first, stride int) error {
	hit := false
	for at := first; ; {
		struck, err := strike(charmPath, scenario, fault, at)
		switch {
		case err != nil:
			return fmt.Errorf("fault %d at call %d: %w", fault, at, err)
		case struck:
			hit = true
			at += stride
		case hit:
			return nil
		case at == 0:
			return errors.New("the scenario makes no call that a fault could strike")
		default:
			at /= 2
		}
	}
}

func strike(charmPath string, scenario func(*Life) error, fault Fault, at int) (struck bool, err error) {
	l, err := NewCluster(charmPath, uint64(at))
	if err != nil {
		return false, err
	}
	defer l.Close()
	count := 0
	l.armed = true
	l.Model.Intervene(func(call jujusim.Call) jujusim.Intervention {
		count++
		if count != at+1 {
			return jujusim.Intervention{}
		}
		struck = true
		return l.befall(call, fault)
	})
	if err := scenario(l); err != nil && !struck {
		return false, err // an action that is struck fails
	}
	if fault == Relapse {
		// What is made in the past is not looked at before its time.
		if err := l.settle(); err != nil {
			return struck, l.tell(err)
		}
		if struck {
			l.Now = l.Now.Add(day)
		}
	}
	return struck, l.Rest()
}

// befall is what a fault does to a call.
func (l *Life) befall(call jujusim.Call, fault Fault) jujusim.Intervention {
	l.note("fault %d at call %d of %s on %s: %s", fault, call.Index, call.Hook, call.Unit, call.Tool)
	switch fault {
	case Depose:
		return jujusim.Intervention{Meanwhile: func() { l.elect(call.Unit) }}
	case Leap:
		return jujusim.Intervention{Meanwhile: func() { l.Now = l.Now.Add(day) }}
	case Relapse:
		return jujusim.Intervention{Meanwhile: func() { l.Now = l.Now.Add(-day) }}
	case Fail:
		return jujusim.Intervention{Verdict: jujusim.Fail, Stderr: "connection is shut down"}
	}
	return jujusim.Intervention{Verdict: map[Fault]jujusim.Verdict{
		KillBefore: jujusim.KillCharm, KillAfter: jujusim.KillAfter, Truncate: jujusim.Truncate, Garble: jujusim.Garble,
		HangUp: jujusim.HangUp, HangUpAfter: jujusim.HangUpAfter,
	}[fault]}
}

// elect gives the lead to a unit other than the given one.
func (l *Life) elect(not string) {
	for _, unit := range l.units() {
		if unit != not && l.Model.SetLeader(unit) == nil {
			l.note("lead %s", unit)
			return
		}
	}
}

// ElectNext gives the lead to another unit.
func (l *Life) ElectNext() error {
	l.elect(l.Model.Leader(Application))
	return nil
}

// RemoveLeader removes the unit that leads.
func (l *Life) RemoveLeader() error {
	leader := l.Model.Leader(Application)
	l.note("remove the leader %s", leader)
	return l.Model.RemoveUnit(leader)
}

// AddOurs adds a unit of ours.
func (l *Life) AddOurs() error {
	_, err := l.Model.AddUnit(Application)
	return err
}

// Age moves the clock by days and runs update-status on the leader.
func (l *Life) Age(days int) error {
	l.Now = l.Now.Add(time.Duration(days) * 24 * time.Hour)
	return l.Model.Queue(l.Model.Leader(Application), "update-status")
}

// SetOption configures the charm.
func (l *Life) SetOption(name string, value any) error {
	return l.Model.Configure(Application, map[string]any{name: value})
}

// first returns the first requirer of a dialect and its first unit.
func (l *Life) first(legacy bool) (*requirer, string) {
	i := slices.IndexFunc(l.requirers, func(r *requirer) bool { return r.legacy == legacy })
	r := l.requirers[i]
	return r, slices.Sorted(maps.Keys(r.wants))[0]
}

// ChangeOne lets one unit of a dialect ask for something else.
func (l *Life) ChangeOne(legacy bool) error {
	r, unit := l.first(legacy)
	return l.ask(r, unit)
}

// LoseOne removes one unit of the legacy dialect.
func (l *Life) LoseOne() error {
	r, unit := l.first(true)
	delete(r.wants, unit)
	return l.Model.RemoveUnit(unit)
}

// PartOne removes the relation of the legacy dialect.
func (l *Life) PartOne() error {
	r, _ := l.first(true)
	l.requirers = slices.DeleteFunc(l.requirers, func(other *requirer) bool { return other == r })
	l.leaving = append(l.leaving, r)
	return l.Model.RemoveRelation(r.relation)
}
