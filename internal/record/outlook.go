// SPDX-License-Identifier: GPL-3.0-only

package record

import (
	"slices"
	"strings"

	"tls-authority/internal/pki"
)

// Outlook is what a relation is told of the CA: who signs, what to trust, and
// what leads from the one to the other. It follows from the state alone, so
// that every unit and every retry publishes the same bytes.
type Outlook struct {
	// Issuer signs the leaves.
	Issuer *Generation
	// Trust are the generations whose roots are trusted; the first is the one
	// for those who can be told one only.
	Trust []*Generation
	// Bridge leads from the issuer's root to the other one.
	Bridge [][]byte
	// Tail is the root that ends the chain of the CSR dialect; nil while the
	// two ends differ.
	Tail []byte
}

// Anchor is the generation whose root comes first.
func (o Outlook) Anchor() *Generation { return o.Trust[0] }

// Outlook is that of one relation.
func (a *Authority) Outlook(relation int) Outlook {
	return a.outlook(a.stageOf(relation))
}

// Target is the outlook that all relations are to have: that of the present
// stage.
func (a *Authority) Target() Outlook {
	if a.Rotation == nil {
		return a.outlook("")
	}
	return a.outlook(a.Rotation.Stage)
}

func (a *Authority) outlook(stage Stage) Outlook {
	rotation := a.Rotation
	if rotation == nil {
		return resting(a.ActiveGeneration())
	}
	from, to := a.Generation(rotation.From), a.Generation(rotation.To)
	switch stage {
	case Distributing:
		o := resting(from)
		o.Trust = append(o.Trust, to)
		return o
	case Issuing:
		return rotation.issuing(from, to)
	case Flipping:
		return Outlook{Issuer: to, Trust: []*Generation{to, from}, Bridge: rotation.Bridge}
	case Retiring, Replacing:
		return resting(to)
	case Destroying:
		return resting(a.ActiveGeneration())
	}
	return resting(from)
}

// issuing is the outlook after the switch: what was the anchor stays it where
// a bridge leads there.
func (r *Rotation) issuing(from, to *Generation) Outlook {
	switch {
	case r.SameRoot:
		return resting(to)
	case len(r.Bridge) == 0:
		o := resting(to)
		o.Trust = append(o.Trust, from)
		return o
	}
	return Outlook{Issuer: to, Trust: []*Generation{from, to}, Bridge: r.Bridge, Tail: from.Root()}
}

func resting(g *Generation) Outlook {
	return Outlook{Issuer: g, Trust: []*Generation{g}, Tail: g.Root()}
}

// Roots are the certificates to trust, PEM, the anchor first.
func (o Outlook) Roots() []string {
	var roots []string
	for _, g := range o.Trust {
		root := pki.EncodeCertificatePEM(g.Root())
		if !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	return roots
}

// CA is the one certificate that requirers of the CSR dialect are told to
// trust.
func (o Outlook) CA() string { return pki.EncodeCertificatePEM(o.Anchor().Root()) }

// Between are the certificates that a leaf is presented with, PEM, the leaf's
// side first. No root is among them: OpenSSL stops at a root that it does not
// know although a bridge follows.
func (o Outlook) Between() []string {
	var between []string
	for _, certificate := range slices.Concat(o.Issuer.Intermediates(), o.Bridge) {
		between = append(between, pki.EncodeCertificatePEM(certificate))
	}
	return between
}

// Chain is the chain of the CSR dialect for a leaf, PEM.
func (o Outlook) Chain(leaf string) []string {
	chain := append([]string{leaf}, o.Between()...)
	if o.Tail != nil {
		chain = append(chain, pki.EncodeCertificatePEM(o.Tail))
	}
	return chain
}

// LegacyCA and LegacyChain are `ca` and `chain` of the legacy dialect; the
// chain is empty where the root signs.
func (o Outlook) LegacyCA() string    { return strings.Join(o.Roots(), "") }
func (o Outlook) LegacyChain() string { return strings.Join(o.Between(), "") }

// Path are the certificates, DER, whose end is the end of what the issuer
// signs: itself, those above it, and the bridge.
func (o Outlook) Path() [][]byte {
	return slices.Concat(o.Issuer.Path(), o.Bridge)
}
