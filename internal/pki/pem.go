// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const (
	// maxCertificateSize holds 250 names of 253 octets and room to spare.
	maxCertificateSize = 128 << 10
	// maxKeySize holds an RSA key of 16384 bits.
	maxKeySize = 16 << 10
	// pemSpace is what may stand around the one PEM block of a text.
	pemSpace = " \t\r\n"
)

// decodeOnlyBlock reads text that is one PEM block (RFC 7468) and nothing
// else but white space. encoding/pem alone would skip what it cannot read and
// return the first good block, so that two readers of the same text could see
// different things in it. No error repeats any of the text.
func decodeOnlyBlock(text []byte, limit int) (*pem.Block, error) {
	if len(text) > limit {
		return nil, fmt.Errorf("longer than %d bytes", limit)
	}
	begin := []byte("-----BEGIN ")
	text = bytes.Trim(text, pemSpace)
	switch {
	case len(text) == 0:
		return nil, errors.New("empty text")
	case bytes.Count(text, begin) > 1:
		return nil, errors.New("more than one PEM block")
	case !bytes.HasPrefix(text, begin):
		return nil, errors.New("does not begin with a PEM block")
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("damaged PEM block")
	case len(bytes.Trim(rest, pemSpace)) > 0:
		return nil, errors.New("text after the PEM block")
	case strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return nil, errors.New("the PEM block is encrypted")
	case len(block.Headers) > 0:
		return nil, errors.New("the PEM block has headers")
	}
	return block, nil
}

// EncodeCertificatePEM returns der as a PEM block that ends in a newline.
func EncodeCertificatePEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// ParseCertificatePEM reads exactly one CERTIFICATE block of at most 128 KiB;
// white space around it is allowed, other text is not.
func ParseCertificatePEM(text string) (*x509.Certificate, error) {
	block, err := decodeOnlyBlock([]byte(text), maxCertificateSize)
	if err != nil {
		return nil, fmt.Errorf("cannot read certificate: %w", err)
	}
	if block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("cannot read certificate: PEM block is a %s", quote(block.Type))
	}
	return ParseCertificateDER(block.Bytes)
}

// ParseCertificateDER reads one certificate of at most 128 KiB. It checks no
// signature and no validity.
func ParseCertificateDER(der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertificateSize {
		return nil, errors.New("cannot read certificate: too large")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("cannot read certificate: %w", err)
	}
	return cert, nil
}
