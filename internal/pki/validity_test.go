// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

func TestNewValidity(t *testing.T) {
	t.Parallel()
	here := time.FixedZone("here", 2*60*60)
	got := pki.NewValidity(now.Add(700*time.Millisecond).In(here), time.Hour)
	require.Equal(t, pki.Validity{
		NotBefore: now.Add(-5 * time.Minute),
		NotAfter:  now.Add(time.Hour - time.Second),
	}, got)

	got = pki.NewValidity(now, 90*time.Minute+300*time.Millisecond)
	require.Equal(t, now.Add(90*time.Minute-time.Second), got.NotAfter)
}

func TestClip(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	issuer := func(from, to time.Duration) pki.Validity {
		return pki.Validity{NotBefore: now.Add(from), NotAfter: now.Add(to)}
	}
	for name, c := range map[string]struct {
		issuer   pki.Validity
		lifetime time.Duration
		from, to time.Duration
	}{
		"an issuer with time to spare changes nothing":  {issuer(-day, 99*day), 90 * day, -5 * time.Minute, 90*day - time.Second},
		"an issuer as old as the leaf is not backdated": {issuer(-time.Minute, 99*day), 90 * day, -time.Minute, 90*day - time.Second},
		"a leaf ends with its issuer":                   {issuer(-day, 30*day), 90 * day, -5 * time.Minute, 30 * day},
		"a tenth of the lifetime is enough":             {issuer(-day, 9*day-time.Second), 90 * day, -5 * time.Minute, 9*day - time.Second},
		"an hour is a full lifetime":                    {issuer(-day, 90*day), time.Hour, -5 * time.Minute, time.Hour - time.Second},
		"short lifetimes need a tenth only":             {issuer(-day, time.Minute-time.Second), 10 * time.Minute, -5 * time.Minute, time.Minute - time.Second},
		"an issuer from tomorrow waits for its day":     {issuer(day, 99*day), 90 * day, day, 90*day - time.Second},
		"one second is a lifetime":                      {issuer(-day, day), time.Second, -5 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.issuer.Clip(now.Add(999*time.Millisecond), c.lifetime)
			require.NoError(t, err)
			require.Equal(t, issuer(c.from, c.to), got)
		})
	}

	for name, c := range map[string]struct {
		issuer   pki.Validity
		lifetime time.Duration
	}{
		"less than a tenth of the lifetime is left": {issuer(-day, 9*day-2*time.Second), 90 * day},
		"less than an hour is left":                 {issuer(-day, time.Hour-2*time.Second), 2 * time.Hour},
		"less than a tenth of minutes is left":      {issuer(-day, time.Minute-2*time.Second), 10 * time.Minute},
		"the issuer has expired":                    {issuer(-day, -time.Second), 90 * day},
		"the issuer expires now":                    {issuer(-day, 0), 90 * day},
	} {
		t.Run("refuses when "+name, func(t *testing.T) {
			t.Parallel()
			_, err := c.issuer.Clip(now, c.lifetime)
			require.ErrorIs(t, err, pki.ErrIssuerExpires)
			require.NotErrorIs(t, err, pki.ErrBadRequest)
		})
	}

	for name, from := range map[string]time.Duration{
		"begins after the leaf ends":               100 * day,
		"begins when the leaf ends":                90*day - time.Second,
		"leaves less than a tenth of the lifetime": 81*day + time.Second,
	} {
		t.Run("refuses when an issuer to come "+name, func(t *testing.T) {
			t.Parallel()
			_, err := issuer(from, 200*day).Clip(now, 90*day)
			require.ErrorIs(t, err, pki.ErrIssuerBegins)
			require.NotErrorIs(t, err, pki.ErrIssuerExpires)
		})
	}
	_, err := issuer(100*day, 200*day).Clip(now, 90*day)
	require.ErrorContains(t, err, "issuer is not valid yet: it begins 2030-08-25T12:30:45Z")
	for _, lifetime := range []time.Duration{0, -time.Hour, time.Millisecond} {
		_, err = issuer(-day, 99*day).Clip(now, lifetime)
		require.ErrorContains(t, err, "too short")
	}
}

func TestValidityOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, rootTemplate().Validity, pki.ValidityOf(newIssuer(t, ecdsaP256()).Certificate()))
}
