// SPDX-License-Identifier: GPL-3.0-only

package juju

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

func FuzzDecodeBag(f *testing.F) {
	f.Add(`{"certificates":"[{\"ca\":\"-----BEGIN\\n\"}]","a":"b\n"}` + "\n")
	f.Add(`{"a":"\u0041\ud83d\ude00","b":"\\\\","c":"\""}`)
	f.Add(`{"a" : "b"}`)
	f.Add(`{"a":null,"b":"x"}`)
	f.Add(`{"a":"b",}`)
	f.Add(`null`)
	f.Add("{\"a\":\"tab\tin it\"}")
	f.Add("{\"a\":\"\xff\"}")
	f.Add(`{"a":"1","a":"2"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var want map[string]string
		wantErr := json.Unmarshal([]byte(text), &want)
		got, err := decodeBag([]byte(text))
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
		if err == nil {
			require.Equal(t, want, got)
		}
	})
}

func FuzzEncodeBag(f *testing.F) {
	f.Add("certificates", "-----BEGIN\nAAAA\n")
	f.Add("k", "\x00\x1f\x7f\u0085\u2028\ufeff\ufffe\uffff\ufffd<&>\\\"")
	f.Add("k", "\xff\xc0 é 😀")
	f.Fuzz(func(t *testing.T, key, value string) {
		text := encodeBag(map[string]string{key: value, "other": "x"})
		var got map[string]string
		require.NoError(t, json.Unmarshal(text, &got))
		again, err := decodeBag(text)
		require.NoError(t, err)
		require.Equal(t, got, again)
		if !utf8.ValidString(key) || !utf8.ValidString(value) || key == "other" {
			return
		}
		require.Equal(t, map[string]string{key: value, "other": "x"}, got)
		if len(key) > 1000 {
			return // YAML bounds keys
		}
		got = nil
		require.NoError(t, yaml.Unmarshal(text, &got))
		require.Equal(t, map[string]string{key: value, "other": "x"}, got)
	})
}
