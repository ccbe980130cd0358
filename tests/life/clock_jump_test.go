// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/tests/life"
)

const day = 24 * time.Hour

// work runs hooks by a clock that may be wrong: nobody can verify anything
// then, so nothing but the end of the hooks is looked at.
func work(t *testing.T, l *life.Life) {
	t.Helper()
	for range 3 {
		require.NoError(t, l.Model.Settle())
		require.NoError(t, l.Model.UpdateStatus(l.Model.Leader(life.Application)))
	}
	require.NoError(t, l.Model.Settle())
}

// requireQuiet proves that update-status finds nothing to do.
func requireQuiet(t *testing.T, l *life.Life) {
	t.Helper()
	since := len(l.Model.Hooks())
	require.NoError(t, l.Model.UpdateStatus(l.Model.Leader(life.Application)))
	require.NoError(t, l.Model.Settle())
	for _, run := range l.Model.Hooks()[since:] {
		require.Zero(t, run.Writes, "%s on %s", run.Hook, run.Unit)
	}
}

// TestAClockThatJumps sets the clock of the model wrong, lets things happen by
// it, and puts it right: then every certificate is good again, with the CA
// that there was, and without an operator.
func TestAClockThatJumps(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, wrong := range map[string]time.Time{
		"two days ahead":             start.Add(2 * day),
		"a year ahead":               start.AddDate(1, 0, 0),
		"the root seems due":         start.AddDate(8, 0, 0),
		"the root seems over":        start.AddDate(12, 0, 0),
		"the last second of UTCTime": time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC),
		"beyond UTCTime":             time.Date(2051, 6, 1, 0, 0, 0, 0, time.UTC),
		"to 2200":                    time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
		"before the CA by a year":    start.AddDate(-1, 0, 0),
		"before the CA by two hours": start.Add(-2 * time.Hour),
		"to 1970":                    time.Unix(60, 0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLife(t, 1)
			right := l.Now
			before, root, keys := l.Published(), l.Root(), caSecrets(l)

			l.Now = wrong
			work(t, l)
			require.NoError(t, l.Fleet(true, 2))
			require.NoError(t, l.Fleet(false, 2))
			work(t, l)
			requireQuiet(t, l)
			require.Equal(t, keys, caSecrets(l), "no clock makes another CA")
			if wrong.Before(right) {
				require.Subset(t, l.Published(), before, "what is not valid yet by this clock stays")
			}

			l.Now = right.Add(time.Hour)
			if wrong.After(right) {
				l.Forget() // what has expired by a clock is off the record
			}
			require.NoError(t, l.Rest())
			require.Equal(t, keys, caSecrets(l))
			require.Equal(t, root.RawSubjectPublicKeyInfo, l.Root().RawSubjectPublicKeyInfo)
			require.False(t, l.Root().NotBefore.After(root.NotBefore), "a renewal takes no time from the root")
			require.False(t, l.Root().NotAfter.Before(root.NotAfter))
			require.NotContains(t, l.Status(), "denied")
			requireQuiet(t, l)
			if wrong.Before(right) {
				require.Equal(t, root, l.Root())
				require.Subset(t, l.Published(), before)
			}
		})
	}
}

// TestACAThatBeginsLater is made by a clock that is years ahead. No clock tells
// whether it was wrong then or is now, so the operator decides.
func TestACAThatBeginsLater(t *testing.T) {
	t.Parallel()
	l, err := life.New(charmPath(t), 1)
	require.NoError(t, err)
	defer l.Close()
	right := l.Now
	l.Now = right.AddDate(5, 0, 0)
	require.NoError(t, l.Crowd())
	require.NoError(t, l.Rest())
	before, root, keys := l.Published(), l.Root(), caSecrets(l)

	l.Now = right
	work(t, l)
	require.NoError(t, l.Fleet(true, 1))
	require.NoError(t, l.Fleet(false, 1))
	work(t, l)
	requireQuiet(t, l)
	require.Equal(t, root, l.Root(), "no second CA, no other certificate of it")
	require.Equal(t, keys, caSecrets(l))
	require.Subset(t, l.Published(), before)
	require.Equal(t, "by the clock of this unit the CA is not valid before 2030-12-31: set the clock; if it is right, run rotate-ca mode=emergency", l.Status())

	t.Run("a clock that is set says nothing more", func(t *testing.T) {
		l.Now = right.AddDate(5, 0, 1)
		require.NoError(t, l.Rest())
		require.Subset(t, l.Published(), before)
		require.Equal(t, root, l.Root())
		require.NotContains(t, l.Status(), "clock")
	})
	t.Run("a new CA ends it", func(t *testing.T) {
		l.Now = right
		work(t, l)
		require.NoError(t, l.Rotate("emergency"))
		work(t, l)
		l.Forget()
		require.NoError(t, l.Rest())
		require.NotEqual(t, root, l.Root())
		require.NotContains(t, l.Status(), "clock")
	})
}

// TestAClockThatWaversReplacesOnce puts the clock ahead and back again and
// again: each wrong hour costs one replacement at most, and an hour none.
func TestAClockThatWaversReplacesOnce(t *testing.T) {
	t.Parallel()
	l := newLife(t, 1)
	right := l.Now.Add(30 * day) // the CA is older than the error
	l.Now = right
	require.NoError(t, l.Rest())
	require.NoError(t, l.Fleet(true, 2))
	require.NoError(t, l.Fleet(false, 2))
	require.NoError(t, l.Rest())
	published := l.Published()
	for range 3 {
		for _, error := range []time.Duration{-59 * time.Minute, 59 * time.Minute, -50 * time.Minute} {
			l.Now = right.Add(error)
			work(t, l)
			require.Equal(t, published, l.Published(), "clocks that differ by less than an hour")
		}
	}
	l.Now = right.Add(-20 * day)
	work(t, l)
	replaced := l.Published()
	require.NotEqual(t, published, replaced, "what is valid in twenty days only is of no use now")
	for range 3 {
		for _, error := range []time.Duration{0, -20 * day, -10 * day, 0} {
			l.Now = right.Add(error)
			work(t, l)
			require.Equal(t, replaced, l.Published(), "what was replaced is good by both clocks")
		}
	}
	l.Now = right
	require.NoError(t, l.Rest())
}
