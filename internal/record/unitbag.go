// SPDX-License-Identifier: GPL-3.0-only

package record

import (
	"encoding/pem"

	"tls-authority/internal/pki"
	"tls-authority/internal/tlscertificates"
)

// UnitBag is what every one of our units publishes in a relation: the base set
// and the answers of the legacy dialect. It follows from the record alone, so
// that all units publish the same bytes; requirers merge them, or read one at
// random.
func (r Record) UnitBag(number int) map[string]string {
	legacy := r.Legacy[number]
	if legacy == nil || r.CA == nil || r.Client == nil {
		// `ca` without `client.cert` would be taken for half an answer.
		return nil
	}
	outlook := r.CA.Outlook(number)
	answers := tlscertificates.LegacyAnswers{
		CA:     outlook.LegacyCA(),
		Chain:  outlook.LegacyChain(),
		Client: r.client(number).PEM(),
	}
	for _, unit := range legacy.Units {
		answers.Units = append(answers.Units, unit.answers(legacy.Shared))
	}
	return tlscertificates.EncodeLegacyAnswers(answers)
}

// answers are what one remote unit looks for under its name.
func (u Unit) answers(shared *Answer) tlscertificates.UnitAnswers {
	answers := tlscertificates.UnitAnswers{
		Name:         u.Name,
		Server:       map[string]tlscertificates.Pair{},
		Client:       map[string]tlscertificates.Pair{},
		Intermediate: map[string]tlscertificates.Pair{},
	}
	for _, pair := range u.Pairs {
		text := pair.PEM()
		switch {
		case pair.Kind == tlscertificates.Client:
			answers.Client[pair.CommonName] = text
		case pair.Kind == tlscertificates.Intermediate:
			answers.Intermediate[pair.CommonName] = text
		case pair.TopLevel && pair.Listed:
			answers.TopLevel = &text
			answers.Server[pair.CommonName] = text
		case pair.TopLevel:
			answers.TopLevel = &text
		default:
			answers.Server[pair.CommonName] = text
		}
	}
	if u.Share != nil && shared != nil {
		text := shared.PEM()
		answers.Application = &text
	}
	return answers
}

// PEM is the pair as the legacy dialect carries it, each part ending in a
// newline: consumers append the chain to it as text.
func (p Pair) PEM() tlscertificates.Pair {
	return tlscertificates.Pair{
		Certificate: pki.EncodeCertificatePEM(p.Certificate),
		Key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p.Key})),
	}
}

// client is the global client certificate of one relation: the old CA's until
// the relation is switched to the new one.
func (r Record) client(number int) *Pair {
	rotation := r.CA.Rotation
	if rotation != nil && rotation.Client != nil && !rotation.HasReached(number) {
		return rotation.Client
	}
	return r.Client
}

// Roots are the certificates to trust, PEM, the anchor first; none before
// there is a CA.
func (r Record) Roots() []string {
	if r.CA == nil {
		return nil
	}
	return r.CA.Target().Roots()
}
