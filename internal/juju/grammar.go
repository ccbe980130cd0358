// SPDX-License-Identifier: GPL-3.0-only

package juju

import "strings"

// What Juju writes as regular expressions is read by hand: to link package
// regexp, with its tables, costs a hook more than to use it.

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

func isAlphanumeric(r rune) bool { return isDigit(r) || r >= 'a' && r <= 'z' }

// consistsOf tells whether a text has that many characters, all of a class.
func consistsOf(text string, length int, class func(rune) bool) bool {
	return len(text) == length && !strings.ContainsFunc(text, func(r rune) bool { return !class(r) })
}

// isSecretName: ^[0-9a-z]{20}$
func isSecretName(text string) bool { return consistsOf(text, 20, isAlphanumeric) }

// isUUID: ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$
func isUUID(text string) bool {
	groups := strings.Split(text, "-")
	if len(groups) != 5 {
		return false
	}
	for i, length := range []int{8, 4, 4, 4, 12} {
		if !consistsOf(groups[i], length, func(r rune) bool { return isDigit(r) || r >= 'a' && r <= 'f' }) {
			return false
		}
	}
	return true
}

// isSecretKey: ^[a-z](-?[a-z0-9]){2,}$
//
// It is Juju's rule (core/secrets/createsecret.go), checked here because a key
// becomes the name of a file.
func isSecretKey(text string) bool {
	letters := strings.ReplaceAll(text, "-", "")
	return len(letters) >= 3 && consistsOf(letters, len(letters), isAlphanumeric) &&
		text[0] >= 'a' && text[0] <= 'z' && !strings.Contains(text, "--") && !strings.HasSuffix(text, "-")
}

// isContentName: ^[0-9a-z]{20}-[0-9]+$
//
// On Kubernetes the content of revision 2 is an object of this name. When that
// is missing Juju still knows the secret (secrets.URI.Name).
func isContentName(text string) bool {
	name, revision, _ := strings.Cut(text, "-")
	return isSecretName(name) && revision != "" && consistsOf(revision, len(revision), isDigit)
}

// findUnknown: \b(?:secret|label)(?: "([^"]*)")? not found
//
// The quoted name stands right between the noun and the verdict. A looser
// rule would take `secret backend "x" not found` or `secret revision "x" not
// found` for an unknown secret. `secret revision 1 for secret "x" not found`
// fits all the same: a revision is lost, the secret is there.
func findUnknown(verdict string) (name string, found bool) {
	for i := range verdict {
		rest, isNoun := strings.CutPrefix(verdict[i:], "secret")
		if !isNoun {
			rest, isNoun = strings.CutPrefix(verdict[i:], "label")
		}
		if !isNoun || i > 0 && isWord(verdict[i-1]) {
			continue
		}
		after := rest
		if quoted, isQuoted := strings.CutPrefix(rest, ` "`); isQuoted {
			name, after, _ = strings.Cut(quoted, `"`)
		}
		if strings.HasPrefix(after, " not found") {
			return name, true
		}
		name = ""
	}
	return "", false
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
