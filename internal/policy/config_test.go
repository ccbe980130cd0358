// SPDX-License-Identifier: GPL-3.0-only

package policy_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

const day = 24 * time.Hour

func TestParseConfigDefaults(t *testing.T) {
	t.Parallel()
	want := policy.Config{
		CASource:            record.SelfSigned,
		RotationHold:        day,
		CASubject:           pki.Subject{CommonName: "tls-authority k8s"},
		CAKeyType:           pki.ECDSAP256,
		CAValidity:          3650 * day,
		KeyType:             pki.RSA2048,
		CertificateValidity: 90 * day,
		LegacyValidity:      365 * day,
		DeniedOrganizations: []string{"system:masters"},
		DeniedCommonNames:   []string{"client", "system:kube-apiserver", "system:kube-controller-manager", "system:kube-scheduler", "system:admin"},
		AllowWildcards:      true,
		CertificateLimit:    2500,
		StatusPort:          9880,
	}
	for name, options := range map[string]map[string]json.RawMessage{
		"without options":            nil,
		"with options that are null": {"ca-validity": json.RawMessage("null"), "allow-wildcards": json.RawMessage("null"), "certificate-limit": json.RawMessage("null")},
		"with an empty common name":  {"ca-common-name": json.RawMessage(`""`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, problems := policy.ParseConfig(options, "tls-authority", "k8s")
			require.Empty(t, problems)
			require.Equal(t, want, config)
		})
	}
	long, problems := policy.ParseConfig(nil, "tls-authority", strings.Repeat("m", 60))
	require.Empty(t, problems)
	require.Equal(t, "tls-authority", long.CASubject.CommonName, "the name of the model leaves no room for the generation")
}

func TestParseConfigReadsOptions(t *testing.T) {
	t.Parallel()
	config := options(t, map[string]any{
		"ca-common-name": "Root", "ca-organization": "O", "ca-organizational-unit": "OU", "ca-country": "GB",
		"ca-state": "ST", "ca-locality": "L", "ca-email": "ca@example.com", "ca-key-type": "rsa-4096", "ca-validity": "1d",
		"key-type": "ecdsa-p384", "certificate-validity": "90m", "legacy-certificate-validity": "2w",
		"extra_sans": " b.example  10.0.0.1 ", "denied-organizations": "a b", "denied-common-names": "",
		"allowed-domains":   " .Example.com *.bücher.example\tintern. example.com",
		"allowed-ip-ranges": "10.1.2.3/8 192.0.2.1 2001:DB8::1/32 ::ffff:172.16.0.0/108 10.0.0.0/8 ::1",
		"allow-wildcards":   false, "allow-ca-requests": true, "certificate-limit": -1,
		"ca-source": "imported", "ca-secret": "secret:cq1", "rotation-hold": "0m",
		"revoke-on-departure": true, "status-port": 80, "status-url": "http://pki.example.com:9880/ca/",
	})
	var ranges []netip.Prefix
	for _, text := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.0.2.1/32", "::1/128", "2001:db8::/32"} {
		ranges = append(ranges, netip.MustParsePrefix(text))
	}
	require.ElementsMatch(t, ranges, config.AllowedRanges)
	config.AllowedRanges = nil
	require.Equal(t, policy.Config{
		CASource: record.Imported, CASecret: "secret:cq1",
		CASubject: pki.Subject{
			CommonName: "Root", Organization: "O", OrganizationalUnit: "OU", Country: "GB",
			Province: "ST", Locality: "L", Email: "ca@example.com",
		},
		CAKeyType: pki.RSA4096, CAValidity: day, KeyType: pki.ECDSAP384,
		CertificateValidity: 90 * time.Minute, LegacyValidity: 14 * day,
		ExtraSANs:           pki.Names{DNS: []string{"b.example"}, IP: []netip.Addr{netip.MustParseAddr("10.0.0.1")}},
		DeniedOrganizations: []string{"a", "b"}, DeniedCommonNames: []string{},
		AllowedDomains:  []string{"example.com", "intern", "xn--bcher-kva.example"},
		AllowCARequests: true, CertificateLimit: -1,
		RevokeOnDeparture: true, StatusPort: 80, StatusURL: "http://pki.example.com:9880/ca",
	}, config)
}

func TestParseConfigProblems(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		option string
		value  any
		want   string
	}{
		"a validity without a unit":       {"ca-validity", "10", `"10" is not a number followed by m, h, d, w or y`},
		"a validity without a number":     {"ca-validity", "y", `"y" is not a number followed by`},
		"an empty validity":               {"ca-validity", "", "is empty"},
		"a negative validity":             {"ca-validity", "-1y", "is not a number followed by"},
		"a validity in seconds":           {"ca-validity", "60s", "is not a number followed by"},
		"a validity that ends in é":       {"ca-validity", "1é", "is not a number followed by"},
		"a validity that overflows":       {"ca-validity", "4294967295y", "longer than 200 years"},
		"a validity of more than 32 bits": {"ca-validity", "4294967296d", "is not a number followed by"},
		"a CA that is too short":          {"ca-validity", "23h", "23h is not between 1d and 50y"},
		"a CA that is too long":           {"ca-validity", "51y", "51y is not between 1d and 50y"},
		"a leaf that is too short":        {"certificate-validity", "59m", "59m is not between 1h and 10y"},
		"a leaf that is too long":         {"legacy-certificate-validity", "522w", "522w is not between 1h and 10y"},
		"a key type nobody knows":         {"key-type", "ed448", "ed448"},
		"a country of three letters":      {"ca-country", "GBR", "country"},
		"a common name that is too long":  {"ca-common-name", strings.Repeat("n", 63), "longer than 64"},
		"an extra name that is none":      {"extra_sans", "a.example b..c", `"b..c" contains an empty label`},
		"a number for a text":             {"key-type", 7, "is not a string"},
		"a text for a number":             {"certificate-limit", "7", "is not a whole number"},
		"a text for a boolean":            {"allow-wildcards", "yes", "is not true or false"},
		"a limit of none":                 {"certificate-limit", 0, "0 is neither a whole number from 1 on nor -1"},
		"a limit below none":              {"certificate-limit", -2, "-2 is neither"},
		"a limit that is not whole":       {"certificate-limit", 2.5, "2.5 is neither"},
		"a limit beyond reason":           {"certificate-limit", 1e30, "1e+30 is neither"},
		"a domain that is an address":     {"allowed-domains", "10.0.0.1", `"10.0.0.1" is an address: name it in allowed-ip-ranges`},
		"a domain of commas":              {"allowed-domains", "a.example,b.example", "contains a character"},
		"a domain that is all":            {"allowed-domains", "*", "wildcard"},
		"a domain that is a dot":          {"allowed-domains", ".", "empty"},
		"a domain with two wildcards":     {"allowed-domains", "*.*.a.example", "more than one wildcard"},
		"a domain with a partial one":     {"allowed-domains", "*a.example", "wildcard"},
		"a domain with two dots":          {"allowed-domains", "..a.example", "empty label"},
		"a range that is a name":          {"allowed-ip-ranges", "intern", `"intern" is neither an address nor a range`},
		"a range that is too narrow":      {"allowed-ip-ranges", "10.0.0.0/33", "is neither"},
		"a range with a zone":             {"allowed-ip-ranges", "fe80::1%eth0", "is neither"},
		"a range around mapped addresses": {"allowed-ip-ranges", "::ffff:0:0/95", "is neither"},
		"a port that is none":             {"status-port", 65536, "65536 is neither a port nor 0"},
		"a port below none":               {"status-port", -1, "-1 is neither"},
		"a URL without a scheme":          {"status-url", "pki.example.com", "is no URL such as http://pki.example.com"},
		"a URL of TLS":                    {"status-url", "https://pki.example.com", "is no URL such as"},
		"a URL without a host":            {"status-url", "http://:9880", "is no URL such as"},
		"a URL with a password":           {"status-url", "http://a:b@pki.example.com", "has a user"},
		"a URL with a query":              {"status-url", "http://pki.example.com/?a", "has a user, a query"},
		"a URL with a space":              {"status-url", "http://pki.example.com/a b", "printable ASCII"},
		"a URL that is too long":          {"status-url", "http://pki.example.com/" + strings.Repeat("a", 255), "longer than 255"},
		"a range by mask":                 {"allowed-ip-ranges", "10.0.0.0/255.0.0.0", "is neither"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := policy.ParseConfig(raw(t, map[string]any{tc.option: tc.value}), "a", "m")
			require.Len(t, problems, 1)
			require.True(t, strings.HasPrefix(problems[0], tc.option+": "), problems[0])
			require.Contains(t, problems[0], tc.want)
		})
	}
	t.Run("all problems are told at once", func(t *testing.T) {
		t.Parallel()
		_, problems := policy.ParseConfig(raw(t, map[string]any{
			"ca-validity": "x", "key-type": "dsa", "extra_sans": "a..b -c", "certificate-limit": 0,
			"allowed-domains": "* a.example", "allowed-ip-ranges": "10/8", "allow-ca-requests": 1,
			"ca-country": "GBR", "ca-email": "é",
		}), "a", "m")
		require.Len(t, problems, 10)
	})
}

func TestSpellDuration(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{"0m": 0, "59m": time.Hour - 1, "23h": day - 1, "364d": 365*day - 1, "9y": 10*365*day - 1} {
		require.Equal(t, want, policy.SpellDuration(d))
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add("10y", "*.example.com", "10.0.0.0/8", 2500.0)
	f.Add("", "é", "::ffff:0:0/96", -1.5)
	f.Fuzz(func(t *testing.T, validity, domains, ranges string, limit float64) {
		encoded, err := json.Marshal(limit)
		if err != nil {
			return
		}
		options := raw(t, map[string]any{"ca-validity": validity, "allowed-domains": domains, "allowed-ip-ranges": ranges})
		options["certificate-limit"] = encoded
		config, problems := policy.ParseConfig(options, "a", "m")
		if len(problems) > 0 {
			return
		}
		require.GreaterOrEqual(t, config.CAValidity, day)
		require.True(t, config.CertificateLimit == -1 || config.CertificateLimit > 0)
		require.Equal(t, len(strings.Fields(domains)) > 0, len(config.AllowedDomains) > 0, "a restriction is lost")
		require.Equal(t, len(strings.Fields(ranges)) > 0, len(config.AllowedRanges) > 0, "a restriction is lost")
	})
}

// TestConfigYAMLAgrees compares what the operator reads with what is read: an
// option of one that the other lacks, has of another type or with another
// default, would be a promise that is not kept.
func TestConfigYAMLAgrees(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../config.yaml")
	require.NoError(t, err)
	var file struct {
		Options map[string]struct {
			Type        string
			Default     any
			Description string
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))

	types, defaults := map[string]string{}, map[string]any{}
	for name, option := range file.Options {
		types[name], defaults[name] = option.Type, option.Default
		require.NotEmpty(t, option.Description, name)
	}
	require.Equal(t, optionsInCode(t), types)

	unset, problems := policy.ParseConfig(nil, "tls-authority", "k8s")
	require.Empty(t, problems)
	set, problems := policy.ParseConfig(raw(t, defaults), "tls-authority", "k8s")
	require.Empty(t, problems)
	require.Equal(t, unset, set)
}

// optionsInCode finds each call of a method of optionReader in ParseConfig,
// the name of the option that it reads, and the type that it wants.
func optionsInCode(t *testing.T) map[string]string {
	t.Helper()
	types := map[string]string{"boolean": "boolean", "limit": "int", "port": "int", "secret": "secret"}
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, 0)
	require.NoError(t, err)
	found := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		call, isCall := node.(*ast.CallExpr)
		if !isCall {
			return true
		}
		method, isMethod := call.Fun.(*ast.SelectorExpr)
		if !isMethod || fmt.Sprint(method.X) != "o" || method.Sel.Name == "complain" || method.Sel.Name == "checkSubject" {
			return true
		}
		name, err := strconv.Unquote(call.Args[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		found[name] = types[method.Sel.Name]
		if found[name] == "" {
			found[name] = "string"
		}
		return true
	})
	return found
}
