// SPDX-License-Identifier: GPL-3.0-only

// Package tlscertificates turns the text of databags of the Juju interface
// tls-certificates into values, and values into text.
//
// Two dialects share the interface. In the legacy dialect (the reactive and ops
// libraries of interface-tls-certificates, charm-helpers) a unit asks by name and
// the provider answers, private key included, in its own unit databags. In the
// CSR dialect (the tls_certificates libraries v1 to v4, charmlibs) a unit or an
// application sends certificate signing requests and the provider answers in its
// application databag. One remote unit may speak either, both or none. The package
// has both sides of the CSR dialect, since a CA may have its own certificate from
// another one, and the provider's side of the legacy dialect.
//
// It also writes what a provider of the interface certificate_transfer hands to those
// who only want to trust the authority; in its two versions, and both at once, because
// no requirer reliably tells which one it reads.
//
// Reading a remote databag never fails: a key or an entry that makes no sense becomes
// a Problem and leaves the others alone, and sizes and counts are bounded. What is
// written is deterministic, because every change of a databag wakes remote units.
//
// The package knows no X.509 and no policy, does no I/O and logs nothing. It follows
// those libraries, and the published schema of the interface (charmlibs,
// interfaces/tls-certificates/interface/v1) where they agree with it.
package tlscertificates

// Bag is a databag as Juju holds it. Juju holds no empty value: one that is empty
// here is read as an absent key, and when written it removes the key.
type Bag = map[string]string

// The keys of the CSR dialect. KeyCSRs is the requirer's, the others are the
// provider's and live in its application databag.
const (
	KeyCSRs          = "certificate_signing_requests"
	KeyCertificates  = "certificates"
	KeyRequestErrors = "request_errors"
	KeyCapabilities  = "capabilities"
)

// Problem is a key or an entry of a remote databag that could not be read, in full
// or in part. It never stops the others.
type Problem struct {
	Key string
	// Reason names the entry, when it is only one, and what is wrong with it. It
	// is short and printable; foreign text in it is quoted and cut.
	Reason string
	// CSR is the signing request of an entry that is refused for another reason than
	// its text, so that a RequestError can answer it; else "". A sound entry for the
	// same CSR, in this or another databag of the relation, overrules it.
	CSR string
	// Incomplete tells that the key could not be read, or not to its end. What
	// it asked for before may still be wanted: nothing is withdrawn for it.
	Incomplete bool
}
