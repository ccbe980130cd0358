// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// Provider names us in the answers of the CSR dialect.
const Provider = "tls-authority"

// requestDesk decides the CSR dialect of one relation.
type requestDesk struct {
	s         Snapshot
	a         authority
	relation  Relation
	published map[string]tlscertificates.CertificateAnswer
	before    *record.Requests
	after     *record.Requests
	answers   RelationAnswers
	// unread are the refusals of entries that could be read in part.
	unread []tlscertificates.RequestError
}

// wanted is one distinct CSR of a relation with those who show it.
type wanted struct {
	tlscertificates.CSRRequest
	requesters []string
}

// serveRequests decides the application databag of one relation: a certificate
// or an error for each CSR, and nothing for CSRs that are shown no more. A CSR
// that is answered is judged by the validity of its answer: shown again it
// keeps it.
func serveRequests(s Snapshot, a authority, relation Relation, d *Decision) {
	number := relation.ID.Number
	desk := requestDesk{s: s, a: a, relation: relation, before: d.Record.CSR[number]}
	if desk.before == nil {
		desk.before = &record.Requests{}
	}
	desk.after = &record.Requests{Application: relation.Application}
	desk.answers.Capabilities = capabilities()
	order := desk.readPublished(d)
	requests := desk.requests()
	for _, csr := range order {
		if w, shown := requests.take(csr); shown {
			desk.serve(w)
		}
	}
	for _, w := range requests.rest() {
		desk.serve(w)
	}
	desk.refuseUnread(requests)
	d.Answers[number] = desk.answers
	if len(desk.after.Certificates) == 0 && len(desk.after.Problems) == 0 {
		delete(d.Record.CSR, number)
	} else {
		d.Record.CSR[number] = desk.after
	}
	d.Log = append(d.Log, newProblems(relation, desk.before.Problems, desk.after.Problems)...)
}

func capabilities() tlscertificates.Capabilities {
	return tlscertificates.Capabilities{IPSANs: true, WildcardDNS: true, Subdomain: true, ProviderType: Provider}
}

// readPublished reads what our application databag says now. It returns the
// CSRs in their order, which answers keep: a requirer that compares lists sees
// nothing move. A bag that does not read is one that we did not write: all of
// it is answered anew.
func (desk *requestDesk) readPublished(d *Decision) []string {
	desk.published = map[string]tlscertificates.CertificateAnswer{}
	text := desk.relation.OwnApplicationBag[tlscertificates.KeyCertificates]
	if text == "" {
		return nil
	}
	answers, err := tlscertificates.ParseCertificates(text)
	if err != nil {
		d.Log = append(d.Log, warning("cannot read our own answers in relation %s, issuing them anew: %v", desk.relation.ID, err))
		return nil
	}
	var order []string
	for _, answer := range answers {
		if _, twice := desk.published[answer.CSR]; twice {
			continue
		}
		desk.published[answer.CSR] = answer
		order = append(order, answer.CSR)
	}
	return order
}

// requestList is the CSRs of one relation, each once, in the order in which
// they are met: the application's first, then those of the units.
type requestList struct {
	order []string
	byCSR map[string]*wanted
}

func (desk *requestDesk) requests() *requestList {
	list := &requestList{byCSR: map[string]*wanted{}}
	list.add(desk.relation.Application, desk.relation.Requests.CSR)
	desk.problems(desk.relation.Application, desk.relation.Requests.Problems)
	for _, unit := range desk.relation.Units {
		list.add(string(unit.Name), unit.Requests.CSR)
		desk.problems(string(unit.Name), unit.Requests.Problems)
	}
	return list
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

// problems notes what could not be read of one databag. Those of the legacy
// dialect are told where it is served.
func (desk *requestDesk) problems(requester string, problems []tlscertificates.Problem) {
	for _, p := range problems {
		if p.Key != tlscertificates.KeyCSRs {
			continue
		}
		desk.problem(requester, p.Key, p.Reason, tlscertificates.Other)
		if p.CSR != "" {
			desk.unread = append(desk.unread, tlscertificates.RequestError{CSR: p.CSR, Code: tlscertificates.Other, Message: p.Reason, Reason: p.Reason})
		}
	}
}

// refuseUnread answers entries whose CSR is sound text but which ask for it in
// a way that cannot be read, unless the same CSR is asked for properly.
func (desk *requestDesk) refuseUnread(requests *requestList) {
	answered := map[string]bool{}
	for _, csr := range requests.order {
		answered[csr] = true
	}
	for _, unread := range desk.unread {
		if !answered[unread.CSR] {
			answered[unread.CSR] = true
			desk.answers.Errors = append(desk.answers.Errors, unread)
		}
	}
}

func (desk *requestDesk) problem(requester, subject, reason string, code tlscertificates.ErrorCode) {
	desk.after.Problems = record.AddProblem(desk.after.Problems, record.Problem{Requester: requester, Subject: subject, Reason: reason, Code: int(code)})
}

func (desk *requestDesk) serve(w *wanted) {
	if answer, entry, ok := desk.keep(w); ok {
		desk.answers.Certificates = append(desk.answers.Certificates, RequestAnswer{CertificateAnswer: answer})
		desk.after.Certificates = append(desk.after.Certificates, entry)
		return
	}
	order, name, refusal := desk.order(w)
	if refusal != nil {
		desk.answers.Errors = append(desk.answers.Errors, refusal.Answer(w.CSR))
		desk.problem(w.requesters[0], name, refusal.Reason, refusal.Code)
		return
	}
	desk.answers.Certificates = append(desk.answers.Certificates, RequestAnswer{
		CertificateAnswer: tlscertificates.CertificateAnswer{CSR: w.CSR},
		Order:             order,
	})
	desk.after.Certificates = append(desk.after.Certificates, record.Certificate{Request: record.Digest(w.CSR), Requesters: w.requesters, Name: name})
}

// keep returns the published answer to a request while it is good. Where the
// index lost it, it is read from the answer itself.
func (desk *requestDesk) keep(w *wanted) (tlscertificates.CertificateAnswer, record.Certificate, bool) {
	answer, published := desk.published[w.CSR]
	if !published || w.CA {
		return tlscertificates.CertificateAnswer{}, record.Certificate{}, false
	}
	entry, known := desk.before.Find(w.CSR)
	if !known {
		var err error
		if entry, err = desk.rebuild(w, answer); err != nil {
			return tlscertificates.CertificateAnswer{}, record.Certificate{}, false
		}
	}
	entry.Requesters = w.requesters
	return answer, entry, desk.a.current(desk.s.Now, entry.Issued)
}

// rebuild makes the index entry of a published answer, once it is proved that
// this CA issued it for the key of the request.
func (desk *requestDesk) rebuild(w *wanted, answer tlscertificates.CertificateAnswer) (record.Certificate, error) {
	certificate, err := pki.ParseCertificatePEM(answer.Certificate)
	if err != nil {
		return record.Certificate{}, err
	}
	request, err := pki.ParseCertificateRequest(w.CSR)
	if err != nil {
		return record.Certificate{}, err
	}
	if err := certificate.CheckSignatureFrom(desk.a.certificate); err != nil {
		return record.Certificate{}, err
	}
	if !pki.SamePublicKey(certificate.PublicKey, request.PublicKey) {
		return record.Certificate{}, errors.New("the certificate is for another key")
	}
	return record.Certificate{
		Request: record.Digest(w.CSR),
		Name:    displayName(request),
		Issued:  record.NewIssued(desk.a.generation, certificate),
	}, nil
}

// order decides a request that has no good answer: what to sign, or why not.
// The name is for people, in the status and in lists.
func (desk *requestDesk) order(w *wanted) (*record.Order, string, *policy.Refusal) {
	request, err := pki.ParseCertificateRequest(w.CSR)
	if err != nil {
		return nil, "a certificate signing request", policy.Refuse(tlscertificates.Other, "the certificate signing request is refused", err)
	}
	name := displayName(request)
	if w.CA {
		return nil, name, policy.Refuse(tlscertificates.Other, "certificates of intermediate CAs are not issued", nil)
	}
	template := pki.Template{Profile: pki.Leaf, Subject: request.Subject, Names: request.Names, Usage: request.Usage}
	if template.Validity, err = desk.a.validity.Clip(desk.s.Now, desk.s.Config.CertificateValidity); err != nil {
		return nil, name, policy.Refuse(tlscertificates.ServerNotAvailable, "the CA certificate has too little life left", err)
	}
	if err := desk.a.check(template); err != nil {
		return nil, name, policy.Refuse(tlscertificates.Other, "the certificate signing request is refused", err)
	}
	if pki.SamePublicKey(request.PublicKey, desk.a.certificate.PublicKey) {
		return nil, name, policy.Refuse(tlscertificates.Other, "the key of the request is the CA's own", nil)
	}
	if r := policy.CheckIdentity(desk.s.Config, request); r != nil {
		return nil, name, r
	}
	return &record.Order{Reason: "new request", Template: template, PublicKey: request.PublicKey}, name, nil
}

// displayName is what people call a request: its common name, else its first
// subject alternative name.
func displayName(request *pki.CertificateRequest) string {
	if len(request.CommonNames) > 0 && request.CommonNames[0] != "" {
		return record.Shorten(request.CommonNames[0])
	}
	if texts := request.Names.Texts(); len(texts) > 0 {
		return record.Shorten(texts[0])
	}
	return fmt.Sprintf("%x", sha256.Sum256(request.DER))
}
