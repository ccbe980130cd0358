// SPDX-License-Identifier: GPL-3.0-only

package signing

import (
	"tls-authority/internal/decision"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// applicationBag is what the leader publishes in a relation for the CSR
// dialect. A key without content is left out, which removes it.
func applicationBag(a decision.RelationAnswers) map[string][]string {
	bag := map[string][]string{tlscertificates.KeyCapabilities: {tlscertificates.EncodeCapabilities(a.Capabilities)}}
	entries := make([]tlscertificates.Published, len(a.Certificates))
	for i, answer := range a.Certificates {
		entries[i] = answer.Published
	}
	if len(entries) > 0 {
		bag[tlscertificates.KeyCertificates] = tlscertificates.EncodePublished(entries)
	}
	if errors := tlscertificates.EncodeRequestErrors(policy.Provider, a.Errors); errors != "" {
		bag[tlscertificates.KeyRequestErrors] = []string{errors}
	}
	return bag
}

// OwnsAnswerKey tells the keys of our application databag that this
// package writes.
func OwnsAnswerKey(key string) bool {
	switch key {
	case tlscertificates.KeyCertificates, tlscertificates.KeyRequestErrors, tlscertificates.KeyCapabilities:
		return true
	}
	return false
}

// transferBags are what those get who only want to trust the CA. Both versions
// of the interface are written at once, since no requirer reliably says which
// one it speaks.
func transferBags(t decision.Transfer, r record.Record, leader bool) TransferChanges {
	change := TransferChanges{Transfer: t}
	roots := r.Roots()
	active := ""
	if len(roots) > 0 {
		active = roots[0]
	}
	change.Unit = tlscertificates.EncodeTransferV0(active, roots)
	if leader {
		change.Application = tlscertificates.EncodeTransferV1(roots)
	}
	return change
}
