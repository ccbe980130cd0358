// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

// listOf is a list that may be signed, with an entry for every reason.
func listOf() pki.RevocationList {
	list := pki.RevocationList{
		Number:     pki.NextCRLNumber(nil, now),
		ThisUpdate: now.Add(-pki.Backdate),
		NextUpdate: now.Add(24 * time.Hour),
	}
	for n, reason := range []pki.RevocationReason{0, 1, 3, 4, 5, 9} {
		list.Entries = append(list.Entries, pki.Revocation{
			Serial: big.NewInt(int64(1000 + n)), RevokedAt: now.Add(-time.Duration(n) * time.Hour), Reason: reason,
		})
	}
	return list
}

func TestSignCRL(t *testing.T) {
	t.Parallel()
	for _, kind := range []pki.KeyType{pki.ECDSAP256, pki.ECDSAP384, pki.RSA2048, pki.RSA4096} {
		t.Run("with a key of "+string(kind), func(t *testing.T) {
			t.Parallel()
			issuer, list := newIssuer(t, keyOf(kind)), listOf()
			der, err := issuer.SignCRL(list)
			require.NoError(t, err)
			got, err := pki.ParseCRL(der, issuer.Certificate())
			require.NoError(t, err)
			require.Equal(t, list, got)

			parsed, err := x509.ParseRevocationList(der)
			require.NoError(t, err)
			require.Equal(t, issuer.Certificate().SignatureAlgorithm, parsed.SignatureAlgorithm)
			require.Equal(t, issuer.Certificate().SubjectKeyId, parsed.AuthorityKeyId)
			for n, entry := range parsed.RevokedCertificateEntries {
				require.Equal(t, n > 0, len(entry.Extensions) == 1, "an unspecified reason is left out")
			}
		})
	}
	t.Run("in any order of entries", func(t *testing.T) {
		t.Parallel()
		issuer, list := newIssuer(t, ecdsaP256()), listOf()
		slices.Reverse(list.Entries)
		der, err := issuer.SignCRL(list)
		require.NoError(t, err)
		got, err := pki.ParseCRL(der, issuer.Certificate())
		require.NoError(t, err)
		require.Equal(t, listOf(), got)
		require.Equal(t, big.NewInt(1005), list.Entries[0].Serial, "the argument is not changed")
	})
	t.Run("without entries", func(t *testing.T) {
		t.Parallel()
		issuer, list := newIssuer(t, ecdsaP256()), listOf()
		list.Entries = nil
		der, err := issuer.SignCRL(list)
		require.NoError(t, err)
		var outer struct {
			List struct {
				Version                int
				Algorithm, Issuer      asn1.RawValue
				ThisUpdate, NextUpdate time.Time
				Extensions             []pkix.Extension `asn1:"tag:0,explicit"`
			}
			Algorithm, Signature asn1.RawValue
		}
		_, err = asn1.Unmarshal(der, &outer)
		require.NoError(t, err, "the field of the entries is left out")
		require.Equal(t, 1, outer.List.Version)
		got, err := pki.ParseCRL(der, issuer.Certificate())
		require.NoError(t, err)
		require.Empty(t, got.Entries)
	})
	t.Run("with fractions of a second", func(t *testing.T) {
		t.Parallel()
		list := listOf()
		list.ThisUpdate = list.ThisUpdate.Add(time.Millisecond)
		list.Entries[0].RevokedAt = now.Add(time.Millisecond).In(time.FixedZone("east", 3600))
		issuer := newIssuer(t, ecdsaP256())
		der, err := issuer.SignCRL(list)
		require.NoError(t, err)
		got, err := pki.ParseCRL(der, issuer.Certificate())
		require.NoError(t, err)
		require.Equal(t, listOf(), got)
	})
}

func TestSignCRLRefuses(t *testing.T) {
	t.Parallel()
	octets := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), 8*n-2) }
	set := func(change func(*pki.Revocation)) func(*pki.RevocationList) {
		return func(l *pki.RevocationList) { change(&l.Entries[2]) }
	}
	reason := func(r pki.RevocationReason) func(*pki.RevocationList) {
		return set(func(e *pki.Revocation) { e.Reason = r })
	}
	for title, c := range map[string]struct {
		change func(*pki.RevocationList)
		want   string
	}{
		"no number":                   {func(l *pki.RevocationList) { l.Number = nil }, "number is not positive"},
		"number zero":                 {func(l *pki.RevocationList) { l.Number = new(big.Int) }, "number is not positive"},
		"a negative number":           {func(l *pki.RevocationList) { l.Number = big.NewInt(-1) }, "number is not positive"},
		"a number of 21 octets":       {func(l *pki.RevocationList) { l.Number = octets(21) }, "longer than 20 octets"},
		"a number that needs a 21st":  {func(l *pki.RevocationList) { l.Number = new(big.Int).Lsh(octets(20), 1) }, "longer than 20 octets"},
		"an end before the beginning": {func(l *pki.RevocationList) { l.NextUpdate = l.ThisUpdate }, "validity ends before it begins"},
		"no end":                      {func(l *pki.RevocationList) { l.NextUpdate = time.Time{} }, "validity ends before it begins"},
		"an end beyond all years":     {func(l *pki.RevocationList) { l.NextUpdate = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "1950 to 9999"},
		"no serial":                   {set(func(e *pki.Revocation) { e.Serial = nil }), "serial number is not positive"},
		"serial zero":                 {set(func(e *pki.Revocation) { e.Serial = new(big.Int) }), "serial number is not positive"},
		"a serial of 21 octets":       {set(func(e *pki.Revocation) { e.Serial = octets(21) }), "serial number is not positive"},
		"a serial twice":              {set(func(e *pki.Revocation) { e.Serial = big.NewInt(1000) }), "3e8 is in it twice"},
		"no time":                     {set(func(e *pki.Revocation) { e.RevokedAt = time.Time{} }), "outside the time of the list"},
		"a time to come":              {set(func(e *pki.Revocation) { e.RevokedAt = now.Add(25 * time.Hour) }), "outside the time of the list"},
		"the compromise of a CA":      {reason(2), "reason 2 of serial number 3ea is not one of ours"},
		"a hold":                      {reason(6), "not one of ours"},
		"an undefined reason":         {reason(7), "not one of ours"},
		"a removal from the list":     {reason(8), "not one of ours"},
		"a negative reason":           {reason(-1), "not one of ours"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			list := listOf()
			c.change(&list)
			_, err := newIssuer(t, ecdsaP256()).SignCRL(list)
			require.ErrorContains(t, err, "cannot sign revocation list: ")
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Run("an issuer that may not", func(t *testing.T) {
		t.Parallel()
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Imported"}, NotBefore: now, NotAfter: now.Add(time.Hour),
			BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{1},
		}
		cert := (forgery{template, template, ecdsaP256().Public(), signerOf(t, ecdsaP256())}).sign(t)
		issuer, err := pki.NewIssuer(cert, ecdsaP256())
		require.NoError(t, err)
		require.False(t, pki.MaySignCRLs(cert))
		_, err = issuer.SignCRL(listOf())
		require.EqualError(t, err, "cannot sign revocation list: the CA's certificate does not let it sign any (no key usage cRLSign)")
	})
}

func TestParseCRLRefuses(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, ecdsaP256()).Certificate()
	template := func() *x509.RevocationList {
		return &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour),
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(7), RevocationTime: now, ReasonCode: 1}},
		}
	}
	other := &x509.Certificate{
		SerialNumber: big.NewInt(1), RawSubject: issuer.RawSubject, NotBefore: now, NotAfter: now.Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
	}
	for title, c := range map[string]struct {
		change func(*x509.RevocationList)
		issuer *x509.Certificate
		key    crypto.Signer
		want   string
	}{
		"a list as it should be": {func(*x509.RevocationList) {}, issuer, nil, ""},
		"another CA": {func(*x509.RevocationList) {}, &x509.Certificate{
			Subject: pkix.Name{CommonName: "Other"}, KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: issuer.SubjectKeyId,
		}, nil, "the list of another CA"},
		"another key":             {func(*x509.RevocationList) {}, other, nil, "the list of another key"},
		"another key in disguise": {func(*x509.RevocationList) {}, issuer, signerOf(t, ecdsaP384()), "ECDSA verification failure"},
		"a distribution point": {func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 3, 0x81, 1, 0xff}}}
		}, issuer, nil, "other extensions than a number"},
		"an entry with more": {func(l *x509.RevocationList) {
			l.RevokedCertificateEntries[0].ReasonCode = 0
			l.RevokedCertificateEntries[0].ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Value: []byte{0x30, 0}}}
		}, issuer, nil, "other extensions than a reason"},
		"an entry on hold":      {func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].ReasonCode = 6 }, issuer, nil, "reason 6"},
		"a negative number":     {func(l *x509.RevocationList) { l.Number = big.NewInt(-1) }, issuer, nil, "number is not positive"},
		"a negative serial":     {func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].SerialNumber = big.NewInt(-1) }, issuer, nil, "serial"},
		"a serial that is zero": {func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].SerialNumber = new(big.Int) }, issuer, nil, "serial number is not positive"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			list, key := template(), c.key
			c.change(list)
			signer := *c.issuer
			if key == nil {
				key = signerOf(t, ecdsaP256())
			}
			signer.PublicKey = key.Public()
			der, err := x509.CreateRevocationList(rand.Reader, list, &signer, key)
			require.NoError(t, err)
			_, err = pki.ParseCRL(der, issuer)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "cannot read revocation list: ")
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Run("a damaged signature", func(t *testing.T) {
		t.Parallel()
		der, err := newIssuer(t, ecdsaP256()).SignCRL(listOf())
		require.NoError(t, err)
		der[len(der)-1] ^= 1
		_, err = pki.ParseCRL(der, issuer)
		require.Error(t, err)
	})
	t.Run("too much", func(t *testing.T) {
		t.Parallel()
		_, err := pki.ParseCRL(make([]byte, 4<<20+1), issuer)
		require.ErrorContains(t, err, "longer than")
	})
}

func TestNextCRLNumber(t *testing.T) {
	t.Parallel()
	clock := big.NewInt(now.UnixNano())
	later := new(big.Int).Add(clock, big.NewInt(1000))
	for title, c := range map[string]struct{ last, want *big.Int }{
		"the first one":                {nil, clock},
		"after an older one":           {big.NewInt(5), clock},
		"after one of the same moment": {clock, new(big.Int).Add(clock, big.NewInt(1))},
		"after the clock went back":    {later, new(big.Int).Add(later, big.NewInt(1))},
		"just before the clock":        {new(big.Int).Sub(clock, big.NewInt(1)), clock},
	} {
		require.Equal(t, c.want, pki.NextCRLNumber(c.last, now), title)
	}
	require.Equal(t, big.NewInt(1), pki.NextCRLNumber(nil, time.Unix(-5, 0)), "a clock before 1970 gives a valid number too")
}

func TestRevocationReason(t *testing.T) {
	t.Parallel()
	words := map[string]int{
		"unspecified": 0, "key-compromise": 1, "affiliation-changed": 3, "superseded": 4,
		"cessation-of-operation": 5, "privilege-withdrawn": 9,
	}
	for word, code := range words {
		reason, err := pki.ParseRevocationReason(word)
		require.NoError(t, err)
		require.Equal(t, code, int(reason))
		require.Equal(t, word, reason.String())
		text, err := json.Marshal(reason)
		require.NoError(t, err)
		require.Equal(t, `"`+word+`"`, string(text))
		var again pki.RevocationReason
		require.NoError(t, json.Unmarshal(text, &again))
		require.Equal(t, reason, again)
	}
	for _, text := range []string{"", "keyCompromise", "KEY-COMPROMISE", "1", "hold", "reason(7)", strings.Repeat("x", 1000)} {
		_, err := pki.ParseRevocationReason(text)
		require.ErrorContains(t, err, "want one of unspecified, key-compromise, ", text)
		require.Less(t, len(err.Error()), 300)
	}
	_, err := json.Marshal(pki.RevocationReason(7))
	require.ErrorContains(t, err, "cannot encode reason 7")
}

func TestOpenSSLReadsCRL(t *testing.T) {
	t.Parallel()
	for _, kind := range []pki.KeyType{pki.ECDSAP256, pki.ECDSAP384, pki.RSA3072} {
		t.Run("signed with "+string(kind), func(t *testing.T) {
			t.Parallel()
			folder, issuer := t.TempDir(), newIssuer(t, keyOf(kind))
			list := listOf()
			der, err := issuer.SignCRL(list)
			require.NoError(t, err)
			writeFile(t, folder, "list.crl", string(der))
			writeFile(t, folder, "ca.pem", pki.EncodeCertificatePEM(issuer.Certificate().Raw))
			output, err := openssl(t, folder, "crl", "-inform", "DER", "-in", "list.crl", "-CAfile", "ca.pem", "-noout", "-crlnumber", "-text")
			require.NoError(t, err, output)
			for _, want := range []string{
				"verify OK", "Version 2", strings.ToUpper(list.Number.Text(16)), "Serial Number: 03E8",
				"Key Compromise", "Affiliation Changed", "Superseded", "Cessation Of Operation", "Privilege Withdrawn",
			} {
				require.Contains(t, output, want)
			}
			require.NotContains(t, output, "Unspecified")
		})
	}
}

func FuzzParseCRL(f *testing.F) {
	t := &testing.T{}
	issuer := newIssuer(t, ecdsaP256())
	der, err := issuer.SignCRL(listOf())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(der[:len(der)-1])
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		list, err := pki.ParseCRL(der, issuer.Certificate())
		if err != nil {
			return
		}
		require.Equal(t, listOf(), list, "nobody else can sign one")
	})
}
