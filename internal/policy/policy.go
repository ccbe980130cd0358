// SPDX-License-Identifier: GPL-3.0-only

package policy

import (
	"fmt"
	"strings"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// Refusal is why a CSR gets no certificate, as its sender is told.
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

// Answer is the entry of request_errors.
func (r *Refusal) Answer(csr string) tlscertificates.RequestError {
	return tlscertificates.RequestError{CSR: csr, Code: r.Code, Message: r.Message, Reason: r.Reason}
}

// CheckIdentity keeps a CSR from becoming an identity that others trust by
// its name alone. Kubernetes reads the user from the common name and the
// groups from the organizations; every occurrence of either is looked at,
// because verifiers differ in which one they read.
func CheckIdentity(config Config, request *pki.CertificateRequest) *Refusal {
	for _, commonName := range request.CommonNames {
		if listed(config.DeniedCommonNames, commonName) {
			return Refuse(tlscertificates.DomainNotAllowed, fmt.Sprintf("the common name %q is denied by the option denied-common-names", record.Shorten(commonName)), nil)
		}
	}
	for _, organization := range request.Organizations {
		if listed(config.DeniedOrganizations, organization) {
			return Refuse(tlscertificates.DomainNotAllowed, fmt.Sprintf("the organization %q is denied by the option denied-organizations", record.Shorten(organization)), nil)
		}
	}
	return nil
}

// listed compares without regard to case and surrounding space: what differs
// from a denied name by no more than that is meant to be taken for it.
func listed(denied []string, value string) bool {
	value = strings.TrimSpace(value)
	for _, name := range denied {
		if strings.EqualFold(name, value) {
			return true
		}
	}
	return false
}
