// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

var longLabel = strings.Repeat("a", 63)

// goodNames maps what is asked for to the one name that it gives.
var goodNames = map[string]string{
	"db.example":                     "DNS:db.example",
	"DB.Example.COM":                 "DNS:db.example.com",
	"db.example.":                    "DNS:db.example",
	"kubernetes":                     "DNS:kubernetes",
	"12345":                          "DNS:12345",
	"4x":                             "DNS:4x",
	"juju_machine-0":                 "DNS:juju_machine-0",
	"_sip._tcp.example":              "DNS:_sip._tcp.example",
	"r3---sn.example":                "DNS:r3---sn.example",
	"10.0.0.1.example":               "DNS:10.0.0.1.example",
	"*.db.example":                   "DNS:*.db.example",
	"*.DB.example.":                  "DNS:*.db.example",
	"*.a。b":                          "DNS:*.a.b",
	"bücher.example":                 "DNS:xn--bcher-kva.example",
	"BÜCHER.example":                 "DNS:xn--bcher-kva.example",
	"XN--BCHER-KVA.example":          "DNS:xn--bcher-kva.example",
	"*.bücher.example":               "DNS:*.xn--bcher-kva.example",
	"faß.example":                    "DNS:xn--fa-hia.example",
	"ＤＢ。example":                     "DNS:db.example",
	"bü_cher.example":                "DNS:xn--b_cher-3ya.example",
	longLabel:                        "DNS:" + longLabel,
	longName(253):                    "DNS:" + longName(253),
	longName(253) + ".":              "DNS:" + longName(253),
	"10.0.0.1":                       "IP:10.0.0.1",
	"::1":                            "IP:::1",
	"[::1]":                          "IP:::1",
	"2001:DB8:0::1":                  "IP:2001:db8::1",
	"::ffff:10.0.0.1":                "IP:10.0.0.1",
	"[::ffff:10.0.0.1]":              "IP:10.0.0.1",
	"0.0.0.0":                        "IP:0.0.0.0",
	"2001:db8:ffff:ffff:ffff:ffff::": "IP:2001:db8:ffff:ffff:ffff:ffff::",
}

var badNames = map[string]string{
	"":                             "is empty",
	".":                            "contains an empty label",
	"..":                           "contains an empty label",
	".db":                          "contains an empty label",
	"a..b":                         "contains an empty label",
	"db.example..":                 "contains an empty label",
	"a\x00b":                       "contains a control character",
	"a\n":                          "contains a control character",
	"a\x7f":                        "contains a control character",
	"a\u0085b":                     "contains a control character",
	"a b":                          "contains a space",
	" a":                           "contains a space",
	"a\u00a0b":                     "contains a space",
	"a\u3000b":                     "contains a space",
	"\xff":                         "is not valid UTF-8",
	"-a.example":                   "contains a label that begins or ends with a hyphen",
	"a-.example":                   "contains a label that begins or ends with a hyphen",
	"--leading":                    "contains a label that begins or ends with a hyphen",
	"*":                            "contains a wildcard that is not its first label",
	"*.*.example":                  "contains a wildcard that is not its first label",
	"a.*.example":                  "contains a wildcard that is not its first label",
	"foo*.db.example":              "contains a wildcard that is not its first label",
	"*.example":                    "is a wildcard above fewer than two labels",
	"*.":                           "contains a wildcard that is not its first label",
	longLabel + "a":                "contains a label longer than 63 octets",
	longName(254):                  "is longer than 253 octets",
	"*." + longName(252):           "is longer than 253 octets",
	strings.Repeat("a.", 1<<16):    "is longer than 253 octets",
	strings.Repeat("ü", 250):       "is not a valid internationalised name",
	"xn--a.example":                "is not a valid internationalised name",
	"a.XN--a":                      "is not a valid internationalised name",
	"010.1.2.3":                    "looks like an address but is none",
	"1.2.3":                        "looks like an address but is none",
	"1.2.3.4.5":                    "looks like an address but is none",
	"10.0.0.1.":                    "looks like an address but is none",
	"999.1.1.1":                    "looks like an address but is none",
	"*.1.2":                        "looks like an address but is none",
	"１.２.３.４":                      "looks like an address but is none",
	"fe80::1%eth0":                 "is an address with a zone",
	"[fe80::1%eth0]":               "is an address with a zone",
	"[::1":                         "contains a character that host names do not have",
	"::1]":                         "contains a character that host names do not have",
	"[10.0.0.1]":                   "contains a character that host names do not have",
	"[]":                           "contains a character that host names do not have",
	"10.0.0.0/8":                   "contains a character that host names do not have",
	"db.example:443":               "contains a character that host names do not have",
	"system:kubelet":               "contains a character that host names do not have",
	"https://db.example/":          "contains a character that host names do not have",
	"a@b":                          "contains a character that host names do not have",
	"a,b":                          "contains a character that host names do not have",
	"\u200b":                       "is not a valid internationalised name",
	"$(reboot)":                    "contains a character that host names do not have",
	"foo\u2024bar/..":              "is not a valid internationalised name",
	"אa.example":                   "is not a valid internationalised name",
	strings.Repeat("\u00ad", 1000): "is longer than 253 octets",
}

// longName is a DNS name of so many octets.
func longName(length int) string {
	return strings.Repeat("a.", length)[:length-1] + "z"
}

func TestParseNames(t *testing.T) {
	t.Parallel()
	for text, want := range goodNames {
		t.Run("accepts "+text, func(t *testing.T) {
			t.Parallel()
			names, problems := pki.ParseNames([]string{text})
			require.Empty(t, problems)
			require.Equal(t, []string{want}, names.Texts())

			host, ok := pki.HostName(text)
			require.True(t, ok)
			require.Equal(t, names, host)

			_, canonical, _ := strings.Cut(want, ":")
			again, problems := pki.ParseNames([]string{canonical})
			require.Empty(t, problems)
			require.Equal(t, names, again)
		})
	}
	for text, reason := range badNames {
		t.Run("refuses "+text, func(t *testing.T) {
			t.Parallel()
			names, problems := pki.ParseNames([]string{text})
			require.Zero(t, names)
			require.Equal(t, []pki.NameProblem{{Name: text, Reason: reason}}, problems)
			_, ok := pki.HostName(text)
			require.False(t, ok)
		})
	}
}

func TestParseNamesOfAList(t *testing.T) {
	t.Parallel()
	t.Run("good names survive bad ones and come sorted once", func(t *testing.T) {
		t.Parallel()
		names, problems := pki.ParseNames([]string{
			"z.example", "2001:db8::1", "bad name", "A.example", "10.0.0.2", "a.example.", "10.0.0.10", "::ffff:10.0.0.2", "",
		})
		require.Equal(t, pki.Names{
			DNS: []string{"a.example", "z.example"},
			IP: []netip.Addr{
				netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.10"), netip.MustParseAddr("2001:db8::1"),
			},
		}, names)
		require.Equal(t, []pki.NameProblem{{"bad name", "contains a space"}, {"", "is empty"}}, problems)
	})
	t.Run("no names give no problem", func(t *testing.T) {
		t.Parallel()
		names, problems := pki.ParseNames(nil)
		require.Equal(t, pki.Names{}, names)
		require.Nil(t, problems)
	})
}

func TestNamesAsASet(t *testing.T) {
	t.Parallel()
	a := pki.Names{DNS: []string{"b", "a"}, Email: []string{"x@y"}, URI: []string{"spiffe://a/b"}}
	b := pki.Names{DNS: []string{"c", "a"}, IP: []netip.Addr{netip.MustParseAddr("::1")}, RegisteredID: []string{"1.2.3"}}
	got := a.Union(b)
	require.Equal(t, []string{"DNS:a", "DNS:b", "DNS:c", "IP:::1", "email:x@y", "URI:spiffe://a/b", "RID:1.2.3"}, got.Texts())
	require.Equal(t, 7, got.Len())
	require.Equal(t, []string{"b", "a"}, a.DNS, "Union must not sort what it was given")
	require.Equal(t, got, b.Union(a))
	require.True(t, got.Union(got).Equal(got))
	require.True(t, a.Equal(pki.Names{DNS: []string{"a", "b", "b"}, Email: a.Email, URI: a.URI}))
	require.False(t, a.Equal(b))
	require.False(t, a.Equal(pki.Names{DNS: a.DNS, Email: a.Email}))
	require.Equal(t, pki.Names{}, pki.Names{}.Union(pki.Names{DNS: []string{}}))
	require.Empty(t, pki.Names{}.Texts())
}

func TestNamesFromTexts(t *testing.T) {
	t.Parallel()
	texts := []string{
		"DNS:*.db.example", "DNS:10.0.0.1", "DNS:2001:db8::1", "DNS:db.example", "IP:10.0.0.1", "IP:2001:db8::1",
		"email:x@y.example", "URI:spiffe://a.example/b", "RID:1.2.840.113549",
	}
	names, err := pki.NamesFromTexts(texts)
	require.NoError(t, err)
	require.Equal(t, texts, names.Texts())
	require.Equal(t, 9, names.Len())

	reversed, err := pki.NamesFromTexts([]string{"DNS:b", "DNS:a", "DNS:b"})
	require.NoError(t, err)
	require.Equal(t, pki.Names{DNS: []string{"a", "b"}}, reversed)

	for text, reason := range map[string]string{
		"":                        "is none of DNS name, address, e-mail, URI and registered identifier",
		"db.example":              "is none of DNS name, address, e-mail, URI and registered identifier",
		"dns:db.example":          "is none of DNS name, address, e-mail, URI and registered identifier",
		"otherName:x":             "is none of DNS name, address, e-mail, URI and registered identifier",
		"DNS:DB.example":          "is not in its canonical form",
		"DNS:db.example.":         "is not in its canonical form",
		"DNS:2001:DB8::1":         "is not in its canonical form",
		"DNS:":                    "is empty",
		"IP:::ffff:10.0.0.1":      "is not in its canonical form",
		"IP:[::1]":                "is not in its canonical form",
		"IP:fe80::1%a":            "is an address with a zone",
		"IP:db.example":           "is not an address",
		"IP:":                     "is not an address",
		"email:x@Y.example":       "is not in its canonical form",
		"email:x":                 "is not an e-mail address",
		"URI:https://a":           "is not a spiffe URI",
		"URI:SPIFFE://a/b":        "is not in its canonical form",
		"RID:1.02":                "is not in its canonical form",
		"RID:x":                   "is not an object identifier",
		"RID:1." + longLabel + "": "is not an object identifier",
	} {
		t.Run("refuses "+text, func(t *testing.T) {
			t.Parallel()
			_, err := pki.NamesFromTexts([]string{"DNS:a", text})
			require.ErrorContains(t, err, reason)
		})
	}
}

// TestNameKinds goes through records, the way by which e-mails, URIs and
// identifiers can be read one at a time.
func TestNameKinds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"email:root@host", "email:first.last+tag@mail.example", "email:o'neil=x@a.b",
		"URI:spiffe://example", "URI:spiffe://example/a", "URI:spiffe://a_b.example/ns/default/sa/Web-1._x",
		"RID:0.0", "RID:2.999", "RID:1.3.6.1.4.1.99999999999999999999.1",
	} {
		names, err := pki.NamesFromTexts([]string{text})
		require.NoError(t, err, text)
		require.Equal(t, []string{text}, names.Texts())
	}
	for _, text := range []string{
		"email:", "email:@host", "email:a@", "email:a@b@c", "email:.a@b", "email:a.@b", "email:a..b@c", "email:a b@c",
		"email:a\x00@b", "email:\"a\"@b", "email:ü@b", "email:a@bücher.example", "email:a@*.b.example", "email:a@10.0.0.1",
		"email:" + longLabel + "aa@b", "email:a@" + longName(253),
		"URI:", "URI:http://a", "URI:spiffe://", "URI:spiffe:///a", "URI:spiffe://a/", "URI:spiffe://a//b", "URI:spiffe://a/../b",
		"URI:spiffe://a/./b", "URI:spiffe://a/b?c", "URI:spiffe://a/b#c", "URI:spiffe://u@a/b", "URI:spiffe://a:1/b",
		"URI:spiffe://a/%41", "URI:spiffe://a/ü", "URI:spiffe://ü/a", "URI:spiffe://*.a.b/c", "URI:spiffe://a/b\x00",
		"URI:spiffe://a/" + strings.Repeat("b", 2048),
		"RID:", "RID:1", "RID:3.1", "RID:1.40", "RID:1.2.", "RID:-1.2", "RID:1.2." + strings.Repeat("3", 128),
	} {
		_, err := pki.NamesFromTexts([]string{text})
		require.Error(t, err, text)
	}
}
