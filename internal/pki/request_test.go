// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

var (
	oidServer      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}
	oidClient      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
	oidCodeSigning = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}
	oidOCSPSigning = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 9}
	oidAnyUsage    = asn1.ObjectIdentifier{2, 5, 29, 37, 0}
)

func TestParseCertificateRequest(t *testing.T) {
	t.Parallel()
	key := newECDSA(t, elliptic.P256())
	spiffe, err := url.Parse("spiffe://cluster.local/ns/db")
	require.NoError(t, err)
	text := requestBy(t, key, x509.CertificateRequest{
		Subject:        pkix.Name{CommonName: "DB.example", Organization: []string{"Data"}},
		DNSNames:       []string{"b.example", "A.example.", "a.example", "10.0.0.7"},
		IPAddresses:    []net.IP{net.ParseIP("10.0.0.1"), net.ParseIP("2001:db8::1")},
		EmailAddresses: []string{"root@DB.example"},
		URIs:           []*url.URL{spiffe},
		ExtraExtensions: []pkix.Extension{
			eku(t, oidServer),
			{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 1, 6}},
			{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}},
		},
	})
	got, err := pki.ParseCertificateRequest(text)
	require.NoError(t, err)
	parsed, err := pki.ParseCertificateRequest("\r\n" + strings.ReplaceAll(text, "\n", "\r\n"))
	require.NoError(t, err)
	require.Equal(t, got, parsed)

	require.True(t, pki.SamePublicKey(key.Public(), got.PublicKey))
	require.Equal(t, []string{"DB.example"}, got.CommonNames)
	require.Equal(t, []string{"Data"}, got.Organizations)
	require.Nil(t, got.OrganizationalUnits)
	require.Equal(t, pki.Names{
		DNS:   []string{"10.0.0.7", "a.example", "b.example", "db.example"},
		IP:    []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("2001:db8::1")},
		Email: []string{"root@db.example"},
		URI:   []string{"spiffe://cluster.local/ns/db"},
	}, got.Names)
	require.Equal(t, pki.ServerAuth, got.Usage)
	require.False(t, got.AsksCA)
	requireIssuable(t, got)
}

func TestRequestText(t *testing.T) {
	t.Parallel()
	text := newRequest(t).encode(t)
	for title, accepted := range map[string]string{
		"as encoded":          text,
		"no final newline":    strings.TrimSuffix(text, "\n"),
		"crlf line ends":      strings.ReplaceAll(text, "\n", "\r\n"),
		"white space around":  " \t\r\n" + text + "\n\n \t",
		"the old label":       strings.ReplaceAll(text, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
		"exactly 16 kilobyte": text + strings.Repeat("\n", 16<<10-len(text)),
	} {
		t.Run("accepts "+title, func(t *testing.T) {
			t.Parallel()
			_, err := pki.ParseCertificateRequest(accepted)
			require.NoError(t, err)
		})
	}
	trailing := newRequest(t)
	trailing.after = []byte{5, 0}
	for title, c := range map[string]struct{ text, reason string }{
		"nothing":                   {"", "empty text"},
		"garbage":                   {"banana", "does not begin with a PEM block"},
		"two requests":              {text + text, "more than one PEM block"},
		"a certificate before":      {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + text, "more than one PEM block"},
		"a broken block before":     {"-----BEGIN CERTIFICATE REQUEST-----\n!\n" + text, "more than one PEM block"},
		"text before":               {"Subject: CN=a\n" + text, "does not begin with a PEM block"},
		"text after":                {text + "trailing", "text after the PEM block"},
		"a nul after":               {text + "\x00", "text after the PEM block"},
		"headers":                   {strings.Replace(text, "-----\n", "-----\nA: b\n\n", 1), "the PEM block has headers"},
		"a certificate":             {strings.ReplaceAll(text, "CERTIFICATE REQUEST", "CERTIFICATE"), `PEM block is a "CERTIFICATE"`},
		"a private key":             {strings.ReplaceAll(text, "CERTIFICATE REQUEST", "PRIVATE KEY"), `PEM block is a "PRIVATE KEY"`},
		"more than 16 kilobyte":     {text + strings.Repeat("\n", 16<<10-len(text)+1), "longer than 16384 bytes"},
		"base64 of something else":  {requestPEM([]byte("hello")), "malformed"},
		"an empty block":            {requestPEM(nil), "malformed"},
		"bytes after the structure": {trailing.encode(t), "trailing data"},
	} {
		t.Run("refuses "+title, func(t *testing.T) {
			t.Parallel()
			got, err := pki.ParseCertificateRequest(c.text)
			require.ErrorIs(t, err, pki.ErrBadRequest)
			require.ErrorContains(t, err, "cannot accept certificate request: ")
			require.ErrorContains(t, err, c.reason)
			require.Nil(t, got)
		})
	}
}

// TestRequestKeys makes requests with crypto/x509; TestRequestsByOpenSSL has
// the kinds that it cannot make.
func TestRequestKeys(t *testing.T) {
	t.Parallel()
	for title, key := range map[string]crypto.Signer{
		"rsa 2048": signerOf(t, rsa2048()),
		"rsa 3072": signerOf(t, rsa3072()),
		"rsa 4096": signerOf(t, rsa4096()),
		"p-256":    newECDSA(t, elliptic.P256()),
		"p-384":    newECDSA(t, elliptic.P384()),
		"p-521":    newECDSA(t, elliptic.P521()),
		"ed25519":  newEd25519(t),
	} {
		t.Run("accepts "+title, func(t *testing.T) {
			t.Parallel()
			got, err := pki.ParseCertificateRequest(requestBy(t, key, x509.CertificateRequest{}))
			require.NoError(t, err)
			require.True(t, pki.SamePublicKey(key.Public(), got.PublicKey))
		})
	}
	rsa1024, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	for title, c := range map[string]struct {
		key    crypto.Signer
		reason string
	}{
		"rsa 1024": {rsa1024, "RSA key has 1024 bits: want 2048 to 4096"},
		"p-224":    {newECDSA(t, elliptic.P224()), "ECDSA key is not on P-256, P-384 or P-521"},
	} {
		t.Run("refuses "+title, func(t *testing.T) {
			t.Parallel()
			_, err := pki.ParseCertificateRequest(requestBy(t, c.key, x509.CertificateRequest{}))
			require.EqualError(t, err, "cannot accept certificate request: "+c.reason)
			require.ErrorIs(t, err, pki.ErrBadRequest)
		})
	}
}

// TestRequestKeysWithoutPrivateHalf needs no private key: the key policy comes
// before the signature, so a wrong signature must not be what is reported.
func TestRequestKeysWithoutPrivateHalf(t *testing.T) {
	t.Parallel()
	good := signerOf(t, rsa2048()).Public().(*rsa.PublicKey)
	for title, c := range map[string]struct {
		key    rsa.PublicKey
		reason string
	}{
		"exponent 3":  {rsa.PublicKey{N: good.N, E: 3}, "RSA key has a public exponent other than 65537"},
		"8192 bits":   {rsa.PublicKey{N: new(big.Int).Lsh(good.N, 6144), E: 65537}, "RSA key has 8192 bits"},
		"2049 bits":   {rsa.PublicKey{N: new(big.Int).Lsh(good.N, 1), E: 65537}, "RSA key has 2049 bits"},
		"4104 bits":   {rsa.PublicKey{N: new(big.Int).Lsh(good.N, 2056), E: 65537}, "RSA key has 4104 bits"},
		"2040 bits":   {rsa.PublicKey{N: new(big.Int).Rsh(good.N, 8), E: 65537}, "RSA key has 2040 bits"},
		"a good size": {rsa.PublicKey{N: new(big.Int).Add(good.N, big.NewInt(2)), E: 65537}, "its signature was not made with its key"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t)
			r.claims = &c.key
			r.algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11} // sha256WithRSAEncryption
			_, err := pki.ParseCertificateRequest(r.encode(t))
			require.ErrorIs(t, err, pki.ErrBadRequest)
			require.ErrorContains(t, err, c.reason)
		})
	}
}

func TestRequestSignatures(t *testing.T) {
	t.Parallel()
	rsaKey, ecKey := signerOf(t, rsa2048()), newECDSA(t, elliptic.P256())
	for _, algorithm := range []x509.SignatureAlgorithm{
		x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
	} {
		t.Run("accepts "+algorithm.String(), func(t *testing.T) {
			t.Parallel()
			key := rsaKey
			if strings.HasPrefix(algorithm.String(), "ECDSA") {
				key = ecKey
			}
			_, err := pki.ParseCertificateRequest(requestBy(t, key, x509.CertificateRequest{SignatureAlgorithm: algorithm}))
			require.NoError(t, err)
		})
	}
	for key, algorithm := range map[crypto.Signer]x509.SignatureAlgorithm{
		rsaKey: x509.SHA1WithRSA, ecKey: x509.ECDSAWithSHA1,
	} {
		t.Run("refuses "+algorithm.String(), func(t *testing.T) {
			t.Parallel()
			_, err := pki.ParseCertificateRequest(requestBy(t, key, x509.CertificateRequest{SignatureAlgorithm: algorithm}))
			require.EqualError(t, err,
				"cannot accept certificate request: its signature algorithm "+algorithm.String()+" is not accepted")
		})
	}
	t.Run("refuses a damaged signature", func(t *testing.T) {
		t.Parallel()
		r := newRequest(t)
		r.damage = true
		_, err := pki.ParseCertificateRequest(r.encode(t))
		require.EqualError(t, err, "cannot accept certificate request: its signature was not made with its key")
	})
}

// TestRequestsByOpenSSL has what crypto/x509 does not write.
func TestRequestsByOpenSSL(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeFile(t, folder, "rsa.pem", string(rsa2048().EncodePEM()))
	generate := func(algorithm string, options ...string) []string {
		return append([]string{"genpkey", "-algorithm", algorithm, "-out", "key.pem"}, options...)
	}
	for title, c := range map[string]struct {
		key    []string // makes key.pem; rsa.pem without it
		then   []string // remakes key.pem
		sign   []string
		reason string // "" for a good request
	}{
		"rsa with sha-256": {reason: ""},
		"rsa with md5":     {sign: []string{"-md5"}, reason: "its signature algorithm MD5-RSA is not accepted"},
		"rsa with sha-1":   {sign: []string{"-sha1"}, reason: "its signature algorithm SHA1-RSA is not accepted"},
		"rsa with sha-224": {sign: []string{"-sha224"}, reason: "its signature algorithm is unknown"},
		"pss with a long salt": {
			sign:   []string{"-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:max"},
			reason: "RSA-PSS with a salt not as long as the digest",
		},
		"pss with a usual salt": {sign: []string{"-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"}},
		"a pss key":             {key: generate("RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"), reason: "its signature algorithm is unknown"},
		"secp256k1":             {key: generate("EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"), reason: "unsupported elliptic curve"},
		"explicit parameters":   {key: generate("EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"), reason: "malformed"},
		"a compressed point": {
			key:    generate("EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
			then:   []string{"ec", "-in", "key.pem", "-conv_form", "compressed", "-out", "key.pem"},
			reason: "malformed",
		},
		"p-256 by openssl":   {key: generate("EC", "-pkeyopt", "ec_paramgen_curve:P-256")},
		"ed25519 by openssl": {key: generate("ED25519")},
		"ed448":              {key: generate("ED448"), reason: "its signature algorithm is unknown"},
		"dsa": {
			key:    []string{"genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:1024", "-out", "dsa.pem"},
			then:   []string{"genpkey", "-paramfile", "dsa.pem", "-out", "key.pem"},
			reason: "its signature algorithm DSA-SHA256 is not accepted",
		},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			folder, key := t.TempDir(), filepath.Join(folder, "rsa.pem")
			for _, command := range [][]string{c.key, c.then} {
				if command != nil {
					key = "key.pem"
					output, err := openssl(t, folder, command...)
					require.NoError(t, err, output)
				}
			}
			args := append([]string{"req", "-new", "-subj", "/CN=db.example", "-out", "csr.pem", "-key", key}, c.sign...)
			output, err := openssl(t, folder, args...)
			require.NoError(t, err, output)
			text, err := os.ReadFile(filepath.Join(folder, "csr.pem"))
			require.NoError(t, err)

			_, err = pki.ParseCertificateRequest(string(text))
			if c.reason == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, pki.ErrBadRequest)
			require.ErrorContains(t, err, c.reason)
		})
	}
}

func TestRequestStructure(t *testing.T) {
	t.Parallel()
	challenge := attribute{oidChallengePassword, []asn1.RawValue{text(asn1.TagUTF8String, "secret")}}
	microsoft := attribute{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 14}, []asn1.RawValue{{FullBytes: marshal(t, []pkix.Extension{
		san(t, dns("ignored.example")...),
	})}}}
	requested := extensionRequest(t, san(t, dns("a.example")...))
	empty := attribute{oidExtensionRequest, []asn1.RawValue{}}

	for title, attributes := range map[string][]attribute{
		"no attributes":             nil,
		"an extension request":      {requested},
		"other attributes":          {challenge, requested, microsoft},
		"an empty list of requests": {empty},
		"an empty list and another": {empty, requested},
	} {
		t.Run("accepts "+title, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t)
			r.attributes = attributes
			got, err := pki.ParseCertificateRequest(r.encode(t))
			require.NoError(t, err)
			require.NotContains(t, got.Names.DNS, "ignored.example")
		})
	}
	several := requested
	several.Values = append(several.Values, several.Values[0])
	for title, attributes := range map[string][]attribute{
		"two extension requests":    {requested, extensionRequest(t, eku(t, oidServer))},
		"two values in one":         {several},
		"an extension twice":        {extensionRequest(t, san(t, dns("a")...), san(t, dns("b")...))},
		"a request that is no list": {{oidExtensionRequest, []asn1.RawValue{text(asn1.TagUTF8String, "x")}}},
	} {
		t.Run("refuses "+title, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t)
			r.attributes = attributes
			_, err := pki.ParseCertificateRequest(r.encode(t))
			require.ErrorIs(t, err, pki.ErrBadRequest)
		})
	}
	for _, version := range []int{1, 5, -1} {
		r := newRequest(t)
		r.version = version
		_, err := pki.ParseCertificateRequest(r.encode(t))
		require.EqualError(t, err, "cannot accept certificate request: its version is not 0")
	}
}

// TestRequestNames has the general names that a request may and may not have.
func TestRequestNames(t *testing.T) {
	t.Parallel()
	fill := func(count int) []asn1.RawValue {
		var list []asn1.RawValue
		for n := range count {
			list = append(list, general(2, fmt.Sprintf("n%d.example", n)))
		}
		return list
	}
	rid := string(marshal(t, asn1.ObjectIdentifier{1, 2, 3, 4})[2:])
	for title, c := range map[string]struct {
		asked []asn1.RawValue
		want  []string // beside DNS:db.example of the common name
	}{
		"no names":                   {nil, nil},
		"dns names":                  {dns("B.example", "a_b.example.", "*.c.example"), []string{"DNS:*.c.example", "DNS:a_b.example", "DNS:b.example"}},
		"the common name again":      {dns("db.example"), nil},
		"empty names":                {[]asn1.RawValue{general(1, ""), general(2, ""), general(6, ""), general(2, "a")}, []string{"DNS:a"}},
		"an address text":            {dns("10.0.0.1"), []string{"DNS:10.0.0.1", "IP:10.0.0.1"}},
		"an ipv6 text":               {dns("2001:DB8::0:1"), []string{"DNS:2001:db8::0:1", "IP:2001:db8::1"}},
		"a mapped ipv4 text":         {dns("::ffff:10.0.0.1"), []string{"DNS:::ffff:10.0.0.1", "IP:10.0.0.1"}},
		"addresses":                  {[]asn1.RawValue{general(7, "\x0a\x00\x00\x01"), general(7, string(net.ParseIP("::1")))}, []string{"IP:10.0.0.1", "IP:::1"}},
		"a mapped address":           {[]asn1.RawValue{general(7, string(net.ParseIP("10.0.0.1").To16()))}, []string{"IP:10.0.0.1"}},
		"an e-mail":                  {[]asn1.RawValue{general(1, "x@Y.example")}, []string{"email:x@y.example"}},
		"a spiffe uri":               {[]asn1.RawValue{general(6, "spiffe://a.example/b")}, []string{"URI:spiffe://a.example/b"}},
		"a registered identifier":    {[]asn1.RawValue{general(8, rid)}, []string{"RID:1.2.3.4"}},
		"250 names":                  {fill(249), nil},
		"250 different among others": {append(fill(249), fill(200)...), nil},
	} {
		t.Run("accepts "+title, func(t *testing.T) {
			t.Parallel()
			got, err := pki.ParseCertificateRequest(newRequest(t).withExtensions(t, san(t, c.asked...)).encode(t))
			require.NoError(t, err)
			if c.want == nil && len(c.asked) > 200 {
				require.Equal(t, 250, got.Names.Len())
				return
			}
			want, err := pki.NamesFromTexts(append(c.want, "DNS:db.example"))
			require.NoError(t, err)
			require.Equal(t, want, got.Names)
			requireIssuable(t, got)
		})
	}

	constructed := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, IsCompound: true, Bytes: []byte{0x82, 1, 'a'}}
	directory := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: commonName(t, "a")}
	other := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(marshal(t, oidCN), 0xa0, 2, 5, 0)}
	unknown := "is none of DNS name, address, e-mail, URI and registered identifier"
	for title, c := range map[string]struct {
		asked  asn1.RawValue
		reason string
	}{
		"an other name":              {other, unknown},
		"a directory name":           {directory, unknown},
		"an x.400 address":           {general(3, "x"), unknown},
		"an edi party":               {general(5, "x"), unknown},
		"a constructed dns name":     {constructed, unknown},
		"a name of another class":    {text(2, "a"), unknown},
		"a nul in a dns name":        {general(2, "a\x00b"), `alternative name "a\x00b" contains a control character`},
		"a newline in a dns name":    {general(2, "a\n"), "contains a control character"},
		"a space in a dns name":      {general(2, "a b"), "contains a space"},
		"a slash in a dns name":      {general(2, "a/b"), "contains a character that host names do not have"},
		"a dns name of 300 octets":   {general(2, longName(299)), "is longer than 253 octets"},
		"a lone wildcard":            {general(2, "*"), "contains a wildcard"},
		"an address with a zone":     {general(2, "fe80::1%1"), "contains a character"},
		"nearly an address":          {general(2, "010.0.0.1"), "looks like an address but is none"},
		"eight bits in a dns name":   {general(2, "b\xfccher"), "malformed"},
		"an address of three octets": {general(7, "\x0a\x00\x00"), "malformed"},
		"an e-mail without a host":   {general(1, "root"), "is not an e-mail address"},
		"an e-mail with a nul":       {general(1, "a\x00@b"), "is not an e-mail address"},
		"an https uri":               {general(6, "https://a.example/"), "is not a spiffe URI"},
		"a uri with a bad host":      {general(6, "https://a..b/"), "malformed"},
		"a spiffe uri with a query":  {general(6, "spiffe://a/b?c"), "has no valid path"},
		"a broken identifier":        {general(8, "\x80"), "is not an object identifier"},
	} {
		t.Run("refuses "+title, func(t *testing.T) {
			t.Parallel()
			names := append(dns("good.example"), c.asked)
			_, err := pki.ParseCertificateRequest(newRequest(t).withExtensions(t, san(t, names...)).encode(t))
			require.ErrorIs(t, err, pki.ErrBadRequest)
			require.ErrorContains(t, err, c.reason)
		})
	}
	for title, extension := range map[string]pkix.Extension{
		"251 names":                {Id: oidSAN, Value: marshal(t, fill(250))},
		"names that are no list":   {Id: oidSAN, Value: []byte{2, 1, 1}},
		"bytes after the names":    {Id: oidSAN, Value: append(marshal(t, dns("a")), 5, 0)},
		"a name that is cut":       {Id: oidSAN, Value: []byte{0x30, 3, 0x82, 5, 'a'}},
		"an indefinite length":     {Id: oidSAN, Value: []byte{0x30, 0x80, 0, 0}},
		"no bytes where names are": {Id: oidSAN, Value: nil},
	} {
		t.Run("refuses "+title, func(t *testing.T) {
			t.Parallel()
			_, err := pki.ParseCertificateRequest(newRequest(t).withExtensions(t, extension).encode(t))
			require.ErrorIs(t, err, pki.ErrBadRequest)
		})
	}
}

func TestRequestIdentity(t *testing.T) {
	t.Parallel()
	rid := general(8, string(marshal(t, asn1.ObjectIdentifier{1, 2, 3})[2:]))
	anonymous := newRequest(t)
	anonymous.subject = name(t)

	got, err := pki.ParseCertificateRequest(anonymous.withExtensions(t, san(t, dns("a.example")...)).encode(t))
	require.NoError(t, err)
	require.Equal(t, []byte{0x30, 0}, got.Subject.Raw)
	requireIssuable(t, got)

	for title, extension := range map[string]pkix.Extension{
		"no extension":                   eku(t, oidServer),
		"an empty list of names":         san(t),
		"nothing but empty names":        san(t, general(2, ""), general(1, "")),
		"nothing but registered numbers": san(t, rid),
	} {
		t.Run("refuses an empty subject and "+title, func(t *testing.T) {
			t.Parallel()
			_, err := pki.ParseCertificateRequest(anonymous.withExtensions(t, extension).encode(t))
			require.EqualError(t, err, "cannot accept certificate request: neither a subject nor an alternative name")
			require.ErrorIs(t, err, pki.ErrBadRequest)
		})
	}

	for title, c := range map[string]struct {
		commonName string
		want       []string
	}{
		"a host name":         {"Host.example", []string{"DNS:host.example"}},
		"an address":          {"10.0.0.1", []string{"IP:10.0.0.1"}},
		"an ipv6 address":     {"2001:DB8::1", []string{"IP:2001:db8::1"}},
		"a wildcard":          {"*.db.example", []string{"DNS:*.db.example"}},
		"an idn":              {"bücher.example", []string{"DNS:xn--bcher-kva.example"}},
		"a kubernetes user":   {"system:kubelet", []string{}},
		"a person":            {"Ada Lovelace", []string{}},
		"a name with a slash": {"a/b", []string{}},
	} {
		t.Run("takes the name out of a common name that is "+title, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t)
			r.subject = commonName(t, c.commonName)
			got, err := pki.ParseCertificateRequest(r.encode(t))
			require.NoError(t, err)
			require.Equal(t, c.want, got.Names.Texts())
			require.Equal(t, []string{c.commonName}, got.CommonNames)
			requireIssuable(t, got)
		})
	}
}

func TestRequestUsage(t *testing.T) {
	t.Parallel()
	both := pki.ServerAuth | pki.ClientAuth
	for title, c := range map[string]struct {
		extensions []pkix.Extension
		want       pki.Usage
	}{
		"no usage":                     {nil, both},
		"server":                       {[]pkix.Extension{eku(t, oidServer)}, pki.ServerAuth},
		"client":                       {[]pkix.Extension{eku(t, oidClient)}, pki.ClientAuth},
		"both":                         {[]pkix.Extension{eku(t, oidClient, oidServer, oidClient)}, both},
		"client beside dangerous ones": {[]pkix.Extension{eku(t, oidOCSPSigning, oidClient, oidAnyUsage, oidCodeSigning)}, pki.ClientAuth},
	} {
		t.Run("accepts "+title, func(t *testing.T) {
			t.Parallel()
			got, err := pki.ParseCertificateRequest(newRequest(t).withExtensions(t, c.extensions...).encode(t))
			require.NoError(t, err)
			require.Equal(t, c.want, got.Usage)
			requireIssuable(t, got)
		})
	}
	for title, extension := range map[string]pkix.Extension{
		"code signing":    eku(t, oidCodeSigning),
		"ocsp signing":    eku(t, oidOCSPSigning),
		"any":             eku(t, oidAnyUsage),
		"an empty list":   eku(t),
		"no list":         {Id: oidEKU, Value: []byte{5, 0}},
		"something after": {Id: oidEKU, Value: append(marshal(t, []asn1.ObjectIdentifier{oidServer}), 5, 0)},
	} {
		t.Run("refuses "+title, func(t *testing.T) {
			t.Parallel()
			_, err := pki.ParseCertificateRequest(newRequest(t).withExtensions(t, extension).encode(t))
			require.ErrorIs(t, err, pki.ErrBadRequest)
			require.ErrorContains(t, err, "extended key usage")
		})
	}
}

func TestRequestThatAsksToBeACA(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"\x30\x00": false, "\x30\x03\x01\x01\x00": false,
		"\x30\x03\x01\x01\xff": true, "\x30\x06\x01\x01\xff\x02\x01\x00": true,
	} {
		r := newRequest(t).withExtensions(t, pkix.Extension{Id: oidBC, Critical: true, Value: []byte(value)})
		got, err := pki.ParseCertificateRequest(r.encode(t))
		require.NoError(t, err)
		require.Equal(t, want, got.AsksCA)
		requireIssuable(t, got) // which proves that the certificate is none
	}
	for _, value := range []string{"", "\x05\x00", "\x30\x03\x01\x01", "\x30\x00\x05\x00", "\x30\x03\x01\x01\x01"} {
		r := newRequest(t).withExtensions(t, pkix.Extension{Id: oidBC, Value: []byte(value)})
		_, err := pki.ParseCertificateRequest(r.encode(t))
		require.EqualError(t, err, "cannot accept certificate request: the basic constraints are malformed")
	}
}

func TestRefusalsAreShortAndOnOneLine(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		newRequest(t).withExtensions(t, san(t, general(2, strings.Repeat("a\n", 5000)))).encode(t),
		newRequest(t).withExtensions(t, san(t, general(6, "http://a b/"+strings.Repeat("\n", 5000)))).encode(t),
		strings.ReplaceAll(newRequest(t).encode(t), "CERTIFICATE REQUEST", strings.Repeat("X", 3000)),
	} {
		_, err := pki.ParseCertificateRequest(text)
		require.ErrorIs(t, err, pki.ErrBadRequest)
		require.Less(t, len(err.Error()), 400)
		require.NotContains(t, err.Error(), "\n")
	}
}
