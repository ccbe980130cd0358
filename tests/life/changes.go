// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// Changes are the ways in which a CA changes while it serves. Each ends with
// the CA at rest.
var Changes = map[string]func(*Life, *Probe) error{
	"a staged rotation": func(l *Life, p *Probe) error {
		return errors.Join(l.Rotate("staged"), p.Follow(), l.EndRotation(p))
	},
	"from root to intermediate": func(l *Life, p *Probe) error {
		return errors.Join(l.Above("10y"), p.Follow(), l.EndRotation(p))
	},
	"the CA above renews ours, and itself": renewedFromAbove,
	"the CA above is rotated":              rotatedAbove,
}

// Change plays one of the changes in a new model, with servers and clients
// that take what their databags say at moments of their own and talk all the
// time. It returns how many handshakes were made; one that fails is an error.
func Change(charmPath string, seed uint64, change func(*Life, *Probe) error) (handshakes int, err error) {
	l, err := New(charmPath, seed)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	if err := l.SetOption("rotation-hold", "24h"); err != nil {
		return 0, err
	}
	if seed%2 == 1 {
		if err := l.AddOurs(); err != nil {
			return 0, err
		}
	}
	if err := l.Crowd(); err != nil {
		return 0, err
	}
	probe, err := l.NewProbe()
	if err != nil {
		return 0, err
	}
	if err := change(l, probe); err != nil {
		return 0, l.tell(err)
	}
	return probe.Handshakes, l.Rest()
}

// renewedFromAbove lets the certificate that ours is below, and ours, come of
// age: months in which both are renewed with their keys.
func renewedFromAbove(l *Life, p *Probe) error {
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
func rotatedAbove(l *Life, p *Probe) error {
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
