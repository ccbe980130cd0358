// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"crypto/x509"
	"errors"
	"net/netip"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	maxHostName     = 253 // octets, RFC 1035 section 2.3.4 without the root's
	maxLabel        = 63
	maxEmail        = 254 // octets, RFC 5321 section 4.5.3.1.3 without brackets
	maxSPIFFE       = 2048
	maxRegisteredID = 128 // characters, far above any in use

	digits       = "0123456789"
	lowerCase    = "abcdefghijklmnopqrstuvwxyz"
	upperCase    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alphanumeric = digits + lowerCase + upperCase
)

var errNotAddress = errors.New("is not an address")

// NameProblem is a requested name that cannot be in a certificate.
type NameProblem struct {
	Name   string // as it was requested: foreign text of any length
	Reason string // continues "name x", such as "contains a space"
}

// ParseNames reads addresses and DNS names as requesters write them. Good
// ones are returned in canonical form, each bad one as a problem. An address
// never becomes a DNS name, with or without the brackets of [::1].
func ParseNames(texts []string) (Names, []NameProblem) {
	var names Names
	var problems []NameProblem
	for _, text := range texts {
		err := names.addHost(text)
		if err != nil {
			problems = append(problems, NameProblem{Name: text, Reason: err.Error()})
		}
	}
	return names.Union(Names{}), problems
}

// HostName returns the SubjectAltName that a common name gives, and false
// when it has not the shape of a host name or address, as "system:kubelet".
func HostName(commonName string) (Names, bool) {
	var names Names
	err := names.addHost(commonName)
	return names, err == nil
}

func (n *Names) addHost(text string) error {
	address, err := parseAddress(text)
	if err == nil {
		n.IP = append(n.IP, address)
		return nil
	}
	if err != errNotAddress {
		return err
	}
	name, err := parseDNS(text)
	if err != nil {
		return err
	}
	n.DNS = append(n.DNS, name)
	return nil
}

// parseAddress reads an address, IPv6 also in brackets. The error is
// errNotAddress when text has not the shape of one.
func parseAddress(text string) (netip.Addr, error) {
	bracketed := strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]")
	if bracketed {
		text = text[1 : len(text)-1]
	}
	address, err := netip.ParseAddr(text)
	if err != nil || bracketed && address.Is4() {
		return netip.Addr{}, errNotAddress
	}
	if address.Zone() != "" {
		return netip.Addr{}, errors.New("is an address with a zone")
	}
	return address.Unmap(), nil
}

// parseRequestedDNS reads a dNSName of a certificate request, where an
// address text is kept: clients exist that look for it there.
func parseRequestedDNS(text string) (string, error) {
	address, err := netip.ParseAddr(text)
	if err == nil && address.Zone() == "" {
		return strings.ToLower(text), nil
	}
	return parseDNS(text)
}

// parseDNS returns the canonical form of a DNS name: lower-case A-labels
// without the final dot. A wildcard is the whole first label above at least
// two others (RFC 9525 section 6.3; OpenSSL refuses fewer). Underscores are
// allowed: machines and Kubernetes services have them.
func parseDNS(text string) (string, error) {
	err := checkText(text)
	if err != nil {
		return "", err
	}
	name, wildcard := strings.CutPrefix(strings.TrimSuffix(text, "."), "*.")
	name, err = toASCII(name)
	if err != nil {
		return "", err
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		err = checkLabel(label)
		if err != nil {
			return "", err
		}
	}
	if len(labels) > 1 && consistsOf(labels[len(labels)-1], digits) {
		// Verifiers differ in whether they take 010.1.2.3 or 10.1 for one.
		return "", errors.New("looks like an address but is none")
	}
	if wildcard && len(labels) < 2 {
		return "", errors.New("is a wildcard above fewer than two labels")
	}
	if wildcard {
		name = "*." + name
	}
	if len(name) > maxHostName {
		return "", errors.New("is longer than 253 octets")
	}
	return name, nil
}

// checkText bounds the work on a name and refuses what no name contains.
func checkText(text string) error {
	switch {
	case text == "":
		return errors.New("is empty")
	case !utf8.ValidString(text):
		return errors.New("is not valid UTF-8")
	case hasControl(text):
		return errors.New("contains a control character")
	case strings.ContainsFunc(text, unicode.IsSpace):
		return errors.New("contains a space")
	case utf8.RuneCountInString(text) > maxHostName+1: // with a final dot
		return errors.New("is longer than 253 octets")
	}
	return nil
}

// toASCII lowers ASCII names and converts all others to A-labels (RFC 5891).
// Names that have A-labels are converted too, which checks them.
func toASCII(name string) (string, error) {
	lower := strings.ToLower(name)
	if isASCII(name) && !strings.HasPrefix(lower, "xn--") && !strings.Contains(lower, ".xn--") {
		return lower, nil
	}
	// Not strict about ASCII, because underscores are allowed; checkLabel is.
	name, err := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.ValidateLabels(true),
		idna.VerifyDNSLength(true), idna.StrictDomainName(false)).ToASCII(name)
	if err != nil {
		return "", errors.New("is not a valid internationalised name")
	}
	return name, nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("contains an empty label")
	case len(label) > maxLabel:
		return errors.New("contains a label longer than 63 octets")
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("contains a label that begins or ends with a hyphen")
	case strings.Contains(label, "*"):
		return errors.New("contains a wildcard that is not its first label")
	case !consistsOf(label, digits+lowerCase+"-_"):
		return errors.New("contains a character that host names do not have")
	}
	return nil
}

// parseEmail reads local@host, where local is a dot-atom (RFC 5322 section
// 3.2.3) and host a DNS name.
func parseEmail(text string) (string, error) {
	local, domain, _ := strings.Cut(text, "@")
	host, err := parseDNS(domain)
	if err != nil || !isASCII(text) || strings.HasPrefix(host, "*") ||
		local == "" || len(local) > 64 || len(local)+1+len(host) > maxEmail ||
		!consistsOf(local, alphanumeric+".!#$%&'*+-/=?^_`{|}~") || strings.Contains("."+local+".", "..") {
		return "", errors.New("is not an e-mail address")
	}
	return local + "@" + host, nil
}

// parseSPIFFE reads a SPIFFE identifier (SPIFFE-ID section 2): a trust domain
// and a path of unreserved characters. Other URIs mean nothing to us.
func parseSPIFFE(text string) (string, error) {
	const scheme = "spiffe://"
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) || len(text) > maxSPIFFE {
		return "", errors.New("is not a spiffe URI")
	}
	domain, rest, hasPath := strings.Cut(text[len(scheme):], "/")
	host, err := parseDNS(domain)
	if err != nil || !isASCII(domain) || strings.HasPrefix(host, "*") {
		return "", errors.New("has no valid trust domain")
	}
	if !hasPath {
		return scheme + host, nil
	}
	rest = "/" + rest
	if rest == "/" || path.Clean(rest) != rest || !consistsOf(rest, alphanumeric+"-._/") {
		return "", errors.New("has no valid path")
	}
	return scheme + host + rest, nil
}

// parseRegisteredID reads an object identifier in dotted form.
func parseRegisteredID(text string) (string, error) {
	oid, err := x509.ParseOID(text)
	if err != nil || len(text) > maxRegisteredID {
		return "", errors.New("is not an object identifier")
	}
	return oid.String(), nil
}

func hasControl(text string) bool {
	return strings.ContainsFunc(text, unicode.IsControl)
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// consistsOf is for ASCII characters.
func consistsOf(text, characters string) bool {
	for i := range len(text) {
		if strings.IndexByte(characters, text[i]) < 0 {
			return false
		}
	}
	return true
}
