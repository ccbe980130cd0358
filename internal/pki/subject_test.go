// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

func TestSubjectEncode(t *testing.T) {
	t.Parallel()
	t.Run("fields come in a fixed order and in the right type of text", func(t *testing.T) {
		t.Parallel()
		der, err := pki.Subject{
			CommonName: "a_b", Organization: "Bücher", OrganizationalUnit: "IT", Country: "DE",
			Province: "Berlin", Locality: "Mitte", Email: "ca@a.example",
		}.Encode()
		require.NoError(t, err)
		require.Equal(t, name(t,
			attributeTypeAndValue{oidC, text(asn1.TagPrintableString, "DE")},
			attributeTypeAndValue{asn1.ObjectIdentifier{2, 5, 4, 8}, text(asn1.TagPrintableString, "Berlin")},
			attributeTypeAndValue{asn1.ObjectIdentifier{2, 5, 4, 7}, text(asn1.TagPrintableString, "Mitte")},
			attributeTypeAndValue{oidO, text(asn1.TagUTF8String, "Bücher")},
			attributeTypeAndValue{oidOU, text(asn1.TagPrintableString, "IT")},
			attributeTypeAndValue{oidCN, text(asn1.TagUTF8String, "a_b")},
			attributeTypeAndValue{oidMail, text(asn1.TagIA5String, "ca@a.example")},
		), der)
	})
	t.Run("an empty subject is an empty sequence", func(t *testing.T) {
		t.Parallel()
		der, err := pki.Subject{}.Encode()
		require.NoError(t, err)
		require.Equal(t, []byte{0x30, 0}, der)
	})
	t.Run("raw wins and is not shared", func(t *testing.T) {
		t.Parallel()
		raw := commonName(t, strings.Repeat("x", 100))
		der, err := pki.Subject{CommonName: "a", Raw: raw}.Encode()
		require.NoError(t, err)
		require.Equal(t, raw, der)
		der[0] = 0
		require.NotEqual(t, raw, der)
	})
	t.Run("bounds are counted in characters", func(t *testing.T) {
		t.Parallel()
		for _, s := range []pki.Subject{
			{CommonName: strings.Repeat("ü", 64)}, {Organization: strings.Repeat("o", 64)},
			{OrganizationalUnit: strings.Repeat("u", 64)}, {Province: strings.Repeat("p", 128)},
			{Locality: strings.Repeat("l", 128)}, {Email: strings.Repeat("e", 255)},
		} {
			_, err := s.Encode()
			require.NoError(t, err)
		}
	})

	bitString := marshal(t, asn1.BitString{Bytes: []byte{1}, BitLength: 8})
	for title, s := range map[string]pki.Subject{
		"a common name of 65":            {CommonName: strings.Repeat("ü", 65)},
		"an organization of 65":          {Organization: strings.Repeat("o", 65)},
		"an organizational unit of 65":   {OrganizationalUnit: strings.Repeat("u", 65)},
		"a province of 129":              {Province: strings.Repeat("p", 129)},
		"a locality of 129":              {Locality: strings.Repeat("l", 129)},
		"an e-mail of 256":               {Email: strings.Repeat("e", 256)},
		"an e-mail that is not ascii":    {Email: "ü@a.example"},
		"a country of three letters":     {Country: "USA"},
		"a country of one letter":        {Country: "D"},
		"a country that is not ascii":    {Country: "ü"},
		"a newline":                      {CommonName: "a\nb"},
		"a nul":                          {Organization: "a\x00b"},
		"a control character over ascii": {Locality: "a\u0085b"},
		"bytes that are not utf-8":       {CommonName: "a\xffb"},
		"raw garbage":                    {Raw: []byte("garbage")},
		"raw with a control character":   {Raw: commonName(t, "a\nb")},
		"raw with more after it":         {Raw: append(commonName(t, "a"), 0)},
		"raw with a bit string":          {Raw: name(t, attributeTypeAndValue{oidUniqueID, asn1.RawValue{FullBytes: bitString}})},
		"raw with more after a value": {Raw: marshal(t, [][]asn1.RawValue{{{
			Tag: asn1.TagSequence, IsCompound: true,
			Bytes: append(append(marshal(t, oidCN), marshal(t, "a")...), 5, 0),
		}}})},
	} {
		t.Run("refuses "+title, func(t *testing.T) {
			t.Parallel()
			_, err := s.Encode()
			require.ErrorIs(t, err, pki.ErrBadRequest)
		})
	}
}

func TestLeafSubject(t *testing.T) {
	t.Parallel()
	for _, commonName := range []string{"", "db.example", "10.0.0.1", "system:kubelet", "a b", "--x", "Bücher", strings.Repeat("ü", 64)} {
		got, err := pki.LeafSubject(commonName)
		require.NoError(t, err)
		require.Equal(t, pki.Subject{CommonName: commonName}, got)
	}
	got, err := pki.LeafSubject(strings.Repeat("x", 65))
	require.NoError(t, err)
	require.Zero(t, got)
	for _, commonName := range []string{"a\x00", "a\r\nb", "\x1b[31m", "\u009b", "\xff", strings.Repeat("x", 65) + "\n"} {
		_, err := pki.LeafSubject(commonName)
		require.ErrorIs(t, err, pki.ErrBadRequest)
	}
}

// TestRequestSubject is the table of what becomes of a request's subject.
func TestRequestSubject(t *testing.T) {
	t.Parallel()
	cn := func(tag int, value string) attributeTypeAndValue {
		return attributeTypeAndValue{oidCN, text(tag, value)}
	}
	utf8, printable := asn1.TagUTF8String, asn1.TagPrintableString
	uuid := "0a6e2b0e-9d4c-4b41-8a43-5a9a4b2a0f8f"
	multi := marshal(t, []rdnSET{{cn(utf8, "a.example"), {oidO, text(utf8, "b")}}})
	for title, kept := range map[string][]byte{
		"printable text":             name(t, cn(printable, "a.example")),
		"utf-8 text":                 name(t, cn(utf8, "Bücher")),
		"ia5 text":                   name(t, cn(asn1.TagIA5String, "a_b@c")),
		"an e-mail in utf-8":         name(t, cn(utf8, "a"), attributeTypeAndValue{oidMail, text(utf8, "x@y.example")}),
		"the unit identifier":        name(t, cn(utf8, "a"), attributeTypeAndValue{oidUniqueID, text(utf8, uuid)}),
		"several values in an rdn":   multi,
		"domain components":          name(t, attributeTypeAndValue{oidDC, text(asn1.TagIA5String, "example")}, cn(utf8, "a")),
		"empty values":               name(t, cn(utf8, "a"), attributeTypeAndValue{oidO, text(utf8, "")}, attributeTypeAndValue{oidC, text(printable, "")}),
		"any order":                  name(t, cn(utf8, "a"), attributeTypeAndValue{oidC, text(printable, "DE")}),
		"the same attribute twice":   name(t, cn(utf8, "a"), cn(utf8, "b")),
		"a common name of 64":        name(t, cn(utf8, strings.Repeat("ü", 64))),
		"sixteen attributes":         name(t, slicesRepeat(cn(utf8, "a"), 16)...),
		"a printable text with star": name(t, cn(printable, "*.db.example")),
	} {
		t.Run("keeps "+title, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t)
			r.subject = kept
			got, err := pki.ParseCertificateRequest(r.encode(t))
			require.NoError(t, err)
			require.Equal(t, pki.Subject{Raw: kept}, got.Subject)
			requireIssuable(t, got)
		})
	}

	bitString := asn1.RawValue{Tag: asn1.TagBitString, Bytes: []byte{0, 1}}
	for title, c := range map[string]struct{ asked, got []byte }{
		"a bit string": {
			name(t, cn(utf8, "a"), attributeTypeAndValue{oidUniqueID, bitString}),
			name(t, cn(printable, "a")),
		},
		"a universal string": {
			name(t, attributeTypeAndValue{oidO, asn1.RawValue{Tag: 28, Bytes: []byte{0, 0, 0, 'o'}}}, cn(utf8, "a")),
			name(t, cn(printable, "a")),
		},
		"teletex text": {
			name(t, cn(asn1.TagT61String, "B\xfccher")),
			name(t, cn(utf8, "Bücher")),
		},
		"bmp text": {
			name(t, cn(asn1.TagBMPString, "\x00a\x00b")),
			name(t, cn(printable, "ab")),
		},
		"a common name over 64": {
			name(t, cn(utf8, strings.Repeat("x", 65)), attributeTypeAndValue{oidO, text(utf8, "o")}),
			name(t, attributeTypeAndValue{oidO, text(printable, "o")}),
		},
		"a country of three letters": {
			name(t, attributeTypeAndValue{oidC, text(printable, "USA")}, cn(utf8, "a")),
			name(t, cn(printable, "a")),
		},
		"a bit string beside an unknown type and an empty value": {
			name(t, attributeTypeAndValue{oidDC, text(asn1.TagIA5String, "dropped")}, cn(utf8, ""), cn(utf8, "a"),
				attributeTypeAndValue{oidMail, text(utf8, "x@y")}, attributeTypeAndValue{oidUniqueID, bitString}),
			name(t, cn(printable, "a"), attributeTypeAndValue{oidMail, text(asn1.TagIA5String, "x@y")}),
		},
		"an rdn of several values beside a bit string": {
			marshal(t, []rdnSET{{cn(utf8, "a"), {oidO, text(utf8, "o")}}, {{oidUniqueID, bitString}}}),
			name(t, attributeTypeAndValue{oidCN, text(printable, "a")}, attributeTypeAndValue{oidO, text(printable, "o")}),
		},
	} {
		t.Run("encodes again "+title, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t)
			r.subject = c.asked
			got, err := pki.ParseCertificateRequest(r.encode(t))
			require.NoError(t, err)
			require.Equal(t, pki.Subject{Raw: c.got}, got.Subject)
			requireIssuable(t, got)
		})
	}

	for title, refused := range map[string][]byte{
		"a nul in the common name":    commonName(t, "a.example\x00.evil"),
		"a newline in another value":  name(t, cn(utf8, "a"), attributeTypeAndValue{oidOU, text(utf8, "a\nb")}),
		"a control character in bmp":  name(t, cn(asn1.TagBMPString, "\x00a\x00\x07")),
		"a control character in t61":  name(t, cn(asn1.TagT61String, "a\x9b")),
		"a control character in 2030": name(t, cn(utf8, "a\u0085")),
		"seventeen attributes":        name(t, slicesRepeat(cn(utf8, "a"), 17)...),
		"more than two kilobytes":     name(t, slicesRepeat(attributeTypeAndValue{oidDC, text(utf8, strings.Repeat("x", 250))}, 8)...),
		"nothing that can be kept":    name(t, attributeTypeAndValue{oidUniqueID, bitString}),
		"nothing at all":              name(t),
		"nothing but empty values":    name(t, cn(utf8, ""), attributeTypeAndValue{oidO, text(utf8, "")}),
		"an rdn without attributes":   {0x30, 2, 0x31, 0},
		"an rdn beside an empty one":  marshal(t, []rdnSET{{cn(utf8, "a")}, {}}),
		"a set that is not sorted":    unsorted(t, cn(utf8, "a"), attributeTypeAndValue{oidO, text(utf8, "o")}),
		"bytes after a value":         {0x30, 14, 0x31, 12, 0x30, 10, 6, 3, 0x55, 4, 3, 0x0c, 1, 'a', 5, 0},
	} {
		t.Run("refuses "+title, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t)
			r.subject = refused
			_, err := pki.ParseCertificateRequest(r.encode(t))
			require.ErrorIs(t, err, pki.ErrBadRequest)
		})
	}
}

func TestRequestSubjectForThePolicy(t *testing.T) {
	t.Parallel()
	r := newRequest(t)
	long := strings.Repeat("long.", 15) + "example"
	r.subject = name(t,
		attributeTypeAndValue{oidO, text(asn1.TagUTF8String, "system:masters")},
		attributeTypeAndValue{oidO, text(asn1.TagBMPString, "\x00o")},
		attributeTypeAndValue{oidOU, text(asn1.TagPrintableString, "u")},
		attributeTypeAndValue{oidCN, text(asn1.TagUTF8String, "system:admin")},
		attributeTypeAndValue{oidCN, text(asn1.TagUTF8String, "10.0.0.9")},
		attributeTypeAndValue{oidCN, text(asn1.TagUTF8String, long)},
		attributeTypeAndValue{oidMail, text(asn1.TagIA5String, "Root@DB.example")},
		attributeTypeAndValue{oidMail, text(asn1.TagIA5String, "nobody")},
	)
	got, err := pki.ParseCertificateRequest(r.encode(t))
	require.NoError(t, err)
	require.Equal(t, []string{"system:admin", "10.0.0.9", long}, got.CommonNames)
	require.Equal(t, []string{"system:masters", "o"}, got.Organizations)
	require.Equal(t, []string{"u"}, got.OrganizationalUnits)
	require.Equal(t, []string{"DNS:" + long, "IP:10.0.0.9", "email:Root@db.example"}, got.Names.Texts())

	var subject pkix.RDNSequence
	_, err = asn1.Unmarshal(got.Subject.Raw, &subject)
	require.NoError(t, err)
	require.NotContains(t, subject.String(), "long")
	require.Contains(t, subject.String(), "10.0.0.9")
}

// unsorted is one RDN whose attributes are in the order that DER forbids.
func unsorted(t *testing.T, first, second attributeTypeAndValue) []byte {
	t.Helper()
	sorted := marshal(t, rdnSET{first, second})
	a, b := marshal(t, first), marshal(t, second)
	if bytes.Equal(sorted[2:2+len(a)], a) {
		a, b = b, a
	}
	set := asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: append(a, b...)}
	return marshal(t, []asn1.RawValue{set})
}

func slicesRepeat(a attributeTypeAndValue, count int) []attributeTypeAndValue {
	var list []attributeTypeAndValue
	for range count {
		list = append(list, a)
	}
	return list
}

// requireIssuable proves that a certificate can be made of the request.
func requireIssuable(t *testing.T, r *pki.CertificateRequest) {
	t.Helper()
	template := leafTemplate(pki.Leaf)
	template.Subject, template.Names, template.Usage = r.Subject, r.Names, r.Usage
	cert, err := newIssuer(t, ecdsaP256()).Issue(template, r.PublicKey)
	require.NoError(t, err)
	require.Equal(t, r.Subject.Raw, cert.RawSubject)
}
