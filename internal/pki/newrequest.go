// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// NewRequest makes a request (RFC 2986) for the certificate of an authority
// with that subject and key: one PEM block without a newline at its end, which
// is how it goes over the wire. The text is never that of previous, which may
// be empty: a provider takes an equal text for the same request and would not
// answer it anew.
func NewRequest(subject Subject, key PrivateKey, previous string) (string, error) {
	text, err := newRequest(subject, key, previous)
	if err != nil {
		return "", fmt.Errorf("cannot make certificate request: %w", err)
	}
	return text, nil
}

func newRequest(subject Subject, key PrivateKey, previous string) (string, error) {
	name, err := subject.Encode()
	if err != nil {
		return "", err
	}
	if namesNobody(name) {
		return "", errors.New("an authority has a subject")
	}
	algorithm, err := signatureAlgorithm(key.Public())
	if err != nil {
		return "", err
	}
	text, err := signRequest(name, key, algorithm)
	if err != nil || text != strings.TrimSpace(previous) {
		return text, err
	}
	// Signatures of ECDSA are random, those of RSA are not: another digest
	// gives another one.
	if algorithm == x509.SHA256WithRSA {
		return signRequest(name, key, x509.SHA384WithRSA)
	}
	return signRequest(name, key, x509.SHA256WithRSA)
}

// signRequest signs the request and verifies it as its receiver does.
func signRequest(name []byte, key PrivateKey, algorithm x509.SignatureAlgorithm) (string, error) {
	extensions, err := authorityExtensions(-1)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		RawSubject:         name,
		SignatureAlgorithm: algorithm,
		ExtraExtensions:    extensions,
	}, key.reveal().signer)
	if err != nil {
		return "", fmt.Errorf("cannot sign: %w", err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return "", fmt.Errorf("cannot read what was signed: %w", err)
	}
	err = checkProof(csr)
	if err != nil {
		return "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return strings.TrimSuffix(string(text), "\n"), nil
}

// authorityExtensions are the key usage and basic constraints of an authority
// that signs certificates and revocation lists, both critical. A negative path
// length is none.
func authorityExtensions(pathLength int) ([]pkix.Extension, error) {
	usage, err := asn1.Marshal(asn1.BitString{Bytes: []byte{0x06}, BitLength: 7}) // bits 5 and 6
	if err != nil {
		return nil, err
	}
	constraints, err := asn1.Marshal(struct {
		IsCA       bool
		PathLength int `asn1:"optional,default:-1"`
	}{true, max(pathLength, -1)})
	if err != nil {
		return nil, err
	}
	return []pkix.Extension{
		{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: usage},
		{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: constraints},
	}, nil
}
