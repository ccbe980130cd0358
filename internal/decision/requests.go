// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// requestDesk decides the CSR dialect of one relation.
type requestDesk struct {
	s         Snapshot
	a         Authority
	ca        *record.Authority
	relation  Relation
	published map[string]tlscertificates.CertificateAnswer
	before    *record.Requests
	after     *record.Requests
	answers   RelationAnswers
	// unread are the refusals of entries that could be read in part.
	unread []tlscertificates.RequestError
	// errorBytes is what the CSRs of refused requests take in the databag.
	errorBytes int
}

// serveRequests decides the application databag of one relation: a certificate
// or an error for each CSR, and nothing for CSRs that are shown no more. A CSR
// that is answered is judged by the validity of its answer: shown again it
// keeps it.
func serveRequests(s Snapshot, a Authority, relation Relation, d *Decision) {
	number := relation.ID.Number
	desk := requestDesk{s: s, a: a, relation: relation, ca: d.Record.CA, before: d.Record.CSR[number]}
	if desk.before == nil {
		desk.before = &record.Requests{}
	}
	desk.after = &record.Requests{Application: relation.Application}
	desk.answers.Capabilities = s.Config.Capabilities()
	order := desk.readPublished(d)
	requests := desk.requests()
	unread := desk.unreadOwners()
	for _, csr := range order {
		if w, shown := requests.take(csr); shown {
			w.requesters = desk.withUnread(csr, w.requesters, unread)
			desk.serve(w)
		} else {
			desk.retain(csr, unread)
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

func (desk *requestDesk) requests() *requestList {
	list := &requestList{byCSR: map[string]*wanted{}}
	list.add(desk.relation.Application, desk.relation.Requests.CSR)
	desk.problems(desk.relation.Application, desk.relation.Requests.Problems)
	for _, unit := range desk.relation.Units {
		list.add(string(unit.Name), unit.Requests.CSR)
		desk.problems(string(unit.Name), unit.Requests.Problems)
		if unit.Requests.Legacy == nil {
			desk.strangeProblems(string(unit.Name), unit.Requests.Problems)
		}
	}
	return list
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

// strangeProblems notes what could not be read of a unit that shows no mark of
// the legacy dialect, and so is not served there.
func (desk *requestDesk) strangeProblems(requester string, problems []tlscertificates.Problem) {
	for _, p := range problems {
		if p.Key != tlscertificates.KeyCSRs {
			desk.problem(requester, p.Key, p.Reason, tlscertificates.Other)
		}
	}
}

// Bounds of request_errors in one relation. An error echoes its CSR twice, and a
// databag that outgrows Juju's bound fails the hook for everybody; whoever
// sends that much garbage learns no more from more of it.
const (
	maxErrors     = 200
	maxErrorBytes = 1 << 20
)

// refuse publishes an error while there is room for it.
func (desk *requestDesk) refuse(e tlscertificates.RequestError) {
	desk.errorBytes += 2 * len(e.CSR)
	if len(desk.answers.Errors) < maxErrors && desk.errorBytes <= maxErrorBytes {
		desk.answers.Errors = append(desk.answers.Errors, e)
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
			desk.refuse(unread)
		}
	}
}

func (desk *requestDesk) problem(requester, subject, reason string, code tlscertificates.ErrorCode) {
	desk.after.Problems = record.AddProblem(desk.after.Problems, record.Problem{Requester: requester, Subject: subject, Reason: reason, Code: int(code)})
}

// serve decides one CSR. What is published stays while it is good; what should
// be replaced but cannot be stays as long as it is valid.
func (desk *requestDesk) serve(w *wanted) {
	answer, entry, good := desk.good(w)
	if good && !desk.due(entry) {
		desk.keep(answer, entry)
		return
	}
	stale := !good && desk.stale(w, entry)
	order, name, refusal := desk.order(w, stale)
	if refusal == nil && !good && !stale {
		refusal = desk.checkLimit()
	}
	if stale && refusal != nil {
		// The old root stays trusted as long as this answer is published.
		desk.problem(w.requesters[0], name, "cannot be issued anew by the CA: "+refusal.Reason, 0)
		desk.keep(answer, entry)
		return
	}
	if good && (refusal != nil || !entry.Asked && !order.Template.Validity.NotAfter.After(entry.NotAfter)) {
		desk.keep(answer, entry)
		return
	}
	if refusal != nil {
		desk.refuse(refusal.Answer(w.CSR))
		desk.problem(w.requesters[0], name, refusal.Reason, refusal.Code)
		return
	}
	promised := RequestAnswer{CertificateAnswer: tlscertificates.CertificateAnswer{CSR: w.CSR}, Order: order}
	entering := record.Certificate{Request: record.Digest(w.CSR), Requesters: w.requesters, Name: name, CA: w.CA}
	if stale || good {
		// It stays if the CA turns out not to sign this.
		promised.CertificateAnswer = answer
		entering.Anchor, entering.Issued = entry.Anchor, entry.Issued
	}
	desk.answers.Certificates = append(desk.answers.Certificates, promised)
	desk.after.Certificates = append(desk.after.Certificates, entering)
}

// unreadOwners are those who may still show CSRs that were not read: units
// that this leader has not met, and owners of databags that cannot be read to
// their end at present.
func (desk *requestDesk) unreadOwners() []string {
	unread := slices.Clone(desk.relation.Unmet)
	if incomplete(desk.relation.Requests.Problems, tlscertificates.KeyCSRs) {
		unread = append(unread, desk.relation.Application)
	}
	for _, unit := range desk.relation.Units {
		if incomplete(unit.Requests.Problems, tlscertificates.KeyCSRs) {
			unread = append(unread, string(unit.Name))
		}
	}
	return unread
}

// withUnread adds to the requesters of a CSR those of unread who had shown it.
func (desk *requestDesk) withUnread(csr string, requesters, unread []string) []string {
	entry, _ := desk.before.Find(csr)
	for _, owner := range entry.Requesters {
		if slices.Contains(unread, owner) && !slices.Contains(requesters, owner) {
			requesters = append(requesters, owner)
		}
	}
	return requesters
}

// retain leaves an answer in place whose request may still be wanted.
func (desk *requestDesk) retain(csr string, unread []string) {
	owners := desk.withUnread(csr, nil, unread)
	if len(owners) == 0 {
		return
	}
	entry, _ := desk.before.Find(csr)
	entry.Requesters = owners
	w := &wanted{CSRRequest: tlscertificates.CSRRequest{CSR: csr, CA: entry.CA}, requesters: owners}
	if desk.stale(w, entry) {
		desk.serve(w)
		return
	}
	desk.keep(desk.published[csr], entry)
}

// stale tells whether an answer is valid but says another issuer or another
// root than the CA now has: it is issued anew for the same request.
func (desk *requestDesk) stale(w *wanted, entry record.Certificate) bool {
	return entry.Request != "" && entry.CA == w.CA && desk.s.Now.Before(entry.NotAfter) && !desk.fits(entry)
}

// fits tells whether an answer says the issuer and the root that the CA has.
func (desk *requestDesk) fits(entry record.Certificate) bool {
	return entry.Generation == desk.a.Outlook.Issuer.ID && entry.AnchorGeneration() == desk.a.Outlook.Anchor().ID
}

func (desk *requestDesk) keep(answer tlscertificates.CertificateAnswer, entry record.Certificate) {
	desk.answers.Certificates = append(desk.answers.Certificates, RequestAnswer{CertificateAnswer: answer})
	desk.after.Certificates = append(desk.after.Certificates, entry)
}

// due tells whether a good answer is replaced: its requirer let the time pass
// in which it should have asked anew, or an operator asked.
func (desk *requestDesk) due(entry record.Certificate) bool {
	return entry.Asked || passed(desk.s.Now, entry.Issued, requestDue)
}

// good returns the published answer to a request if it is this CA's and
// valid. Where the index lost it, it is read from the answer itself.
func (desk *requestDesk) good(w *wanted) (tlscertificates.CertificateAnswer, record.Certificate, bool) {
	answer, published := desk.published[w.CSR]
	if !published {
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
	return answer, entry, entry.CA == w.CA && desk.fits(entry) && desk.s.Now.Before(entry.NotAfter)
}

// order decides a request that has no good answer: what to sign, or why not.
// The name is for people, in the status and in lists. What is only issued again,
// because the CA changed, is not held against the options: it has been issued.
func (desk *requestDesk) order(w *wanted, again bool) (*record.Order, string, *policy.Refusal) {
	request, err := pki.ParseCertificateRequest(w.CSR)
	if err != nil {
		return nil, "a certificate signing request", policy.Refuse(tlscertificates.Other, "the certificate signing request is refused", err)
	}
	name := DisplayName(request)
	template := pki.Template{Profile: pki.Leaf, Subject: request.Subject, Names: request.Names, Usage: request.Usage}
	if w.CA {
		template = pki.Template{Profile: pki.SubCA, Subject: request.Subject, Constraints: constraints(desk.s.Config)}
	}
	if w.CA {
		template.Validity, err = desk.a.clipAuthority(desk.s.Now, desk.s.Config.CertificateValidity)
	} else {
		template.Validity, err = desk.a.Clip(desk.s.Now, desk.s.Config.CertificateValidity)
	}
	if err != nil {
		return nil, name, policy.Refuse(tlscertificates.ServerNotAvailable, "the CA certificate has too little life left", err)
	}
	if err := desk.a.Check(template); err != nil {
		return nil, name, policy.Refuse(tlscertificates.Other, "the certificate signing request is refused", err)
	}
	if pki.SamePublicKey(request.PublicKey, desk.a.Certificate.PublicKey) {
		return nil, name, policy.Refuse(tlscertificates.Other, "the key of the request is the CA's own", nil)
	}
	if r := desk.checkPolicy(w, request, template); r != nil && !again {
		return nil, name, r
	}
	return &record.Order{Reason: "new request", Template: template, PublicKey: request.PublicKey}, name, nil
}

// checkPolicy asks the operator's options.
func (desk *requestDesk) checkPolicy(w *wanted, request *pki.CertificateRequest, template pki.Template) *policy.Refusal {
	config := desk.s.Config
	if w.CA && !config.AllowCARequests {
		return policy.Refuse(tlscertificates.Other, "certificates of CAs are not issued: the option allow-ca-requests is off", nil)
	}
	if r := policy.CheckIdentity(config, request); r != nil {
		return r
	}
	return config.CheckNames(template)
}

// checkLimit refuses one more certificate than the operator allows a relation.
// What has been issued counts, and is renewed.
func (desk *requestDesk) checkLimit() *policy.Refusal {
	limit := desk.s.Config.CertificateLimit
	if limit < 0 || len(desk.after.Certificates) < limit {
		return nil
	}
	return policy.Refuse(tlscertificates.Other, fmt.Sprintf("the relation has %d certificates, which is the option certificate-limit", limit), nil)
}

// DisplayName is what people call a request: its common name, else its first
// subject alternative name.
func DisplayName(request *pki.CertificateRequest) string {
	if len(request.CommonNames) > 0 && request.CommonNames[0] != "" {
		return record.Shorten(request.CommonNames[0])
	}
	if texts := request.Names.Texts(); len(texts) > 0 {
		return record.Shorten(texts[0])
	}
	return fmt.Sprintf("%x", sha256.Sum256(request.DER))
}
