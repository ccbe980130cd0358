// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bufio"
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func FuzzReadBag(f *testing.F) {
	f.Add(`{"certificates":"[{\"ca\":\"-----BEGIN\\n\"}]","a":"b\n"}` + "\n")
	f.Add(`{"a":"\u0041\ud83d\ude00","b":"\\\\","c":"\"\b\f\r\t\/"}`)
	f.Add(`{"a":"\ud83d","b":"\ude00\ud83d\ud83d\ude00","c":"\ud83dx\ud83d\n\uD83D\uDE0","d":"\ufffd"}`)
	f.Add(" {\t\"a\"\r:\n\"b\" , \"c\" : null } ")
	f.Add(`{"a":null,"b":"x"}`)
	f.Add(`{"a":"b",}`)
	f.Add(`{"a":"b"}{`)
	f.Add("{\"a\":\"b\"}\x00")
	f.Add(`{}`)
	f.Add(` null `)
	f.Add(`nul`)
	f.Add("")
	f.Add(`{"a":"\x"}`)
	f.Add(`{"a":"\u00g0"}`)
	f.Add(`{"a":"\`)
	f.Add("{\"a\":\"tab\tin it\"}")
	f.Add("{\"a\":\"\xff\xc3\x28 \xe2\x82 é \x7f \xf0\x9f\x98\x80 \xed\xa0\x80\"}")
	f.Add(`{"a":"1","a":"2","a":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		var want map[string]string
		wantErr := json.Unmarshal([]byte(text), &want)
		for _, size := range []int{16, chunk} { // the smallest there is, and the usual
			in := bufio.NewReaderSize(nil, size)
			got, err := readBag(iotest.HalfReader(strings.NewReader(text)), len(text), in)
			require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
			if err == nil {
				require.Equal(t, want, got)
			}
		}
	})
}

func TestABagThatIsCutOffIsNone(t *testing.T) {
	t.Parallel()
	text := `{"a":"\u00e9\ud83d\ude00é","b":null}`
	for length := range len(text) {
		_, err := readBag(strings.NewReader(text[:length]), 0, bufio.NewReader(nil))
		require.ErrorIs(t, err, errBag, "the first %d bytes", length)
	}
}

// answers is a list of a thousand answers, as far as its size and its special
// characters matter.
func answers() []string {
	entry := `{"certificate":"-----BEGIN CERTIFICATE-----` + strings.Repeat(`\n`+strings.Repeat("A", 64), 60) + `"},`
	pieces := make([]string, 1000)
	for i := range pieces {
		pieces[i] = entry
	}
	return pieces
}

// allocated is how many bytes of memory a function takes. The test must not run
// beside others.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

func TestALargeValueIsHeldOnce(t *testing.T) {
	value := strings.Join(answers(), "")
	text, err := json.Marshal(map[string]string{"certificates": value, "capabilities": "{}"})
	require.NoError(t, err)
	require.Greater(t, len(text), 4_000_000)
	var bag map[string]string
	in := bufio.NewReaderSize(nil, chunk)
	memory := allocated(func() { bag, err = readBag(strings.NewReader(string(text)), len(text), in) })
	require.NoError(t, err)
	require.Equal(t, map[string]string{"certificates": value, "capabilities": "{}"}, bag)
	require.Less(t, memory-len(text), len(value)*11/10, "the copy of the text is the test's")
}
