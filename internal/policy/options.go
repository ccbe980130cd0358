// SPDX-License-Identifier: GPL-3.0-only

package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// optionReader collects the problems of all options, so that the operator
// sees them at once.
type optionReader struct {
	raw      map[string]json.RawMessage
	problems []string
}

func (o *optionReader) complain(option, format string, args ...any) {
	o.problems = append(o.problems, option+": "+fmt.Sprintf(format, args...))
}

// value decodes an option; unset and null give the default.
func value[T any](o *optionReader, option string, byDefault T, kind string) T {
	raw, set := o.raw[option]
	if !set || string(raw) == "null" {
		return byDefault
	}
	var decoded T
	if err := json.Unmarshal(raw, &decoded); err != nil {
		o.complain(option, "is not %s", kind)
		return byDefault
	}
	return decoded
}

// text reads a string option; an empty string is a value.
func (o *optionReader) text(option, byDefault string) string {
	return value(o, option, byDefault, "a string")
}

func (o *optionReader) boolean(option string, byDefault bool) bool {
	return value(o, option, byDefault, "true or false")
}

// limit reads a number of one and more, or -1 for no limit. It is decoded as
// a float because agents print large numbers as one.
func (o *optionReader) limit(option string, byDefault int) int {
	const most = 1 << 31
	number := value(o, option, float64(byDefault), "a whole number")
	if number != math.Trunc(number) || number > most || number < 1 && number != -1 {
		o.complain(option, "%v is neither a whole number from 1 on nor -1 for no limit", number)
		return byDefault
	}
	return int(number)
}

// port reads the number of a TCP port, or 0 for none.
func (o *optionReader) port(option string, byDefault int) int {
	number := value(o, option, float64(byDefault), "a whole number")
	if number != math.Trunc(number) || number < 0 || number > math.MaxUint16 {
		o.complain(option, "%v is neither a port nor 0 for none", number)
		return byDefault
	}
	return int(number)
}

// maxURL keeps certificates small: each has the URL three times.
const maxURL = 255

// url reads the address of a plain HTTP service. It is put into certificates,
// so it has one spelling there; https would have its certificate checked by
// what is being fetched (RFC 5280 section 8).
func (o *optionReader) url(option string) string {
	text := strings.TrimRight(o.text(option, ""), "/")
	if text == "" {
		return ""
	}
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Scheme != "http" || parsed.Hostname() == "":
		o.complain(option, "%q is no URL such as http://pki.example.com", text)
	case parsed.User != nil || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		o.complain(option, "%q has a user, a query or a fragment", text)
	case len(text) > maxURL || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		o.complain(option, "%q is longer than %d characters, or has others than printable ASCII", text, maxURL)
	}
	return text
}

// secret reads the URI of a secret, as Juju writes it.
func (o *optionReader) secret(option string) string {
	return o.text(option, "")
}

func (o *optionReader) source(option string) record.Source {
	source := record.Source(o.text(option, string(record.SelfSigned)))
	switch source {
	case record.SelfSigned, record.Imported, record.Upstream, record.Offline:
	default:
		o.complain(option, "%q is none of self-signed, imported, upstream and offline", source)
	}
	return source
}

func (o *optionReader) keyType(option string, byDefault pki.KeyType) pki.KeyType {
	keyType, err := pki.ParseKeyType(o.text(option, string(byDefault)))
	if err != nil {
		o.complain(option, "%v", err)
	}
	return keyType
}

func (o *optionReader) duration(option, byDefault string, low, high time.Duration) time.Duration {
	text := o.text(option, byDefault)
	d, err := ParseDuration(text)
	if err != nil {
		o.complain(option, "%v", err)
		return 0
	}
	if d < low || d > high {
		o.complain(option, "%s is not between %s and %s", text, SpellDuration(low), SpellDuration(high))
	}
	return d
}

func (o *optionReader) names(option string) pki.Names {
	names, problems := pki.ParseNames(strings.Fields(o.text(option, "")))
	for _, p := range problems {
		o.complain(option, "%q %s", p.Name, p.Reason)
	}
	return names
}

// domains reads names that stand for themselves and all below them; a leading
// dot or "*." says no more than that.
func (o *optionReader) domains(option string) []string {
	var domains []string
	for _, text := range strings.Fields(o.text(option, "")) {
		bare, isWildcard := strings.CutPrefix(text, "*.")
		if !isWildcard {
			bare = strings.TrimPrefix(text, ".")
		}
		names, problems := pki.ParseNames([]string{bare})
		switch {
		case len(problems) > 0:
			o.complain(option, "%q %s", text, problems[0].Reason)
		case len(names.DNS) == 0:
			o.complain(option, "%q is an address: name it in allowed-ip-ranges", text)
		case strings.Contains(names.DNS[0], "*"):
			o.complain(option, "%q contains more than one wildcard", text)
		default:
			domains = append(domains, names.DNS[0])
		}
	}
	slices.Sort(domains)
	return slices.Compact(domains)
}

// ranges reads ranges and single addresses. One that is mapped into IPv6 is
// the range of IPv4 that it means.
func (o *optionReader) ranges(option string) []netip.Prefix {
	const mapping = 96 // bits before an IPv4 address in IPv6, RFC 4291 section 2.5.5.2
	var ranges []netip.Prefix
	for _, text := range strings.Fields(o.text(option, "")) {
		prefix, err := netip.ParsePrefix(text)
		if address, notAddress := netip.ParseAddr(text); notAddress == nil && address.Zone() == "" {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err == nil && prefix.Addr().Is4In6() {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mapping)
		}
		if err != nil || !prefix.IsValid() {
			o.complain(option, "%q is neither an address nor a range such as 10.0.0.0/8", text)
			continue
		}
		ranges = append(ranges, prefix.Masked())
	}
	slices.SortFunc(ranges, netip.Prefix.Compare)
	return slices.Compact(ranges)
}

// ParseDuration reads a whole number followed by m, h, d, w or y; a year has
// 365 days.
func ParseDuration(text string) (time.Duration, error) {
	units := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': day, 'w': 7 * day, 'y': year}
	if text == "" {
		return 0, fmt.Errorf("is empty: a number followed by m, h, d, w or y is wanted")
	}
	unit, known := units[text[len(text)-1]]
	number, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if !known || err != nil {
		return 0, fmt.Errorf("%q is not a number followed by m, h, d, w or y", text)
	}
	// 200 years keep the product within time.Duration's 292.
	if number > uint64(200*year/unit) {
		return 0, fmt.Errorf("%q is longer than 200 years", text)
	}
	return time.Duration(number) * unit, nil
}

// SpellDuration writes the whole number of the largest unit that fits, as an
// operator would: 9y, 200d, 5h, 12m.
func SpellDuration(d time.Duration) string {
	switch {
	case d >= year:
		return fmt.Sprintf("%dy", d/year)
	case d >= day:
		return fmt.Sprintf("%dd", d/day)
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dm", d/time.Minute)
}
