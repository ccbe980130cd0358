// SPDX-License-Identifier: GPL-3.0-only

package decision_test

import (
	"crypto/x509/pkix"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
)

// issuedAhead is a world whose CA is a month old, and whose requirers of both
// dialects were served by a clock that was ahead.
func issuedAhead(t *testing.T, ahead time.Duration) *world {
	t.Helper()
	w := newWorld(t)
	w.s.Now = noon.Add(30 * day)
	right := w.s.Now
	w.relate(3, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `[]`), "etcd/1": etcd("etcd_1", "10.0.0.2", `[]`)})
	w.relate(4, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "web"}))})
	w.s.Now = right.Add(ahead)
	w.settle()
	w.s.Now = right
	return w
}

func TestACertificateThatIsNotValidYet(t *testing.T) {
	t.Parallel()
	const soon = time.Hour + pki.Backdate
	replaced := []string{
		"client: issue client ecdsa-p256: the legacy dialect needs a global client certificate",
		"3 etcd/0 as etcd_0", "3 etcd/0: server 10.0.0.1 [IP:10.0.0.1]: issue server ecdsa-p256: renewal",
		"3 etcd/1 as etcd_1", "3 etcd/1: server 10.0.0.2 [IP:10.0.0.2]: issue server ecdsa-p256: renewal",
		"4 csr: issue leaf [DNS:web]: new request",
	}
	kept := []string{
		"client: keep",
		"3 etcd/0 as etcd_0", "3 etcd/0: server 10.0.0.1 [IP:10.0.0.1]: keep",
		"3 etcd/1 as etcd_1", "3 etcd/1: server 10.0.0.2 [IP:10.0.0.2]: keep",
		"4 csr: keep",
	}
	for name, c := range map[string]struct {
		ahead, moved time.Duration
		want         []string
		status       string
	}{
		"for more than an hour it is replaced at once, beside all waves": {ahead: soon + time.Second, want: replaced},
		"for years it is replaced":                                       {ahead: 5 * 365 * day, want: replaced},
		"for an hour it is waited for":                                   {ahead: soon, want: kept},
		"below a CA that is not valid yet either it is kept":             {moved: -31 * day, want: kept, status: "blocked"},
		"below a CA that is valid by the clock it is replaced":           {moved: -29 * day, want: replaced},
		"below a CA that will be within the hour it is kept until then":  {moved: -30*day - pki.Backdate - time.Minute, want: kept},
		"but not yet in 1970, where everything is":                       {moved: time.Unix(0, 0).Sub(noon), want: kept, status: "blocked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := issuedAhead(t, c.ahead)
			w.s.Now = w.s.Now.Add(c.moved)
			d := decision.Make(w.s)
			lines := describe(d)
			require.Equal(t, c.want, lines[:len(lines)-1])
			require.Equal(t, c.status == "blocked", d.Status.Name == juju.Blocked, d.Status.Message)

			w.settle()
			again := describe(decision.Make(w.s))
			require.Equal(t, kept, again[:len(again)-1], "once is enough")
		})
	}
}

// TestWhatIsNotValidYetIsLookedFor: the clock alone brings the hook.
func TestWhatIsNotValidYetIsLookedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ahead time.Duration
		due   []int
	}{
		"not valid yet": {day, []int{3, 4}},
		"valid":         {0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := issuedAhead(t, c.ahead)
			w.s.Sweep = false
			require.Equal(t, c.due, w.s.Due())
			relation := w.s.Relations[1]
			relation.Owner = "web/0"
			require.Equal(t, c.due != nil, w.s.Concerns(relation))
		})
	}
}

func TestARefusalByTheClockPasses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s.Now = noon.Add(-5 * 365 * day)
	w.relate(3, "etcd", map[string]map[string]string{"etcd/0": etcd("etcd_0", "10.0.0.1", `[]`)})
	w.relate(4, "web", map[string]map[string]string{"web/0": csrBag(t, newCSR(t, pkix.Name{CommonName: "web"}))})
	w.settle()
	require.Len(t, decision.Denials(w.s.Record()), 2)
	require.Equal(t, "blocked: by the clock of this unit the CA is not valid before 2026-06-01: set the clock; if it is right, run rotate-ca mode=emergency",
		fmt.Sprintf("%s: %s", decision.Make(w.s).Status.Name, decision.Make(w.s).Status.Message))

	w.s.Now, w.s.Sweep = noon, false
	require.Equal(t, []int{3, 4}, w.s.Due(), "update-status looks at both again")
	w.settle()
	require.Empty(t, decision.Denials(w.s.Record()))
}

// TestARenewalTakesNoTimeFromTheRoot: whatever the clock says, who could use the
// root can use the renewed one.
func TestARenewalTakesNoTimeFromTheRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := pki.ValidityOf(w.issuer.Certificate())
	var ends []time.Duration
	for years := range 60 {
		w.s.Now = noon.Add(time.Duration(years) * 365 * day)
		d := decision.Make(w.s)
		if d.Renew != nil {
			require.Equal(t, first.NotBefore, d.Renew.Template.Validity.NotBefore)
			ends = append(ends, time.Duration(years))
			w.write(d)
			w.settle()
		}
		root, err := decision.Path(&w.s.Record().CA.Generations[0])
		require.NoError(t, err)
		require.True(t, root[0].NotAfter.After(w.s.Now))
	}
	require.Equal(t, []time.Duration{7, 14, 21, 28, 35, 42, 49, 56}, ends, "in which years: no sooner for being longer")
}

// TestAHoldThatEndsInYearsBeginsAnew: a stage that was complete by a clock that
// was ahead.
func TestAHoldThatEndsInYearsBeginsAnew(t *testing.T) {
	t.Parallel()
	w := busyWorld(t)
	w.s.Config.RotationHold = day
	require.Empty(t, w.act("rotate-ca", nil).Failure)
	right := w.s.Now
	w.s.Now = right.Add(5 * 365 * day)
	for w.s.Record().CA.Rotation.Complete == nil {
		w.settle()
	}
	stage := w.s.Record().CA.Rotation.Stage
	w.s.Now = right
	w.settle()
	require.Equal(t, stage, w.s.Record().CA.Rotation.Stage)
	require.Equal(t, right, *w.s.Record().CA.Rotation.Complete)
	w.s.Now = right.Add(day)
	w.settle()
	require.NotEqual(t, stage, w.s.Record().CA.Rotation.Stage)
}
