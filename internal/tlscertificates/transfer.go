// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"slices"
	"strings"
)

// The keys of a provider of certificate_transfer, beside KeyCertificates and
// those that the legacy dialect has too.
const (
	keyVersion     = "version"
	keyCertificate = "certificate"
)

// EncodeTransferV1 returns the application databag of a provider of
// certificate_transfer, version 1: a set of certificates to trust, each of roots
// one PEM block. Order and repetition in roots make no difference. Without roots
// the databag is empty, which withdraws them.
func EncodeTransferV1(roots []string) Bag {
	set := transferSet(roots)
	if len(set) == 0 {
		return Bag{}
	}
	return Bag{KeyCertificates: encodeJSON(set), keyVersion: "1"}
}

// EncodeTransferV0 returns the unit databag of version 0, in which active is the
// certificate to trust and the chain holds roots too, active first. Every unit writes
// the same one: requirers read the unit whose hook runs, or one at random. Values are
// JSON, where old providers wrote plain PEM: libraries of version 1 fall back to this
// databag and read nothing else. Without an active certificate or without roots it is
// empty, which withdraws them.
func EncodeTransferV0(active string, roots []string) Bag {
	set := transferSet(roots)
	active = transferPEM(active)
	if active == "" || len(set) == 0 {
		return Bag{}
	}
	others := slices.DeleteFunc(set, func(root string) bool { return root == active })
	return Bag{
		keyCA:          encodeJSON(active),
		keyCertificate: encodeJSON(active),
		keyChain:       encodeJSON(append([]string{active}, others...)),
		keyVersion:     "0",
	}
}

// IsTransferKeyV1 tells whether EncodeTransferV1 writes key.
func IsTransferKeyV1(key string) bool {
	return key == KeyCertificates || key == keyVersion
}

// IsTransferKeyV0 tells whether EncodeTransferV0 writes key.
func IsTransferKeyV0(key string) bool {
	return key == keyCA || key == keyCertificate || key == keyChain || key == keyVersion
}

// transferSet sorts certificates and leaves out empty and repeated ones.
func transferSet(certificates []string) []string {
	var set []string
	for _, certificate := range certificates {
		text := transferPEM(certificate)
		if text != "" {
			set = append(set, text)
		}
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// transferPEM gives a certificate its one spelling: requirers tell certificates
// apart by their text, and keep for good what they cannot find again.
func transferPEM(text string) string {
	return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
}
