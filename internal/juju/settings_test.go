// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

func written(t *testing.T, changes map[string][]string) string {
	t.Helper()
	var text bytes.Buffer
	s := newSettings(changes)
	n, err := s.WriteTo(&text)
	require.NoError(t, err)
	require.Equal(t, text.Len(), s.Len())
	require.EqualValues(t, text.Len(), n)
	return text.String()
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		changes map[string][]string
		want    string
	}{
		"plain text is JSON":               {map[string][]string{"b": {"x"}, "a": {"1"}}, `{"a":"1","b":"x"}`},
		"an empty value":                   {map[string][]string{"a": nil, "b": {""}}, `{"a":"","b":""}`},
		"what JSON would escape is quoted": {map[string][]string{"a": {`[{"b":`, `"c\n"}]`}}, `{"a":'[{"b":"c\n"}]'}`},
		"a quotation mark is doubled":      {map[string][]string{"a": {`''"`, `'`, `x'y'`}}, `{"a":'''''"''x''y'''}`},
		"quotation marks alone are JSON":   {map[string][]string{"a": {`it's`}}, `{"a":"it's"}`},
		"another line is JSON":             {map[string][]string{"a": {`"`, "\n"}}, `{"a":"\"\n"}`},
		"and so is what is not ASCII":      {map[string][]string{"a": {"\"\xc3", "\xa9 \x7f"}}, "{\"a\":\"\\\"é \\u007f\"}"},
		"a key is JSON":                    {map[string][]string{`"`: {"x"}}, `{"\"":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, written(t, test.changes))
		})
	}
}

func FuzzSettings(f *testing.F) {
	f.Add("certificates", "-----BEGIN\nAAAA\n", uint(3))
	f.Add("k", "\x00\x1f\x7f\u0085\u2028\ufeff\ufffe\uffff\ufffd<&>\\\"", uint(8))
	f.Add("k", "\xff\xc0 é 😀", uint(5))
	f.Add("k", ` ? "- {}[],&*#!|>%@: `, uint(1))
	f.Add("k", `'"'''\`, uint(2))
	f.Add("? ", `"---"`, uint(0))
	f.Fuzz(func(t *testing.T, key, value string, cut uint) {
		at := cut % uint(len(value)+1)
		text := written(t, map[string][]string{key: {value[:at], value[at:]}, "other": {"x"}})
		if key == "other" || len(key) > 1000/len(`\u0000`) {
			return // YAML bounds keys
		}
		var got map[string]string
		require.NoError(t, yaml.Unmarshal([]byte(text), &got))
		require.Equal(t, map[string]string{valid(key): valid(value), "other": "x"}, got)
	})
}

// valid has U+FFFD for each byte that is no UTF-8.
func valid(text string) string {
	return string([]rune(text))
}

func TestALargeValueIsWrittenWithoutBeingHeld(t *testing.T) {
	changes := map[string][]string{"certificates": answers(), "capabilities": {"{}"}}
	memory := allocated(func() {
		s := newSettings(changes)
		require.Greater(t, s.Len(), 4_000_000)
		_, err := s.WriteTo(io.Discard)
		require.NoError(t, err)
	})
	require.Less(t, memory, 256<<10)
	require.Less(t, len(written(t, changes)), 1001*len(strings.Join(answers()[:1], "")), "no escapes")
}
