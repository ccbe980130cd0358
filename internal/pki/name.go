// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// maxNames is the most SubjectAltNames a certificate of ours carries.
const maxNames = 250

// Names is a set of SubjectAltNames (RFC 5280 section 4.2.1.6). The functions
// of this package return it canonical: every name in its one spelling, sorted
// (IPv4 before IPv6), without duplicates, nil where empty.
type Names struct {
	// DNS holds lower-case A-label names. An address text stands here only
	// when a certificate request asked for it as a dNSName.
	DNS []string
	// IP holds addresses without zone, never IPv4 mapped into IPv6.
	IP    []netip.Addr
	Email []string
	// URI holds SPIFFE identifiers.
	URI []string
	// RegisteredID holds object identifiers in dotted form.
	RegisteredID []string
}

// The kinds of names, as they begin a text of Texts. Records depend on them.
const (
	kindDNS          = "DNS"
	kindIP           = "IP"
	kindEmail        = "email"
	kindURI          = "URI"
	kindRegisteredID = "RID"
)

// Union returns the names of both sets; it changes neither.
func (n Names) Union(o Names) Names {
	return Names{
		DNS:          union(n.DNS, o.DNS, strings.Compare),
		IP:           union(n.IP, o.IP, netip.Addr.Compare),
		Email:        union(n.Email, o.Email, strings.Compare),
		URI:          union(n.URI, o.URI, strings.Compare),
		RegisteredID: union(n.RegisteredID, o.RegisteredID, strings.Compare),
	}
}

// union sorts what both hold into a new slice, nil when that is nothing.
func union[T comparable](a, b []T, compare func(x, y T) int) []T {
	all := slices.Concat(a, b)
	slices.SortFunc(all, compare)
	return slices.Compact(all)
}

// Equal reports whether both sets hold the same names, in whatever order.
func (n Names) Equal(o Names) bool {
	return slices.Equal(n.Texts(), o.Texts())
}

// Len counts the names.
func (n Names) Len() int {
	return len(n.DNS) + len(n.IP) + len(n.Email) + len(n.URI) + len(n.RegisteredID)
}

// Texts returns one text a name in canonical order: "DNS:a.example",
// "IP:10.0.0.1", "email:a@b.example", "URI:spiffe://a/b", "RID:1.2.3". They
// are fit for records: NamesFromTexts reads them back.
func (n Names) Texts() []string {
	n = n.Union(Names{})
	texts := make([]string, 0, n.Len())
	add := func(kind string, names []string) {
		for _, name := range names {
			texts = append(texts, kind+":"+name)
		}
	}
	add(kindDNS, n.DNS)
	for _, address := range n.IP {
		texts = append(texts, kindIP+":"+address.String())
	}
	add(kindEmail, n.Email)
	add(kindURI, n.URI)
	add(kindRegisteredID, n.RegisteredID)
	return texts
}

// NamesFromTexts reads what Texts wrote, in any order. It refuses names that
// are not in their canonical spelling.
func NamesFromTexts(texts []string) (Names, error) {
	var names Names
	for _, text := range texts {
		kind, value, _ := strings.Cut(text, ":")
		canonical, err := names.add(kind, value)
		if err == nil && canonical != value {
			err = errors.New("is not in its canonical form")
		}
		if err != nil {
			return Names{}, fmt.Errorf("name %s %w", quote(text), err)
		}
	}
	return names.Union(Names{}), nil
}

// add reads a name of a kind and adds it in its canonical form.
func (n *Names) add(kind, text string) (canonical string, err error) {
	switch kind {
	case kindDNS:
		canonical, err = parseRequestedDNS(text)
		n.DNS = append(n.DNS, canonical)
	case kindIP:
		var address netip.Addr
		address, err = parseAddress(text)
		canonical = address.String()
		n.IP = append(n.IP, address)
	case kindEmail:
		canonical, err = parseEmail(text)
		n.Email = append(n.Email, canonical)
	case kindURI:
		canonical, err = parseSPIFFE(text)
		n.URI = append(n.URI, canonical)
	case kindRegisteredID:
		canonical, err = parseRegisteredID(text)
		n.RegisteredID = append(n.RegisteredID, canonical)
	default:
		err = errors.New("is none of DNS name, address, e-mail, URI and registered identifier")
	}
	return canonical, err
}
