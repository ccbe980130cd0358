// SPDX-License-Identifier: GPL-3.0-only

package responder

import (
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/spool"
)

// snapshot is a status made ready to answer from. It does not change, but for
// the answers that are kept in it.
type snapshot struct {
	status      spool.Status // without its generations
	generations []*generation
	// issuers finds the generations that a request may mean. They are several
	// only when two have the same name and key, as after an import of the same
	// CA; their serial numbers differ.
	issuers map[pki.IssuerID][]*generation
	// caPEM is the active certificate with its chain, caDER it alone; both are
	// empty without an active generation.
	caPEM, caDER document
}

type generation struct {
	id           int
	active       bool
	certificate  *x509.Certificate
	document     document            // the certificate alone
	list         *pki.RevocationList // nil when there is none
	noList       string              // why
	listDocument document
	// states has an entry for every certificate that was issued; nil is good.
	states map[string]*spool.Revoked
	// responder is nil when there is none that can sign. Then noResponder
	// tells why, and waits whether that should pass by itself.
	responder   *pki.OCSPResponder
	noResponder string
	waits       bool
	answers     sync.Map // from answerKey to answer
}

func newSnapshot(status spool.Status, keys []pki.PrivateKey) (*snapshot, error) {
	s := &snapshot{status: status, issuers: map[pki.IssuerID][]*generation{}}
	s.status.Generations = nil
	for _, source := range status.Generations {
		g, err := newGeneration(source, keys)
		if err == nil {
			err = s.add(g, source.Chain)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot use generation %d of the status: %w", source.ID, err)
		}
	}
	return s, nil
}

func (s *snapshot) add(g *generation, chain [][]byte) error {
	s.generations = append(s.generations, g)
	ids, err := pki.IssuerIDs(g.certificate)
	if err != nil {
		return err
	}
	for _, id := range ids {
		s.issuers[id] = append(s.issuers[id], g)
	}
	bundle := pki.EncodeCertificatePEM(g.certificate.Raw)
	for _, der := range chain {
		above, err := pki.ParseCertificateDER(der)
		if err != nil {
			return err
		}
		bundle += pki.EncodeCertificatePEM(above.Raw)
	}
	g.document = newDocument(typeDER, g.certificate.Raw, s.status.ThisUpdate, s.status.NextUpdate)
	if g.active {
		s.caPEM = newDocument(typePEM, []byte(bundle), s.status.ThisUpdate, s.status.NextUpdate)
		s.caDER = g.document
	}
	return nil
}

func newGeneration(source spool.Generation, keys []pki.PrivateKey) (*generation, error) {
	certificate, err := pki.ParseCertificateDER(source.Certificate)
	if err != nil {
		return nil, err
	}
	g := &generation{
		id: source.ID, active: source.Active, certificate: certificate,
		noList: source.NoCRL, noResponder: source.NoResponder,
		states: make(map[string]*spool.Revoked, len(source.Issued)),
	}
	for _, issued := range source.Issued {
		g.states[issued.Serial] = issued.Revoked
	}
	if len(source.CRL) > 0 {
		if err := g.addList(source.CRL); err != nil {
			return nil, err
		}
	}
	for _, key := range keys {
		if pki.KeyMatches(certificate, key) {
			return nil, fmt.Errorf("%s has the key of the CA, which does not belong there", spool.KeysName)
		}
	}
	return g, g.addResponder(source.Responder, keys)
}

// addList takes the word of the list for every certificate on it, whatever
// the rest of the status says: an answer that is too good is the worse error.
func (g *generation) addList(der []byte) error {
	list, err := pki.ParseCRL(der, g.certificate)
	if err != nil {
		return err
	}
	for _, entry := range list.Entries {
		serial := entry.Serial.Text(16)
		if g.states[serial] == nil {
			g.states[serial] = &spool.Revoked{At: entry.RevokedAt, Reason: entry.Reason}
		}
	}
	g.list = &list
	g.listDocument = newDocument(typeCRL, der, list.ThisUpdate, list.NextUpdate)
	return nil
}

// addResponder finds the key of the responder. That there is none yet, or that
// the certificate is of no use, spoils nothing else: keys and certificates come
// in two files, and revocation lists do not need them.
func (g *generation) addResponder(der []byte, keys []pki.PrivateKey) error {
	if len(der) == 0 {
		return nil
	}
	certificate, err := pki.ParseCertificateDER(der)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if !pki.KeyMatches(certificate, key) {
			continue
		}
		responder, err := pki.NewOCSPResponder(certificate, g.certificate, key)
		if err != nil {
			g.noResponder, g.waits = err.Error(), true
			return nil
		}
		g.responder = responder
		return nil
	}
	g.noResponder, g.waits = "no key in "+spool.KeysName+" is the responder's", true
	return nil
}

// check finds what makes the whole snapshot useless at a time.
func (s *snapshot) check(now time.Time) error {
	switch {
	case !now.Before(s.status.NextUpdate):
		return fmt.Errorf("the status is stale: it was good until %s", s.status.NextUpdate.UTC().Format(time.RFC3339))
	case now.Before(s.status.ThisUpdate.Add(-pki.Backdate)):
		return fmt.Errorf("the status is of %s, which has yet to come", s.status.ThisUpdate.UTC().Format(time.RFC3339))
	}
	return nil
}

func (g *generation) checkList(now time.Time) error {
	if g.list == nil || now.Before(g.list.NextUpdate) {
		return nil
	}
	return fmt.Errorf("the revocation list is stale: it was good until %s", g.list.NextUpdate.Format(time.RFC3339))
}

func (g *generation) checkResponder(now time.Time) error {
	switch {
	case g.responder == nil && g.waits:
		return errors.New(g.noResponder)
	case g.responder == nil:
		return nil // as the status says
	}
	validity := pki.ValidityOf(g.responder.Certificate())
	if now.Before(validity.NotBefore) || !now.Before(validity.NotAfter) {
		return fmt.Errorf("the responder's certificate is valid from %s to %s only",
			validity.NotBefore.Format(time.RFC3339), validity.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// faults lists everything that is wrong at a time.
func (s *snapshot) faults(now time.Time) []string {
	var faults []string
	if err := s.check(now); err != nil {
		faults = append(faults, err.Error())
	}
	for _, g := range s.generations {
		for _, err := range []error{g.checkList(now), g.checkResponder(now)} {
			if err != nil {
				faults = append(faults, fmt.Sprintf("generation %d: %v", g.id, err))
			}
		}
	}
	return faults
}

// generation returns the one with a number; nil when there is none.
func (s *snapshot) generation(id int) *generation {
	for _, g := range s.generations {
		if g.id == id {
			return g
		}
	}
	return nil
}

// find returns the generation that a request means, one that issued the
// certificate if there is one; nil when the issuer is none of ours.
func (s *snapshot) find(request pki.OCSPRequest) *generation {
	candidates := s.issuers[request.Issuer]
	for _, g := range candidates {
		if _, issued := g.states[request.Serial.Text(16)]; issued {
			return g
		}
	}
	if len(candidates) > 0 {
		return candidates[0]
	}
	return nil
}
