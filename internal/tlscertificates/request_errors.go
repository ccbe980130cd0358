// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// ErrorCode tells a requirer why its signing request is not answered (charmlibs,
// CertificateRequestErrorCode).
type ErrorCode int

// The codes of the interface. Only ServerNotAvailable passes by itself.
const (
	IPNotAllowed       ErrorCode = 101
	DomainNotAllowed   ErrorCode = 102
	WildcardNotAllowed ErrorCode = 103
	ServerNotAvailable ErrorCode = 201
	Other              ErrorCode = 999
)

// maxMessage is the most characters of a message that requirers are shown.
const maxMessage = 256

// Name returns the name of the code as other providers write it; the published
// schema has it in lower case. Requirers go by the number.
func (c ErrorCode) Name() string {
	return cmp.Or(codeNames()[c], "OTHER")
}

// RequestError refuses a signing request. A CSR is never both in the errors and in
// the certificates of a relation.
type RequestError struct {
	CSR     string // CSRRequest.CSR, unchanged
	Code    ErrorCode
	Message string // a sentence for people, cut after 256 characters
	Reason  string // more detail, for machines; may be empty
}

// wireRequestError has the CSR under two keys: the charmlibs library refuses the
// whole databag without "csr", and the published schema requires the other.
type wireRequestError struct {
	ShortCSR string    `json:"csr"`
	CSR      string    `json:"certificate_signing_request"`
	Error    wireError `json:"error"`
}

type wireError struct {
	Code     ErrorCode `json:"code"`
	Name     string    `json:"name"`
	Message  string    `json:"message"`
	Reason   string    `json:"reason,omitempty"`
	Provider string    `json:"provider,omitempty"`
}

// EncodeRequestErrors returns the value of KeyRequestErrors, in the order given; ""
// when there are none. Provider is a fixed name of ours.
func EncodeRequestErrors(provider string, e []RequestError) string {
	if len(e) == 0 {
		return ""
	}
	wire := make([]wireRequestError, len(e))
	for i, refused := range e {
		wire[i] = wireRequestError{ShortCSR: refused.CSR, CSR: refused.CSR, Error: wireError{
			Code:     refused.Code,
			Name:     refused.Code.Name(),
			Message:  cut(refused.Message, maxMessage),
			Reason:   refused.Reason,
			Provider: provider,
		}}
	}
	return encodeJSON(wire)
}

// ParseRequestErrors reads KeyRequestErrors of any provider. Either of the two keys
// of the CSR is enough, and unknown fields are ignored. An entry without a CSR or
// without an error is left out; one whose code makes no sense counts as Other, since
// the request is refused all the same. No text, an absent key, and null are no errors;
// text that is no array is an error, and nothing is returned. As with
// ParseCertificates, CSR is to be compared without the white space at its end.
func ParseRequestErrors(text string) ([]RequestError, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxValueSize {
		return nil, fmt.Errorf("cannot parse %s: longer than %d bytes", KeyRequestErrors, maxValueSize)
	}
	switch documentKind(text) {
	case 'n':
		return nil, nil
	case '[':
	default:
		return nil, fmt.Errorf("cannot parse %s: not a JSON array", KeyRequestErrors)
	}
	var refused []RequestError
	eachValue(text, maxRequests, func(_, entry string) {
		if one, ok := parseRequestError(entry); ok {
			refused = append(refused, one)
		}
	})
	return refused, nil
}

func parseRequestError(entry string) (RequestError, bool) {
	if documentKind(entry) != '{' {
		return RequestError{}, false
	}
	csr, _ := stringValue(member(entry, "certificate_signing_request"))
	short, _ := stringValue(member(entry, "csr"))
	csr = cmp.Or(csr, short)
	cause := member(entry, "error")
	if csr == "" || documentKind(cause) != '{' {
		return RequestError{}, false
	}
	message, _ := stringValue(member(cause, "message"))
	reason, _ := stringValue(member(cause, "reason"))
	return RequestError{
		CSR:     csr,
		Code:    parseErrorCode(member(cause, "code"), member(cause, "name")),
		Message: cut(message, maxMessage),
		Reason:  cut(reason, maxMessage),
	}, true
}

// parseErrorCode reads a code that is a number, a number in quotes or a name. Without
// one the name of the error tells it.
func parseErrorCode(code, name string) ErrorCode {
	for _, value := range []string{code, name} {
		text := value
		if quoted, ok := stringValue(value); ok {
			text = quoted
		}
		number, err := strconv.Atoi(text)
		if err == nil {
			return ErrorCode(number)
		}
		for known, spelling := range codeNames() {
			if strings.EqualFold(text, spelling) {
				return known
			}
		}
	}
	return Other
}

func codeNames() map[ErrorCode]string {
	return map[ErrorCode]string{
		IPNotAllowed:       "IP_NOT_ALLOWED",
		DomainNotAllowed:   "DOMAIN_NOT_ALLOWED",
		WildcardNotAllowed: "WILDCARD_NOT_ALLOWED",
		ServerNotAvailable: "SERVER_NOT_AVAILABLE",
	}
}
