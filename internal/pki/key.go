// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// KeyType is a kind of key that this package makes, spelled as in the
// configuration.
type KeyType string

// Ed25519 is not among them: NSS and others refuse it in a chain.
const (
	ECDSAP256 KeyType = "ecdsa-p256"
	ECDSAP384 KeyType = "ecdsa-p384"
	RSA2048   KeyType = "rsa-2048"
	RSA3072   KeyType = "rsa-3072"
	RSA4096   KeyType = "rsa-4096"
)

// ParseKeyType reads one of the five spellings exactly.
func ParseKeyType(text string) (KeyType, error) {
	switch t := KeyType(text); t {
	case ECDSAP256, ECDSAP384, RSA2048, RSA3072, RSA4096:
		return t, nil
	}
	return "", fmt.Errorf("cannot read key type %s: want one of %s, %s, %s, %s, %s",
		quote(text), ECDSAP256, ECDSAP384, RSA2048, RSA3072, RSA4096)
}

// PrivateKey is an RSA, ECDSA or Ed25519 key. It shows as [redacted] however
// it is printed, logged or marshalled; only EncodePEM and EncodeDER give the
// key away. Compare keys with SamePublicKey. The zero value holds no key.
type PrivateKey struct {
	redacted
	// A function, because fmt looks through pointers where it may call no
	// method: in the unexported field of a struct that is printed with %s.
	reveal func() secret
}

type secret struct {
	signer crypto.Signer
	pkcs8  []byte
}

// GenerateKey makes a new key. RSA takes from tens of milliseconds to seconds.
func GenerateKey(t KeyType) (PrivateKey, error) {
	var signer crypto.Signer
	var err error
	switch t {
	case ECDSAP256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048:
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		signer, err = rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		signer, err = rsa.GenerateKey(rand.Reader, 4096)
	default:
		err = errors.New("unknown key type")
	}
	if err != nil {
		return PrivateKey{}, fmt.Errorf("cannot generate key %s: %w", quote(string(t)), err)
	}
	return newPrivateKey(signer)
}

// newPrivateKey encodes the key at once, which also validates it, so that no
// later use of it can fail.
func newPrivateKey(parsed any) (PrivateKey, error) {
	var signer crypto.Signer
	switch key := parsed.(type) {
	case *rsa.PrivateKey:
		signer = key
	case *ecdsa.PrivateKey:
		signer = key
	case ed25519.PrivateKey:
		signer = key
	default:
		return PrivateKey{}, errors.New("cannot use private key: want RSA, ECDSA or Ed25519")
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return PrivateKey{}, errors.New("cannot use private key: its numbers do not fit together")
	}
	return PrivateKey{reveal: func() secret { return secret{signer, der} }}, nil
}

// ParsePrivateKeyPEM reads exactly one PEM block with a PKCS#8, PKCS#1 or
// SEC 1 key; white space around it is allowed. Encrypted keys are refused. No
// error repeats any of the text.
func ParsePrivateKeyPEM(text []byte) (PrivateKey, error) {
	block, err := decodeOnlyBlock(text, maxKeySize)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("cannot read private key: %w", err)
	}
	defer clear(block.Bytes)

	// The causes that crypto/x509 gives are left out: they speak of its own
	// functions, and a damaged key could show in them.
	var parsed any
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return PrivateKey{}, errors.New("cannot read private key: it is encrypted")
	default:
		return PrivateKey{}, fmt.Errorf("cannot read private key: PEM block is a %s", quote(block.Type))
	}
	if err != nil {
		return PrivateKey{}, fmt.Errorf("cannot read private key: damaged %s", block.Type)
	}
	return newPrivateKey(parsed)
}

// ParsePrivateKeyDER reads a PKCS#8 key (RFC 5958).
func ParsePrivateKeyDER(der []byte) (PrivateKey, error) {
	if len(der) > maxKeySize {
		return PrivateKey{}, errors.New("cannot read private key: too large")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return PrivateKey{}, errors.New("cannot read private key: not a PKCS#8 key")
	}
	return newPrivateKey(parsed)
}

// EncodePEM returns the key as a PKCS#8 PEM block that ends in a newline, nil
// for the zero value. The result is a secret.
func (k PrivateKey) EncodePEM() []byte {
	if k.reveal == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k.reveal().pkcs8})
}

// EncodeDER returns the key as PKCS#8, nil for the zero value. The result is
// a secret.
func (k PrivateKey) EncodeDER() []byte {
	if k.reveal == nil {
		return nil
	}
	return bytes.Clone(k.reveal().pkcs8)
}

// Public returns the public key, nil for the zero value.
func (k PrivateKey) Public() crypto.PublicKey {
	if k.reveal == nil {
		return nil
	}
	return k.reveal().signer.Public()
}

// Type returns the key's type, "" when it is none that this package makes.
func (k PrivateKey) Type() KeyType {
	switch public := k.Public().(type) {
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return ECDSAP256
		case elliptic.P384():
			return ECDSAP384
		}
	case *rsa.PublicKey:
		t, err := ParseKeyType(fmt.Sprintf("rsa-%d", public.N.BitLen()))
		if err == nil {
			return t
		}
	}
	return ""
}

// redacted is embedded by types that hold a private key. Its methods are the
// ones fmt, log/slog and the encoders look for.
type redacted struct{}

const redactedText = "[redacted]"

func (redacted) String() string { return redactedText }

func (redacted) GoString() string { return redactedText }

func (redacted) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redactedText) }

func (redacted) MarshalText() ([]byte, error) { return []byte(redactedText), nil }

func (redacted) MarshalJSON() ([]byte, error) { return []byte(`"` + redactedText + `"`), nil }

func (redacted) LogValue() slog.Value { return slog.StringValue(redactedText) }
