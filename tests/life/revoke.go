// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tls-authority/internal/jujusim"
	"tls-authority/internal/pki"
)

// reasons are those that an operator may give.
var reasons = []pki.RevocationReason{pki.Unspecified, pki.KeyCompromise, pki.AffiliationChanged, pki.Superseded, pki.CessationOfOperation, pki.PrivilegeWithdrawn}

// marks are the certificates of the book, in an order that follows from the
// seed: serial numbers do not.
func (l *Life) marks(which func(mark, *noted) bool) []mark {
	var found []mark
	for m, one := range l.book.seen {
		if which(m, one) {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b mark) int {
		x, y := l.book.seen[a].certificate, l.book.seen[b].certificate
		return cmp.Or(cmp.Compare(a.generation, b.generation), x.NotBefore.Compare(y.NotBefore), x.NotAfter.Compare(y.NotAfter),
			cmp.Compare(x.Subject.String(), y.Subject.String()), cmp.Compare(l.book.service[a], l.book.service[b]), cmp.Compare(a.serial, b.serial))
	})
	return found
}

// revokeSerial revokes one of all certificates that there ever were, mostly one
// that can be.
func (l *Life) revokeSerial() error {
	kinds := []func(mark, *noted) bool{
		func(m mark, _ *noted) bool { return l.book.service[m] != "" },
		func(m mark, one *noted) bool {
			return l.book.service[m] == "" && !one.revoked && l.Now.Before(one.certificate.NotAfter)
		},
		func(mark, *noted) bool { return true },
		func(m mark, _ *noted) bool { return l.book.service[m] == everyone },
	}
	found := l.marks(kinds[l.random.IntN(6)%len(kinds)])
	if len(found) == 0 {
		return nil
	}
	return l.revokeOne(found[l.random.IntN(len(found))], reasons[l.random.IntN(len(reasons))])
}

// revokeOne revokes a certificate by its serial number and compares what the
// charm says of it.
func (l *Life) revokeOne(m mark, reason pki.RevocationReason) error {
	r, err := l.record()
	if err != nil {
		return err
	}
	result, err := l.revoke(map[string]any{"serial": m.serial, "reason": reason.String()})
	if err != nil {
		return err
	}
	var expected []mark
	switch {
	case reason == pki.KeyCompromise && (l.Now.Before(l.book.seen[m].certificate.NotAfter) || l.book.service[m] != ""):
		expected = l.book.withSameKeys([]mark{m}, r, l.Now)
	case l.book.revocable(m, r, l.Now):
		expected = []mark{m}
	}
	switch {
	case result.Status != "completed":
		return l.noteRefused(result, len(expected) > 0, expected...)
	case len(expected) == 0:
		return fmt.Errorf("the certificate %s was revoked, which cannot be", m.serial)
	}
	return l.noteRevoked(result, reason, expected)
}

// noteRefused notes what an action did not do, or was not seen to do.
func (l *Life) noteRefused(result jujusim.ActionResult, possible bool, expected ...mark) error {
	if possible && !l.armed {
		return fmt.Errorf("the charm does not revoke what it could: %s", result.Message)
	}
	l.book.unsure = append(l.book.unsure, expected...)
	return nil
}

// noteRevoked notes what an action says that it revoked, which must be what is
// expected.
func (l *Life) noteRevoked(result jujusim.ActionResult, reason pki.RevocationReason, expected []mark) error {
	text, _ := result.Results["serial-numbers"].(string)
	told := strings.Fields(text)
	for _, m := range expected {
		if !slices.Contains(told, m.serial) {
			return fmt.Errorf("the certificate %s was to be revoked, the answer is %q", m.serial, text)
		}
		l.book.seen[m].cutOff = reason == pki.KeyCompromise
		l.book.revoke(m, reason)
	}
	if len(slices.Compact(slices.Sorted(slices.Values(told)))) != len(expected) {
		return fmt.Errorf("%d certificates were to be revoked, the answer is %q", len(expected), text)
	}
	return nil
}

func (l *Life) revoke(parameters map[string]any) (jujusim.ActionResult, error) {
	leader := l.Model.Leader(Application)
	result, err := l.Model.RunAction(leader, "revoke-certificate", parameters)
	l.note("revoke %v on %s: %s %s", parameters, leader, result.Status, result.Message)
	return result, err
}

// revokeHolders revokes all that an application has, or one of its units.
func (l *Life) revokeHolders() error {
	r := l.pick()
	if r == nil {
		return nil
	}
	reason := reasons[l.random.IntN(len(reasons))]
	holder, parameters := "", map[string]any{"reason": reason.String()}
	if owners := slices.Sorted(maps.Keys(r.wants)); l.random.IntN(2) == 0 && len(owners) > 0 {
		holder = owners[l.random.IntN(len(owners))]
	}
	if holder == "" || holder == r.application {
		holder, parameters["application"] = "", r.application
	} else {
		parameters["unit"] = holder
	}
	expected := l.marks(func(m mark, one *noted) bool {
		relation, owner, _ := strings.Cut(l.book.service[m], " ")
		if one.revoked || !l.Now.Before(one.certificate.NotAfter) || relation != fmt.Sprint(r.relation) {
			return false
		}
		return holder == "" || owner == holder || r.legacy && owner == r.shared() && r.wants[holder].shared != ""
	})
	record, err := l.record()
	if err != nil {
		return err
	}
	if reason == pki.KeyCompromise {
		expected = l.book.withSameKeys(expected, record, l.Now)
	}
	result, err := l.revoke(parameters)
	if err != nil {
		return err
	}
	if result.Status != "completed" {
		return l.noteRefused(result, len(expected) > 0, expected...)
	}
	return l.noteRevoked(result, reason, expected)
}

// RevokeOne revokes the first certificate of a dialect.
func (l *Life) RevokeOne(legacy bool, reason pki.RevocationReason) error {
	if err := l.remember(); err != nil {
		return err
	}
	r, owner := l.first(legacy)
	found := l.marks(func(m mark, _ *noted) bool { return l.book.service[m] == fmt.Sprintf("%d %s", r.relation, owner) })
	return l.revokeOne(found[0], reason)
}

// LoseOneForGood removes one unit of the legacy dialect, whose certificates are
// to be revoked.
func (l *Life) LoseOneForGood() error {
	if err := errors.Join(l.remember(), l.turnDepartures()); err != nil {
		return err
	}
	return l.LoseOne()
}

// remember notes what is in service, as a check does, without running anything.
func (l *Life) remember() error {
	if err := l.look(); err != nil {
		return err
	}
	service, err := l.service()
	l.book.service = service
	return err
}

// issue has a certificate issued by an action.
func (l *Life) issue() error {
	leader := l.Model.Leader(Application)
	result, err := l.Model.RunAction(leader, "issue-certificate", map[string]any{"common-name": "ops.example.com"})
	l.note("issue a certificate on %s: %s %s", leader, result.Status, result.Message)
	text, _ := result.Results["certificate"].(string)
	if err != nil || result.Status != "completed" {
		return err
	}
	return l.noteText(text)
}

// turnDepartures turns revoke-on-departure on or off.
func (l *Life) turnDepartures() error {
	l.book.departures = !l.book.departures
	l.note("revoke-on-departure=%t", l.book.departures)
	return l.SetOption("revoke-on-departure", l.book.departures)
}

// replaceKey lets a requirer whose key is compromised ask with another, or
// first with the same for other names.
func (l *Life) replaceKey() error {
	for _, r := range l.requirers {
		for _, owner := range slices.Sorted(maps.Keys(r.wants)) {
			for _, key := range r.wants[owner].keys {
				private, known := key.(*ecdsa.PrivateKey)
				if !known || !l.isCompromised(private) {
					continue
				}
				if l.random.IntN(3) > 0 {
					return l.ask(r, owner)
				}
				l.note("%s asks again with its compromised key", owner)
				return l.askWith(r, owner, private)
			}
		}
	}
	return nil
}

func (l *Life) isCompromised(key *ecdsa.PrivateKey) bool {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	return err == nil && l.book.isCutOff(public)
}

// askWith lets one databag ask with a key that is there.
func (l *Life) askWith(r *requirer, owner string, key *ecdsa.PrivateKey) error {
	csr, err := newCSR(owner+"-again", key)
	if err != nil {
		return err
	}
	bag, err := csrBag(csr)
	if err != nil {
		return err
	}
	r.wants[owner] = &want{csrs: map[string]crypto.PublicKey{csr: key.Public()}, keys: map[string]crypto.PrivateKey{csr: key}}
	return l.Model.SetBag(r.relation, owner, bag)
}

// RevokeReplaced revokes a certificate that was replaced and whose issuer has
// its key.
func (l *Life) RevokeReplaced() error {
	r, err := l.record()
	if err != nil {
		return err
	}
	found := l.marks(func(m mark, one *noted) bool {
		return l.book.service[m] == "" && !one.revoked && hasKey(r, m) && l.Now.Before(one.certificate.NotAfter)
	})
	if len(found) == 0 {
		return errors.New("nothing was replaced")
	}
	return l.revokeOne(found[0], pki.Superseded)
}
