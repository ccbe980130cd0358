// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxRSA is the longest modulus of a foreign key that is used, in bits; TLS
// clients written in Go have the same bound.
const maxRSA = 8192

// weakness tells what makes the key of somebody else's authority unfit to be
// trusted, to follow "its key is"; "" when nothing does. Keys that we would
// not make ourselves are no weakness.
func weakness(public crypto.PublicKey) string {
	switch key := public.(type) {
	case *rsa.PublicKey:
		switch bits := key.N.BitLen(); {
		case bits < 2048:
			return fmt.Sprintf("too weak: RSA of %d bits", bits)
		case bits > maxRSA:
			return fmt.Sprintf("too long: RSA of %d bits", bits)
		}
		return ""
	case *ecdsa.PublicKey:
		if bits := key.Params().BitSize; bits < 256 {
			return fmt.Sprintf("too weak: ECDSA of %d bits", bits)
		}
		return ""
	case ed25519.PublicKey:
		return ""
	}
	return "of a kind that is not accepted"
}

// checkRSA refuses moduli below 2048 bits, which NSS and others reject, above
// 4096, which cost the verifier too much, and public exponents other than
// 65537, which nothing healthy generates.
func checkRSA(key *rsa.PublicKey) error {
	bits := key.N.BitLen()
	if bits < 2048 || bits > 4096 || bits%8 != 0 {
		return refusal(fmt.Sprintf("RSA key has %d bits: want 2048 to 4096", bits))
	}
	if key.E != 65537 {
		return refusal("RSA key has a public exponent other than 65537")
	}
	return nil
}

// checkSubjectKey refuses keys that no certificate of ours may carry: all but
// RSA, NIST P-256, P-384, P-521 and Ed25519.
func checkSubjectKey(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return checkRSA(key)
	case *ecdsa.PublicKey:
		_, err := key.ECDH() // also checks that the point is on the curve
		if err != nil {
			return refusal("ECDSA key is not on P-256, P-384 or P-521")
		}
		return nil
	case ed25519.PublicKey:
		if len(key) == ed25519.PublicKeySize {
			return nil
		}
	}
	return refusal("public key is of a kind that is not accepted: want RSA, ECDSA or Ed25519")
}

// signatureAlgorithm returns what an authority's key signs with, an error for
// keys that are not fit for an authority. The digest is never the weakest
// link: SHA-256 is as strong as RSA 3072 and P-256, SHA-384 goes above. It is
// never left to the default of crypto/x509, so that a new Go release cannot
// change it, and never PSS, which OCSP libraries cannot sign.
func signatureAlgorithm(public crypto.PublicKey) (x509.SignatureAlgorithm, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		switch {
		case checkRSA(key) != nil:
		case key.N.BitLen() > 3072:
			return x509.SHA384WithRSA, nil
		default:
			return x509.SHA256WithRSA, nil
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return x509.ECDSAWithSHA256, nil
		case elliptic.P384():
			return x509.ECDSAWithSHA384, nil
		}
	}
	return 0, errors.New("an authority's key must be RSA of 2048 to 4096 bits, P-256 or P-384")
}

// subjectKeyID is method 1 of RFC 7093 section 2: the first 160 bits of the
// SHA-256 of the subjectPublicKey bits.
func subjectKeyID(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("cannot encode public key: %w", err)
	}
	input := cryptobyte.String(der)
	var info, algorithm cryptobyte.String
	var key []byte
	if !input.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !info.ReadASN1BitStringAsBytes(&key) {
		return nil, errors.New("cannot read encoded public key")
	}
	sum := sha256.Sum256(key)
	return sum[:20], nil
}

// SamePublicKey reports whether a and b are equal RSA, ECDSA or Ed25519 keys.
func SamePublicKey(a, b crypto.PublicKey) bool {
	switch key := a.(type) {
	case *rsa.PublicKey:
		return key.Equal(b)
	case *ecdsa.PublicKey:
		return key.Equal(b)
	case ed25519.PublicKey:
		return key.Equal(b)
	}
	return false
}

// EncodePublicKey writes a key as PKIX DER (RFC 5280 section 4.1.2.7).
func EncodePublicKey(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("cannot encode public key: %w", err)
	}
	return der, nil
}

// ParsePublicKey is the inverse of EncodePublicKey, for keys that a certificate
// of ours may carry.
func ParsePublicKey(der []byte) (crypto.PublicKey, error) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err == nil {
		err = checkSubjectKey(public)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read public key: %w", err)
	}
	return public, nil
}

// KeyMatches reports whether key is the private key of cert.
func KeyMatches(cert *x509.Certificate, key PrivateKey) bool {
	return cert != nil && SamePublicKey(key.Public(), cert.PublicKey)
}
