// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
	"tls-authority/tests/life"
)

// scenarios are one event of every kind, in a model with three units of ours
// and requirers of both dialects.
var scenarios = map[string]func(*life.Life) error{
	"a relation is made":          func(l *life.Life) error { return l.Fleet(true, 2) },
	"a relation of CSRs is made":  func(l *life.Life) error { return l.Fleet(false, 2) },
	"a unit changes its request":  func(l *life.Life) error { return l.ChangeOne(true) },
	"a CSR is replaced":           func(l *life.Life) error { return l.ChangeOne(false) },
	"a requirer's unit leaves":    func(l *life.Life) error { return l.LoseOne() },
	"a relation is broken":        func(l *life.Life) error { return l.PartOne() },
	"an option changes":           func(l *life.Life) error { return l.SetOption("extra_sans", "vip.example.com") },
	"certificates come of age":    func(l *life.Life) error { return l.Age(360) },
	"the root comes of age":       func(l *life.Life) error { return l.Age(7 * 365) },
	"another unit is elected":     func(l *life.Life) error { return l.ElectNext() },
	"the leader is removed":       func(l *life.Life) error { return l.RemoveLeader() },
	"a unit is added":             func(l *life.Life) error { return l.AddOurs() },
	"an agent runs upgrade-charm": func(l *life.Life) error { return l.Model.Queue(l.Model.Leader(life.Application), "upgrade-charm") },
	"a machine starts again":      func(l *life.Life) error { return l.Model.Queue(l.Model.Leader(life.Application), "start") },
}

// stride is how many calls of a hook are passed over between two kills: the
// fast suite takes a sample that moves with the scenario, tests/heavy more.
const stride = 61

// TestTheLeaderIsKilledAtAnyCall kills the charm at calls of every kind of
// event, before and after the call is served, and moves leadership there.
func TestTheLeaderIsKilledAtAnyCall(t *testing.T) {
	t.Parallel()
	for i, name := range slices.Sorted(maps.Keys(scenarios)) {
		scenario, first := scenarios[name], 7*i%stride
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault := []life.Fault{life.KillBefore, life.KillAfter, life.Depose}[i%3]
			require.NoError(t, life.Sweep(charmPath(t), scenario, fault, first, stride))
		})
	}
}

func TestUnitsComeAndGo(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(*life.Life) error{
		"from one to three and back": func(l *life.Life) error {
			for range 2 {
				if err := l.RemoveLeader(); err != nil {
					return err
				}
				if err := l.Rest(); err != nil {
					return err
				}
			}
			return l.AddOurs()
		},
		"all but one at once": func(l *life.Life) error {
			units := l.Model.Units(life.Application)
			for _, unit := range units[1:] {
				if err := l.Model.RemoveUnit(unit); err != nil {
					return err
				}
			}
			return nil
		},
		"the leader and a requirer's unit at once": func(l *life.Life) error {
			if err := l.LoseOne(); err != nil {
				return err
			}
			return l.RemoveLeader()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := life.NewCluster(charmPath(t), 3)
			require.NoError(t, err)
			defer l.Close()
			require.NoError(t, play(l))
			require.NoError(t, l.Rest())
		})
	}
}

// TestADyingLeaderWithdrawsNothing: its view of the relations shrinks before
// it goes, and other events may come in between.
func TestADyingLeaderWithdrawsNothing(t *testing.T) {
	t.Parallel()
	l, err := life.NewCluster(charmPath(t), 4)
	require.NoError(t, err)
	defer l.Close()
	before := l.Serials()
	require.NotEmpty(t, before)
	leader := l.Model.Leader(life.Application)
	l.Model.Intervene(func(jujusim.Call) jujusim.Intervention { return jujusim.Intervention{} })
	require.NoError(t, l.Model.RemoveUnit(leader))
	for {
		ran, err := l.Model.Step()
		require.NoError(t, err)
		if !ran {
			break
		}
		if units := l.Model.Units(life.Application); len(units) > 0 && units[0] != leader {
			require.Equal(t, before, l.Serials(), "no certificate moves while the leader leaves")
		}
		if l.Model.Leader(life.Application) == leader {
			_, err := l.Model.RunAction(leader, "list-certificates", nil)
			if err != nil {
				break // the unit is gone
			}
		}
	}
	require.NoError(t, l.Rest())
	require.Equal(t, before, l.Serials())
}
