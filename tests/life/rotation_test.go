// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/tests/life"
)

// rotations is how many seeds each way of changing the CA is played with;
// tests/heavy plays fifty.
const rotations = 2

// changesOfCA are the ways in which a CA changes while it serves. Each ends
// with the CA at rest.
var changesOfCA = map[string]func(*life.Life, *life.Probe) error{
	"a staged rotation": func(l *life.Life, p *life.Probe) error {
		return errors.Join(l.Rotate("staged"), p.Follow(), l.EndRotation(p))
	},
	"from root to intermediate": func(l *life.Life, p *life.Probe) error {
		return errors.Join(l.Above("10y"), p.Follow(), l.EndRotation(p))
	},
	"the CA above renews ours, and itself": renewedFromAbove,
	"the CA above is rotated":              rotatedAbove,
}

// TestNoHandshakeFails changes the CA while servers and clients take what
// their databags say at moments of their own and talk all the time.
func TestNoHandshakeFails(t *testing.T) {
	t.Parallel()
	for name, play := range changesOfCA {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(rotations) {
				t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
					t.Parallel()
					l, err := life.New(charmPath(t), seed)
					require.NoError(t, err)
					defer l.Close()
					require.NoError(t, l.SetOption("rotation-hold", "24h"))
					if seed%2 == 1 {
						require.NoError(t, l.AddOurs())
					}
					require.NoError(t, l.Crowd())
					probe, err := l.NewProbe()
					require.NoError(t, err)
					require.NoError(t, play(l, probe))
					require.Greater(t, probe.Handshakes, 60)
					require.NoError(t, l.Rest())
				})
			}
		})
	}
}

// renewedFromAbove lets the certificate that ours is below, and ours, come of
// age: months in which both are renewed with their keys.
func renewedFromAbove(l *life.Life, p *life.Probe) error {
	if err := errors.Join(l.Above("60d"), p.Follow(), l.EndRotation(p)); err != nil {
		return err
	}
	ca, root, err := l.Intermediate()
	if err != nil {
		return err
	}
	if err := p.Days(50); err != nil {
		return err
	}
	renewedCA, renewedRoot, err := l.Intermediate()
	switch {
	case err != nil:
		return err
	case !renewedCA.NotAfter.After(ca.NotAfter), !renewedRoot.NotAfter.After(root.NotAfter):
		return fmt.Errorf("our CA ends %s, its root %s: nothing was renewed", renewedCA.NotAfter, renewedRoot.NotAfter)
	case !sameKey(ca, renewedCA), !sameKey(root, renewedRoot):
		return errors.New("a renewal changed a key")
	}
	return nil
}

// rotatedAbove rotates the CA above, which ours follows by itself with its own
// key.
func rotatedAbove(l *life.Life, p *life.Probe) error {
	if err := errors.Join(l.Above("10y"), p.Follow(), l.EndRotation(p)); err != nil {
		return err
	}
	ca, root, err := l.Intermediate()
	if err != nil {
		return err
	}
	if err := errors.Join(l.RotateUpper(), p.Follow()); err != nil {
		return err
	}
	for day := 0; l.UpperRotates(); day++ {
		if day > 20 {
			return errors.New("the CA above rotates for ever")
		}
		if err := p.Days(1); err != nil {
			return err
		}
	}
	if err := l.EndRotation(p); err != nil {
		return err
	}
	after, newRoot, err := l.Intermediate()
	switch {
	case err != nil:
		return err
	case sameKey(root, newRoot):
		return errors.New("the root above is the old one")
	case !sameKey(ca, after):
		return errors.New("our own key changed")
	}
	return nil
}

func sameKey(a, b *x509.Certificate) bool {
	return string(a.RawSubjectPublicKeyInfo) == string(b.RawSubjectPublicKeyInfo)
}
