// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	maxRequestSize       = 16 << 10 // bytes of PEM
	maxSubjectSize       = 2 << 10  // bytes of DER
	maxSubjectAttributes = 16
)

// CertificateRequest is what a PKCS #10 request (RFC 2986) asks for, after
// every check that needs no policy of the operator. Nothing in it is a copy of
// an extension of the request: copying those is how requests become CAs.
type CertificateRequest struct {
	DER       []byte
	PublicKey crypto.PublicKey
	// Subject has only Raw set: the bytes of the request when all of it is
	// plain text, otherwise what could be kept of it, encoded again.
	Subject Subject
	// Every value of the subject, also those that were not kept.
	CommonNames, Organizations, OrganizationalUnits []string
	// Names are the requested ones, those that the common names and e-mail
	// addresses of the subject give, and for each address text among the
	// dNSNames, which stays there, the address.
	Names Names
	// Usage is what was asked of ServerAuth and ClientAuth; both when no
	// extended key usage was asked for.
	Usage Usage
	// AsksCA tells that the basic constraints say CA:TRUE. No certificate
	// follows them.
	AsksCA bool
}

// ParseCertificateRequest reads and checks text, which must be one PEM block
// of at most 16 KiB. Every error is an ErrBadRequest, and nothing in text
// makes it panic. The signature has been verified: whoever made the request
// holds the key.
func ParseCertificateRequest(text string) (request *CertificateRequest, err error) {
	defer func() {
		// crypto/x509 panics on some algorithms in FIPS mode. They are refused
		// before they get there, but a hook must survive the next surprise.
		if recover() != nil {
			request, err = nil, refusal("cannot accept certificate request: it cannot be read")
		}
	}()
	request, err = parseRequest(text)
	if err != nil {
		return nil, refusal("cannot accept certificate request: " + err.Error())
	}
	return request, nil
}

func parseRequest(text string) (*CertificateRequest, error) {
	block, err := decodeOnlyBlock([]byte(text), maxRequestSize)
	if err != nil {
		return nil, err
	}
	if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
		return nil, fmt.Errorf("PEM block is a %s", quote(block.Type))
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("it is malformed: %s", quote(err.Error()))
	}
	err = checkProof(csr)
	if err != nil {
		return nil, err
	}
	err = checkAttributes(csr.RawTBSCertificateRequest)
	if err != nil {
		return nil, err
	}

	r := &CertificateRequest{DER: csr.Raw, PublicKey: csr.PublicKey, Usage: ServerAuth | ClientAuth}
	err = r.readSubject(csr.RawSubject)
	if err != nil {
		return nil, err
	}
	for _, extension := range csr.Extensions {
		err = r.readExtension(extension)
		if err != nil {
			return nil, err
		}
	}
	r.Names = r.Names.Union(Names{})
	return r, checkIdentity(r.Subject.Raw, r.Names)
}

// checkProof verifies that the requester holds the private key. An algorithm
// or key that is not on our lists is refused before it is used.
func checkProof(csr *x509.CertificateRequest) error {
	switch csr.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
	case x509.UnknownSignatureAlgorithm:
		return refusal("its signature algorithm is unknown, or RSA-PSS with a salt not as long as the digest")
	default:
		return fmt.Errorf("its signature algorithm %s is not accepted", csr.SignatureAlgorithm)
	}
	err := checkSubjectKey(csr.PublicKey)
	if err != nil {
		return err
	}
	err = csr.CheckSignature()
	if err != nil {
		return refusal("its signature was not made with its key")
	}
	return nil
}

// checkAttributes allows one extensionRequest (RFC 2985 section 5.4.2) of one
// value, where crypto/x509 merges several and skips what it cannot read.
// Other attributes, such as challengePassword, say nothing to us.
func checkAttributes(der []byte) error {
	input := cryptobyte.String(der)
	var request, attributes cryptobyte.String
	var version int
	var some bool
	if !input.ReadASN1(&request, cbasn1.SEQUENCE) || !request.ReadASN1Integer(&version) || version != 0 {
		return refusal("its version is not 0")
	}
	var subject, key cryptobyte.String
	if !request.ReadASN1(&subject, cbasn1.SEQUENCE) || !request.ReadASN1(&key, cbasn1.SEQUENCE) ||
		!request.ReadOptionalASN1(&attributes, &some, cbasn1.Tag(0).Constructed().ContextSpecific()) {
		return refusal("it is malformed")
	}
	requests := 0
	for !attributes.Empty() {
		count, err := readAttributeOfRequest(&attributes)
		if err != nil {
			return err
		}
		requests += count
	}
	if requests > 1 {
		return refusal("it has more than one list of requested extensions")
	}
	return nil
}

// readAttributeOfRequest steps over one and counts the lists of extensions in
// it.
func readAttributeOfRequest(attributes *cryptobyte.String) (requests int, err error) {
	const oidExtensionRequest = "1.2.840.113549.1.9.14"
	var attribute, values cryptobyte.String
	var kind asn1.ObjectIdentifier
	malformed := refusal("an attribute of it is malformed")
	if !attributes.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&kind) ||
		!attribute.ReadASN1(&values, cbasn1.SET) || !attribute.Empty() {
		return 0, malformed
	}
	if kind.String() != oidExtensionRequest {
		return 0, nil
	}
	for ; !values.Empty(); requests++ {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !values.ReadAnyASN1(&value, &tag) {
			return 0, malformed
		}
	}
	return requests, nil
}

// readSubject keeps the bytes of the subject when all of it is text that
// everybody reads in the same way and within its bounds: requirers compare
// them. Otherwise it keeps what a certificate can hold; crypto/x509, for one,
// cannot parse a certificate with a BIT STRING in its subject.
func (r *CertificateRequest) readSubject(der []byte) error {
	attributes, err := parseName(der)
	if err != nil {
		return err
	}
	if len(der) > maxSubjectSize || len(attributes) > maxSubjectAttributes {
		return fmt.Errorf("the subject has more than %d attributes or %d bytes", maxSubjectAttributes, maxSubjectSize)
	}
	plain := true
	var kept []attribute
	for _, a := range attributes {
		text, known := a.text()
		if !known {
			plain = false
			continue
		}
		if hasControl(text) {
			return refusal(quote(text) + " in the subject contains a control character")
		}
		encoded, err := newAttribute(a.Type, text)
		keep := r.noteAttribute(a.Type.String(), text)
		if keep && text != "" && err == nil {
			kept = append(kept, encoded)
		}
		plain = plain && a.isPlain() && (err == nil || text == "")
	}
	r.Subject.Raw = der
	if !plain {
		r.Subject.Raw, err = encodeName(kept)
	}
	return err
}

// noteAttribute records a value for the policy, as a name where it is one,
// and tells whether a subject that is encoded again holds it. The unique
// identifier is how Canonical's library tells requests of one unit apart.
func (r *CertificateRequest) noteAttribute(oid, text string) (keep bool) {
	switch oid {
	case oidCommonName:
		r.CommonNames = append(r.CommonNames, text)
		names, _ := HostName(text)
		r.Names = r.Names.Union(names)
	case oidOrganization:
		r.Organizations = append(r.Organizations, text)
	case oidOrganizationalUnit:
		r.OrganizationalUnits = append(r.OrganizationalUnits, text)
	case oidEmail:
		address, err := parseEmail(text)
		if err == nil {
			r.Names.Email = append(r.Names.Email, address)
		}
	case oidCountry, oidProvince, oidLocality, oidSerialNumber, oidUniqueIdentifier:
	default:
		return false
	}
	return true
}
