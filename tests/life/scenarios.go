// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"errors"

	"tls-authority/internal/pki"
)

// Scenarios are one event of every kind, to be played in a cluster: a model
// with three units of ours and requirers of both dialects.
var Scenarios = map[string]func(*Life) error{
	"a relation is made":          func(l *Life) error { return l.Fleet(true, 2) },
	"a relation of CSRs is made":  func(l *Life) error { return l.Fleet(false, 2) },
	"a unit changes its request":  func(l *Life) error { return l.ChangeOne(true) },
	"a CSR is replaced":           func(l *Life) error { return l.ChangeOne(false) },
	"a requirer's unit leaves":    func(l *Life) error { return l.LoseOne() },
	"a relation is broken":        func(l *Life) error { return l.PartOne() },
	"an option changes":           func(l *Life) error { return l.SetOption("extra_sans", "vip.example.com") },
	"certificates come of age":    func(l *Life) error { return l.Age(360) },
	"the root comes of age":       func(l *Life) error { return l.Age(7 * 365) },
	"another unit is elected":     func(l *Life) error { return l.ElectNext() },
	"the leader is removed":       func(l *Life) error { return l.RemoveLeader() },
	"a unit is added":             func(l *Life) error { return l.AddOurs() },
	"an agent runs upgrade-charm": func(l *Life) error { return l.Model.Queue(l.Model.Leader(Application), "upgrade-charm") },
	"a machine starts again":      func(l *Life) error { return l.Model.Queue(l.Model.Leader(Application), "start") },
	"the CA is rotated":           func(l *Life) error { return l.Rotate("staged") },
	"the CA is replaced at once":  func(l *Life) error { return l.Rotate("emergency") },
	"a certificate is revoked":    func(l *Life) error { return l.RevokeOne(true, pki.KeyCompromise) },
	"a CSR's key is compromised":  func(l *Life) error { return l.RevokeOne(false, pki.KeyCompromise) },
	"a CSR's answer is revoked":   func(l *Life) error { return l.RevokeOne(false, pki.Superseded) },
	"who leaves is revoked":       func(l *Life) error { return l.LoseOneForGood() },
	"the leader's pod is lost":    func(l *Life) error { return l.ReplacePods(l.Model.Leader(Application)) },
}

// ReplacePods gives units new pods, all at once.
func (l *Life) ReplacePods(units ...string) error {
	var errs []error
	for _, unit := range units {
		l.note("replace the pod of %s", unit)
		errs = append(errs, l.Model.ReplacePod(unit))
	}
	return errors.Join(errs...)
}

// Rotate begins a rotation of the CA.
func (l *Life) Rotate(mode string) error {
	l.authority = nil
	_, err := l.Act("rotate-ca", map[string]any{"mode": mode})
	return err
}
