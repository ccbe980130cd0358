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

// stride is how many calls of a hook are passed over between two kills: the
// fast suite takes a sample that moves with the scenario, tests/heavy more.
const stride = 113

// wideStride is that of the many faults which the agent, and not the charm,
// suffers from.
const wideStride = 211

// TestTheAgentFailsAtAnyCall lets a call fail, be answered with half of what it
// says or with garbage, or not at all, and lets the clock jump there. The model
// is right afterwards, and the hook can be repeated.
func TestTheAgentFailsAtAnyCall(t *testing.T) {
	t.Parallel()
	faults := slices.DeleteFunc(slices.Sorted(maps.Keys(life.Faults)), func(name string) bool { return life.Faults[name] <= life.Depose })
	scenarios := slices.Sorted(maps.Keys(life.Scenarios))
	for i, name := range scenarios {
		fault := faults[i%len(faults)]
		t.Run(name+", "+fault+" a call", func(t *testing.T) {
			t.Parallel()
			require.NoError(t, life.Sweep(charmPath(t), life.Scenarios[name], life.Faults[fault], 11*i%wideStride, wideStride))
		})
	}
}

// TestTheLeaderIsKilledAtAnyCall kills the charm at calls of every kind of
// event, before and after the call is served, and moves leadership there.
func TestTheLeaderIsKilledAtAnyCall(t *testing.T) {
	t.Parallel()
	for i, name := range slices.Sorted(maps.Keys(life.Scenarios)) {
		scenario, first := life.Scenarios[name], 7*i%stride
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

// TestPodsAreReplaced: a new pod has lost its disk and the memory of its
// agent. It runs three hooks, and none of them writes or publishes anything.
func TestPodsAreReplaced(t *testing.T) {
	t.Parallel()
	for name, only := range map[string]bool{"the leader's alone": true, "of all units, one after another": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := life.NewCluster(charmPath(t), 7)
			require.NoError(t, err)
			defer l.Close()
			require.NoError(t, l.Rest())
			units := l.Model.Units(life.Application)
			if only {
				units = []string{l.Model.Leader(life.Application)}
			}
			leader, before, since := l.Model.Leader(life.Application), l.Bags(), len(l.Model.Hooks())
			var want []string
			for _, unit := range units {
				require.NoError(t, l.ReplacePods(unit))
				require.NoError(t, l.Model.Settle())
				require.Equal(t, before, l.Bags())
				want = append(want, unit+" upgrade-charm", unit+" config-changed", unit+" start")
			}
			var ran []string
			for _, run := range l.Model.Hooks()[since:] {
				ran = append(ran, run.Unit+" "+run.Hook)
				require.Zero(t, run.Writes, "%s %s", run.Unit, run.Hook)
			}
			require.Equal(t, want, ran)
			require.Equal(t, leader, l.Model.Leader(life.Application))
			require.NoError(t, l.Rest())
			require.Equal(t, before, l.Bags())
		})
	}
}
