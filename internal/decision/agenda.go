// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"slices"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// keysPerHook bounds the RSA keys that one hook makes for requirers, counted
// in keys of 2048 bits: some seconds of one core. A hook that makes more keeps
// everybody else waiting.
const keysPerHook = 48

// keyCost is what a key takes of keysPerHook. Those of elliptic curves take
// less time than the signature.
func keyCost(t pki.KeyType) int {
	switch t {
	case pki.RSA2048:
		return 1
	case pki.RSA3072:
		return 4
	case pki.RSA4096:
		return 8
	}
	return 0
}

// takeKey tells whether this hook makes one more key. The relation is looked
// at again when it does not.
func (desk *legacyDesk) takeKey() bool {
	cost := keyCost(desk.s.Config.KeyType)
	if desk.keys < cost {
		desk.short = true
		return false
	}
	desk.keys -= cost
	desk.d.keys -= cost
	return true
}

// plan notes whether requests of the relation wait for their keys, or are to be
// judged beside those of the other units.
func (desk *legacyDesk) plan() {
	agenda, number := &desk.d.Record.Agenda, desk.relation.ID.Number
	judged := desk.relation.Owner != "" && len(desk.before.Problems)+len(desk.after.Problems) > 0
	switch {
	case desk.short || judged:
		agenda.Relations = record.Include(agenda.Relations, number)
	case desk.relation.Owner == "":
		agenda.Relations = record.Exclude(agenda.Relations, number)
	}
}

// plan notes what this hook leaves to be done. What changed in the CA concerns
// all relations, but for those that this hook has looked at by chance.
func (d *Decision) plan(s Snapshot) {
	agenda := &d.Record.Agenda
	changed := d.Making != nil || d.Renew != nil || !sameAuthority(s.Record().CA, d.Record.CA)
	agenda.Everything = changed || agenda.Everything && !s.Sweep
	for number := range s.Unread {
		agenda.Later = record.Include(agenda.Later, number)
	}
	for _, relation := range s.Relations {
		switch {
		case relation.Owner != "":
		case len(relation.Unmet) == 0:
			agenda.Later = record.Exclude(agenda.Later, relation.ID.Number)
		default:
			agenda.Later = record.Include(agenda.Later, relation.ID.Number)
		}
	}
	if s.Listed {
		gone := func(number int) bool { return !slices.Contains(s.Live, number) }
		agenda.Relations = slices.DeleteFunc(agenda.Relations, gone)
		agenda.Later = slices.DeleteFunc(agenda.Later, gone)
	}
}

// sameAuthority tells whether two states of the CA say the same to relations.
func sameAuthority(a, b *record.Authority) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Epoch == b.Epoch && a.Active == b.Active && (a.Rotation == nil) == (b.Rotation == nil) &&
		slices.EqualFunc(a.Generations, b.Generations, sameGeneration)
}

func sameGeneration(a, b record.Generation) bool {
	return a.ID == b.ID && a.Destroyed == b.Destroyed && sameChain(a, b)
}
