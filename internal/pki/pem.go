// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// maxCertificateSize holds 250 names of 253 octets and room to spare.
	maxCertificateSize = 128 << 10
	// maxCertificates is the most in one text: far more than a bundle of one
	// authority has, and few enough to verify each against each.
	maxCertificates = 32
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

// EncodeCertificatePEM returns der as a PEM block that ends in a newline. Its
// one allocation is the text: a hook may write thousands.
func EncodeCertificatePEM(der []byte) string {
	const begin, end, line = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n", 48 // octets
	var text strings.Builder
	text.Grow(len(begin) + base64.StdEncoding.EncodedLen(len(der)) + (len(der)+line-1)/line + len(end))
	text.WriteString(begin)
	var encoded [line/3*4 + 1]byte
	for part := range slices.Chunk(der, line) {
		text.Write(append(base64.StdEncoding.AppendEncode(encoded[:0], part), '\n'))
	}
	text.WriteString(end)
	return text.String()
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

// ParseCertificatesPEM reads one or more CERTIFICATE blocks, at most 32 and
// each of at most 128 KiB. Tools print a certificate in words before its
// block, so text before a block is passed over; after the last one there is
// white space only. Blocks of another kind are refused, and so is whatever
// another reader could see as a block. No error repeats any of the text.
func ParseCertificatesPEM(text string) ([]*x509.Certificate, error) {
	const begin, end = "-----BEGIN ", "-----END CERTIFICATE-----"
	var certificates []*x509.Certificate
	for {
		before, block, found := strings.Cut(text, begin)
		err := checkBetween(before, len(certificates), found)
		if err != nil {
			return nil, fmt.Errorf("cannot read certificates: %w", err)
		}
		if !found {
			return certificates, nil
		}
		body, after, found := strings.Cut(block, end)
		if found {
			body += end
		}
		cert, err := parseBlock(begin + body)
		if err != nil {
			return nil, fmt.Errorf("cannot read certificate %d: %w", len(certificates)+1, err)
		}
		certificates = append(certificates, cert)
		text = after
	}
}

// checkBetween checks the text that follows a number of blocks, up to the next
// one if there is one more. Blocks begin and end on lines of their own.
func checkBetween(text string, blocks int, more bool) error {
	lines := strings.Split(text, "\n")
	first, last := strings.Trim(lines[0], pemSpace), strings.Trim(lines[len(lines)-1], pemSpace)
	blank := strings.Trim(text, pemSpace) == ""
	switch {
	case more && blocks == maxCertificates:
		return fmt.Errorf("more than %d", maxCertificates)
	case !more && blocks == 0 && blank:
		return errors.New("empty text")
	case strings.Contains(text, "-----"):
		return errors.New("damaged PEM block")
	case !more && blocks == 0:
		return errors.New("no PEM block")
	case blocks > 0 && first != "":
		return errors.New("a PEM block does not end on a line of its own")
	case more && (last != "" || blocks > 0 && len(lines) == 1):
		return errors.New("a PEM block does not begin on a line of its own")
	case !more && !blank:
		return errors.New("text after the last PEM block")
	}
	return nil
}

// parseBlock reads a certificate from its block. It does not show the kind of
// another block, which without its hyphens could be anything.
func parseBlock(text string) (*x509.Certificate, error) {
	line, _, _ := strings.Cut(text, "\n")
	switch {
	case strings.Contains(line, "PRIVATE KEY"):
		return nil, errors.New("it is a private key")
	case !strings.HasPrefix(line, "-----BEGIN CERTIFICATE-----"):
		return nil, errors.New("PEM block is not a CERTIFICATE")
	}
	block, err := decodeOnlyBlock([]byte(text), maxCertificateSize)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(block.Bytes)
}

// EncodeCertificatesDER returns the certificates as they were signed; nil for
// none.
func EncodeCertificatesDER(certificates []*x509.Certificate) [][]byte {
	var ders [][]byte
	for _, c := range certificates {
		ders = append(ders, c.Raw)
	}
	return ders
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
