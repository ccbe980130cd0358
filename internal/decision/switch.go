// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"slices"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// ClientKind is the kind of client certificates, the global one included.
const ClientKind = tlscertificates.Client

// switchCA orders anew what another generation of the CA issued, for the keys
// that are there: a whole relation changes over in one hook, those whose
// requests cannot be read now included. The operator's options are not asked,
// since what has been issued stays.
func (desk *legacyDesk) switchCA() {
	switched := *desk.before
	switched.Units = slices.Clone(switched.Units)
	for i := range switched.Units {
		unit := &switched.Units[i]
		unit.Pairs = slices.Clone(unit.Pairs)
		for j := range unit.Pairs {
			desk.switchPair(unit.Unit, &unit.Pairs[j])
		}
	}
	if switched.Shared != nil {
		shared := *switched.Shared
		desk.switchPair(switched.Application, &shared)
		switched.Shared = &shared
	}
	desk.before = &switched
}

func (desk *legacyDesk) switchPair(requester string, answer *record.Answer) {
	revoked := desk.d.isRevoked(answer.Issued)
	if answer.Generation == desk.a.Outlook.Issuer.ID || !desk.s.Now.Before(answer.NotAfter) || revoked && !desk.unmet[requester] {
		return // a revoked pair is replaced with its key
	}
	profile := pki.Server
	switch answer.Kind {
	case tlscertificates.Client:
		profile = pki.Client
	case tlscertificates.Intermediate:
		profile = pki.SubCA
	}
	names, err := pki.NamesFromTexts(answer.Names)
	if err == nil {
		var template pki.Template
		template, err = desk.a.LegacyTemplate(desk.s, profile, answer.CommonName, names)
		if err == nil {
			order := desk.order("the CA changed", template)
			if revoked && !desk.takeKey() {
				return
			}
			order.KeepKey = !revoked && (!answer.Asked || !desk.takeKey()) // whom an operator asked to renew gets a new one
			order.Replaced = &record.Replaced{CommonName: answer.CommonName, Names: answer.Names}
			answer.Order = order
			return
		}
	}
	// It stays in service, and the old root trusted, until it can be.
	desk.problem(requester, answer.CommonName, "cannot be issued anew by the CA: "+err.Error(), 0)
}

// takeSpare finds a pair that came with a CA that was taken over and whose
// names are those of a request. It is given once: no two requests share a key.
func takeSpare(s Snapshot, a Authority, d *Decision, want record.Spare) *record.Pair {
	i := slices.IndexFunc(d.Record.Spare, func(have record.Spare) bool {
		return have.Matches(want) && a.current(s.Now, have.Issued) && !d.isRevoked(have.Issued)
	})
	if i < 0 {
		return nil
	}
	pair := d.Record.Spare[i].Pair
	d.Record.Spare = slices.Delete(slices.Clone(d.Record.Spare), i, i+1)
	return &pair
}
