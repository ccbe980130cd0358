// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/tests/life"
)

// TestThreeYearsWithoutARequirersEvent moves the clock by a day at a time, with
// one update-status each: nobody else renews a legacy certificate, and a
// requirer of the CSR dialect may be asleep.
func TestThreeYearsWithoutARequirersEvent(t *testing.T) {
	t.Parallel()
	const day, years = 24 * time.Hour, 3
	const quiet = 5 // days between two checks when nothing is renewed
	l, err := life.New(charmPath(t), 1)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, l.Rest())
	require.NoError(t, l.Fleet(true, 4))
	require.NoError(t, l.Fleet(false, 1))
	require.NoError(t, l.Rest())
	most := 0
	for today := range years * 365 {
		l.Now = l.Now.Add(day)
		before := l.Serials()
		require.NoError(t, l.Model.UpdateStatus(life.Application+"/0"), "day %d", today)
		require.NoError(t, l.Model.Settle(), "day %d", today)
		renewed := 0
		for holder, serial := range l.Serials() {
			if before[holder] != serial {
				renewed++
			}
		}
		most = max(most, renewed)
		if renewed > 0 || today%quiet == 0 {
			require.NoError(t, l.Check(), "day %d", today)
		}
	}
	require.NotZero(t, most, "nothing was ever renewed")
	require.LessOrEqual(t, most, 2, "four servers are renewed in waves of one, beside the global client")
}

// TestAFleetIsRenewedInWaves counts what one hook renews of a fleet that was
// issued at once and is past two thirds of its life, and of one past nine
// tenths.
func TestAFleetIsRenewedInWaves(t *testing.T) {
	t.Parallel()
	const units = 20
	for _, c := range []struct {
		days int
		want int
	}{
		{days: 365 * 3 / 4, want: units / 10},
		{days: 365 * 19 / 20, want: units},
	} {
		t.Run(fmt.Sprintf("after %d days", c.days), func(t *testing.T) {
			t.Parallel()
			l, err := life.New(charmPath(t), 2)
			require.NoError(t, err)
			defer l.Close()
			require.NoError(t, l.Rest())
			require.NoError(t, l.Fleet(true, units))
			require.NoError(t, l.Rest())
			before := l.Serials()
			l.Now = l.Now.Add(time.Duration(c.days) * 24 * time.Hour)
			require.NoError(t, l.Model.UpdateStatus(life.Application+"/0"))
			require.NoError(t, l.Model.Settle(), "our own echo renews nothing more")
			renewed := 0
			for holder, serial := range l.Serials() {
				if before[holder] != serial {
					renewed++
				}
			}
			require.Equal(t, c.want, renewed)
		})
	}
}
