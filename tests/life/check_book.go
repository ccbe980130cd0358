// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

const (
	day = 24 * time.Hour
	// onList is how long a certificate stays on lists beyond its end.
	onList = 7 * day
	// longestMemory is how long the record may hold what has expired: eight
	// days beyond the next list.
	longestMemory = 8*day + onList
)

// everyone holds the global client certificate.
const everyone = "everyone"

// shared holds the certificate that the units of an application share.
func (r *requirer) shared() string { return r.application + sharing }

const sharing = " (shared)"

// checkService tells whether a certificate may be in service.
func (b *book) checkService(leaf *x509.Certificate, saysRevoked bool) error {
	m, found := b.find(leaf)
	one := b.seen[m]
	switch {
	case !found || one == nil:
		return fmt.Errorf("the certificate %s is in service and was never seen", m.serial)
	case one.revoked && !saysRevoked && !one.cutOff:
		return fmt.Errorf("the certificate %s was revoked (%s) and is in service", m.serial, one.reason)
	case one.cutOff && !saysRevoked:
		return fmt.Errorf("the certificate %s of a compromised key is in service", m.serial)
	case saysRevoked && !one.cutOff:
		return fmt.Errorf("the certificate %s is published as revoked", m.serial)
	}
	return nil
}

// takeRefused takes from the CSRs that want an answer those that are refused,
// as only those of compromised keys are.
func (l *Life) takeRefused(want map[string]crypto.PublicKey, text string) error {
	var refused []struct {
		CSR string `json:"certificate_signing_request"`
	}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &refused); err != nil {
			return err
		}
	}
	for _, one := range refused {
		public, err := x509.MarshalPKIXPublicKey(want[one.CSR])
		if err != nil {
			return fmt.Errorf("what nobody asks for is refused: %w", err)
		}
		if !l.book.isCutOff(public) {
			return fmt.Errorf("a legal request is refused: %s", text)
		}
		delete(want, one.CSR)
	}
	return nil
}

// checkBook holds the record, and the lists in it, against the book.
func (l *Life) checkBook() error {
	r, err := l.record()
	if err != nil || r.CA == nil {
		return err
	}
	service, err := l.service()
	if err != nil {
		return err
	}
	b := &l.book
	b.settleUnsure(r)
	b.depart(service, l.speakers(), r, l.Now)
	if err := b.learn(r); err != nil {
		return err
	}
	for i := range r.CA.Generations {
		if err := l.checkGeneration(r, &r.CA.Generations[i]); err != nil {
			return fmt.Errorf("generation %d: %w", r.CA.Generations[i].ID, err)
		}
	}
	return errors.Join(l.checkInventory(r), l.checkMemory(r))
}

// speakers are the units that are there and speak the legacy dialect, whether
// or not they ask for something.
func (l *Life) speakers() map[string]bool {
	there := map[string]bool{}
	for _, r := range l.requirers {
		for owner := range r.wants {
			if r.legacy {
				there[fmt.Sprintf("%d %s", r.relation, owner)] = true
			}
		}
	}
	return there
}

// checkGeneration looks at the list of one generation.
func (l *Life) checkGeneration(r record.Record, g *record.Generation) error {
	stored, expected := r.Lists[g.ID], map[string]pki.RevocationReason{}
	anything, since, last := false, l.Now, time.Time{}
	if g.Destroyed && stored != nil {
		since = stored.ThisUpdate.Add(pki.Backdate)
	}
	for m, one := range l.book.seen {
		listed := since.Before(one.certificate.NotAfter.Add(onList))
		anything = anything || one.revoked && listed
		if m.generation != g.KeyID() {
			continue
		}
		if one.revoked && listed {
			expected[m.serial] = one.reason
		}
		if one.certificate.NotAfter.After(last) {
			last = one.certificate.NotAfter
		}
	}
	if stored == nil || len(stored.CRL) == 0 {
		switch {
		case g.Destroyed && l.Now.Before(last):
			return errors.New("its key is destroyed and it has no final list")
		case !g.Destroyed && (len(expected) > 0 || anything && g.ID == r.CA.Active):
			return fmt.Errorf("it has no list, want one with %d certificates", len(expected))
		}
		return nil
	}
	list, err := x509.ParseRevocationList(stored.CRL)
	if err != nil {
		return err
	}
	switch {
	case stored.Final != g.Destroyed:
		return fmt.Errorf("its key is destroyed: %t; its list is final: %t", g.Destroyed, stored.Final)
	case g.Destroyed && list.NextUpdate.Before(last):
		return fmt.Errorf("its final list ends %s, its last certificate %s", list.NextUpdate, last)
	case !g.Destroyed && !l.Now.Before(list.NextUpdate):
		return fmt.Errorf("its list has expired at %s", list.NextUpdate)
	}
	return errors.Join(l.book.checkNumber(g.ID, list.Number), list.CheckSignatureFrom(l.book.authorities[g.KeyID()]), checkEntries(list, expected))
}

func (b *book) checkNumber(generation int, number *big.Int) error {
	before := b.numbers[generation]
	b.numbers[generation] = number
	if before != nil && number.Cmp(before) < 0 {
		return fmt.Errorf("the number of its list fell from %s to %s", before, number)
	}
	return nil
}

// checkEntries compares a list with what was revoked.
func checkEntries(list *x509.RevocationList, expected map[string]pki.RevocationReason) error {
	left := maps.Clone(expected)
	for _, entry := range list.RevokedCertificateEntries {
		serial := entry.SerialNumber.Text(16)
		reason, revoked := left[serial]
		if !revoked {
			return fmt.Errorf("%s is on its list and was not revoked, or long ago", serial)
		}
		if entry.ReasonCode != int(reason) {
			return fmt.Errorf("%s was revoked as %s, its list says %d", serial, reason, entry.ReasonCode)
		}
		delete(left, serial)
	}
	if len(left) > 0 {
		return fmt.Errorf("%v are revoked and not on its list", slices.Sorted(maps.Keys(left)))
	}
	return nil
}

// checkInventory wants everything that has not expired to be known.
func (l *Life) checkInventory(r record.Record) error {
	known := map[mark]bool{}
	for generation, issued := range r.Inventory(l.Now) {
		for _, one := range issued {
			known[markOf(r, generation, one.Serial)] = true
		}
	}
	for m, one := range l.book.seen {
		if l.Now.Before(one.certificate.NotAfter) && !known[m] {
			return fmt.Errorf("the record has forgotten the certificate %s of generation %d, which ends %s", m.serial, m.generation, one.certificate.NotAfter)
		}
	}
	return nil
}

// checkMemory wants nothing to be remembered for ever. Where nothing is
// revoked no list is signed, and what has expired goes with the next
// certificate that is withdrawn.
func (l *Life) checkMemory(r record.Record) error {
	if len(r.Lists) == 0 {
		return nil
	}
	for _, w := range r.Withdrawn {
		if end := time.Unix(w.NotAfter, 0); len(r.Revoked) > 0 && l.Now.After(end.Add(longestMemory)) {
			return fmt.Errorf("the record holds %s, which ended %s", w.Serial, end)
		}
	}
	for _, revoked := range r.Revoked {
		if l.Now.After(revoked.NotAfter.Add(longestMemory)) {
			return fmt.Errorf("the record holds the revoked %s, which ended %s", revoked.Serial, revoked.NotAfter)
		}
	}
	return nil
}

// service are the certificates that are in service, with who asked for them.
func (l *Life) service() (map[mark]string, error) {
	found := map[mark]string{}
	for _, r := range l.requirers {
		add := func(text, owner string) error {
			leaf, err := parseOne(text)
			if err != nil {
				return err
			}
			m, _ := l.book.find(leaf)
			if found[m] = everyone; owner != everyone {
				found[m] = fmt.Sprintf("%d %s", r.relation, owner)
			}
			return nil
		}
		read := l.serviceLegacy
		if !r.legacy {
			read = l.serviceCSR
		}
		if err := read(r, add); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (l *Life) serviceLegacy(r *requirer, add func(text, owner string) error) error {
	bag := l.Model.Bag(r.relation, l.units()[0])
	var errs []error
	if text := bag["client.cert"]; text != "" {
		errs = append(errs, add(text, everyone))
	}
	for owner := range r.wants {
		name := strings.ReplaceAll(owner, "/", "_")
		if text := bag[name+".server.cert"]; text != "" {
			errs = append(errs, add(text, owner))
		}
		for _, key := range []string{".processed_requests", ".processed_client_requests", ".processed_application_requests"} {
			holder := owner
			if key == ".processed_application_requests" {
				holder = r.shared()
			}
			for _, pair := range processed(bag[name+key]) {
				errs = append(errs, add(pair.Cert, holder))
			}
		}
	}
	return errors.Join(errs...)
}

func (l *Life) serviceCSR(r *requirer, add func(text, owner string) error) error {
	var answers []struct {
		CSR         string `json:"certificate_signing_request"`
		Certificate string `json:"certificate"`
	}
	if text := l.Model.Bag(r.relation, Application)["certificates"]; text != "" {
		if err := json.Unmarshal([]byte(text), &answers); err != nil {
			return err
		}
	}
	for _, answer := range answers {
		for owner, w := range r.wants {
			if w.csrs[answer.CSR] == nil {
				continue
			}
			if err := add(answer.Certificate, owner); err != nil {
				return err
			}
		}
	}
	return nil
}
