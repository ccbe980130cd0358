// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"errors"
	"strings"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// wanted is one distinct CSR of a relation with those who show it.
type wanted struct {
	tlscertificates.CSRRequest
	requesters []string
}

// requestList is the CSRs of one relation, each once, in the order in which
// they are met: the application's first, then those of the units.
type requestList struct {
	order []string
	byCSR map[string]*wanted
}

// add notes the CSRs of one databag. Where the same CSR is shown with and
// without `ca`, the request for an ordinary certificate stands.
func (l *requestList) add(requester string, requests []tlscertificates.CSRRequest) {
	for _, request := range requests {
		w, known := l.byCSR[request.CSR]
		if !known {
			w = &wanted{CSRRequest: request}
			l.byCSR[request.CSR] = w
			l.order = append(l.order, request.CSR)
		}
		w.CA = w.CA && request.CA
		w.requesters = append(w.requesters, requester)
	}
}

// take removes one CSR from the list.
func (l *requestList) take(csr string) (*wanted, bool) {
	w, shown := l.byCSR[csr]
	delete(l.byCSR, csr)
	return w, shown
}

// rest are the CSRs not taken, in their order.
func (l *requestList) rest() []*wanted {
	var rest []*wanted
	for _, csr := range l.order {
		if w, left := l.byCSR[csr]; left {
			rest = append(rest, w)
		}
	}
	return rest
}

// rebuild makes the index entry of a published answer, once it is proved that
// this CA issued it for the key of the request.
func (desk *requestDesk) rebuild(w *wanted, published tlscertificates.Published) (record.Certificate, error) {
	answer, err := published.Answer()
	if err != nil {
		return record.Certificate{}, err
	}
	certificate, err := pki.ParseCertificatePEM(answer.Certificate)
	if err != nil {
		return record.Certificate{}, err
	}
	request, err := pki.ParseCertificateRequest(w.CSR)
	if err != nil {
		return record.Certificate{}, err
	}
	issuer := desk.generation(func(g *record.Generation) bool {
		ca, err := pki.ParseCertificateDER(g.Certificate)
		return err == nil && certificate.CheckSignatureFrom(ca) == nil
	})
	anchor := desk.generation(func(g *record.Generation) bool {
		return strings.TrimSpace(answer.CA) == strings.TrimSpace(pki.EncodeCertificatePEM(g.Root()))
	})
	if anchor == issuer {
		anchor = 0 // the issuer's own root goes without saying
	}
	if issuer == 0 {
		return record.Certificate{}, errors.New("no CA of ours issued the certificate")
	}
	if !pki.SamePublicKey(certificate.PublicKey, request.PublicKey) {
		return record.Certificate{}, errors.New("the certificate is for another key")
	}
	return record.Certificate{
		CA:      certificate.IsCA,
		Request: record.Digest(w.CSR),
		Name:    DisplayName(request),
		Anchor:  anchor,
		Issued:  record.NewIssued(issuer, certificate),
	}, nil
}

// generation is the number of the latest generation of which something is
// true; 0 for none.
func (desk *requestDesk) generation(is func(*record.Generation) bool) int {
	for i := len(desk.ca.Generations) - 1; i >= 0; i-- {
		if g := &desk.ca.Generations[i]; is(g) {
			return g.ID
		}
	}
	return 0
}
