// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"slices"

	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// refusals gathers the errors of one relation with those who are told.
type refusals struct {
	errors  []tlscertificates.RequestError
	refused []record.Refused
	// unreadable are the refusals of entries that could be read in part.
	unreadable []unreadable
	// errorBytes is what the CSRs of refused requests take in the databag.
	errorBytes int
}

// unreadable is an entry of a databag whose CSR is sound text but which asks
// for it in a way that cannot be read.
type unreadable struct {
	requester string
	tlscertificates.RequestError
}

// Bounds of request_errors in one relation. An error echoes its CSR twice, and a
// databag that outgrows Juju's bound fails the hook for everybody; whoever
// sends that much garbage learns no more from more of it.
const (
	maxErrors     = 200
	maxErrorBytes = 1 << 20
)

// refuse publishes an error while there is room for it; one for each CSR.
func (r *refusals) refuse(requesters []string, e tlscertificates.RequestError) {
	digest := record.Digest(e.CSR)
	if i := slices.IndexFunc(r.refused, func(known record.Refused) bool { return known.Request == digest }); i >= 0 {
		all := append(slices.Clone(r.refused[i].Requesters), requesters...)
		slices.SortFunc(all, compareUnits)
		r.refused[i].Requesters = slices.Compact(all)
		return
	}
	r.errorBytes += 2 * len(e.CSR)
	if len(r.errors) < maxErrors && r.errorBytes <= maxErrorBytes {
		r.errors = append(r.errors, e)
		r.refused = append(r.refused, record.Refused{Request: digest, Requesters: requesters, Code: int(e.Code)})
	}
}

// retainRefused leaves the errors in place of requests that were not read, and
// notes who else had shown a CSR that was.
func (desk *requestDesk) retainRefused(requests *requestList) {
	if len(desk.before.Refused) == 0 || len(desk.unread) == 0 {
		return
	}
	published, err := tlscertificates.ParseRequestErrors(desk.relation.OwnApplicationBag[tlscertificates.KeyRequestErrors])
	if err != nil {
		return // they are told again when their requests are read
	}
	byDigest := map[string]tlscertificates.RequestError{}
	for _, e := range published {
		byDigest[record.Digest(e.CSR)] = e
	}
	for _, before := range desk.before.Refused {
		e, told := byDigest[before.Request]
		if !told {
			continue
		}
		if w, shown := requests.byCSR[e.CSR]; shown {
			w.requesters = desk.withUnread(before.Requesters, w.requesters)
		} else if owners := desk.withUnread(before.Requesters, nil); len(owners) > 0 {
			desk.refuse(owners, e)
		}
	}
}

// retainProblems keeps what is told of those that were not read.
func (desk *requestDesk) retainProblems() {
	for _, p := range desk.before.Problems {
		if desk.unread[p.Requester] {
			desk.after.Problems = record.AddProblem(desk.after.Problems, p)
		}
	}
}

// refuseUnread answers entries that cannot be read, unless the same CSR is
// asked for properly.
func (desk *requestDesk) refuseUnread(requests *requestList) {
	answered := map[string]bool{}
	for _, csr := range requests.order {
		answered[csr] = true
	}
	for _, answer := range desk.answers.Certificates {
		answered[answer.CSR] = true // one that was not read asks for it properly
	}
	for _, entry := range desk.unreadable {
		if !answered[entry.CSR] {
			answered[entry.CSR] = true
			desk.refuse([]string{entry.requester}, entry.RequestError)
		}
	}
}

// inOrder returns the errors, and who is told, in the order in which they are
// published already: nothing is to move because of who was read.
func (desk *requestDesk) inOrder() ([]tlscertificates.RequestError, []record.Refused) {
	place := map[string]int{}
	for i, before := range desk.before.Refused {
		place[before.Request] = i - len(desk.before.Refused)
	}
	order := make([]int, len(desk.errors))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return place[desk.refused[a].Request] - place[desk.refused[b].Request] })
	var errors []tlscertificates.RequestError
	var refused []record.Refused
	for _, i := range order {
		errors, refused = append(errors, desk.errors[i]), append(refused, desk.refused[i])
	}
	return errors, refused
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
			e := tlscertificates.RequestError{CSR: p.CSR, Code: tlscertificates.Other, Message: p.Reason, Reason: p.Reason}
			desk.unreadable = append(desk.unreadable, unreadable{requester, e})
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

func (desk *requestDesk) problem(requester, subject, reason string, code tlscertificates.ErrorCode) {
	desk.after.Problems = record.AddProblem(desk.after.Problems, record.Problem{Requester: requester, Subject: subject, Reason: reason, Code: int(code)})
}
