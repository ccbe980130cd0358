// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/ocsp"
)

const (
	maxResponderValidity = 7 * 24 * time.Hour
	// ResponderLifetime is the lifetime for Validity.Clip that gives the
	// certificate of a Responder its 7 days: what is backdated counts.
	ResponderLifetime = maxResponderValidity - Backdate
)

// MaxOCSPRequestSize bounds what is read of a request, in bytes. One for a
// single certificate has a tenth of a kilobyte; what it may carry besides, a
// nonce or a signature, is not used.
const MaxOCSPRequestSize = 8 << 10

// ResponderSubject is the subject of the certificate of a responder with a key,
// below an authority that is known as name. Answers name their responder by
// its subject alone, so it tells the keys apart.
func ResponderSubject(name string, public crypto.PublicKey) (Subject, error) {
	id, err := subjectKeyID(public)
	if err != nil {
		return Subject{}, err
	}
	suffix := fmt.Sprintf(" OCSP %x", id[:4])
	for utf8.RuneCountInString(name)+len(suffix) > upperBound(oidCommonName) {
		_, last := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-last]
	}
	return Subject{CommonName: strings.TrimSpace(name) + suffix}, nil
}

// noCheck says that nobody needs to ask whether a responder is revoked: it
// would have to answer that itself.
func noCheck() pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes}
}

func isP256(public crypto.PublicKey) bool {
	key, isECDSA := public.(*ecdsa.PublicKey)
	return isECDSA && key.Curve == elliptic.P256()
}

// IssuerID is how an OCSP request names an authority: digests of its subject
// and of its public key. It is comparable.
type IssuerID struct {
	Hash      crypto.Hash
	Name, Key string
}

// IssuerIDs returns all names that requests may use for an authority, one for
// each digest of RFC 6960 and FIPS 180-4 that is in use.
func IssuerIDs(authority *x509.Certificate) ([]IssuerID, error) {
	var spki struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	_, err := asn1.Unmarshal(authority.RawSubjectPublicKeyInfo, &spki)
	if err != nil {
		return nil, fmt.Errorf("cannot read public key: %w", err)
	}
	var ids []IssuerID
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		digest := func(content []byte) string {
			h := hash.New()
			h.Write(content)
			return string(h.Sum(nil))
		}
		ids = append(ids, IssuerID{hash, digest(authority.RawSubject), digest(spki.Key.Bytes)})
	}
	return ids, nil
}

// OCSPRequest asks for the state of one certificate. Nobody has checked that
// there is such an authority or serial number.
type OCSPRequest struct {
	Issuer IssuerID
	Serial *big.Int
}

// ParseOCSPRequest reads a request (RFC 6960 section 4.1.1) of at most
// MaxOCSPRequestSize bytes. Of a request for several certificates it reads the
// first alone, as RFC 5019 section 2.1.1 has clients ask; it passes over
// extensions, a nonce among them, and refuses signed requests.
func ParseOCSPRequest(der []byte) (OCSPRequest, error) {
	if len(der) > MaxOCSPRequestSize {
		return OCSPRequest{}, fmt.Errorf("cannot read OCSP request: longer than %d bytes", MaxOCSPRequestSize)
	}
	parsed, err := ocsp.ParseRequest(der)
	if err != nil {
		return OCSPRequest{}, fmt.Errorf("cannot read OCSP request: %w", err)
	}
	return OCSPRequest{
		Issuer: IssuerID{parsed.HashAlgorithm, string(parsed.IssuerNameHash), string(parsed.IssuerKeyHash)},
		Serial: parsed.SerialNumber,
	}, nil
}

// CertificateState is what an OCSP answer says of a certificate.
type CertificateState int

// The states of RFC 6960 section 2.2. Unknown is for what we have not issued.
const (
	Good    CertificateState = ocsp.Good
	Revoked CertificateState = ocsp.Revoked
	Unknown CertificateState = ocsp.Unknown
)

// OCSPAnswer is what a responder says of one certificate. Times are in whole
// seconds.
type OCSPAnswer struct {
	Serial *big.Int
	// Hash is that of the request, or the client does not find its answer.
	Hash  crypto.Hash
	State CertificateState
	// RevokedAt and Reason are of a Revoked certificate only.
	RevokedAt              time.Time
	Reason                 RevocationReason
	ThisUpdate, NextUpdate time.Time
}

// OCSPResponder is the certificate of a Responder with its key. Like the key
// it shows as [redacted].
type OCSPResponder struct {
	redacted
	certificate, issuer *x509.Certificate
	key                 PrivateKey
}

// NewOCSPResponder checks that clients accept the answers of cert as those of
// issuer, and that key is its key. No validity is checked: an issuer that has
// been renewed is valid from a later time on than its responder.
func NewOCSPResponder(cert, issuer *x509.Certificate, key PrivateKey) (*OCSPResponder, error) {
	err := cert.CheckSignatureFrom(issuer)
	switch {
	case err != nil:
	case !KeyMatches(cert, key):
		err = errors.New("private key is not the certificate's")
	case !isP256(cert.PublicKey):
		err = errors.New("its key is not on P-256")
	case cert.IsCA || !slices.Equal(cert.ExtKeyUsage, Template{Profile: Responder}.usages()) || len(cert.UnknownExtKeyUsage) > 0:
		err = errors.New("the certificate is for something else than OCSP")
	case !slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.String() == oidNoCheck }):
		err = errors.New("clients would ask whether the certificate is itself revoked")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use OCSP responder: %w", err)
	}
	return &OCSPResponder{certificate: cert, issuer: issuer, key: key}, nil
}

// Certificate returns the responder's certificate. It must not be changed.
func (r *OCSPResponder) Certificate() *x509.Certificate {
	return r.certificate
}

// Sign returns the DER of the answer (RFC 6960 section 4.2.1) with the
// certificate of the responder in it. It has been parsed and compared again.
// The time of signing in it, producedAt, is by the clock of the machine, to the
// minute.
func (r *OCSPResponder) Sign(answer OCSPAnswer) ([]byte, error) {
	der, err := r.sign(answer)
	if err != nil {
		return nil, fmt.Errorf("cannot sign OCSP answer: %w", err)
	}
	return der, nil
}

func (r *OCSPResponder) sign(answer OCSPAnswer) ([]byte, error) {
	err := answer.check()
	if err != nil {
		return nil, err
	}
	template := ocsp.Response{
		Status: int(answer.State), SerialNumber: answer.Serial, IssuerHash: answer.Hash,
		ThisUpdate: answer.ThisUpdate, NextUpdate: answer.NextUpdate,
		Certificate: r.certificate, SignatureAlgorithm: x509.ECDSAWithSHA256,
	}
	if answer.State == Revoked {
		template.RevokedAt, template.RevocationReason = answer.RevokedAt, int(answer.Reason)
	}
	der, err := ocsp.CreateResponse(r.issuer, r.certificate, template, r.key.reveal().signer)
	if err != nil {
		return nil, err
	}
	// Without an issuer, the signature is verified by the certificate that is
	// in the answer; that one has been verified once and for all.
	signed, err := ocsp.ParseResponse(der, nil)
	if err != nil {
		return nil, err
	}
	same := signed.Certificate != nil && signed.Certificate.Equal(r.certificate) &&
		signed.Status == template.Status && signed.SerialNumber.Cmp(answer.Serial) == 0 && signed.IssuerHash == answer.Hash &&
		signed.ThisUpdate.Equal(answer.ThisUpdate) && signed.NextUpdate.Equal(answer.NextUpdate) &&
		signed.RevokedAt.Equal(template.RevokedAt) && signed.RevocationReason == template.RevocationReason
	if !same {
		return nil, errors.New("the answer is not what was signed")
	}
	return der, nil
}

func (a OCSPAnswer) check() error {
	switch {
	case a.Serial == nil:
		return errors.New("it is for no certificate")
	case !slices.Contains([]CertificateState{Good, Revoked, Unknown}, a.State):
		return fmt.Errorf("unknown state %d", int(a.State))
	case a.State == Revoked && (!a.Reason.isKnown() || a.RevokedAt.Year() < 1950):
		return errors.New("the certificate is not revoked at a time and for a reason of ours")
	}
	return Validity{NotBefore: a.ThisUpdate, NotAfter: a.NextUpdate}.check()
}

// OCSPFailure is an answer that is not signed and says nothing of a
// certificate (RFC 6960 section 2.3).
type OCSPFailure byte

// The failures that we answer with, by the codes of RFC 6960 section 4.2.1.
const (
	MalformedRequest OCSPFailure = 1
	InternalError    OCSPFailure = 2
	TryLater         OCSPFailure = 3
	Unauthorized     OCSPFailure = 6
)

// Encode returns the DER of the answer: a sequence of one enumerated value.
func (f OCSPFailure) Encode() []byte {
	return []byte{0x30, 3, 0x0a, 1, byte(f)}
}
