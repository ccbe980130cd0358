// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

func TestPublishedEntriesAreCarriedOverAsTheyAre(t *testing.T) {
	t.Parallel()
	answers := []tlscertificates.CertificateAnswer{
		{CSR: "one\n", Certificate: "leaf 1", CA: "root", Chain: []string{"leaf 1", "root"}},
		{CSR: `two \n "quoted" é <&>`, Certificate: "leaf 2", CA: "root", Revoked: true},
		{CSR: "three\u2028\t", Certificate: "leaf 3", CA: "root", Chain: []string{`back\slash\`}},
	}
	text := tlscertificates.EncodeCertificates(answers)
	entries, err := tlscertificates.SplitPublished(text)
	require.NoError(t, err)
	require.Len(t, entries, len(answers))
	for i, entry := range entries {
		require.Equal(t, answers[i].CSR, entry.CSR)
		require.Contains(t, text, entry.Entry)
	}
	require.Equal(t, text, joined(entries))

	t.Run("one that is replaced leaves the bytes of the others", func(t *testing.T) {
		answers[1].Certificate = "leaf 4"
		entries[1] = tlscertificates.Publish(answers[1])
		require.Equal(t, tlscertificates.EncodeCertificates(answers), joined(entries))
	})
	t.Run("what another version wrote is written anew", func(t *testing.T) {
		spaced := strings.ReplaceAll(tlscertificates.EncodeCertificates(answers), `","`, `" , "`)
		entries, err := tlscertificates.SplitPublished(spaced)
		require.NoError(t, err)
		require.Equal(t, tlscertificates.EncodeCertificates(answers), joined(entries))
	})
	t.Run("what is cut off is refused", func(t *testing.T) {
		for length := 1; length < len(text); length++ {
			_, err := tlscertificates.SplitPublished(text[:length])
			require.Error(t, err, "the first %d bytes", length)
		}
	})
}

func joined(entries []tlscertificates.Published) string {
	return strings.Join(tlscertificates.EncodePublished(entries), "")
}
