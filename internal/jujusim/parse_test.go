// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// FuzzParseSettings checks that the quick ways never read what YAML reads
// otherwise.
func FuzzParseSettings(f *testing.F) {
	for _, seed := range []string{`{"a":"b"}`, `{"a":1,"b":null}`, "a: b", `{"a":"\ud83d"}`, `{"a":"\/\u003c"}`, `{"a":["b"]}`, "{\"a\":\n\"b\"}"} {
		f.Add([]byte(seed))
	}
	for _, seed := range []string{`{"a":'[{"b": "c\n"}]',"d":"\\\n",'''' x''':"\""}`, `{"a":'it''s '}`, `{'a':''}`, `{'a':'b'}'`, `{'a':'','a':"1"}`, `{'a':"\"}`, `{"a":' b','c':'d''}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, quoted := parseQuoted(string(text)); !quoted && !isPlainJSON(text) {
			return
		}
		quick, err := parseSettings(text)
		slow := map[string]string{}
		slowErr := yaml.Unmarshal(text, slow)
		// YAML 3 refuses a key that comes twice, which Juju's YAML 2 does not.
		if slowErr != nil && strings.Contains(slowErr.Error(), "already defined") {
			return
		}
		require.Equal(t, slowErr == nil, err == nil, "%v, %v", slowErr, err)
		if err == nil {
			require.Equal(t, slow, quick)
		}
	})
}

// FuzzFlags checks that no arguments make the parser panic or lose any.
func FuzzFlags(f *testing.F) {
	for _, seed := range []string{"-r|0|--app|k=v", "--|-x", "-ar0", "--text=|x", "-|", "--app=true|--n|1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "|")
		var flags flagSet
		var app bool
		var text string
		var n int
		flags.boolean(&app, "a", "app")
		flags.text(&text, "r", "text")
		flags.integer(&n, "n")
		rest, err := flags.parse(args)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(rest), len(args))
		for _, arg := range rest {
			require.Contains(t, args, arg)
		}
	})
}
