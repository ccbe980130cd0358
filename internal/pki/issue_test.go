// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

var caTypes = []pki.KeyType{pki.ECDSAP256, pki.ECDSAP384, pki.RSA2048, pki.RSA3072, pki.RSA4096}

// leafKeys are of every kind that a leaf may have. None is a CA's.
func leafKeys(t *testing.T) map[string]crypto.PublicKey {
	t.Helper()
	return map[string]crypto.PublicKey{
		"rsa":     rsa2048b().Public(),
		"p-256":   newECDSA(t, elliptic.P256()).Public(),
		"p-384":   newECDSA(t, elliptic.P384()).Public(),
		"p-521":   newECDSA(t, elliptic.P521()).Public(),
		"ed25519": newEd25519(t).Public(),
	}
}

var links = pki.Links{OCSP: "http://pki.example.com/ocsp", Issuer: "http://pki.example.com/ca/1.der", CRL: "http://pki.example.com/crl/1.crl"}

// TestIssueWritesLinks: RFC 5280 sections 4.2.1.13 and 4.2.2.1, read by another
// stack.
func TestIssueWritesLinks(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, keyOf(pki.ECDSAP256))
	template := leafTemplate(pki.Server)
	template.Links = links
	cert, err := issuer.Issue(template, rsa2048b().Public())
	require.NoError(t, err)
	folder := t.TempDir()
	writeFile(t, folder, "leaf.pem", pki.EncodeCertificatePEM(cert.Raw))
	printed, err := openssl(t, folder, "x509", "-in", "leaf.pem", "-noout", "-ext", "authorityInfoAccess,crlDistributionPoints")
	require.NoError(t, err, printed)
	for _, link := range []string{"OCSP - URI:" + links.OCSP, "CA Issuers - URI:" + links.Issuer, "URI:" + links.CRL} {
		require.Contains(t, printed, link)
	}
	one := leafTemplate(pki.Client)
	one.Links.OCSP = links.OCSP
	cert, err = issuer.Issue(one, rsa2048b().Public())
	require.NoError(t, err)
	require.Empty(t, cert.CRLDistributionPoints)
	require.Empty(t, cert.IssuingCertificateURL)
	cert, err = issuer.Issue(template, rsa2048b().Public())
	require.NoError(t, err)
	other := template
	other.Links.CRL = "http://pki.example.com/crl/2.crl"
	require.ErrorContains(t, pki.CheckProfile(cert, issuer.Certificate(), other), "wrong links")
	other.Links = pki.Links{}
	require.ErrorContains(t, pki.CheckProfile(cert, issuer.Certificate(), other), "wrong links")
	root := rootTemplate()
	root.Links = links
	_, err = pki.CreateSelfSigned(root, keyOf(pki.ECDSAP256))
	require.ErrorContains(t, err, "links are not for a root")
}

func leafTemplates() map[string]pki.Template {
	templates := map[string]pki.Template{
		"server": leafTemplate(pki.Server), "client": leafTemplate(pki.Client),
		"leaf for both": leafTemplate(pki.Leaf), "leaf for servers": leafTemplate(pki.Leaf), "leaf for clients": leafTemplate(pki.Leaf),
		"leaf without a subject": leafTemplate(pki.Leaf), "client without names": leafTemplate(pki.Client),
	}
	change := func(name string, f func(*pki.Template)) {
		template := templates[name]
		f(&template)
		templates[name] = template
	}
	change("leaf for servers", func(t *pki.Template) { t.Usage = pki.ServerAuth })
	change("leaf for clients", func(t *pki.Template) { t.Usage = pki.ClientAuth })
	change("leaf without a subject", func(t *pki.Template) { t.Subject = pki.Subject{} })
	change("client without names", func(t *pki.Template) { t.Names = pki.Names{} })
	return templates
}

func TestCreateSelfSigned(t *testing.T) {
	t.Parallel()
	algorithms := map[pki.KeyType]x509.SignatureAlgorithm{
		pki.ECDSAP256: x509.ECDSAWithSHA256, pki.ECDSAP384: x509.ECDSAWithSHA384,
		pki.RSA2048: x509.SHA256WithRSA, pki.RSA3072: x509.SHA256WithRSA, pki.RSA4096: x509.SHA384WithRSA,
	}
	for _, kind := range caTypes {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			cert, err := pki.CreateSelfSigned(rootTemplate(), keyOf(kind))
			require.NoError(t, err)
			require.NoError(t, pki.CheckProfile(cert, cert, rootTemplate()))
			require.Equal(t, algorithms[kind], cert.SignatureAlgorithm)
			require.Equal(t, rootTemplate().Validity, pki.ValidityOf(cert))
			require.Equal(t, "CN=Test root,O=Test", cert.Subject.String())
			require.Equal(t, cert.RawSubject, cert.RawIssuer)
			require.Equal(t, []pkix.Extension{
				{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 1, 6}},
				{Id: oidBC, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}},
				{Id: asn1.ObjectIdentifier{2, 5, 29, 14}, Value: append([]byte{4, 20}, keyID(t, cert)...)},
			}, cert.Extensions)
		})
	}

	for title, change := range map[string]func(*pki.Template){
		"without a subject":       func(t *pki.Template) { t.Subject = pki.Subject{} },
		"with names":              func(t *pki.Template) { t.Names.DNS = []string{"a"} },
		"of another profile":      func(t *pki.Template) { t.Profile = pki.Server },
		"with a bad subject":      func(t *pki.Template) { t.Subject.Country = "USA" },
		"that ends at its start":  func(t *pki.Template) { t.Validity.NotAfter = t.Validity.NotBefore },
		"with a part of a second": func(t *pki.Template) { t.Validity.NotAfter = t.Validity.NotAfter.Add(time.Millisecond) },
		"of the year 1949":        func(t *pki.Template) { t.Validity.NotBefore = time.Date(1949, 1, 1, 0, 0, 0, 0, time.UTC) },
		"until the year 10000":    func(t *pki.Template) { t.Validity.NotAfter = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		t.Run("refuses a root "+title, func(t *testing.T) {
			t.Parallel()
			template := rootTemplate()
			change(&template)
			_, err := pki.CreateSelfSigned(template, ecdsaP256())
			require.ErrorContains(t, err, "cannot create root: ")
		})
	}
	for title, key := range map[string]any{"p-521": newECDSA(t, elliptic.P521()), "ed25519": newEd25519(t)} {
		_, err := pki.CreateSelfSigned(rootTemplate(), mustParseDER(t, key))
		require.EqualError(t, err, "cannot create root: an authority's key must be RSA of 2048 to 4096 bits, P-256 or P-384", title)
	}
}

// keyID computes method 1 of RFC 7093 from the certificate's own bytes.
func keyID(t *testing.T, cert *x509.Certificate) []byte {
	t.Helper()
	var spki struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	_, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &spki)
	require.NoError(t, err)
	sum := sha256.Sum256(spki.Key.Bytes)
	return sum[:20]
}

// TestIssue compares the bytes of every extension with the profile matrix.
func TestIssue(t *testing.T) {
	t.Parallel()
	serverEKU := []byte{6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1}
	clientEKU := []byte{6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2}
	usages := map[string][]byte{
		"server":           append(append([]byte{0x30, 20}, serverEKU...), clientEKU...),
		"leaf for servers": append([]byte{0x30, 10}, serverEKU...),
		"client":           append([]byte{0x30, 10}, clientEKU...),
	}
	usages["leaf for both"], usages["leaf without a subject"] = usages["server"], usages["server"]
	usages["leaf for clients"], usages["client without names"] = usages["client"], usages["client"]
	names := "\x30\x32\x82\x0c*.db.example\x82\x0adb.example\x87\x04\x0a\x00\x00\x01\x87\x10\x20\x01\x0d\xb8" +
		strings.Repeat("\x00", 11) + "\x01"

	for _, kind := range caTypes {
		for leaf, public := range leafKeys(t) {
			for profile, template := range leafTemplates() {
				t.Run(fmt.Sprintf("%s below %s with %s", profile, kind, leaf), func(t *testing.T) {
					t.Parallel()
					issuer := newIssuer(t, keyOf(kind))
					cert, err := issuer.Issue(template, public)
					require.NoError(t, err)
					require.NoError(t, pki.CheckProfile(cert, issuer.Certificate(), template))
					require.True(t, pki.SamePublicKey(public, cert.PublicKey))
					require.Equal(t, template.Validity, pki.ValidityOf(cert))
					require.Equal(t, issuer.Certificate().RawSubject, cert.RawIssuer)
					require.Equal(t, issuer.Certificate().SignatureAlgorithm, cert.SignatureAlgorithm)
					require.Equal(t, template.Subject.CommonName, cert.Subject.CommonName)

					keyUsage := []byte{3, 2, 7, 0x80}
					if leaf == "rsa" && slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
						keyUsage = []byte{3, 2, 5, 0xa0}
					}
					want := []pkix.Extension{
						{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: keyUsage},
						{Id: oidEKU, Value: usages[profile]},
						{Id: oidBC, Critical: true, Value: []byte{0x30, 0}},
						{Id: asn1.ObjectIdentifier{2, 5, 29, 14}, Value: append([]byte{4, 20}, keyID(t, cert)...)},
						{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: append([]byte{0x30, 22, 0x80, 20}, issuer.Certificate().SubjectKeyId...)},
					}
					if template.Names.Len() > 0 {
						want = append(want, pkix.Extension{Id: oidSAN, Critical: template.Subject.CommonName == "", Value: []byte(names)})
					}
					require.Equal(t, want, cert.Extensions)
				})
			}
		}
	}
}

// TestOpenSSLAcceptsWhatWeIssue asks another implementation, strictly, about
// every profile, and that a client's certificate is no server's.
func TestOpenSSLAcceptsWhatWeIssue(t *testing.T) {
	t.Parallel()
	at := unixTime(now)
	for _, kind := range caTypes {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			issuer := newIssuer(t, keyOf(kind))
			writeFile(t, folder, "ca.pem", pki.EncodeCertificatePEM(issuer.Certificate().Raw))
			files := map[pki.Usage][]string{}
			for leaf, public := range leafKeys(t) {
				for profile, template := range leafTemplates() {
					cert, err := issuer.Issue(template, public)
					require.NoError(t, err)
					file := strings.ReplaceAll(profile+" "+leaf+".pem", " ", "-")
					writeFile(t, folder, file, pki.EncodeCertificatePEM(cert.Raw))
					for _, usage := range cert.ExtKeyUsage {
						bit := map[x509.ExtKeyUsage]pki.Usage{
							x509.ExtKeyUsageServerAuth: pki.ServerAuth, x509.ExtKeyUsageClientAuth: pki.ClientAuth,
						}[usage]
						files[bit] = append(files[bit], file)
					}
				}
			}
			require.Len(t, files[pki.ServerAuth], 4*5)
			require.Len(t, files[pki.ClientAuth], 6*5)
			verify := func(purpose string, files ...string) (string, error) {
				return openssl(t, folder, append([]string{
					"verify", "-x509_strict", "-check_ss_sig", "-attime", at, "-CAfile", "ca.pem", "-purpose", purpose,
				}, files...)...)
			}
			output, err := verify("sslserver", files[pki.ServerAuth]...)
			require.NoError(t, err, output)
			output, err = verify("sslclient", files[pki.ClientAuth]...)
			require.NoError(t, err, output)
			output, err = verify("any", "ca.pem")
			require.NoError(t, err, output)

			for purpose, wrong := range map[string]string{"sslserver": "client-rsa.pem", "sslclient": "leaf-for-servers-p-256.pem"} {
				output, err = verify(purpose, wrong)
				require.Error(t, err)
				require.Regexp(t, "unsuitable certificate purpose|unsupported certificate purpose", output)
			}
			output, err = openssl(t, folder, "verify", "-x509_strict", "-attime", at, "-CAfile", "ca.pem",
				"-purpose", "sslserver", "-verify_hostname", "x.db.example", "server-p-384.pem")
			require.NoError(t, err, output)
			output, err = openssl(t, folder, "verify", "-x509_strict", "-attime", at, "-CAfile", "ca.pem",
				"-purpose", "sslserver", "-verify_ip", "2001:db8::1", "server-rsa.pem")
			require.NoError(t, err, output)
		})
	}
}

func TestIssueEveryKindOfName(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, ecdsaP256())
	names, err := pki.NamesFromTexts([]string{
		"DNS:a.example", "DNS:10.0.0.1", "IP:10.0.0.1", "email:x@y.example", "URI:spiffe://a.example/b", "RID:1.2.3.4",
	})
	require.NoError(t, err)
	for title, subject := range map[string]pki.Subject{"critical": {}, "not critical": {CommonName: "a"}} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			template := leafTemplate(pki.Leaf)
			template.Subject, template.Names = subject, names
			cert, err := issuer.Issue(template, newECDSA(t, elliptic.P256()).Public())
			require.NoError(t, err)
			last := cert.Extensions[len(cert.Extensions)-1]
			require.Equal(t, "2.5.29.17", last.Id.String())
			require.Equal(t, title == "critical", last.Critical)
			require.Equal(t, []string{"10.0.0.1", "a.example"}, cert.DNSNames)
			require.Equal(t, []string{"x@y.example"}, cert.EmailAddresses)
			require.Equal(t, "spiffe://a.example/b", cert.URIs[0].String())
			require.NoError(t, cert.VerifyHostname("10.0.0.1"))

			folder := t.TempDir()
			writeFile(t, folder, "a.pem", pki.EncodeCertificatePEM(cert.Raw))
			output, err := openssl(t, folder, "x509", "-in", "a.pem", "-noout", "-ext", "subjectAltName")
			require.NoError(t, err, output)
			require.Contains(t, output, "DNS:10.0.0.1, DNS:a.example, email:x@y.example, IP Address:10.0.0.1, "+
				"URI:spiffe://a.example/b, Registered ID:1.2.3.4")
		})
	}
}

func TestIssueSortsNamesAndRemovesDuplicates(t *testing.T) {
	t.Parallel()
	template := leafTemplate(pki.Server)
	template.Names.DNS = []string{"b.example", "a.example", "b.example"}
	cert, err := newIssuer(t, ecdsaP256()).Issue(template, newECDSA(t, elliptic.P256()).Public())
	require.NoError(t, err)
	require.Equal(t, []string{"a.example", "b.example"}, cert.DNSNames)
	require.Equal(t, []string{"b.example", "a.example", "b.example"}, template.Names.DNS)
}

func TestSerialNumbersAreOfOneWidthAndDifferent(t *testing.T) {
	t.Parallel()
	issuer, public := newIssuer(t, ecdsaP256()), newECDSA(t, elliptic.P256()).Public()
	seen := map[string]bool{}
	for range 64 {
		cert, err := issuer.Issue(leafTemplate(pki.Client), public)
		require.NoError(t, err)
		require.Equal(t, 127, cert.SerialNumber.BitLen())
		seen[cert.SerialNumber.String()] = true
	}
	require.Len(t, seen, 64)
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, ecdsaP256())
	good := newECDSA(t, elliptic.P256()).Public()
	rsaKey := signerOf(t, rsa2048b()).Public().(*rsa.PublicKey)
	tooMany := pki.Names{}
	for n := range 251 {
		tooMany.DNS = append(tooMany.DNS, fmt.Sprintf("n%d.example", n))
	}
	for title, c := range map[string]struct {
		change func(*pki.Template)
		public crypto.PublicKey
		reason string
	}{
		"the issuer's key":         {public: ecdsaP256().Public(), reason: "public key is the issuer's own"},
		"a small key":              {public: &rsa.PublicKey{N: new(big.Int).Rsh(rsaKey.N, 1024), E: 65537}, reason: "RSA key has 1024 bits"},
		"a small exponent":         {public: &rsa.PublicKey{N: rsaKey.N, E: 3}, reason: "public exponent"},
		"a key on p-224":           {public: newECDSA(t, elliptic.P224()).Public(), reason: "is not on P-256"},
		"no key":                   {public: nil, reason: "of a kind that is not accepted"},
		"something that is no key": {public: "key", reason: "of a kind that is not accepted"},
		"the issuer's subject":     {change: func(t *pki.Template) { t.Subject = rootTemplate().Subject }, reason: "subject is the issuer's own"},
		"the issuer's subject in other words": {
			change: func(t *pki.Template) { t.Subject = pki.Subject{CommonName: "TEST  root ", Organization: "test"} },
			reason: "subject is the issuer's own",
		},
		"the issuer's subject in other bytes": {
			change: func(t *pki.Template) {
				t.Subject.Raw = mustName(
					attributeTypeAndValue{oidO, text(asn1.TagUTF8String, "Test")},
					attributeTypeAndValue{oidCN, text(asn1.TagBMPString, "\x00T\x00e\x00s\x00t\x00 \x00r\x00o\x00o\x00t")})
			},
			reason: "subject is the issuer's own",
		},
		"neither subject nor name": {change: func(t *pki.Template) { t.Subject, t.Names = pki.Subject{}, pki.Names{} }, reason: "neither a subject nor"},
		"a registered identifier alone": {
			change: func(t *pki.Template) { t.Subject, t.Names = pki.Subject{}, pki.Names{RegisteredID: []string{"1.2.3"}} },
			reason: "neither a subject nor",
		},
		"251 names":             {change: func(t *pki.Template) { t.Names = tooMany }, reason: "251 names are more than the 250 allowed"},
		"a name with a space":   {change: func(t *pki.Template) { t.Names.DNS = []string{"a b"} }, reason: "contains a space"},
		"a name in capitals":    {change: func(t *pki.Template) { t.Names.DNS = []string{"A"} }, reason: "is not in its canonical form"},
		"an empty name":         {change: func(t *pki.Template) { t.Names.DNS = []string{""} }, reason: "is empty"},
		"an invalid address":    {change: func(t *pki.Template) { t.Names.IP = []netip.Addr{{}} }, reason: "is not an address"},
		"a mapped address":      {change: func(t *pki.Template) { t.Names.IP = []netip.Addr{netip.MustParseAddr("::ffff:1.2.3.4")} }, reason: "canonical form"},
		"an address with zone":  {change: func(t *pki.Template) { t.Names.IP = []netip.Addr{netip.MustParseAddr("fe80::1%a")} }, reason: "zone"},
		"an https uri":          {change: func(t *pki.Template) { t.Names.URI = []string{"https://a"} }, reason: "is not a spiffe URI"},
		"an e-mail with a nul":  {change: func(t *pki.Template) { t.Names.Email = []string{"a\x00@b"} }, reason: "is not an e-mail address"},
		"a broken identifier":   {change: func(t *pki.Template) { t.Names.RegisteredID = []string{"1"} }, reason: "is not an object identifier"},
		"a long common name":    {change: func(t *pki.Template) { t.Subject.CommonName = strings.Repeat("x", 65) }, reason: "is longer than 64 characters"},
		"a newline in the name": {change: func(t *pki.Template) { t.Subject.CommonName = "a\nb" }, reason: "contains a control character"},
		"garbage as a subject":  {change: func(t *pki.Template) { t.Subject.Raw = []byte("x") }, reason: "the subject is malformed"},
		"a root":                {change: func(t *pki.Template) { t.Profile, t.Names = pki.Root, pki.Names{} }, reason: "a root issues itself"},
		"no profile":            {change: func(t *pki.Template) { t.Profile = 0 }, reason: "unknown profile(0)"},
		"a leaf without usage":  {change: func(t *pki.Template) { t.Profile, t.Usage = pki.Leaf, 0 }, reason: "usage is neither server nor client"},
		"a usage of tomorrow":   {change: func(t *pki.Template) { t.Profile, t.Usage = pki.Leaf, 4 }, reason: "usage is neither server nor client"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			template := leafTemplate(pki.Server)
			if c.change != nil {
				c.change(&template)
				c.public = good
			}
			cert, err := issuer.Issue(template, c.public)
			require.ErrorIs(t, err, pki.ErrBadRequest)
			require.ErrorContains(t, err, "cannot issue certificate: ")
			require.ErrorContains(t, err, c.reason)
			require.Nil(t, cert)
		})
	}
}

func mustName(attributes ...attributeTypeAndValue) []byte {
	var sequence []rdnSET
	for _, a := range attributes {
		sequence = append(sequence, rdnSET{a})
	}
	der, err := asn1.Marshal(sequence)
	if err != nil {
		panic(err)
	}
	return der
}

// TestIssueFailsOnOurOwnFaults has what no requester can cause.
func TestIssueFailsOnOurOwnFaults(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, ecdsaP256())
	whole := rootTemplate().Validity
	for title, validity := range map[string]pki.Validity{
		"outlives its issuer":          {NotBefore: now, NotAfter: whole.NotAfter.Add(time.Second)},
		"is older than its issuer":     {NotBefore: whole.NotBefore.Add(-time.Second), NotAfter: now},
		"ends before it begins":        {NotBefore: now, NotAfter: now.Add(-time.Second)},
		"begins in a part of a second": {NotBefore: now.Add(time.Microsecond), NotAfter: now.Add(time.Hour)},
		"has no validity":              {},
	} {
		t.Run("a leaf that "+title, func(t *testing.T) {
			t.Parallel()
			template := leafTemplate(pki.Server)
			template.Validity = validity
			_, err := issuer.Issue(template, newECDSA(t, elliptic.P256()).Public())
			require.ErrorContains(t, err, "validity")
			require.NotErrorIs(t, err, pki.ErrBadRequest)
		})
	}
	t.Run("a leaf may live as long as its issuer", func(t *testing.T) {
		t.Parallel()
		template := leafTemplate(pki.Server)
		template.Validity = whole
		_, err := issuer.Issue(template, newECDSA(t, elliptic.P256()).Public())
		require.NoError(t, err)
	})
}

// foreignCA makes a CA certificate that is not of our making.
func foreignCA(t *testing.T, key pki.PrivateKey, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	sum := sha1.Sum(key.EncodeDER())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Foreign CA"}, SubjectKeyId: sum[:],
		NotBefore: rootTemplate().Validity.NotBefore, NotAfter: rootTemplate().Validity.NotAfter,
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), signerOf(t, key))
	require.NoError(t, err)
	cert, err := pki.ParseCertificateDER(der)
	require.NoError(t, err)
	return cert
}

func TestNewIssuer(t *testing.T) {
	t.Parallel()
	t.Run("accepts a foreign ca and keeps its key identifier", func(t *testing.T) {
		t.Parallel()
		ca := foreignCA(t, rsa2048(), func(c *x509.Certificate) { c.MaxPathLenZero = true })
		issuer, err := pki.NewIssuer(ca, rsa2048())
		require.NoError(t, err)
		require.Same(t, ca, issuer.Certificate())
		cert, err := issuer.Issue(leafTemplate(pki.Server), newECDSA(t, elliptic.P256()).Public())
		require.NoError(t, err)
		require.Equal(t, ca.SubjectKeyId, cert.AuthorityKeyId)
	})
	same := func(*x509.Certificate) {}
	for title, c := range map[string]struct {
		key, other pki.PrivateKey
		change     func(*x509.Certificate)
		reason     string
	}{
		"another key":    {ecdsaP256(), mustGenerate(pki.ECDSAP256), same, "private key is not the certificate's"},
		"no key":         {ecdsaP256(), pki.PrivateKey{}, same, "an authority's key must be RSA of 2048 to 4096 bits, P-256 or P-384"},
		"a leaf":         {key: ecdsaP256(), change: func(c *x509.Certificate) { c.IsCA = false }, reason: "no basic constraint CA:TRUE"},
		"no constraints": {key: ecdsaP256(), change: func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false }, reason: "no basic constraint CA:TRUE"},
		"no key usage":   {key: ecdsaP256(), change: func(c *x509.Certificate) { c.KeyUsage = 0 }, reason: "no key usage keyCertSign"},
		"a wrong usage":  {key: ecdsaP256(), change: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }, reason: "no key usage keyCertSign"},
		"no identifier":  {key: ecdsaP256(), change: func(c *x509.Certificate) { c.SubjectKeyId, c.ExtraExtensions = nil, emptyKeyID }, reason: "no subject key identifier"},
		"no subject":     {key: ecdsaP256(), change: func(c *x509.Certificate) { c.Subject = pkix.Name{} }, reason: "certificate has no subject"},
		"a riddle":       {key: ecdsaP256(), change: func(c *x509.Certificate) { c.ExtraExtensions = riddle }, reason: "critical extension that is not understood"},
		"an ed25519 key": {key: mustParseDER(t, newEd25519(t)), change: same, reason: "an authority's key must be RSA of 2048 to 4096 bits, P-256 or P-384"},
		"a key on p-521": {key: mustParseDER(t, newECDSA(t, elliptic.P521())), change: same, reason: "an authority's key must be RSA of 2048 to 4096 bits, P-256 or P-384"},
	} {
		t.Run("refuses "+title, func(t *testing.T) {
			t.Parallel()
			key := c.key
			if title == "another key" || title == "no key" {
				key = c.other
			}
			_, err := pki.NewIssuer(foreignCA(t, c.key, c.change), key)
			require.ErrorContains(t, err, "cannot use issuer: ")
			require.ErrorContains(t, err, c.reason)
			require.NotErrorIs(t, err, pki.ErrBadRequest)
		})
	}
	_, err := pki.NewIssuer(nil, ecdsaP256())
	require.Error(t, err)
}

var (
	emptyKeyID = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 14}, Value: []byte{4, 0}}}
	riddle     = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
)

func TestIssueBelowNameConstraints(t *testing.T) {
	t.Parallel()
	ca := foreignCA(t, ecdsaP256(), func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"db.example"}, true
		c.ExcludedIPRanges = []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}}
	})
	issuer, err := pki.NewIssuer(ca, ecdsaP256())
	require.NoError(t, err)
	template := leafTemplate(pki.Server)
	template.Names.IP = nil
	_, err = issuer.Issue(template, newECDSA(t, elliptic.P256()).Public())
	require.NoError(t, err)

	template.Names.DNS = []string{"elsewhere.example"}
	_, err = issuer.Issue(template, newECDSA(t, elliptic.P256()).Public())
	require.EqualError(t, err, "cannot issue certificate: the issuer's name constraints exclude a requested name")
	require.ErrorIs(t, err, pki.ErrBadRequest)

	_, err = issuer.Renew(rootTemplate().Validity)
	require.EqualError(t, err, "cannot renew root: it has name constraints")
}

func TestIssueBelowUsageThatForbidsIt(t *testing.T) {
	t.Parallel()
	ca := foreignCA(t, ecdsaP256(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	issuer, err := pki.NewIssuer(ca, ecdsaP256())
	require.NoError(t, err)
	_, err = issuer.Issue(leafTemplate(pki.Server), newECDSA(t, elliptic.P256()).Public())
	require.ErrorContains(t, err, "incompatible key usage")
	require.NotErrorIs(t, err, pki.ErrBadRequest)
}
