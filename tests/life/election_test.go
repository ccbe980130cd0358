// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/tests/life"
)

// requireNothingMoves runs all hooks one by one and looks after each at what
// is published.
func requireNothingMoves(t *testing.T, l *life.Life, before map[string]string) {
	t.Helper()
	for {
		ran, err := l.Model.Step()
		require.NoError(t, err)
		if !ran {
			return
		}
		require.Subset(t, l.Published(), before, "an answer was withdrawn or replaced by %v", l.LastHook())
	}
}

// TestANewLeaderHasNotMetItsRequirers: Juju lists only those units whose
// relation-joined a unit has run, and leader-elected comes before those.
func TestANewLeaderHasNotMetItsRequirers(t *testing.T) {
	t.Parallel()
	t.Run("a unit that is elected at once", func(t *testing.T) {
		t.Parallel()
		l, err := life.NewCluster(charmPath(t), 5)
		require.NoError(t, err)
		defer l.Close()
		before := l.Published()
		unit, err := l.Model.AddUnit(life.Application)
		require.NoError(t, err)
		require.NoError(t, l.Model.SetLeader(unit))
		requireNothingMoves(t, l, before)
		require.NoError(t, l.Rest())
		require.Subset(t, l.Published(), before)
	})
	t.Run("a standby that is elected before it meets a new requirer", func(t *testing.T) {
		t.Parallel()
		l, err := life.NewCluster(charmPath(t), 6)
		require.NoError(t, err)
		defer l.Close()
		known := len(l.Published())
		require.NoError(t, l.Fleet(true, 2))
		require.NoError(t, l.Fleet(false, 2))
		for len(l.Published()) < known+4 {
			ran, err := l.Model.Step()
			require.NoError(t, err)
			require.True(t, ran)
		}
		before := l.Published()
		require.NoError(t, l.ElectNext())
		requireNothingMoves(t, l, before)
		require.NoError(t, l.Rest())
		require.Subset(t, l.Published(), before)
	})
}

// TestUnitsAreLostByForce removes units that cannot run a hook any more: the
// leader, all but one, and one that has not finished what it was doing.
func TestUnitsAreLostByForce(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*life.Life) error{
		"the leader": func(l *life.Life) error {
			return l.Model.ForceRemoveUnit(l.Model.Leader(life.Application))
		},
		"all but one": func(l *life.Life) error {
			units := l.Model.Units(life.Application)
			return errors.Join(l.Model.ForceRemoveUnit(units[0]), l.Model.ForceRemoveUnit(units[1]))
		},
		"the leader in the middle of its work": func(l *life.Life) error {
			if err := l.Fleet(true, 2); err != nil {
				return err
			}
			for range 2 {
				if _, err := l.Model.Step(); err != nil {
					return err
				}
			}
			return l.Model.ForceRemoveUnit(l.Model.Leader(life.Application))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := life.NewCluster(charmPath(t), 7)
			require.NoError(t, err)
			defer l.Close()
			before := l.Published()
			require.NoError(t, lose(l))
			require.NoError(t, l.Rest())
			require.Subset(t, l.Published(), before)
		})
	}
}
