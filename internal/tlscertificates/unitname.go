// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"fmt"
	"slices"
	"strings"
)

// Claim is the name that a legacy unit wants to be answered under.
type Claim struct {
	Unit     string // Juju's name of the unit
	UnitName string // LegacyRequests.UnitName; empty when the unit claims none
}

// Munge returns a unit name as it is spelled in databag keys.
func Munge(name string) string {
	return strings.ReplaceAll(name, "/", "_")
}

// ResolveUnitNames decides under which munged name each legacy unit of a relation
// is answered. Both results are by Juju's name of the unit; problems holds the
// reason why a claim was refused, and names then holds Juju's name, munged.
//
// A unit looks for its answers under the name it has in its own model. Within our
// model that is Juju's name, and any other claim would replace a sibling's answer.
// Of a unit of another model only the number is known. Its claim is believed unless
// another unit is called so, or claims the same and its Juju name sorts lower.
func ResolveUnitNames(claims []Claim) (names, problems map[string]string) {
	names, problems = map[string]string{}, map[string]string{}
	holders := map[string]string{} // by munged name
	for _, claim := range claims {
		names[claim.Unit] = Munge(claim.Unit)
		holders[Munge(claim.Unit)] = claim.Unit
	}
	// Claims that meet have equal numbers, so the order of the text of the names is
	// that of their applications.
	byUnit := func(a, b Claim) int { return strings.Compare(a.Unit, b.Unit) }
	for _, claim := range slices.SortedStableFunc(slices.Values(claims), byUnit) {
		if claim.UnitName == "" {
			continue
		}
		name, reason := Munge(claim.UnitName), refuseClaim(claim)
		if holder, taken := holders[name]; reason == "" && taken && holder != claim.Unit {
			reason = "is the name of " + holder
		}
		if reason != "" {
			problems[claim.Unit] = fmt.Sprintf("unit_name %s %s", quote(claim.UnitName), reason)
			continue
		}
		names[claim.Unit], holders[name] = name, claim.Unit
	}
	return names, problems
}

// refuseClaim returns why a claim is refused whatever other units claim, or "".
func refuseClaim(claim Claim) string {
	if Munge(claim.UnitName) == Munge(claim.Unit) {
		return ""
	}
	number, isRemote := remoteUnitNumber(claim.Unit)
	claimed, isUnit := claimedUnitNumber(claim.UnitName)
	switch {
	case !isRemote:
		return "is not the name of this unit"
	case !isUnit:
		return "is not a unit name"
	case claimed != number:
		return "has another number than this unit"
	}
	return ""
}

// remoteUnitNumber reads Juju's name for a unit of another model: "remote-", 32
// hexadecimal digits, a slash and the number.
func remoteUnitNumber(unit string) (number string, ok bool) {
	application, number, found := strings.Cut(unit, "/")
	id, isRemote := strings.CutPrefix(application, "remote-")
	ok = found && isRemote && len(id) == 32 && consistsOf(id, "0123456789abcdef") && isNumber(number)
	return number, ok
}

// maxApplicationName bounds a claimed name: it becomes part of databag keys.
const maxApplicationName = 255

// claimedUnitNumber reads a unit name as requirers write it, munged or not.
func claimedUnitNumber(claim string) (number string, ok bool) {
	end := strings.LastIndexAny(claim, "_/")
	if end < 1 || end > maxApplicationName {
		return "", false
	}
	application, number := claim[:end], claim[end+1:]
	const letters = "abcdefghijklmnopqrstuvwxyz"
	ok = strings.ContainsRune(letters, rune(application[0])) && consistsOf(application, letters+"0123456789-") && isNumber(number)
	return number, ok
}

func isNumber(text string) bool {
	return text != "" && consistsOf(text, "0123456789")
}

// consistsOf tells whether text has no characters but those of the set.
func consistsOf(text, set string) bool {
	return strings.Trim(text, set) == ""
}
