// SPDX-License-Identifier: GPL-3.0-only

package record_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/record"
)

// noted is an index entry of the kind that nearly all are.
func noted(name string, requesters ...string) record.Certificate {
	return record.Certificate{
		Request: "Ls812E5wLhKoESEVaxj2Ww", Requesters: requesters, Name: name,
		Issued: record.Issued{
			Generation: 2, Serial: "50597d81a4e72a2d8913da6585abd0b5", KeyDigest: "EFmMbkREj4Xgd75B9kksPQ",
			NotBefore: time.Date(2025, 12, 31, 23, 55, 0, 0, time.UTC), NotAfter: time.Date(2026, 3, 31, 23, 59, 59, 0, time.UTC),
		},
	}
}

func TestIndexIsWrittenAsArrays(t *testing.T) {
	t.Parallel()
	asked := noted(`a "name"`, "web", "web/0")
	asked.CA, asked.Anchor, asked.Asked = true, 1, true
	text, err := json.Marshal(record.Certificates{noted("web-0.example", "web/0"), asked})
	require.NoError(t, err)
	require.Equal(t, `[["Ls812E5wLhKoESEVaxj2Ww",["web/0"],"web-0.example",2,"50597d81a4e72a2d8913da6585abd0b5",1767225300,1775001599,"EFmMbkREj4Xgd75B9kksPQ"],`+
		`["Ls812E5wLhKoESEVaxj2Ww",["web","web/0"],"a \"name\"",2,"50597d81a4e72a2d8913da6585abd0b5",1767225300,1775001599,"EFmMbkREj4Xgd75B9kksPQ",{"ca":true,"anchor":1,"asked":true}]]`, string(text))
}

func TestIndexReadsWhatItWrote(t *testing.T) {
	t.Parallel()
	rare := noted("b", "web/1")
	rare.Asked = true
	for name, index := range map[string]record.Certificates{
		"none":                          {},
		"ordinary ones":                 {noted("a", "web/0"), noted("", "web", "web/1")},
		"one whose name has escapes":    {noted("a", "web/0"), noted("\"\\\n\u2028é", "web/1")},
		"one with a field that is rare": {noted("a", "web/0"), rare},
		"one that has yet to be issued": {{Request: "r", Requesters: []string{"web/0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal(index)
			require.NoError(t, err)
			var read record.Certificates
			require.NoError(t, json.Unmarshal(text, &read))
			require.Equal(t, index, read)
			spaced, err := json.MarshalIndent(index, "", " ")
			require.NoError(t, err)
			read = nil
			require.NoError(t, json.Unmarshal(spaced, &read), "another hand's spaces")
			require.Equal(t, index, read)
		})
	}
}

func TestIndexReadsSchema1(t *testing.T) {
	t.Parallel()
	var read record.Certificates
	require.NoError(t, json.Unmarshal([]byte(`[{"request":"Ls812E5wLhKoESEVaxj2Ww","requesters":["web/0"],"name":"web-0.example","generation":2,"serial":"50597d81a4e72a2d8913da6585abd0b5","not-before":"2025-12-31T23:55:00Z","not-after":"2026-03-31T23:59:59Z","k":"EFmMbkREj4Xgd75B9kksPQ"}]`), &read))
	require.Equal(t, record.Certificates{noted("web-0.example", "web/0")}, read)
}

// TestIndexRefusesWhatItCannotRead: taken for absent, an entry would mean a
// certificate that nobody remembers.
func TestIndexRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no array":                         `{}`,
		"a field too few":                  `[["r",["web/0"],"n",1,"s",1,2]]`,
		"a field too many":                 `[["r",["web/0"],"n",1,"s",1,2,"k",{},0]]`,
		"a number in the place of a text":  `[["r",["web/0"],7,1,"s",1,2,"k"]]`,
		"a time that is not whole":         `[["r",["web/0"],"n",1,"s",1.5,2,"k"]]`,
		"a generation out of range":        `[["r",["web/0"],"n",99999999999999999999,"s",1,2,"k"]]`,
		"an entry that is no array either": `["r"]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var read record.Certificates
			require.Error(t, json.Unmarshal([]byte(text), &read))
			require.Nil(t, read)
		})
	}
}

// FuzzIndex holds the quick reader to the general one: whatever is read is
// written and read again as the same, also with spaces, which only the general
// one reads.
func FuzzIndex(f *testing.F) {
	f.Add(`[["r",["web/0","web"],"n",1,"s",1,2,"k"],["r",[""],"",0,"",0,-1,""]]`)
	f.Add(`[["r",["web/0"],"\"",1,"s",1,2,"k",{"asked":true}]]`)
	f.Add(`[{"request":"r","requesters":["a"],"not-after":"2026-03-31T23:59:59Z"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		var read record.Certificates
		if json.Unmarshal([]byte(text), &read) != nil {
			return
		}
		written, err := json.Marshal(read)
		require.NoError(t, err)
		var again, spaced record.Certificates
		require.NoError(t, json.Unmarshal(written, &again))
		indented, err := json.MarshalIndent(read, "", " ")
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(indented, &spaced))
		require.Equal(t, again, spaced)
		rewritten, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(written), string(rewritten))
	})
}
