// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// NameConstraints limit what may be named below a SubCA (RFC 5280 section
// 4.2.1.10). That section leaves every form of names without limit of which
// the extension says nothing: an authority that is held to some addresses
// could name any host. So DNS names, IPv4 and IPv6 addresses are each excluded
// as a whole when nothing of them is permitted. E-mail addresses and URIs,
// which name no host, are not limited.
type NameConstraints struct {
	// PermittedDNS holds domains in canonical form. Each permits itself and
	// all names below it; "" permits every name.
	PermittedDNS []string
	// PermittedIP holds ranges; bits after the prefix do not count.
	PermittedIP []netip.Prefix
}

// isEmpty reports whether a certificate has no such extension: one that
// excludes everything is not meant by permitting nothing.
func (c *NameConstraints) isEmpty() bool {
	return c == nil || len(c.PermittedDNS) == 0 && len(c.PermittedIP) == 0
}

// check finds constraints that verifiers would read in different ways. They
// are the operator's and not of the request, so this is no ErrBadRequest.
func (c *NameConstraints) check() error {
	if c.isEmpty() {
		return nil
	}
	for _, domain := range c.PermittedDNS {
		if domain == "" {
			continue
		}
		canonical, err := parseDNS(domain)
		switch {
		case err != nil:
		case strings.HasPrefix(canonical, "*"):
			err = errors.New("is a wildcard: a domain permits all names below it")
		case canonical != domain:
			err = errors.New("is not in its canonical form")
		}
		if err != nil {
			return fmt.Errorf("permitted domain %s %w", quote(domain), err)
		}
	}
	for _, prefix := range c.PermittedIP {
		if !prefix.IsValid() || prefix.Addr().Is4In6() {
			return fmt.Errorf("permitted range %s is neither one of IPv4 nor one of IPv6", prefix)
		}
	}
	return nil
}

// excluded returns what must be excluded, because nothing of it is permitted.
func (c *NameConstraints) excluded() (domains []string, ranges []netip.Prefix) {
	if len(c.PermittedDNS) == 0 {
		// Adding labels on the left of the empty name gives every name.
		domains = []string{""}
	}
	for _, all := range []netip.Prefix{
		netip.PrefixFrom(netip.IPv4Unspecified(), 0),
		netip.PrefixFrom(netip.IPv6Unspecified(), 0),
	} {
		sameFamily := func(p netip.Prefix) bool { return p.Addr().Is4() == all.Addr().Is4() }
		if !slices.ContainsFunc(c.PermittedIP, sameFamily) {
			ranges = append(ranges, all)
		}
	}
	return domains, ranges
}

// apply writes the constraints into a template. They are critical, which is
// not what crypto/x509 does by itself: a verifier must not pass over them.
func (c *NameConstraints) apply(template *x509.Certificate) {
	if c.isEmpty() {
		return
	}
	domains, ranges := c.excluded()
	template.PermittedDNSDomainsCritical = true
	template.PermittedDNSDomains, template.PermittedIPRanges = c.PermittedDNS, networks(c.PermittedIP)
	template.ExcludedDNSDomains, template.ExcludedIPRanges = domains, networks(ranges)
}

func networks(prefixes []netip.Prefix) []*net.IPNet {
	var list []*net.IPNet
	for _, prefix := range prefixes {
		address := prefix.Masked().Addr()
		list = append(list, &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(prefix.Bits(), address.BitLen())})
	}
	return list
}

// encode writes the extension without the help of crypto/x509, so that
// CheckProfile can compare what that package wrote.
func (c *NameConstraints) encode() ([]byte, error) {
	type subtree struct{ Base asn1.RawValue }
	add := func(list []subtree, tag int, value []byte) []subtree {
		return append(list, subtree{asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: value}})
	}
	subtrees := func(domains []string, ranges []netip.Prefix) []subtree {
		var list []subtree
		for _, domain := range domains {
			list = add(list, tagDNS, []byte(domain))
		}
		for _, network := range networks(ranges) {
			list = add(list, tagIP, slices.Concat([]byte(network.IP), []byte(network.Mask)))
		}
		return list
	}
	return asn1.Marshal(struct {
		Permitted []subtree `asn1:"tag:0"`
		Excluded  []subtree `asn1:"tag:1,omitempty"`
	}{subtrees(c.PermittedDNS, c.PermittedIP), subtrees(c.excluded())})
}
