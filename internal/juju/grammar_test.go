// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzGrammar compares what is read by hand with the regular expressions, as
// Juju or the comments give them.
func FuzzGrammar(f *testing.F) {
	var (
		uri     = regexp.MustCompile(`^(?:secret:(?:(?://)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/)?)?([0-9a-z]{20})$`)
		key     = regexp.MustCompile(`^[a-z](-?[a-z0-9]){2,}$`)
		content = regexp.MustCompile(`^[0-9a-z]{20}-[0-9]+$`)
		unknown = regexp.MustCompile(`\b(?:secret|label)(?: "([^"]*)")? not found`)
	)
	const id, model = "9m4e2mr0ui3e8a215n4g", "deadbeef-1bad-500d-9000-4b1d0d06f00d"
	for _, text := range []string{
		"", id, "secret:" + id, "secret:" + model + "/" + id, "secret://" + model + "/" + id, "secret:///" + model + "/" + id, model + "/" + id,
		"secret://" + id, "secret:" + model + "/", "secret:" + id + "\n", id + "-1", id + "-", id + "-x", id + "-1-2", id[1:] + "é", "DEADBEEF",
		"abc", "ab", "a-b", "a-bc", "a--bc", "abc-", "-abc", "1abc", "a-b-c", "aéb", "private-key",
		`secret not found`, `secret "x" not found`, `label "x" not found`, `secret "x not found`, `secret "x" y not found`, `asecret not found`,
		`_label not found`, `é label not found`, `ésecret "x" not found`, `secret backend "x" not found`, `secret "a" is not, secret "b" not found`,
		`secret "label not found" not found`, `secret secret not found`, `label "secret" not found`, `secret "" not found`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseSecretID(text)
		match := uri.FindStringSubmatch(text)
		require.Equal(t, match != nil, err == nil)
		if err == nil {
			require.Equal(t, SecretID(match[1]), got)
		}
		require.Equal(t, key.MatchString(text), isSecretKey(text))
		require.Equal(t, content.MatchString(text), isContentName(text))
		name, found := findUnknown(text)
		match = unknown.FindStringSubmatch(text)
		require.Equal(t, match != nil, found)
		if found {
			require.Equal(t, match[1], name)
		}
	})
}
