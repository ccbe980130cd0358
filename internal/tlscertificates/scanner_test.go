// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzEachValue(f *testing.F) {
	f.Add(`[{"certificate_signing_request":"a\n","ca":false}, 1 ,null,"x]\"}",[[],{}]]`)
	f.Add(` { "a" : -1.5e3, "a":"\\", "\u0061":{"b":[true]} } `)
	f.Add(`[]`)
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, document string) {
		kind := documentKind(document)
		if kind != '[' && kind != '{' {
			return
		}
		type member struct{ key, value string }
		var want, got []member
		decoder := json.NewDecoder(strings.NewReader(document))
		_, err := decoder.Token()
		require.NoError(t, err)
		for decoder.More() {
			var m member
			if kind == '{' {
				token, err := decoder.Token()
				require.NoError(t, err)
				m.key, _ = token.(string)
			}
			var value json.RawMessage
			require.NoError(t, decoder.Decode(&value))
			m.value = string(value)
			want = append(want, m)
		}
		read, more := eachValue(document, len(document), func(key, value string) { got = append(got, member{key, value}) })
		require.Equal(t, want, got)
		require.Equal(t, len(want), read)
		require.False(t, more)
		if len(want) > 0 {
			read, more = eachValue(document, len(want)-1, func(string, string) {})
			require.Equal(t, len(want)-1, read)
			require.True(t, more)
		}
	})
}
