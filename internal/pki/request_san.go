// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/netip"
)

// Alternatives of GeneralName (RFC 5280 section 4.2.1.6).
const (
	tagEmail        = 1
	tagDNS          = 2
	tagURI          = 6
	tagIP           = 7
	tagRegisteredID = 8
)

// readExtension takes names, usages and the wish to be a CA out of requested
// extensions. All others are dropped, critical or not: what they ask for is
// not the requester's to decide.
func (r *CertificateRequest) readExtension(extension pkix.Extension) error {
	switch extension.Id.String() {
	case oidSubjectAltName:
		return r.Names.readGeneralNames(extension.Value)
	case oidExtKeyUsage:
		return r.readUsage(extension.Value)
	case oidBasicConstraints:
		var constraints struct {
			IsCA       bool `asn1:"optional"`
			PathLength int  `asn1:"optional"`
		}
		rest, err := asn1.Unmarshal(extension.Value, &constraints)
		if err != nil || len(rest) > 0 {
			return refusal("the basic constraints are malformed")
		}
		r.AsksCA = constraints.IsCA
	}
	return nil
}

// readUsage intersects the requested usages with those that we grant. Others
// give power over the authority (OCSPSigning) or over everything (any).
func (r *CertificateRequest) readUsage(der []byte) error {
	var requested []asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(der, &requested)
	if err != nil || len(rest) > 0 {
		return refusal("the extended key usage is malformed")
	}
	r.Usage = 0
	for _, oid := range requested {
		switch oid.String() {
		case oidServerAuth:
			r.Usage |= ServerAuth
		case oidClientAuth:
			r.Usage |= ClientAuth
		}
	}
	if r.Usage == 0 {
		return refusal("the extended key usage asks for neither serverAuth nor clientAuth")
	}
	return nil
}

// readGeneralNames reads requested names one by one, because crypto/x509
// drops those of kinds it does not know without a word.
func (n *Names) readGeneralNames(der []byte) error {
	var requested []asn1.RawValue
	rest, err := asn1.Unmarshal(der, &requested)
	if err != nil || len(rest) > 0 {
		return refusal("the alternative names are malformed")
	}
	for _, name := range requested {
		if len(name.Bytes) == 0 {
			continue // some libraries send these; they name nothing
		}
		err = n.addGeneralName(name)
		if err != nil {
			return fmt.Errorf("alternative name %s %w", quote(string(name.Bytes)), err)
		}
	}
	return nil
}

func (n *Names) addGeneralName(name asn1.RawValue) error {
	kind, text := "", string(name.Bytes)
	switch {
	case name.Class != asn1.ClassContextSpecific || name.IsCompound:
	case name.Tag == tagEmail:
		kind = kindEmail
	case name.Tag == tagDNS:
		kind = kindDNS
		address, err := parseAddress(text)
		if err == nil {
			n.IP = append(n.IP, address)
		}
	case name.Tag == tagURI:
		kind = kindURI
	case name.Tag == tagIP:
		kind = kindIP
		address, _ := netip.AddrFromSlice(name.Bytes)
		text = address.String()
	case name.Tag == tagRegisteredID:
		kind, text = kindRegisteredID, ""
		var oid x509.OID
		err := oid.UnmarshalBinary(name.Bytes)
		if err == nil {
			text = oid.String()
		}
	}
	_, err := n.add(kind, text)
	return err
}

// encodeNames writes the subjectAltName in the order of crypto/x509, which can
// do so for all but registered identifiers.
func encodeNames(names Names) ([]byte, error) {
	const tagSequence, contextSpecific = 0x30, 0x80
	var list []byte
	add := func(tag byte, value []byte) { list = appendDER(list, contextSpecific|tag, value) }
	for _, name := range names.DNS {
		add(tagDNS, []byte(name))
	}
	for _, email := range names.Email {
		add(tagEmail, []byte(email))
	}
	for _, address := range names.IP {
		add(tagIP, address.AsSlice())
	}
	for _, identifier := range names.URI {
		add(tagURI, []byte(identifier))
	}
	for _, identifier := range names.RegisteredID {
		oid, err := x509.ParseOID(identifier)
		if err != nil {
			return nil, err
		}
		value, err := oid.MarshalBinary()
		if err != nil {
			return nil, err
		}
		add(tagRegisteredID, value)
	}
	return appendDER(nil, tagSequence, list), nil
}

// appendDER appends a value of less than 16 MiB with its tag, which is one octet.
func appendDER(der []byte, tag byte, value []byte) []byte {
	length := len(value)
	der = append(der, tag)
	switch {
	case length < 1<<7:
		der = append(der, byte(length))
	case length < 1<<8:
		der = append(der, 0x81, byte(length))
	case length < 1<<16:
		der = append(der, 0x82, byte(length>>8), byte(length))
	default:
		der = append(der, 0x83, byte(length>>16), byte(length>>8), byte(length))
	}
	return append(der, value...)
}
