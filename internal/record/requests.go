// SPDX-License-Identifier: GPL-3.0-only

package record

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"tls-authority/internal/tlscertificates"
)

// Digest identifies the text of a CSR in the index; 128 bits suffice, since
// whoever finds a collision only meets an answer to a request of their own.
func Digest(csr string) string {
	sum := sha256.Sum256([]byte(csr))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Find returns the index entry of a CSR.
func (r *Requests) Find(csr string) (Certificate, bool) {
	i := r.index(csr)
	if i < 0 {
		return Certificate{}, false
	}
	return r.Certificates[i], true
}

// Enter completes the index entry of a CSR that has been answered. The anchor
// is 0 where it is the issuer.
func (r *Requests) Enter(csr string, anchor int, issued Issued) {
	if i := r.index(csr); i >= 0 {
		r.Certificates[i].Anchor, r.Certificates[i].Issued = anchor, issued
	}
}

// Refuse turns the index entry of a CSR into a problem.
func (r *Requests) Refuse(csr string, code tlscertificates.ErrorCode, reason string) {
	i := r.index(csr)
	if i < 0 {
		return
	}
	entry := r.Certificates[i]
	r.Certificates = slices.Delete(r.Certificates, i, i+1)
	r.Refused = append(r.Refused, Refused{Request: entry.Request, Requesters: entry.Requesters, Code: int(code)})
	r.Problems = AddProblem(r.Problems, Problem{Requester: entry.Requesters[0], Subject: entry.Name, Reason: reason, Code: int(code)})
}

func (r *Requests) index(csr string) int {
	want := Digest(csr)
	return slices.IndexFunc(r.Certificates, func(c Certificate) bool { return c.Request == want })
}
