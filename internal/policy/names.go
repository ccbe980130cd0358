// SPDX-License-Identifier: GPL-3.0-only

package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// CheckNames judges a certificate as it would be signed, whichever dialect it
// was asked for in: not what a request says, but every name that a verifier
// could find in the result, in the alternative names and in the subject, is
// held against the options. Registered identifiers name no host.
func (c Config) CheckNames(t pki.Template) *Refusal {
	for _, address := range t.Names.IP {
		if r := c.checkAddress(address); r != nil {
			return r
		}
	}
	hosts := slices.Clone(t.Names.DNS)
	for _, text := range slices.Concat(t.Names.Email, t.Names.URI) {
		hosts = append(hosts, hostPart(text))
	}
	for _, host := range hosts {
		if r := c.checkHost(host); r != nil {
			return r
		}
	}
	texts, err := t.Subject.Identities()
	if err != nil {
		return Refuse(tlscertificates.Other, "the subject cannot be read", err)
	}
	for _, text := range texts {
		if r := c.checkText(text); r != nil {
			return r
		}
	}
	return nil
}

// hostPart returns the host of an e-mail address or a URI, and any other text
// unchanged.
func hostPart(text string) string {
	if _, rest, isURI := strings.Cut(text, "://"); isURI {
		text, _, _ = strings.Cut(rest, "/")
	}
	return text[strings.LastIndexByte(text, '@')+1:]
}

// checkText judges a value of the subject, which nobody has brought into a
// canonical form, where it has the shape of a host or an address in any
// spelling. Others, such as system:kubelet, are identities and not names.
func (c Config) checkText(text string) *Refusal {
	host := strings.Trim(hostPart(fold(text)), " .[]")
	if address, err := netip.ParseAddr(host); err == nil {
		return c.checkAddress(address)
	}
	// A wildcard that pki refuses as a name may still mean one to a verifier
	// that reads common names, such as web*.example.com to OpenSSL, and so may
	// other texts of the characters of host names.
	names, isHost := pki.HostName(strings.ReplaceAll(host, "*", "x"))
	switch {
	case isHost && !strings.Contains(host, "*"):
		host = names.DNS[0]
	case host == "" || !isHost && strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.*") != "":
		return nil
	}
	return c.checkHost(host)
}

// checkHost judges a DNS name, or the text of an address in the place of one.
// A wildcard is as good as the domain that it covers.
func (c Config) checkHost(host string) *Refusal {
	if address, err := netip.ParseAddr(host); err == nil {
		return c.checkAddress(address)
	}
	domain := host
	if star := strings.LastIndexByte(host, '*'); star >= 0 {
		if !c.AllowWildcards {
			return refuse(tlscertificates.WildcardNotAllowed, "the wildcard %q is not allowed: the option allow-wildcards is off", record.Shorten(host))
		}
		_, domain, _ = strings.Cut(host[star:], ".")
	}
	if len(c.AllowedRanges) > 0 && isNumeric(domain) {
		return refuse(tlscertificates.IPNotAllowed, "the name %q could be taken for an address, which the option allowed-ip-ranges limits", record.Shorten(host))
	}
	if len(c.AllowedDomains) == 0 || slices.ContainsFunc(c.AllowedDomains, func(allowed string) bool { return isWithin(domain, allowed) }) {
		return nil
	}
	return refuse(tlscertificates.DomainNotAllowed, "the name %q is outside the option allowed-domains", record.Shorten(host))
}

// isWithin tells whether a name is the domain or below it.
func isWithin(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// isNumeric recognises what resolvers read as an address though it is not
// written like one, such as 010.1.2.3, 10.1 or 0x7f000001 (inet_aton), and do
// not agree on which.
func isNumeric(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		digits, isHex := strings.CutPrefix(label, "0x")
		base := 10
		if isHex {
			base = 16
		}
		if _, err := strconv.ParseUint(digits, base, 64); err != nil {
			return false
		}
	}
	return true
}

// checkAddress judges an address, mapped into IPv6 or not.
func (c Config) checkAddress(address netip.Addr) *Refusal {
	address = address.WithZone("").Unmap()
	if len(c.AllowedRanges) == 0 || slices.ContainsFunc(c.AllowedRanges, func(r netip.Prefix) bool { return r.Contains(address) }) {
		return nil
	}
	return refuse(tlscertificates.IPNotAllowed, "the address %s is outside the option allowed-ip-ranges", address)
}
