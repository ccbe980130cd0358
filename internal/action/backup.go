// SPDX-License-Identifier: GPL-3.0-only

package action

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// backup orders a backup file.
func (k *desk) backup() *decision.Reply {
	texts, err := parameters[string](k.s, "secret", "directory")
	if err != nil {
		return fail("%v", err)
	}
	keep, err := decision.Parameter[float64](k.s, "keep")
	switch {
	case err != nil:
		return fail("%v", err)
	case texts[0] == "":
		return fail("name the user secret with the passphrase or recipient in the parameter secret")
	case !path.IsAbs(texts[1]):
		return fail("the directory %q is not an absolute path", texts[1])
	}
	return &decision.Reply{
		Results: map[string]string{"message": "the backup holds the keys of the CA: keep it, and apart from what opens it"},
		Backup:  &decision.Backup{Directory: texts[1], Secret: texts[0], Keep: int(keep)},
	}
}

// restore puts the CA of a file into service, under new numbers: those of a CA
// that was here are never given again.
func (k *desk) restore() *decision.Reply {
	flags, err := parameters[bool](k.s, "dry-run", "force")
	if err != nil {
		return fail("%v", err)
	}
	if k.s.Restored == nil {
		return fail("%s", k.s.RestoreProblem)
	}
	serves := k.livingCA()
	if serves != "" && !flags[1] && !flags[0] {
		return fail("this application has a CA that %s: say force=true to replace it, which breaks everybody who trusts it alone", serves)
	}
	restored := *k.s.Restored
	restored.Record = withRevocations(restored.Record, k.d.Record, k.s.Now)
	active := restored.Record.CA.ActiveGeneration()
	certificates, err := decision.Path(active)
	if err != nil {
		return fail("%v", err)
	}
	live := liveSpares(k.s, restored.Record, k.d.Record)
	results := map[string]string{
		"message":   "the file can be restored; nothing has been changed",
		"origin":    restored.Origin,
		"subject":   certificates[0].Subject.String(),
		"not-after": certificates[0].NotAfter.UTC().Format(time.RFC3339),
		"pairs":     strconv.Itoa(len(live)),
	}
	if !k.s.Now.Before(certificates[0].NotAfter) {
		return fail("the CA of the file has expired on %s", results["not-after"])
	}
	if len(restored.Left) > 0 {
		results["left-out"] = record.Cut(strings.Join(restored.Left, "\n"), maxLeftOut)
	}
	if flags[0] {
		if serves != "" {
			results["message"] += "; it would need force=true: this application has a CA that " + serves
		}
		return &decision.Reply{Results: results}
	}
	k.adopt(restored, live)
	results["message"] = "the CA is restored: relate those whom it served"
	return &decision.Reply{Results: results}
}

// maxLeftOut bounds what a result tells of parts that were left out.
const maxLeftOut = 4000

// livingCA says what would be lost with the CA of today; empty for nothing.
func (k *desk) livingCA() string {
	r := k.d.Record
	certificates, _ := decision.Tally(r)
	switch {
	case r.CA == nil:
		return ""
	case certificates > 0:
		return "serves " + decision.Count(certificates, "certificate")
	case len(r.ByAction) > 0:
		return "issued " + decision.Count(len(r.ByAction), "certificate") + " by actions"
	case len(r.CA.Generations) > 1 || r.CA.Rotation != nil:
		return "was rotated"
	}
	return ""
}

// liveSpares are the pairs of a file that are still valid: those that waited
// in it, and those that were in service. A key that somebody has already is
// not given to anybody else.
func liveSpares(s decision.Snapshot, r, today record.Record) []record.Spare {
	var spares []record.Spare
	taken := map[string]bool{}
	for pair := range today.Pairs() {
		taken[string(pair.Key)] = true
	}
	revocations := r.Revocations()
	add := func(spare record.Spare) {
		spare.Asked = false
		if revocations.Forbid(spare.Issued) {
			return
		}
		if s.Now.Before(spare.NotAfter) && !taken[string(spare.Key)] {
			taken[string(spare.Key)] = true
			spares = append(spares, spare)
		}
	}
	for _, spare := range r.Spare {
		add(spare)
	}
	if r.Client != nil {
		add(record.Spare{Kind: decision.ClientKind, CommonName: decision.GlobalClientName, Pair: *r.Client})
	}
	for _, number := range r.Relations() {
		legacy := r.Legacy[number]
		if legacy == nil {
			continue
		}
		for _, unit := range legacy.Units {
			for _, pair := range unit.Pairs {
				add(record.Spare{Kind: pair.Kind, CommonName: pair.CommonName, Names: pair.Names, Pair: pair.Pair})
			}
		}
		if shared := legacy.Shared; shared != nil {
			add(record.Spare{Kind: shared.Kind, CommonName: shared.CommonName, Names: shared.Names, Pair: shared.Pair})
		}
	}
	return spares
}

// adopt makes the CA of a file ours.
func (k *desk) adopt(restored decision.Restored, spares []record.Spare) {
	d := &k.d
	first := max(k.s.Free, d.Record.Next())
	numbers := map[int]int{}
	number := func(id int) int {
		if _, known := numbers[id]; !known {
			numbers[id] = first + len(numbers)
		}
		return numbers[id]
	}
	doomed := d.Record.Keys()
	for left := d.Record.Next(); left < first; left++ {
		doomed = append(doomed, left) // by a restore that died
	}
	ca := restored.Record.CA.Clone()
	for i := range ca.Generations {
		g := &ca.Generations[i]
		g.ID = number(g.ID)
		if g.Key != 0 {
			g.Key = number(g.Key)
		}
	}
	ca.Active = number(ca.Active)
	if r := ca.Rotation; r != nil {
		r.From, r.To, r.Client, r.Reached, r.Complete = number(r.From), number(r.To), nil, nil, nil
	}
	d.Record = d.Record.Clone()
	d.Record.Request = nil
	adoptRevocations(&d.Record, restored.Record, number, k.s.Now)
	if request := restored.Record.Request; request != nil {
		again := *request
		again.Generation = number(again.Generation)
		d.Record.Request = &again
	}
	for i := range spares {
		spares[i].Generation = number(spares[i].Generation)
	}
	d.Record.Spare, d.Record.ByAction = spares, slices.Clone(restored.Record.ByAction)
	for i := range d.Record.ByAction {
		d.Record.ByAction[i].Generation = number(d.Record.ByAction[i].Generation)
	}
	d.Restore = map[int]int{}
	for _, id := range restored.Keys {
		d.Restore[number(id)] = id
	}
	ca.Last = slices.Max(slices.Collect(maps.Values(numbers)))
	ca.Epoch++
	d.Record.CA = ca
	for _, generation := range doomed {
		d.Doom(generation)
	}
	d.Log = append(d.Log, decision.LogLine{Level: juju.Info, Message: fmt.Sprintf("the CA of the %s is restored as generation %d", restored.Origin, ca.Active)})
}

// withRevocations is the record of a file with what this application knows of
// the same CA since: a restore must not make a revoked certificate good again.
func withRevocations(theirs, ours record.Record, now time.Time) record.Record {
	merged := theirs.Clone()
	for _, digest := range ours.Compromised {
		if !slices.Contains(merged.Compromised, digest) {
			merged.Compromised = append(slices.Clone(merged.Compromised), digest)
		}
	}
	if ours.CA == nil {
		return merged
	}
	inventory := ours.Inventory(now)
	for i := range ours.CA.Generations {
		g := &ours.CA.Generations[i]
		same := sameAuthority(theirs.CA, g)
		if same == 0 {
			continue
		}
		for _, issued := range inventory[g.ID] {
			merged.Withdrawn = append(slices.Clone(merged.Withdrawn), record.Withdrawn{
				Generation: same, Serial: issued.Serial, NotAfter: issued.NotAfter.Unix(), KeyDigest: issued.KeyDigest,
			})
		}
		for _, revoked := range ours.Revoked {
			if revoked.Generation == g.ID {
				merged.Revoke(revoked.Reason, revoked.At, record.Issued{Generation: same, Serial: revoked.Serial, NotAfter: revoked.NotAfter})
			}
		}
		if list := ours.Lists[g.ID]; list != nil {
			if merged.Lists == nil {
				merged.Lists = map[int]*record.List{}
			}
			merged.Lists[same] = &record.List{Number: list.Number}
		}
	}
	return merged
}

// sameAuthority is the generation of a CA with the name and the key of another;
// 0 for none.
func sameAuthority(ca *record.Authority, g *record.Generation) int {
	wanted, err := pki.ParseCertificateDER(g.Certificate)
	if err != nil {
		return 0
	}
	for i := range ca.Generations {
		certificate, err := pki.ParseCertificateDER(ca.Generations[i].Certificate)
		if err == nil && pki.SameAuthority(certificate, wanted) {
			return ca.Generations[i].ID
		}
	}
	return 0
}

// adoptRevocations takes over what a file knows of certificates that are in
// service no more, those of the newer dialect included, which nobody has here.
// Lists are signed anew, with numbers above those before.
func adoptRevocations(ours *record.Record, theirs record.Record, number func(int) int, now time.Time) {
	ours.Withdrawn, ours.Revoked, ours.Compromised = nil, nil, theirs.Compromised
	inventory := theirs.Inventory(now)
	for _, generation := range slices.Sorted(maps.Keys(inventory)) {
		for _, issued := range inventory[generation] {
			ours.Withdrawn = append(ours.Withdrawn, record.Withdrawn{
				Generation: number(generation), Serial: issued.Serial, NotAfter: issued.NotAfter.Unix(), KeyDigest: issued.KeyDigest,
			})
		}
	}
	for _, revoked := range theirs.Revoked {
		revoked.Generation = number(revoked.Generation)
		ours.Revoked = append(ours.Revoked, revoked)
	}
	ours.Lists, ours.Responders = map[int]*record.List{}, nil
	for generation, list := range theirs.Lists {
		ours.Lists[number(generation)] = &record.List{Number: list.Number}
		if list.Final {
			ours.Lists[number(generation)] = list // no other can be signed
		}
	}
}
