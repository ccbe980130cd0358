// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Published is one entry of KeyCertificates as it stands in our databag. Its
// text is carried over as it is: a databag of a thousand answers in which one
// changes costs a copy of the others, and no decoding.
type Published struct {
	CSR string // CSRRequest.CSR, unchanged
	// Entry is the JSON object.
	Entry string
}

// Publish returns the entry of an answer.
func Publish(a CertificateAnswer) Published {
	return Published{CSR: a.CSR, Entry: encodeAnswer(a)}
}

// Answer decodes an entry.
func (p Published) Answer() (CertificateAnswer, error) {
	answers, err := ParseCertificates("[" + p.Entry + "]")
	if err != nil {
		return CertificateAnswer{}, err
	}
	return answers[0], nil
}

// EncodePublished returns the value of KeyCertificates, in the order given: what
// EncodeCertificates gives for the answers. It is in pieces that follow one another,
// most of them parts of the value that was read: nothing puts megabytes together.
func EncodePublished(entries []Published) []string {
	pieces := make([]string, 0, 2*len(entries)+2)
	pieces = append(pieces, "[")
	for i, p := range entries {
		if i > 0 {
			pieces = append(pieces, ",")
		}
		pieces = append(pieces, p.Entry)
	}
	return append(pieces, "]")
}

// SplitPublished is the inverse of EncodePublished. Text that another version
// wrote, or another hand, is decoded and its entries are written anew.
func SplitPublished(text string) ([]Published, error) {
	if entries, ok := splitOwn(text); ok {
		return entries, nil
	}
	answers, err := ParseCertificates(text)
	if err != nil {
		return nil, err
	}
	entries := make([]Published, len(answers))
	for i, a := range answers {
		entries[i] = Publish(a)
	}
	return entries, nil
}

// splitOwn splits text that has exactly the form in which EncodePublished writes
// it; false for any other.
func splitOwn(text string) ([]Published, bool) {
	rest, ok := strings.CutPrefix(text, "[")
	if !ok {
		return nil, false
	}
	var entries []Published
	for rest != "]" {
		if len(entries) > 0 {
			if rest, ok = strings.CutPrefix(rest, ","); !ok {
				return nil, false
			}
		}
		csr, length, err := scanEntry(rest)
		if err != nil {
			return nil, false
		}
		entries = append(entries, Published{CSR: csr, Entry: rest[:length]})
		rest = rest[length:]
	}
	return entries, true
}

// errOtherForm tells of text that is not in our own form.
var errOtherForm = errors.New("not in the form in which this package writes it")

// scanEntry reads the entry at the beginning of text: its CSR and its length.
func scanEntry(text string) (csr string, length int, err error) {
	s := scanner{rest: text}
	s.expect(`{"certificate":`)
	s.quoted()
	s.expect(`,"certificate_signing_request":`)
	quotedCSR := s.quoted()
	s.expect(`,"ca":`)
	s.quoted()
	s.expect(`,"chain":[`)
	if !s.accept(`]`) {
		s.quoted()
		for s.accept(`,`) && !s.failed {
			s.quoted()
		}
		s.expect(`]`)
	}
	s.accept(`,"revoked":true`)
	s.expect(`}`)
	if s.failed {
		return "", 0, errOtherForm
	}
	csr, err = unquote(quotedCSR)
	return csr, len(text) - len(s.rest), err
}

// unquote returns the text of a JSON string. In PEM only the ends of lines are
// escaped.
func unquote(quoted string) (string, error) {
	plain := strings.ReplaceAll(quoted[1:len(quoted)-1], `\n`, "\n")
	if !strings.Contains(plain, `\`) {
		return plain, nil
	}
	var text string
	if err := json.Unmarshal([]byte(quoted), &text); err != nil {
		return "", fmt.Errorf("cannot read a string: %w", err)
	}
	return text, nil
}
