// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import "fmt"

// MaxCSRSize is the most bytes a signing request may have: room for a 4096 bit RSA
// key and 250 names. A longer one is a Problem and not echoed to its requirer,
// because errors must not fill the databag.
const MaxCSRSize = 16 << 10

// CSRRequest asks for a certificate in the CSR dialect.
type CSRRequest struct {
	// CSR is the text exactly as received; it need not be PEM. Answers must carry
	// it unchanged: the libraries v1 to v3 look for their own bytes.
	CSR string
	CA  bool // the certificate of a CA is wanted
}

// csrRequests reads the array of signing requests. A repeated CSR is one request.
func (r *bagReader) csrRequests() []CSRRequest {
	text, document := r.document(KeyCSRs)
	if document != '[' {
		if document != 0 {
			r.reportIncomplete(KeyCSRs, "is not a JSON array")
		}
		return nil
	}
	var requests []CSRRequest
	places, number := map[string]int{}, 0
	r.eachRequest(KeyCSRs, text, func(_, entry string) {
		number++
		request, reason := parseCSREntry(entry)
		place, known := places[request.CSR]
		switch {
		case reason != "":
			reason = fmt.Sprintf("entry %d: %s", number, reason)
			r.problems = append(r.problems, Problem{Key: KeyCSRs, Reason: reason, CSR: request.CSR})
		case !known:
			places[request.CSR] = len(requests)
			requests = append(requests, request)
		case requests[place].CA != request.CA:
			r.report(KeyCSRs, fmt.Sprintf("entry %d: the same request is there with and without ca: it counts as without", number))
			requests[place].CA = false
		}
	})
	return requests
}

// parseCSREntry returns the request of one entry, which is valid JSON, or the reason why it has none.
// With a reason CSR is set only if the entry can be answered with an error.
func parseCSREntry(entry string) (request CSRRequest, reason string) {
	if entry[0] != '{' {
		return CSRRequest{}, "is not a JSON object"
	}
	var quoted, ca string
	eachValue(entry, maxMembers, func(name, value string) {
		switch name {
		case "certificate_signing_request":
			quoted = value
		case "ca":
			ca = value
		}
	})
	text, _ := stringValue(quoted)
	switch {
	case text == "":
		return CSRRequest{}, "certificate_signing_request is missing, empty or not text"
	case len(text) > MaxCSRSize:
		return CSRRequest{}, fmt.Sprintf("certificate_signing_request is longer than %d bytes", MaxCSRSize)
	case !isText(text):
		return CSRRequest{}, "certificate_signing_request is not UTF-8 text"
	}
	// The library v1 writes no ca, and a Go library writes "false" in quotes.
	switch ca {
	case "", "null", "false", `"false"`, "0":
		return CSRRequest{CSR: text}, ""
	case "true", `"true"`, "1":
		return CSRRequest{CSR: text, CA: true}, ""
	}
	return CSRRequest{CSR: text}, "ca is neither true nor false"
}

// wireRequest fixes the order of the fields. CA is always there: the model of
// charmlibs has no default for it and refuses the whole databag without.
type wireRequest struct {
	CSR string `json:"certificate_signing_request"`
	CA  bool   `json:"ca"`
}

// EncodeRequests returns the value of KeyCSRs, in the order given; "" when there are
// none. White space at the end of a CSR is left out, as the libraries do: they echo
// it trimmed, and providers of theirs that see another text sign it again and again.
func EncodeRequests(requests []CSRRequest) string {
	if len(requests) == 0 {
		return ""
	}
	wire := make([]wireRequest, len(requests))
	for i, request := range requests {
		wire[i] = wireRequest{CSR: trimPEM(request.CSR), CA: request.CA}
	}
	return encodeJSON(wire)
}
