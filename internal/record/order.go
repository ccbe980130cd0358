// SPDX-License-Identifier: GPL-3.0-only

package record

import (
	"crypto"

	"tls-authority/internal/pki"
)

// Order asks for one certificate that has yet to be signed. It stands in a
// record between the decision and the signature, and is never written.
type Order struct {
	// Reason is for people.
	Reason   string
	Template pki.Template
	// PublicKey is set where the requester holds the key (CSR dialect). Else
	// a key is made: of KeyType, or, where KeepKey is set, the one of the
	// pair that is replaced stays.
	PublicKey crypto.PublicKey
	KeyType   pki.KeyType
	KeepKey   bool
	// Replaced is what a valid pair was issued for that the new one replaces:
	// it stays if the CA turns out not to sign the order.
	Replaced *Replaced
}

// Replaced is what a pair was issued for.
type Replaced struct {
	CommonName string
	Names      []string
}
