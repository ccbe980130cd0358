// SPDX-License-Identifier: GPL-3.0-only

package policy_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
	"tls-authority/internal/tlscertificates"
)

func TestCheckNames(t *testing.T) {
	t.Parallel()
	const (
		fine     = tlscertificates.ErrorCode(0)
		address  = tlscertificates.IPNotAllowed
		domain   = tlscertificates.DomainNotAllowed
		wildcard = tlscertificates.WildcardNotAllowed
	)
	named := func(texts ...string) pki.Names {
		names, problems := pki.ParseNames(texts)
		require.Empty(t, problems)
		return names
	}
	called := func(commonName string) pki.Template {
		return pki.Template{Profile: pki.Server, Subject: pki.Subject{CommonName: commonName}}
	}
	open := map[string]any{}
	closed := map[string]any{"allowed-domains": "example.com kubernetes", "allowed-ip-ranges": "10.0.0.0/8 2001:db8::1", "allow-wildcards": false}
	wild := map[string]any{"allowed-domains": "example.com"}
	ranges := map[string]any{"allowed-ip-ranges": "10.0.0.0/8"}
	tests := map[string]struct {
		options  map[string]any
		template pki.Template
		want     tlscertificates.ErrorCode
	}{
		"without options any name is allowed":                        {open, pki.Template{Names: named("a", "*.b.org", "192.0.2.1")}, fine},
		"without options any common name is allowed":                 {open, called("*.b.org"), fine},
		"a domain stands for itself":                                 {closed, pki.Template{Names: named("example.com")}, fine},
		"a domain stands for all names below it":                     {closed, pki.Template{Names: named("a.b.example.com")}, fine},
		"a domain does not stand for names that end like it":         {closed, pki.Template{Names: named("badexample.com")}, domain},
		"a domain does not stand for the one above it":               {closed, pki.Template{Names: named("com")}, domain},
		"a domain at the wrong end is outside":                       {closed, pki.Template{Names: named("example.com.evil.org")}, domain},
		"one name outside is enough":                                 {closed, pki.Template{Names: named("a.example.com", "b.evil.org")}, domain},
		"a single label that is listed is allowed":                   {closed, pki.Template{Names: named("kubernetes")}, fine},
		"names below a single label that is listed are allowed":      {closed, pki.Template{Names: named("default.kubernetes")}, fine},
		"a single label that is not listed is outside":               {closed, pki.Template{Names: named("localhost")}, domain},
		"an address within a range is allowed":                       {closed, pki.Template{Names: named("10.255.0.1")}, fine},
		"an address that is listed is allowed":                       {closed, pki.Template{Names: named("2001:db8::1")}, fine},
		"an address outside is refused":                              {closed, pki.Template{Names: named("2001:db8::2")}, address},
		"a mapped address is the address of IPv4":                    {closed, pki.Template{Names: pki.Names{IP: []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1")}}}, address},
		"a mapped address within is allowed":                         {closed, pki.Template{Names: pki.Names{IP: []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.1")}}}, fine},
		"an address among the DNS names is judged as an address":     {closed, pki.Template{Names: pki.Names{DNS: []string{"192.0.2.1"}}}, address},
		"an allowed address among the DNS names needs no domain":     {closed, pki.Template{Names: pki.Names{DNS: []string{"10.0.0.1"}}}, fine},
		"domains do not limit addresses":                             {wild, pki.Template{Names: named("192.0.2.1")}, fine},
		"ranges do not limit names":                                  {ranges, pki.Template{Names: named("a.evil.org")}, fine},
		"a number that resolvers take for an address is refused":     {ranges, pki.Template{Names: named("0x7f000001")}, address},
		"a common name like an address is refused":                   {ranges, called("0300.0.2.1"), address},
		"a wildcard where wildcards are off is refused":              {closed, pki.Template{Names: named("*.a.example.com")}, wildcard},
		"a wildcard that covers a domain within is allowed":          {wild, pki.Template{Names: named("*.example.com")}, fine},
		"a wildcard that covers a domain above is refused":           {map[string]any{"allowed-domains": "a.example.com"}, pki.Template{Names: named("*.example.com")}, domain},
		"a wildcard common name is a wildcard":                       {closed, called("*.example.com"), wildcard},
		"a wildcard common name outside is refused":                  {wild, called("*.com"), domain},
		"a partial wildcard common name is a wildcard":               {closed, called("web*.example.com"), wildcard},
		"a partial wildcard common name outside is refused":          {wild, called("example.com*.evil.org"), domain},
		"a wildcard for everything is refused":                       {wild, called("*"), domain},
		"a host as common name is judged":                            {closed, called("www.evil.org"), domain},
		"a host as common name in other spelling is judged":          {closed, called(" WWW.evil.org. "), domain},
		"an allowed host as common name in other spelling":           {closed, called("WWW.Example.COM."), fine},
		"an address as common name is judged":                        {closed, called("[2001:db8::2]"), address},
		"an address with a zone as common name is judged":            {closed, called("fe80::1%eth0"), address},
		"an allowed address as common name":                          {closed, called("10.0.0.1"), fine},
		"an identity is no name":                                     {closed, called("system:kube-apiserver"), fine},
		"an identity with a host in it is no name":                   {closed, called("system:node:ip-10-0-0-1.evil.org"), fine},
		"a name for people is no name of a host":                     {closed, called("Release 1.2 of the evil.org team"), fine},
		"the host of an e-mail address is judged":                    {closed, pki.Template{Names: pki.Names{Email: []string{"a@evil.org"}}}, domain},
		"an e-mail address within is allowed":                        {closed, pki.Template{Names: pki.Names{Email: []string{"a@example.com"}}}, fine},
		"an e-mail address in the subject is judged":                 {closed, pki.Template{Subject: pki.Subject{Email: `"a b"@evil.org`}}, domain},
		"an address as host of an e-mail address is judged":          {closed, pki.Template{Subject: pki.Subject{Email: "a@[192.0.2.1]"}}, address},
		"the trust domain of a spiffe identifier is judged":          {closed, pki.Template{Names: pki.Names{URI: []string{"spiffe://evil.org/a@example.com"}}}, domain},
		"a trust domain within is allowed":                           {closed, pki.Template{Names: pki.Names{URI: []string{"spiffe://example.com/ns/a"}}}, fine},
		"a registered identifier is no name":                         {closed, pki.Template{Names: pki.Names{RegisteredID: []string{"1.2.3"}}}, fine},
		"an organization is no name":                                 {closed, pki.Template{Subject: pki.Subject{Organization: "evil.org"}}, fine},
		"a subject that cannot be encoded is refused":                {closed, pki.Template{Subject: pki.Subject{Raw: []byte{1}}}, tlscertificates.Other},
		"an intermediate CA with a name for people is none of these": {closed, called("Team A intermediate"), fine},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := options(t, tc.options).CheckNames(tc.template)
			if tc.want == fine {
				require.Nil(t, r)
				return
			}
			require.NotNil(t, r)
			require.Equal(t, tc.want, r.Code, r.Message)
		})
	}
}

func TestRefusalNamesTheOption(t *testing.T) {
	t.Parallel()
	config := options(t, map[string]any{"allowed-domains": "example.com"})
	r := config.CheckNames(pki.Template{Names: pki.Names{DNS: []string{"a.evil.org"}}})
	require.NotNil(t, r)
	require.Equal(t, `the name "a.evil.org" is outside the option allowed-domains`, r.Message)
	require.Equal(t, r.Message, r.Reason)
	require.Equal(t, tlscertificates.RequestError{CSR: "csr", Code: 102, Message: r.Message, Reason: r.Reason}, r.Answer("csr"))
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	require.JSONEq(t, `{"supports_ip_sans":true,"supports_wildcard_dns":true,"supports_subdomain":true,
		"supports_ca_certificates":false,"provider_type":"tls-authority"}`,
		tlscertificates.EncodeCapabilities(options(t, nil).Capabilities()))
	require.JSONEq(t, `{"supports_ip_sans":true,"supports_wildcard_dns":false,"supports_subdomain":true,
		"supports_ca_certificates":true,"allowed_domains":["a.org","example.com"],"provider_type":"tls-authority"}`,
		tlscertificates.EncodeCapabilities(options(t, map[string]any{
			"allowed-domains": "*.example.com a.org", "allow-wildcards": false, "allow-ca-requests": true,
		}).Capabilities()))
}
