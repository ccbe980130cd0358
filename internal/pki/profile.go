// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// Usage is a set of purposes of a leaf.
type Usage uint8

// The purposes of RFC 5280 section 4.2.1.12 that leaves of ours may have.
const (
	ServerAuth Usage = 1 << iota
	ClientAuth
)

// Profile says which fields and extensions a certificate has.
type Profile int

const (
	// Root is a self-signed authority: no path length, so that it can cross-sign
	// its successor, no usages and no alternative names.
	Root Profile = iota + 1
	// Server is for both ends of a connection: etcd and others present one
	// certificate as server and as client.
	Server
	// Client is for clients alone: servers that present it are refused.
	Client
	// Leaf is what a certificate request asks for.
	Leaf
	// SubCA is an authority of somebody else below ours. Its path length of 0
	// lets it sign leaves and no further authority; it has no usages, because
	// verifiers would hold its leaves to them, and no alternative names.
	SubCA
	// Responder answers for the authority by OCSP (RFC 6960 section 4.2.2.2):
	// with a key of P-256, without alternative names, and for so few days that
	// nobody needs to ask whether it is itself revoked.
	Responder
)

func (p Profile) String() string {
	switch p {
	case Root:
		return "root"
	case Server:
		return "server"
	case Client:
		return "client"
	case Leaf:
		return "leaf"
	case SubCA:
		return "subordinate CA"
	case Responder:
		return "responder"
	}
	return fmt.Sprintf("profile(%d)", int(p))
}

// Template is what a certificate will say, except its serial number, its
// public key and what follows from its issuer.
type Template struct {
	Profile  Profile
	Subject  Subject
	Names    Names // none in a Root, SubCA or Responder
	Usage    Usage // of a Leaf only; the other profiles have theirs
	Validity Validity
	// Constraints are for a SubCA only. Nil and empty ones are none.
	Constraints *NameConstraints
	// Links are none in a Root or Responder.
	Links Links
}

// Links say where relying parties find out about a certificate: URLs of plain
// HTTP, each empty where there is none (RFC 5280 sections 4.2.1.13 and 4.2.2.1).
type Links struct {
	OCSP   string
	Issuer string // the issuer's certificate, DER
	CRL    string // the list of the issuer that signs the certificate
}

// isAuthority tells whether the certificate may sign others.
func (t Template) isAuthority() bool {
	return t.Profile == Root || t.Profile == SubCA
}

// pathLength is how many authorities may stand between this one and a leaf;
// -1 is no limit, or no authority.
func (t Template) pathLength() int {
	if t.Profile == SubCA {
		return 0
	}
	return -1
}

// usages lists the extended key usages in the order they are written.
func (t Template) usages() []x509.ExtKeyUsage {
	usage := t.Usage
	switch t.Profile {
	case Root, SubCA:
		return nil
	case Responder:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	case Server:
		usage = ServerAuth | ClientAuth
	case Client:
		usage = ClientAuth
	}
	var usages []x509.ExtKeyUsage
	if usage&ServerAuth != 0 {
		usages = append(usages, x509.ExtKeyUsageServerAuth)
	}
	if usage&ClientAuth != 0 {
		usages = append(usages, x509.ExtKeyUsageClientAuth)
	}
	return usages
}

// keyUsage follows RFC 5280 section 4.2.1.3 and RFC 8813: only RSA keys
// encipher keys, and only those of servers have to.
func (t Template) keyUsage(public crypto.PublicKey) x509.KeyUsage {
	if t.isAuthority() {
		return x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	_, isRSA := public.(*rsa.PublicKey)
	if isRSA && slices.Contains(t.usages(), x509.ExtKeyUsageServerAuth) {
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	}
	return x509.KeyUsageDigitalSignature
}

// check refuses, as ErrBadRequest, what no certificate of ours may say, and
// returns the subject encoded. A validity or name constraints that cannot be
// are our own fault.
func (t Template) check(public crypto.PublicKey) (subject []byte, err error) {
	subject, err = t.Subject.Encode()
	if err != nil {
		return nil, err
	}
	switch {
	case t.Profile < Root || t.Profile > Responder:
		return nil, refusal("unknown " + t.Profile.String())
	case t.Profile == Leaf && (t.Usage == 0 || t.Usage > ServerAuth|ClientAuth):
		return nil, refusal("usage is neither server nor client")
	case (t.isAuthority() || t.Profile == Responder) && (t.Names.Len() > 0 || namesNobody(subject)):
		return nil, refusal("a " + t.Profile.String() + " has a subject and no alternative names")
	case t.Profile == Responder && t.Validity.NotAfter.Sub(t.Validity.NotBefore) >= maxResponderValidity:
		return nil, errors.New("a responder is valid for 7 days at most")
	case (t.Profile == Root || t.Profile == Responder) && t.Links != Links{}:
		return nil, errors.New("links are not for a " + t.Profile.String())
	case t.Profile != SubCA && !t.Constraints.isEmpty():
		return nil, errors.New("name constraints are not for a " + t.Profile.String())
	}
	_, err = NamesFromTexts(t.Names.Texts())
	if err != nil {
		return nil, refusal(err.Error())
	}
	err = checkIdentity(subject, t.Names)
	if err != nil {
		return nil, err
	}
	err = t.Constraints.check()
	if err == nil {
		err = t.Validity.check()
	}
	if err == nil {
		err = t.checkKey(public)
	}
	return subject, err
}

// checkKey refuses, as ErrBadRequest, keys that the profile does not allow:
// verifiers accept fewer kinds of an authority than of a leaf.
func (t Template) checkKey(public crypto.PublicKey) error {
	err := checkSubjectKey(public)
	switch {
	case err != nil:
		return err
	case t.Profile == Responder && !isP256(public):
		return refusal("a responder's key must be on P-256")
	case !t.isAuthority():
		return nil
	}
	_, err = signatureAlgorithm(public)
	if err != nil {
		return refusal(err.Error())
	}
	return nil
}

// checkIdentity refuses certificates that would name nobody. One whose only
// names are registered identifiers counts as such: its alternative names
// would be critical, and crypto/x509 verifies no critical ones of that kind.
func checkIdentity(subject []byte, names Names) error {
	if names.Len() > maxNames {
		return refusal(fmt.Sprintf("%d names are more than the %d allowed", names.Len(), maxNames))
	}
	if namesNobody(subject) && names.Len() == len(names.RegisteredID) {
		return refusal("neither a subject nor an alternative name")
	}
	return nil
}
