// SPDX-License-Identifier: GPL-3.0-only

package policy

import (
	"strings"
	"unicode"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// CheckIdentity keeps a CSR from becoming an identity that others trust by
// its name alone. Kubernetes reads the user from the common name and the
// groups from the organizations, other servers read the user from the
// alternative names; every occurrence of each is looked at, because verifiers
// differ in which one they read.
func CheckIdentity(config Config, request *pki.CertificateRequest) *Refusal {
	for _, commonName := range request.CommonNames {
		if listed(config.DeniedCommonNames, commonName) {
			return refuse(tlscertificates.DomainNotAllowed, "the common name %q is denied by the option denied-common-names", record.Shorten(commonName))
		}
	}
	for _, name := range request.Names.DNS {
		if listed(config.DeniedCommonNames, name) {
			return refuse(tlscertificates.DomainNotAllowed, "the name %q is denied by the option denied-common-names", record.Shorten(name))
		}
	}
	for _, organization := range request.Organizations {
		if listed(config.DeniedOrganizations, organization) {
			return refuse(tlscertificates.DomainNotAllowed, "the organization %q is denied by the option denied-organizations", record.Shorten(organization))
		}
	}
	return nil
}

// listed compares by meaning: what a verifier that prepares strings (RFC 4518),
// or one that compares host names, would take for a denied name is denied.
func listed(denied []string, value string) bool {
	value = fold(value)
	for _, name := range denied {
		if strings.EqualFold(fold(name), value) {
			return true
		}
	}
	return false
}

// fold reduces a text to what spellings of one meaning share. Characters that
// do not show are left out, wide ones become ASCII, white space counts once,
// and not at the ends, where dots do not count either. Of the rest, each part
// between colons that could be a host name is spelled as pki spells it, which
// takes lower case and the compatibility forms of letters (UTS 46) along.
func fold(text string) string {
	if isFolded(text) {
		return text
	}
	return foldFully(text)
}

func foldFully(text string) string {
	text = strings.Map(foldRune, text)
	text = strings.Trim(strings.Join(strings.Fields(text), " "), ". ")
	parts := strings.Split(text, ":")
	for i, part := range parts {
		if names, ok := pki.HostName(part); ok && len(names.DNS) == 1 {
			parts[i] = names.DNS[0]
		}
	}
	return strings.ToLower(strings.Join(parts, ":"))
}

// isFolded recognises the texts that nearly all names are: lower-case ASCII
// words between single colons, dots and hyphens, which fold leaves as they are.
// It is a shortcut: a name that it does not recognise costs a conversion.
func isFolded(text string) bool {
	word := false
	for i := range len(text) {
		c := text[i]
		isWord := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !isWord && (!word || c != ':' && c != '.' && c != '-') {
			return false
		}
		word = isWord
	}
	return word && !strings.Contains(text, "xn--")
}

// foldRune maps a rune to the one that it stands for, -1 for none.
func foldRune(r rune) rune {
	const (
		wideFirst, wideLast = '！', '～' // U+FF01 to U+FF5E are ASCII from U+0021 on
		ideographicStop     = '。'
		halfwidthStop       = '｡'
	)
	switch {
	case unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
		return -1
	case r >= wideFirst && r <= wideLast:
		return r - wideFirst + '!'
	case r == ideographicStop || r == halfwidthStop:
		return '.'
	}
	return r
}
