// SPDX-License-Identifier: GPL-3.0-only

package policy

import (
	"fmt"

	"tls-authority/internal/tlscertificates"
)

// Refusal is why a request gets no certificate, as its sender is told.
type Refusal struct {
	Code    tlscertificates.ErrorCode
	Message string
	Reason  string
}

// Refuse makes a refusal; the cause, if any, is the detail of the message.
func Refuse(code tlscertificates.ErrorCode, message string, cause error) *Refusal {
	r := &Refusal{Code: code, Message: message, Reason: message}
	if cause != nil {
		r.Reason = cause.Error()
	}
	return r
}

// refuse makes a refusal of which the message says all.
func refuse(code tlscertificates.ErrorCode, format string, args ...any) *Refusal {
	return Refuse(code, fmt.Sprintf(format, args...), nil)
}

// Answer is the entry of request_errors.
func (r *Refusal) Answer(csr string) tlscertificates.RequestError {
	return tlscertificates.RequestError{CSR: csr, Code: r.Code, Message: r.Message, Reason: r.Reason}
}
