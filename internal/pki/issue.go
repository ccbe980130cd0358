// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/url"
)

// CreateSelfSigned makes the certificate of a root by the Root profile. The
// key must be RSA, P-256 or P-384.
func CreateSelfSigned(t Template, key PrivateKey) (*x509.Certificate, error) {
	if t.Profile != Root {
		return nil, errors.New("cannot create root: profile is " + t.Profile.String())
	}
	subject, err := t.check(key.Public())
	if err != nil {
		return nil, fmt.Errorf("cannot create root: %w", err)
	}
	cert, err := t.sign(subject, newRoot(subject, key.Public()), key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("cannot create root: %w", err)
	}
	return cert, nil
}

// newRoot stands for the issuer of a root that does not exist yet.
func newRoot(subject []byte, public crypto.PublicKey) *x509.Certificate {
	return &x509.Certificate{RawSubject: subject, PublicKey: public}
}

// Issuer is the certificate of an authority and its key. Like the key it
// shows as [redacted].
type Issuer struct {
	redacted
	certificate *x509.Certificate
	key         PrivateKey
}

// NewIssuer checks that cert may sign certificates, that key is its key and
// of an accepted kind, and that it has a subject and a subject key identifier,
// by which verifiers find it. Whether it is valid now is not checked.
func NewIssuer(cert *x509.Certificate, key PrivateKey) (*Issuer, error) {
	_, err := signatureAlgorithm(key.Public())
	switch {
	case err != nil:
	case !KeyMatches(cert, key):
		err = errors.New("private key is not the certificate's")
	case !cert.BasicConstraintsValid || !cert.IsCA:
		err = errors.New("certificate is not an authority's (no basic constraint CA:TRUE)")
	case cert.KeyUsage&x509.KeyUsageCertSign == 0:
		err = errors.New("certificate may not sign certificates (no key usage keyCertSign)")
	case len(cert.SubjectKeyId) == 0:
		err = errors.New("certificate has no subject key identifier")
	case isEmptyName(cert.RawSubject):
		err = errors.New("certificate has no subject")
	case len(cert.UnhandledCriticalExtensions) > 0:
		err = errors.New("certificate has a critical extension that is not understood")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use issuer: %w", err)
	}
	return &Issuer{certificate: cert, key: key}, nil
}

// Certificate returns the issuer's certificate. It must not be changed.
func (i *Issuer) Certificate() *x509.Certificate {
	return i.certificate
}

// Issue signs t for public. It refuses, as ErrBadRequest, what no certificate
// below it may say: unknown or weak keys, the issuer's own key or subject,
// names that are not canonical, more than 250 of them or none beside an empty
// subject, names that the issuer's name constraints exclude, and a SubCA that
// its path length forbids. The result has been verified; any other error means
// that it is not what t says.
func (i *Issuer) Issue(t Template, public crypto.PublicKey) (*x509.Certificate, error) {
	cert, err := i.issue(t, public)
	if err != nil {
		return nil, fmt.Errorf("cannot issue certificate: %w", err)
	}
	return cert, nil
}

func (i *Issuer) issue(t Template, public crypto.PublicKey) (*x509.Certificate, error) {
	subject, err := t.check(public)
	switch {
	case err != nil:
		return nil, err
	case t.Profile == Root:
		return nil, refusal("a root issues itself")
	case t.Profile == SubCA && !mayHaveAuthorities(i.certificate):
		return nil, refusal("the issuer's path length allows no authority below it")
	case SamePublicKey(public, i.certificate.PublicKey):
		return nil, refusal("public key is the issuer's own")
	case SameName(subject, i.certificate.RawSubject):
		return nil, refusal("subject is the issuer's own")
	}
	cert, err := t.sign(subject, i.certificate, public, i.key)
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName {
		return nil, refusal("the issuer's name constraints exclude a requested name")
	}
	return cert, err
}

// sign signs the template, which has been checked and has this subject, for
// public, reads the result back and checks it. issuer of a root is what it
// renews, or a newRoot. key is the issuer's.
func (t Template) sign(subject []byte, issuer *x509.Certificate, public crypto.PublicKey, key PrivateKey) (*x509.Certificate, error) {
	template, err := t.prepare(subject, issuer, public)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, key.reveal().signer)
	if err != nil {
		return nil, fmt.Errorf("cannot sign certificate: %w", err)
	}
	cert, err := ParseCertificateDER(der)
	if err != nil {
		return nil, err
	}
	if issuer.Raw == nil {
		issuer = cert
	}
	if !SamePublicKey(cert.PublicKey, public) {
		return nil, errors.New("certificate has another public key")
	}
	err = t.compare(cert, issuer, template)
	if err == nil && !verifiedBySigning(t, issuer) {
		err = verify(cert, issuer, t)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate does not follow profile %s: %w", t.Profile, err)
	}
	return cert, nil
}

// mayHaveAuthorities reads the path length, which no verification of ours
// would notice: it limits what stands between the issuer and a leaf, and a
// SubCA that is verified by itself stands at the end (RFC 5280 section 4.2.1.9).
func mayHaveAuthorities(issuer *x509.Certificate) bool {
	return issuer.MaxPathLen != 0
}

// prepare writes t, which has been checked and has this subject, as
// crypto/x509 wants it. The authority key identifier is taken from the issuer
// by that package; a root has none. The subject key identifier is ours, except
// that a renewed root keeps what leaves refer to.
func (t Template) prepare(subject []byte, issuer *x509.Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	algorithm, err := signatureAlgorithm(issuer.PublicKey)
	if err != nil {
		return nil, err
	}
	id, err := subjectKeyID(public)
	if err != nil {
		return nil, err
	}
	if t.Profile == Root && issuer.Raw != nil {
		id = issuer.SubjectKeyId
	}
	names := t.Names.Union(Names{})
	template := &x509.Certificate{
		SerialNumber:          newSerialNumber(),
		SignatureAlgorithm:    algorithm,
		RawSubject:            subject,
		NotBefore:             t.Validity.NotBefore,
		NotAfter:              t.Validity.NotAfter,
		KeyUsage:              t.keyUsage(public),
		ExtKeyUsage:           t.usages(),
		BasicConstraintsValid: true,
		IsCA:                  t.isAuthority(),
		MaxPathLen:            t.pathLength(),
		MaxPathLenZero:        t.pathLength() == 0,
		SubjectKeyId:          id,
		DNSNames:              names.DNS,
		EmailAddresses:        names.Email,
	}
	t.Constraints.apply(template)
	t.Links.apply(template)
	for _, address := range names.IP {
		template.IPAddresses = append(template.IPAddresses, address.AsSlice())
	}
	for _, text := range names.URI {
		identifier, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		template.URIs = append(template.URIs, identifier)
	}
	if len(names.RegisteredID) > 0 {
		// crypto/x509 cannot write these, so the whole extension is ours, and
		// so is its criticality.
		value, err := encodeNames(names)
		if err != nil {
			return nil, err
		}
		template.ExtraExtensions = []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: isEmptyName(subject), Value: value},
		}
	}
	if t.Profile == Responder {
		template.ExtraExtensions = []pkix.Extension{noCheck()}
	}
	return template, nil
}

// apply writes the links that there are.
func (l Links) apply(template *x509.Certificate) {
	if l.OCSP != "" {
		template.OCSPServer = []string{l.OCSP}
	}
	if l.Issuer != "" {
		template.IssuingCertificateURL = []string{l.Issuer}
	}
	if l.CRL != "" {
		template.CRLDistributionPoints = []string{l.CRL}
	}
}

const serialSize = 16 // octets

// newSerialNumber draws 126 random bits into 16 octets of which the first is
// neither 0 nor negative (RFC 5280 section 4.1.2.2): all are equally long.
func newSerialNumber() *big.Int {
	var octets [serialSize]byte
	_, _ = rand.Read(octets[:]) // never fails
	octets[0] = octets[0]&0x7f | 0x40
	return new(big.Int).SetBytes(octets[:])
}

// hasOwnSerialNumber reports whether newSerialNumber could have drawn it.
func hasOwnSerialNumber(cert *x509.Certificate) bool {
	octets := cert.SerialNumber.Bytes()
	return cert.SerialNumber.Sign() > 0 && len(octets) == serialSize && octets[0]&0xc0 == 0x40
}
