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
	d        *Decision
	s        Snapshot
	a        Authority
	ca       *record.Authority
	relation Relation
	// published are the entries of our databag, by CSR.
	published map[string]tlscertificates.Published
	before    *record.Requests
	// index finds an entry of before by the digest of its CSR.
	index   map[string]record.Certificate
	after   *record.Requests
	answers RelationAnswers
	// unread are those who may show CSRs that were not read.
	unread map[string]bool
	room   *room
	refusals
}

// serveRequests decides the application databag of one relation: a certificate
// or an error for each CSR, and nothing for CSRs that are shown no more. A CSR
// that is answered is judged by the validity of its answer: shown again it
// keeps it.
func serveRequests(s Snapshot, a Authority, relation Relation, d *Decision) {
	number := relation.ID.Number
	if relation.Owner != "" && relation.OwnApplicationBag == nil {
		return // nothing that concerns this dialect changed
	}
	desk := requestDesk{d: d, s: s, a: a, relation: relation, ca: d.Record.CA, before: d.Record.CSR[number]}
	if desk.before == nil {
		desk.before = &record.Requests{}
	}
	desk.index = make(map[string]record.Certificate, len(desk.before.Certificates))
	for _, entry := range desk.before.Certificates {
		desk.index[entry.Request] = entry
	}
	desk.after = &record.Requests{Application: relation.Application}
	desk.answers.Capabilities = s.Config.Capabilities()
	desk.unread = unreadOwners(relation)
	order, readable := desk.readPublished(d)
	if !readable && relation.Owner != "" {
		// The others are to be answered anew too: the relation is looked at as
		// a whole.
		d.Record.Agenda.Relations = record.Include(d.Record.Agenda.Relations, number)
		return
	}
	desk.room = d.newRoom(a, relation, len(order))
	requests := desk.requests()
	desk.retainProblems()
	for _, csr := range order {
		if w, shown := requests.take(csr); shown {
			entry, shown := desk.find(csr), len(w.requesters)
			w.requesters = desk.withUnread(entry.Requesters, w.requesters)
			w.CA = w.CA && (len(w.requesters) == shown || entry.CA) // as in requestList.add
			desk.serve(w)
		} else {
			desk.retain(csr, d)
		}
	}
	desk.retainRefused(requests)
	for _, w := range requests.rest() {
		desk.serve(w)
	}
	desk.refuseUnread(requests)
	desk.answers.Errors, desk.after.Refused = desk.inOrder()
	d.Answers[number] = desk.answers
	if relation.Owner != "" && len(desk.before.Problems)+len(desk.before.Refused)+len(desk.after.Problems) > 0 {
		// What is refused may depend on what others ask for.
		d.Record.Agenda.Relations = record.Include(d.Record.Agenda.Relations, number)
	}
	if len(desk.after.Certificates)+len(desk.after.Problems)+len(desk.after.Refused) == 0 {
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
func (desk *requestDesk) readPublished(d *Decision) (order []string, readable bool) {
	desk.published = map[string]tlscertificates.Published{}
	text := desk.relation.OwnApplicationBag[tlscertificates.KeyCertificates]
	if text == "" {
		return nil, true
	}
	entries, err := tlscertificates.SplitPublished(text)
	if err != nil {
		d.Log = append(d.Log, warning("cannot read our own answers in relation %s, issuing them anew: %v", desk.relation.ID, err))
		return nil, false
	}
	for _, entry := range entries {
		if _, twice := desk.published[entry.CSR]; twice {
			continue
		}
		desk.published[entry.CSR] = entry
		order = append(order, entry.CSR)
	}
	return order, true
}

// find returns the index entry of a CSR; empty without one.
func (desk *requestDesk) find(csr string) record.Certificate {
	return desk.index[record.Digest(csr)]
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

// serve decides one CSR. What is published stays while it is good; what should
// be replaced but cannot be stays as long as it is valid.
func (desk *requestDesk) serve(w *wanted) {
	answer, entry, good := desk.good(w)
	if desk.cutOff(w, answer, entry) {
		return
	}
	if good && !desk.due(entry) {
		desk.keep(answer, entry)
		return
	}
	stale := !good && desk.stale(w, entry)
	order, name, refusal := desk.order(w, stale)
	if refusal == nil && !good && !stale {
		refusal = desk.checkLimit(w)
	}
	if stale && refusal != nil {
		// The old root stays trusted as long as this answer is published.
		desk.problem(w.requesters[0], name, "cannot be issued anew by the CA: "+refusal.Reason, 0)
		desk.keep(answer, entry)
		return
	}
	if good && (refusal != nil || !entry.Asked && !gains(desk.s.Now, order.Template.Validity, entry.Issued)) {
		desk.keep(answer, entry)
		return
	}
	if refusal != nil {
		desk.refuse(w.requesters, refusal.Answer(w.CSR))
		desk.problem(w.requesters[0], name, refusal.Reason, refusal.Code)
		return
	}
	promised := RequestAnswer{Published: tlscertificates.Published{CSR: w.CSR}, Order: order}
	entering := record.Certificate{Request: record.Digest(w.CSR), Requesters: w.requesters, Name: name, CA: w.CA}
	if stale || good {
		// It stays if the CA turns out not to sign this.
		promised.Published = answer
		entering.Anchor, entering.Issued = entry.Anchor, entry.Issued
	}
	desk.answers.Certificates = append(desk.answers.Certificates, promised)
	desk.after.Certificates = append(desk.after.Certificates, entering)
}

// unreadOwners are those who may still show CSRs that were not read: those
// whose databags this hook does not look at, units that this leader has not
// met, and owners of databags that cannot be read to their end at present.
func unreadOwners(relation Relation) map[string]bool {
	unread := map[string]bool{}
	for _, owner := range relation.Unmet {
		unread[owner] = true
	}
	if incomplete(relation.Requests.Problems, tlscertificates.KeyCSRs) {
		unread[relation.Application] = true
	}
	for _, unit := range relation.Units {
		if incomplete(unit.Requests.Problems, tlscertificates.KeyCSRs) {
			unread[string(unit.Name)] = true
		}
	}
	return unread
}

// withUnread adds to requesters those who had shown a CSR and were not read.
func (desk *requestDesk) withUnread(before, requesters []string) []string {
	for _, owner := range before {
		if desk.unread[owner] && !slices.Contains(requesters, owner) {
			requesters = append(requesters, owner)
		}
	}
	slices.SortFunc(requesters, compareUnits) // an application sorts before its units
	return requesters
}

// retain leaves an answer in place whose request may still be wanted.
func (desk *requestDesk) retain(csr string, d *Decision) {
	entry := desk.find(csr)
	if entry.Request == "" && desk.relation.Owner != "" {
		// The index lost whose it is: who shows it is found out later.
		desk.answers.Certificates = append(desk.answers.Certificates, RequestAnswer{Published: desk.published[csr]})
		d.Record.Agenda.Relations = record.Include(d.Record.Agenda.Relations, desk.relation.ID.Number)
		return
	}
	owners := desk.withUnread(entry.Requesters, nil)
	if len(owners) == 0 {
		return
	}
	entry.Requesters = owners
	w := &wanted{CSRRequest: tlscertificates.CSRRequest{CSR: csr, CA: entry.CA}, requesters: owners}
	if desk.stale(w, entry) || desk.d.isRevoked(entry.Issued) {
		desk.serve(w)
		return
	}
	desk.keep(desk.published[csr], entry)
}

// stale tells whether an answer is valid but says another issuer or another
// root than the CA now has: it is issued anew for the same request.
func (desk *requestDesk) stale(w *wanted, entry record.Certificate) bool {
	return entry.Request != "" && entry.CA == w.CA && !desk.d.isRevoked(entry.Issued) && desk.s.Now.Before(entry.NotAfter) && !desk.fits(entry)
}

// fits tells whether an answer says the issuer and the root that the CA has.
func (desk *requestDesk) fits(entry record.Certificate) bool {
	return entry.Generation == desk.a.Outlook.Issuer.ID && entry.AnchorGeneration() == desk.a.Outlook.Anchor().ID
}

func (desk *requestDesk) keep(answer tlscertificates.Published, entry record.Certificate) {
	desk.answers.Certificates = append(desk.answers.Certificates, RequestAnswer{Published: answer})
	desk.after.Certificates = append(desk.after.Certificates, entry)
}

// due tells whether a good answer is to be replaced.
func (desk *requestDesk) due(entry record.Certificate) bool {
	return desk.s.requestDue(entry)
}

// good returns the published answer to a request if it is this CA's and
// valid. Where the index lost it, it is read from the answer itself.
func (desk *requestDesk) good(w *wanted) (tlscertificates.Published, record.Certificate, bool) {
	answer, published := desk.published[w.CSR]
	if !published {
		return tlscertificates.Published{}, record.Certificate{}, false
	}
	entry := desk.find(w.CSR)
	if entry.Request == "" {
		var err error
		if entry, err = desk.rebuild(w, answer); err != nil {
			return tlscertificates.Published{}, record.Certificate{}, false
		}
	}
	entry.Requesters = w.requesters
	return answer, entry, entry.CA == w.CA && !desk.d.isRevoked(entry.Issued) && desk.fits(entry) && desk.s.Now.Before(entry.NotAfter)
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
	template.Links = desk.a.Links(desk.s.Config)
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
	if desk.d.Record.IsCompromised(request.PublicKey) {
		return nil, name, policy.Refuse(tlscertificates.Other, "a certificate for its key was revoked because the key is compromised: ask with a new key", nil)
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

// checkLimit refuses one more certificate than the operator allows a relation,
// or than the databags hold. What has been issued counts, and is renewed.
func (desk *requestDesk) checkLimit(w *wanted) *policy.Refusal {
	limit := desk.s.Config.CertificateLimit
	if limit >= 0 && len(desk.after.Certificates) >= limit {
		return policy.Refuse(tlscertificates.Other, fmt.Sprintf("the relation has %d certificates, which is the option certificate-limit", limit), nil)
	}
	if err := desk.room.take(desk.answerSize(w), indexEntrySize); err != nil {
		return policy.Refuse(tlscertificates.ServerNotAvailable, err.Error(), nil)
	}
	return nil
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
