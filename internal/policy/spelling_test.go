// SPDX-License-Identifier: GPL-3.0-only

package policy_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/idna"

	"tls-authority/internal/policy"
)

// strict is a policy that limits everything that can be limited.
func strict(t testing.TB) policy.Config {
	return options(t, map[string]any{
		"allowed-domains":     "example.com bücher.example intern",
		"allowed-ip-ranges":   "10.0.0.0/8 2001:db8:1::/48",
		"allow-wildcards":     false,
		"denied-common-names": "admin.example.com system:admin",
	})
}

// fields are the places of a request in which a host can be named.
func fields() map[string]func(host string) asked {
	subject := func(a asked) asked { return a.name(tagDNS, "a.example.com") }
	return map[string]func(host string) asked{
		"DNS name":            func(h string) asked { return asked{}.name(tagDNS, h) },
		"DNS name after one":  func(h string) asked { return asked{}.name(tagDNS, "a.example.com").name(tagDNS, h) },
		"common name":         func(h string) asked { return asked{}.attribute(oidCommonName, h) },
		"common name and SAN": func(h string) asked { return subject(asked{}.attribute(oidCommonName, h)) },
		"second common name": func(h string) asked {
			return asked{}.attribute(oidCommonName, "a.example.com").attribute(oidCommonName, h)
		},
		"common name in a multi-valued RDN": func(h string) asked {
			return subject(asked{}.attribute(oidCommonName, "a.example.com", h))
		},
		"e-mail address":               func(h string) asked { return asked{}.name(tagEmail, "me@"+h) },
		"e-mail address in subject":    func(h string) asked { return subject(asked{}.attribute(oidEmail, "me@"+h)) },
		"spiffe identifier":            func(h string) asked { return asked{}.name(tagURI, "spiffe://"+h+"/x") },
		"spiffe identifier in capital": func(h string) asked { return asked{}.name(tagURI, "SPIFFE://"+h+"/a.example.com") },
	}
}

// spell writes a name as people, libraries and attackers do, each way once.
func spell(host string) []string {
	spellings := []string{
		host, strings.ToUpper(host), strings.ToUpper(host[:1]) + host[1:],
		host + ".", host + "..", "." + host, host + "｡",
		" " + host, host + " ", host + "\u3000",
	}
	for _, pair := range [][2]string{{".", "．"}, {".", "。"}, {"e", "ｅ"}, {"e", "e\u00ad"}, {"e", "\u200be"}} {
		spellings = append(spellings, strings.ReplaceAll(host, pair[0], pair[1]))
	}
	if labels, err := idna.Lookup.ToASCII(host); err == nil {
		spellings = append(spellings, labels, strings.ToUpper(labels))
	}
	slices.Sort(spellings)
	return slices.Compact(spellings)
}

func TestNoSpellingGetsAround(t *testing.T) {
	t.Parallel()
	config := strict(t)
	outside := []string{
		"evil.org", "www.evil.org", "badexample.com", "example.com.evil.org", "com", "localhost", "kubernetes",
		"bücher.evil", "sub.böse.example", "example", "intern.evil.org",
		"*.evil.org", "*.com", "*.example.com", "*.*.example.com", "w*.example.com", "*", "*.intern", "*.bücher.example",
	}
	inside := []string{"example.com", "a.b-c.example.com", "x_y.example.com", "bücher.example", "www.bücher.example", "intern", "db.intern"}
	for field, ask := range fields() {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			denied := []string{"admin.example.com"}
			if strings.Contains(field, "e-mail") || strings.Contains(field, "spiffe") {
				denied = nil // common names are denied where a name stands for its holder
			}
			for _, host := range append(denied, outside...) {
				for _, spelled := range spell(host) {
					r, read := ask(spelled).judge(t, config)
					require.False(t, read && r == nil, "%q is issued", spelled)
				}
			}
			readable := 0
			for _, host := range inside {
				for _, spelled := range spell(host) {
					r, read := ask(spelled).judge(t, config)
					require.Nil(t, r, "%q is refused", spelled)
					if read {
						readable++
					}
				}
			}
			require.GreaterOrEqual(t, readable, 15, "too few requests were read to prove anything")
		})
	}
}

func TestNoSpellingOfAnAddressGetsAround(t *testing.T) {
	t.Parallel()
	config := strict(t)
	sixteen := func(text string) string { return string(net.ParseIP(text).To16()) }
	outside := map[string][]string{
		"text": {
			"192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201", "[::ffff:192.0.2.1]", "[192.0.2.1]", "2001:db8:2::1", "[2001:DB8:2::1]",
			"2001:0db8:0002:0000:0000:0000:0000:0001", "fe80::1%eth0", "0300.0.2.1", "192.0.513", "3221225985", "0xc0000201", "0XC0.0.2.1", "192.0.2.1.",
			"１９２.0.2.1", "192。0。2。1", "::10.0.0.1", "64:ff9b::10.0.0.1",
		},
		"bytes": {"\xc0\x00\x02\x01", sixteen("192.0.2.1"), sixteen("2001:db8:2::1"), sixteen("::10.0.0.1")},
	}
	inside := map[string][]string{
		"text":  {"10.0.0.1", "::ffff:10.0.0.1", "2001:DB8:1::1", "[2001:db8:1::1]", "10.0.0.1 "},
		"bytes": {"\x0a\x00\x00\x01", sixteen("10.0.0.1"), sixteen("2001:db8:1::1")},
	}
	places := map[string]func(text string) asked{
		"DNS name":    func(text string) asked { return asked{}.name(tagDNS, text) },
		"common name": func(text string) asked { return asked{}.attribute(oidCommonName, text) },
		"second common name": func(text string) asked {
			return asked{}.name(tagDNS, "a.example.com").attribute(oidCommonName, "a.example.com", text)
		},
		"e-mail address in subject": func(text string) asked {
			return asked{}.name(tagDNS, "a.example.com").attribute(oidEmail, "me@["+strings.TrimSpace(text)+"]")
		},
	}
	address := func(bytes string) asked { return asked{}.name(tagIP, bytes) }
	check := func(place string, text string, ask func(string) asked, allowed bool) {
		r, read := ask(text).judge(t, config)
		if allowed {
			require.Nil(t, r, "%s %q is refused", place, text)
		} else {
			require.False(t, read && r == nil, "%s %q is issued", place, text)
		}
	}
	for place, ask := range places {
		for _, text := range outside["text"] {
			check(place, text, ask, false)
		}
		for _, text := range inside["text"] {
			check(place, text, ask, true)
		}
	}
	for _, bytes := range outside["bytes"] {
		check("address", bytes, address, false)
	}
	for _, bytes := range inside["bytes"] {
		check("address", bytes, address, true)
	}
	r, read := asked{}.name(tagDNS, "a.example.com").name(tagRegisteredID, "\x2a\x03").judge(t, config)
	require.True(t, read)
	require.Nil(t, r)
}

// FuzzCheckNames asks for any text anywhere. What is issued is held against a
// second reading of the policy, made of other libraries.
func FuzzCheckNames(f *testing.F) {
	places := fields()
	order := []string{"DNS name", "common name", "second common name", "e-mail address", "e-mail address in subject", "spiffe identifier"}
	for i, text := range []string{"www.evil.org", "EVIL。org", "*.example.com", "192.0.2.1", "bücher.evil", "xn--bcher-kva.example", "10.0.0.1", "system:admin"} {
		f.Add(text, uint8(i))
	}
	config := strict(f)
	f.Fuzz(func(t *testing.T, text string, field uint8) {
		ask := places[order[int(field)%len(order)]](text)
		r, read := ask.judge(t, config)
		if !read || r != nil {
			return
		}
		request, err := ask.parse(t)
		require.NoError(t, err)
		for _, name := range append(request.Names.DNS, request.CommonNames...) {
			require.NoError(t, outsideStrict(name), "issued for %q", text)
		}
		for _, address := range request.Names.IP {
			require.NoError(t, outsideStrict(address.String()), "issued for %q", text)
		}
		for _, email := range request.Names.Email {
			require.NoError(t, outsideStrict(email[strings.Index(email, "@")+1:]), "issued for %q", text)
		}
	})
}

// outsideStrict tells why a text must not be issued under the options strict,
// as far as it has the shape of a name.
func outsideStrict(text string) error {
	if address := net.ParseIP(text); address != nil {
		parsed, _ := netip.AddrFromSlice(address)
		parsed = parsed.Unmap()
		if netip.MustParsePrefix("10.0.0.0/8").Contains(parsed) || netip.MustParsePrefix("2001:db8:1::/48").Contains(parsed) {
			return nil
		}
		return fmt.Errorf("address %s", parsed)
	}
	host, err := idna.Lookup.ToASCII(strings.TrimSuffix(strings.TrimSpace(text), "."))
	if err != nil || strings.Trim(host, ".") == "" {
		return nil
	}
	if host == "admin.example.com" {
		return fmt.Errorf("denied %s", host)
	}
	for _, domain := range []string{"example.com", "xn--bcher-kva.example", "intern"} {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return nil
		}
	}
	return fmt.Errorf("name %s", host)
}
