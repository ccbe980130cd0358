// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Attribute types of names (RFC 5280 appendix A.1, RFC 2985 for the e-mail,
// X.520 for the unique identifier), by which texts are compared.
const (
	oidCommonName         = "2.5.4.3"
	oidSerialNumber       = "2.5.4.5"
	oidCountry            = "2.5.4.6"
	oidLocality           = "2.5.4.7"
	oidProvince           = "2.5.4.8"
	oidOrganization       = "2.5.4.10"
	oidOrganizationalUnit = "2.5.4.11"
	oidUniqueIdentifier   = "2.5.4.45"
	oidEmail              = "1.2.840.113549.1.9.1"
)

// Subject is the name of the holder of a certificate.
type Subject struct {
	// Fields are UTF-8 and left out where empty. They are encoded in the
	// order country, province, locality, organization, organizational unit,
	// common name, e-mail.
	CommonName, Organization, OrganizationalUnit, Country, Province, Locality, Email string
	// Raw is the DER of a whole name, of a request or of a certificate that
	// is renewed. When it is not empty the fields mean nothing.
	Raw []byte
}

// Encode returns the DER of the name. It refuses, as ErrBadRequest, control
// characters and fields over the bounds of RFC 5280 appendix A.1; the lengths
// in Raw are not its concern, because a renewal must keep the bytes.
func (s Subject) Encode() ([]byte, error) {
	if len(s.Raw) > 0 {
		attributes, err := parseName(s.Raw)
		if err != nil {
			return nil, err
		}
		for _, a := range attributes {
			text, known := a.text()
			if !known || hasControl(text) {
				return nil, refusal("the subject contains more than plain text")
			}
		}
		return bytes.Clone(s.Raw), nil
	}
	var attributes []attribute
	for _, field := range []struct {
		oid  asn1.ObjectIdentifier
		text string
	}{
		{asn1.ObjectIdentifier{2, 5, 4, 6}, s.Country},
		{asn1.ObjectIdentifier{2, 5, 4, 8}, s.Province},
		{asn1.ObjectIdentifier{2, 5, 4, 7}, s.Locality},
		{asn1.ObjectIdentifier{2, 5, 4, 10}, s.Organization},
		{asn1.ObjectIdentifier{2, 5, 4, 11}, s.OrganizationalUnit},
		{asn1.ObjectIdentifier{2, 5, 4, 3}, s.CommonName},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, s.Email},
	} {
		if field.text == "" {
			continue
		}
		a, err := newAttribute(field.oid, field.text)
		if err != nil {
			return nil, err
		}
		attributes = append(attributes, a)
	}
	return encodeName(attributes)
}

// Identities are the common names and e-mail addresses of the subject as it
// will be encoded, in which verifiers look for names. Its errors are those of
// Encode.
func (s Subject) Identities() ([]string, error) {
	der, err := s.Encode()
	if err != nil {
		return nil, err
	}
	attributes, err := parseName(der)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, a := range attributes {
		text, known := a.text()
		kind := a.Type.String()
		if known && (kind == oidCommonName || kind == oidEmail) {
			texts = append(texts, text)
		}
	}
	return texts, nil
}

// LeafSubject is the subject of a certificate that was asked for by common
// name alone. A common name over 64 characters cannot be in it and is left
// out, never cut: a cut name is another name. Control characters are refused
// as ErrBadRequest.
func LeafSubject(commonName string) (Subject, error) {
	switch {
	case hasControl(commonName) || !utf8.ValidString(commonName):
		return Subject{}, refusal("common name " + quote(commonName) + " contains a control character")
	case utf8.RuneCountInString(commonName) > upperBound(oidCommonName):
		return Subject{}, nil
	}
	return Subject{CommonName: commonName}, nil
}

// attribute is one AttributeTypeAndValue of a name.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// rdnSET is a RelativeDistinguishedName; its name tells encoding/asn1 so.
type rdnSET []attribute

// parseName returns the attributes of a name in their order; how they are
// grouped is lost. It refuses what is not DER, which parsers read in different
// ways.
func parseName(der []byte) ([]attribute, error) {
	malformed := refusal("the subject is malformed")
	input := cryptobyte.String(der)
	var name cryptobyte.String
	if !input.ReadASN1(&name, cbasn1.SEQUENCE) || !input.Empty() {
		return nil, malformed
	}
	var attributes []attribute
	for !name.Empty() {
		var rdn cryptobyte.String
		if !name.ReadASN1(&rdn, cbasn1.SET) || rdn.Empty() {
			return nil, malformed
		}
		var before, element cryptobyte.String
		for ; !rdn.Empty(); before = element {
			element = nil
			if !rdn.ReadASN1Element(&element, cbasn1.SEQUENCE) || bytes.Compare(before, element) > 0 {
				return nil, malformed // the elements of a set are sorted
			}
			a, ok := readAttribute(element)
			if !ok {
				return nil, malformed
			}
			attributes = append(attributes, a)
		}
	}
	return attributes, nil
}

func readAttribute(der cryptobyte.String) (a attribute, ok bool) {
	var content, element, value cryptobyte.String
	var tag cbasn1.Tag
	ok = der.ReadASN1(&content, cbasn1.SEQUENCE) && content.ReadASN1ObjectIdentifier(&a.Type) &&
		content.ReadAnyASN1Element(&element, &tag) && content.Empty()
	if !ok {
		return attribute{}, false
	}
	a.Value.FullBytes = element
	ok = element.ReadAnyASN1(&value, &tag)
	a.Value.Bytes, a.Value.Tag = value, int(tag&0x1f)
	a.Value.Class, a.Value.IsCompound = int(tag>>6), tag&0x20 != 0
	return a, ok
}

// printable are the characters of a PrintableString (X.680 section 41.4).
const printable = alphanumeric + " '()+,-./:=?"

// encodeName writes a name with one attribute in each RDN.
func encodeName(attributes []attribute) ([]byte, error) {
	name := make([]rdnSET, 0, len(attributes))
	for _, a := range attributes {
		name = append(name, rdnSET{a})
	}
	return asn1.Marshal(name)
}

// newAttribute encodes text as RFC 5280 section 4.1.2.4 prefers: printable
// where possible, UTF-8 otherwise, IA5 for the e-mail.
func newAttribute(oid asn1.ObjectIdentifier, text string) (attribute, error) {
	kind := oid.String()
	tag := asn1.TagUTF8String
	switch {
	case kind == oidEmail:
		tag = asn1.TagIA5String
	case consistsOf(text, printable):
		tag = asn1.TagPrintableString
	}
	problem := ""
	switch {
	case !utf8.ValidString(text):
		problem = "is not valid UTF-8"
	case hasControl(text):
		problem = "contains a control character"
	case utf8.RuneCountInString(text) > upperBound(kind):
		problem = fmt.Sprintf("is longer than %d characters", upperBound(kind))
	case kind == oidCountry && (len(text) != 2 || tag != asn1.TagPrintableString):
		problem = "is not a country code of two letters"
	case kind == oidEmail && !isASCII(text):
		problem = "is not ASCII"
	}
	if problem != "" {
		return attribute{}, refusal(quote(text) + " in the subject " + problem)
	}
	return attribute{Type: oid, Value: asn1.RawValue{Tag: tag, Bytes: []byte(text)}}, nil
}

// upperBound is the most characters that a value may have.
func upperBound(oid string) int {
	switch oid {
	case oidCountry:
		return 2
	case oidCommonName, oidOrganization, oidOrganizationalUnit, oidSerialNumber:
		return 64
	case oidLocality, oidProvince:
		return 128
	}
	return 255
}

// text decodes a value of any text type; known is false for other values.
func (a attribute) text() (text string, known bool) {
	if a.isPlain() && !a.Value.IsCompound && consistsOf(string(a.Value.Bytes), printable) {
		return string(a.Value.Bytes), true // as nearly all are, and it saves a decoder
	}
	var value any
	_, err := asn1.Unmarshal(a.Value.FullBytes, &value)
	text, known = value.(string)
	return text, known && err == nil
}

// isPlain reports whether a value that is text is of a type that everybody
// reads in the same way.
func (a attribute) isPlain() bool {
	tag := a.Value.Tag
	return tag == asn1.TagPrintableString || tag == asn1.TagUTF8String || tag == asn1.TagIA5String
}

// isEmptyName recognises the DER of a name without attributes.
func isEmptyName(der []byte) bool {
	return bytes.Equal(der, []byte{0x30, 0x00})
}

// namesNobody reports whether a name has no value that is not empty.
func namesNobody(der []byte) bool {
	attributes, err := parseName(der)
	return err == nil && !slices.ContainsFunc(attributes, func(a attribute) bool { return len(a.Value.Bytes) > 0 })
}

// SameName compares names as RFC 5280 section 7.1 wants: case, repeated
// spaces and the type of a text make no difference. A leaf with the name of
// its issuer would be taken for self-issued.
func SameName(a, b []byte) bool {
	left, errLeft := parseName(a)
	right, errRight := parseName(b)
	if errLeft != nil || errRight != nil {
		return bytes.Equal(a, b)
	}
	return slices.EqualFunc(left, right, func(x, y attribute) bool {
		textX, knownX := x.text()
		textY, knownY := y.text()
		if !knownX || !knownY {
			return x.Type.Equal(y.Type) && bytes.Equal(x.Value.FullBytes, y.Value.FullBytes)
		}
		return x.Type.Equal(y.Type) && strings.EqualFold(
			strings.Join(strings.Fields(textX), " "), strings.Join(strings.Fields(textY), " "))
	})
}
