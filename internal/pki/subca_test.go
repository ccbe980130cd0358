// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

func subCATemplate(constraints *pki.NameConstraints) pki.Template {
	return pki.Template{
		Profile:     pki.SubCA,
		Subject:     pki.Subject{CommonName: "Mesh CA", Organization: "Test"},
		Validity:    pki.Validity{NotBefore: now.Add(-pki.Backdate), NotAfter: now.Add(365*24*time.Hour - time.Second)},
		Constraints: constraints,
	}
}

func permit(domains []string, ranges ...string) *pki.NameConstraints {
	constraints := &pki.NameConstraints{PermittedDNS: domains}
	for _, text := range ranges {
		constraints.PermittedIP = append(constraints.PermittedIP, netip.MustParsePrefix(text))
	}
	return constraints
}

// The subtrees of tests, as RFC 5280 section 4.2.1.10 encodes them.
const (
	treeDB   = "\x30\x0c\x82\x0adb.example"
	treeAny  = "\x30\x02\x82\x00"
	treeTen  = "\x30\x0a\x87\x08\x0a\x00\x00\x00\xff\x00\x00\x00"
	treeIPv4 = "\x30\x0a\x87\x08\x00\x00\x00\x00\x00\x00\x00\x00"
)

var (
	zeros    = string(make([]byte, 32))
	treeIPv6 = "\x30\x22\x87\x20" + zeros
	treeDoc  = "\x30\x22\x87\x20\x20\x01\x0d\xb8" + zeros[:12] + "\xff\xff\xff\xff" + zeros[:12]
)

// nested puts a header of one octet of length before content.
func nested(tag byte, content string) string {
	return string([]byte{tag, byte(len(content))}) + content
}

func TestIssueSubCA(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		constraints         *pki.NameConstraints
		permitted, excluded string
	}{
		"without constraints":    {},
		"with empty constraints": {constraints: permit(nil)},
		"with a domain":          {permit([]string{"db.example"}), treeDB, treeIPv4 + treeIPv6},
		"with a range":           {permit(nil, "10.0.0.0/8"), treeTen, treeAny + treeIPv6},
		"with a range that has too many bits": {
			permit(nil, "10.1.2.3/8"), treeTen, treeAny + treeIPv6,
		},
		"with a range of IPv6":   {permit(nil, "2001:db8::/32"), treeDoc, treeAny + treeIPv4},
		"with ranges":            {permit(nil, "2001:db8::/32", "10.0.0.0/8"), treeDoc + treeTen, treeAny},
		"with a domain and more": {permit([]string{"db.example"}, "10.0.0.0/8", "2001:db8::/32"), treeDB + treeTen + treeDoc, ""},
		"with every name":        {permit([]string{""}, "10.0.0.0/8"), treeAny + treeTen, treeIPv6},
	} {
		for kind, key := range map[string]pki.PrivateKey{"rsa": rsa2048b(), "p-256": mustGenerate(pki.ECDSAP256), "p-384": ecdsaP384()} {
			t.Run(title+" on "+kind, func(t *testing.T) {
				t.Parallel()
				issuer, template := newIssuer(t, ecdsaP256()), subCATemplate(c.constraints)
				cert, err := issuer.Issue(template, key.Public())
				require.NoError(t, err)
				require.NoError(t, pki.CheckProfile(cert, issuer.Certificate(), template))
				require.Equal(t, "CN=Mesh CA,O=Test", cert.Subject.String())
				require.Equal(t, template.Validity, pki.ValidityOf(cert))
				want := []pkix.Extension{
					{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 1, 6}},
					{Id: oidBC, Critical: true, Value: []byte{0x30, 6, 1, 1, 0xff, 2, 1, 0}},
					{Id: asn1.ObjectIdentifier{2, 5, 29, 14}, Value: append([]byte{4, 20}, keyID(t, cert)...)},
					{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: append([]byte{0x30, 22, 0x80, 20}, issuer.Certificate().SubjectKeyId...)},
				}
				if c.permitted != "" {
					value := nested(0xa0, c.permitted)
					if c.excluded != "" {
						value += nested(0xa1, c.excluded)
					}
					want = append(want, pkix.Extension{Id: oidConstraints, Critical: true, Value: []byte(nested(0x30, value))})
				}
				require.Equal(t, want, cert.Extensions)
				_, err = pki.NewIssuer(cert, key)
				require.NoError(t, err, "it is of use")
			})
		}
	}
}

var oidConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// foreignLeaf is what the holder of a SubCA signs when nothing of ours checks it.
func foreignLeaf(t *testing.T, ca *x509.Certificate, key pki.PrivateKey, names pki.Names) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{Organization: []string{"Mesh"}}, DNSNames: names.DNS,
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		SubjectKeyId: []byte{1, 2, 3},
	}
	for _, address := range names.IP {
		template.IPAddresses = append(template.IPAddresses, address.AsSlice())
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, newECDSA(t, elliptic.P256()).Public(), signerOf(t, key))
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// requireChain asks crypto/x509 and openssl whether leaf verifies below sub
// and root, and this package whether it would issue such a leaf.
func requireChain(t *testing.T, good bool, leaf, sub, root *x509.Certificate) {
	t.Helper()
	roots, subs := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	subs.AddCert(sub)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: subs, CurrentTime: now})
	folder := t.TempDir()
	for name, cert := range map[string]*x509.Certificate{"root": root, "sub": sub, "leaf": leaf} {
		writeFile(t, folder, name+".pem", pki.EncodeCertificatePEM(cert.Raw))
	}
	output, opensslErr := openssl(t, folder, "verify", "-x509_strict", "-check_ss_sig", "-attime", unixTime(now),
		"-purpose", "sslserver", "-CAfile", "root.pem", "-untrusted", "sub.pem", "leaf.pem")
	if good {
		require.NoError(t, err)
		require.NoError(t, opensslErr, output)
		return
	}
	var invalid x509.CertificateInvalidError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, x509.CANotAuthorizedForThisName, invalid.Reason)
	require.Error(t, opensslErr)
	require.Regexp(t, "permitted subtree violation|excluded subtree violation", output)
}

func TestNamesBelowASubCA(t *testing.T) {
	t.Parallel()
	domain, ten := []string{"db.example"}, "10.0.0.0/8"
	for title, c := range map[string]struct {
		constraints *pki.NameConstraints
		good, bad   []string
	}{
		"without constraints": {
			nil, []string{"DNS:anything.example", "DNS:*.any.example", "IP:192.0.2.1", "IP:2001:db8::1"}, nil,
		},
		"with a domain": {
			permit(domain),
			[]string{"DNS:db.example", "DNS:a.db.example", "DNS:*.db.example"},
			[]string{"DNS:example", "DNS:xdb.example", "DNS:db.example.org", "DNS:*.example.org", "IP:10.0.0.1", "IP:2001:db8::1"},
		},
		"with a range": {
			permit(nil, ten), []string{"IP:10.9.8.7"},
			[]string{"IP:11.0.0.1", "IP:2001:db8::1", "DNS:db.example", "DNS:localhost", "DNS:*.db.example"},
		},
		"with a range of IPv6": {
			permit(nil, "2001:db8::/32"), []string{"IP:2001:db8::1"}, []string{"IP:10.0.0.1", "IP:2001:db9::1", "DNS:db.example"},
		},
		"with a domain and a range": {
			permit(domain, ten), []string{"DNS:db.example", "IP:10.0.0.1"}, []string{"DNS:example.org", "IP:192.0.2.1", "IP:::1"},
		},
		"with two domains": {
			permit([]string{"db.example", "example.org"}), []string{"DNS:db.example", "DNS:a.example.org"}, []string{"DNS:example.net"},
		},
		"with every name and a range": {
			permit([]string{""}, ten), []string{"DNS:db.example", "DNS:*.example.org", "IP:10.0.0.1"}, []string{"IP:192.0.2.1", "IP:::1"},
		},
		"with a domain and every address": {
			permit(domain, "0.0.0.0/0", "::/0"), []string{"DNS:db.example", "IP:192.0.2.1", "IP:::1"}, []string{"DNS:example.org"},
		},
	} {
		root, key := newIssuer(t, ecdsaP256()), mustGenerate(pki.ECDSAP256)
		sub, err := root.Issue(subCATemplate(c.constraints), key.Public())
		require.NoError(t, err)
		issuer, err := pki.NewIssuer(sub, key)
		require.NoError(t, err)
		for good, texts := range map[bool][]string{true: c.good, false: c.bad} {
			for _, text := range texts {
				t.Run(title+" is "+text, func(t *testing.T) {
					t.Parallel()
					names, err := pki.NamesFromTexts([]string{text})
					require.NoError(t, err)
					requireChain(t, good, foreignLeaf(t, sub, key, names), sub, root.Certificate())

					template := leafTemplate(pki.Server)
					template.Names = names
					_, err = issuer.Issue(template, newECDSA(t, elliptic.P256()).Public())
					if good {
						require.NoError(t, err)
						return
					}
					require.ErrorIs(t, err, pki.ErrBadRequest)
					require.ErrorContains(t, err, "the issuer's name constraints exclude a requested name")
				})
			}
		}
	}
}

// TestSubCAHasNoAuthoritiesBelow has the path length do its work: we refuse to
// issue, and what others issue nobody verifies.
func TestSubCAHasNoAuthoritiesBelow(t *testing.T) {
	t.Parallel()
	root, key, deeperKey := newIssuer(t, ecdsaP256()), mustGenerate(pki.ECDSAP256), mustGenerate(pki.ECDSAP256)
	sub, err := root.Issue(subCATemplate(nil), key.Public())
	require.NoError(t, err)
	issuer, err := pki.NewIssuer(sub, key)
	require.NoError(t, err)
	template := subCATemplate(nil)
	template.Subject.CommonName = "Deeper CA"
	_, err = issuer.Issue(template, deeperKey.Public())
	require.EqualError(t, err, "cannot issue certificate: the issuer's path length allows no authority below it")
	require.ErrorIs(t, err, pki.ErrBadRequest)

	deeper := subCAForgery(t, template, sub, key, deeperKey.Public()).sign(t)
	require.ErrorContains(t, pki.CheckProfile(deeper, sub, template), "wrong path length of the issuer")
	leaf := foreignLeaf(t, deeper, deeperKey, pki.Names{DNS: []string{"db.example"}})
	roots, subs := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root.Certificate())
	subs.AddCert(sub)
	subs.AddCert(deeper)
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: subs, CurrentTime: now})
	require.ErrorContains(t, err, "too many intermediates")
	folder := t.TempDir()
	writeFile(t, folder, "root.pem", pki.EncodeCertificatePEM(root.Certificate().Raw))
	writeFile(t, folder, "subs.pem", pki.EncodeCertificatePEM(sub.Raw)+pki.EncodeCertificatePEM(deeper.Raw))
	writeFile(t, folder, "leaf.pem", pki.EncodeCertificatePEM(leaf.Raw))
	output, err := openssl(t, folder, "verify", "-attime", unixTime(now), "-CAfile", "root.pem", "-untrusted", "subs.pem", "leaf.pem")
	require.Error(t, err)
	require.Contains(t, output, "path length constraint exceeded")

	for title, change := range map[string]func(*x509.Certificate){
		"no path length":       func(*x509.Certificate) {},
		"a path length of one": func(c *x509.Certificate) { c.MaxPathLen = 1 },
	} {
		issuer, err := pki.NewIssuer(foreignCA(t, ecdsaP256(), change), ecdsaP256())
		require.NoError(t, err)
		_, err = issuer.Issue(subCATemplate(nil), deeperKey.Public())
		require.NoError(t, err, title)
	}
}

// TestSubCAFromARequest has a request as libraries write it for an authority.
func TestSubCAFromARequest(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, ecdsaP256())
	text := newRequest(t).withExtensions(t,
		pkix.Extension{Id: oidBC, Critical: true, Value: []byte{0x30, 6, 1, 1, 0xff, 2, 1, 5}},
		pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 1, 6}},
		san(t, dns("db.example")...)).encode(t)
	request, err := pki.ParseCertificateRequest(text)
	require.NoError(t, err)
	require.True(t, request.AsksCA)
	template := subCATemplate(nil)
	template.Subject = request.Subject
	cert, err := issuer.Issue(template, request.PublicKey)
	require.NoError(t, err)
	require.Equal(t, request.Subject.Raw, cert.RawSubject)
	require.Equal(t, 0, cert.MaxPathLen, "whatever was asked for")
	require.Empty(t, cert.DNSNames)

	template.Names = request.Names
	_, err = issuer.Issue(template, request.PublicKey)
	require.ErrorIs(t, err, pki.ErrBadRequest)
	require.ErrorContains(t, err, "a subordinate CA has a subject and no alternative names")
}

func TestIssueSubCARefuses(t *testing.T) {
	t.Parallel()
	good := newECDSA(t, elliptic.P256()).Public()
	for title, c := range map[string]struct {
		change func(*pki.Template)
		public crypto.PublicKey
		reason string
		ourOwn bool // no requester can cause it
	}{
		"no subject":           {change: func(t *pki.Template) { t.Subject = pki.Subject{} }, reason: "a subordinate CA has a subject"},
		"names":                {change: func(t *pki.Template) { t.Names.DNS = []string{"db.example"} }, reason: "no alternative names"},
		"the issuer's subject": {change: func(t *pki.Template) { t.Subject = rootTemplate().Subject }, reason: "subject is the issuer's own"},
		"the issuer's key":     {public: ecdsaP256().Public(), reason: "public key is the issuer's own"},
		"an ed25519 key":       {public: newEd25519(t).Public(), reason: "an authority's key must be RSA of 2048 to 4096 bits, P-256 or P-384"},
		"a key on p-521":       {public: newECDSA(t, elliptic.P521()).Public(), reason: "an authority's key must be RSA of 2048 to 4096 bits, P-256 or P-384"},
		"no key":               {public: "key", reason: "of a kind that is not accepted"},
		"a life after ours": {
			change: func(t *pki.Template) { t.Validity.NotAfter = rootTemplate().Validity.NotAfter.Add(time.Second) },
			reason: "wrong validity within the issuer's", ourOwn: true,
		},
		"a wildcard":             {change: constrain(permit([]string{"*.db.example"})), reason: `permitted domain "*.db.example" is a wildcard`, ourOwn: true},
		"capitals":               {change: constrain(permit([]string{"DB.example"})), reason: `permitted domain "DB.example" is not in its canonical form`, ourOwn: true},
		"a leading dot":          {change: constrain(permit([]string{".db.example"})), reason: `permitted domain ".db.example" `, ourOwn: true},
		"a final dot":            {change: constrain(permit([]string{"db.example."})), reason: "is not in its canonical form", ourOwn: true},
		"an address as a domain": {change: constrain(permit([]string{"10.0.0.1"})), reason: "looks like an address but is none", ourOwn: true},
		"a bad name after \"\"":  {change: constrain(permit([]string{"", "a b"})), reason: "contains a space", ourOwn: true},
		"a range that is none":   {change: constrain(&pki.NameConstraints{PermittedIP: []netip.Prefix{{}}}), reason: "permitted range invalid Prefix", ourOwn: true},
		"a mapped range":         {change: constrain(permit(nil, "::ffff:10.0.0.0/104")), reason: "is neither one of IPv4 nor one of IPv6", ourOwn: true},
		"constraints on a leaf": {change: func(template *pki.Template) {
			*template = leafTemplate(pki.Leaf)
			template.Constraints = permit([]string{"db.example"})
		}, reason: "name constraints are not for a leaf", ourOwn: true},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			template := subCATemplate(nil)
			if c.change != nil {
				c.change(&template)
				c.public = good
			}
			cert, err := newIssuer(t, ecdsaP256()).Issue(template, c.public)
			require.ErrorContains(t, err, "cannot issue certificate: ")
			require.ErrorContains(t, err, c.reason)
			require.Equal(t, !c.ourOwn, errors.Is(err, pki.ErrBadRequest))
			require.Nil(t, cert)
		})
	}
	_, err := pki.CreateSelfSigned(subCATemplate(nil), ecdsaP256())
	require.EqualError(t, err, "cannot create root: profile is subordinate CA")
	root := rootTemplate()
	root.Constraints = permit([]string{"db.example"})
	_, err = pki.CreateSelfSigned(root, ecdsaP256())
	require.EqualError(t, err, "cannot create root: name constraints are not for a root")
}

func constrain(constraints *pki.NameConstraints) func(*pki.Template) {
	return func(t *pki.Template) { t.Constraints = constraints }
}

// subCAForgery is a SubCA by crypto/x509 alone, for domains of db.example and
// no address when the template has constraints.
func subCAForgery(t *testing.T, template pki.Template, issuer *x509.Certificate, key pki.PrivateKey, public crypto.PublicKey) forgery {
	t.Helper()
	subject, err := template.Subject.Encode()
	require.NoError(t, err)
	f := forgery{template: &x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(1), 126), RawSubject: subject,
		NotBefore: template.Validity.NotBefore, NotAfter: template.Validity.NotAfter, SignatureAlgorithm: x509.ECDSAWithSHA256,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}, parent: issuer, public: public, signer: signerOf(t, key)}
	if template.Constraints != nil {
		f.template.PermittedDNSDomainsCritical = true
		f.template.PermittedDNSDomains = []string{"db.example"}
		f.template.ExcludedIPRanges = []*net.IPNet{
			{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
		}
	}
	return f
}

// TestCheckProfileNoticesEveryChangeOfASubCA is the self-check's mutation
// test, as for roots and leaves.
func TestCheckProfileNoticesEveryChangeOfASubCA(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, ecdsaP256()).Certificate()
	public := newECDSA(t, elliptic.P256()).Public()
	template := subCATemplate(permit([]string{"db.example"}))
	genuine := func() forgery { return subCAForgery(t, template, issuer, ecdsaP256(), public) }
	require.NoError(t, pki.CheckProfile(genuine().sign(t), issuer, template))
	for title, change := range map[string]func(*forgery){
		"a short serial":              func(f *forgery) { f.template.SerialNumber = big.NewInt(1) },
		"another subject":             func(f *forgery) { f.template.RawSubject = commonName(t, "Mesh CA") },
		"a later end":                 func(f *forgery) { f.template.NotAfter = f.template.NotAfter.Add(time.Second) },
		"another digest":              func(f *forgery) { f.template.SignatureAlgorithm = x509.ECDSAWithSHA384 },
		"no path length":              func(f *forgery) { f.template.MaxPathLenZero = false },
		"a path length of one":        func(f *forgery) { f.template.MaxPathLen = 1 },
		"ca false":                    func(f *forgery) { f.template.IsCA, f.template.MaxPathLenZero = false, false },
		"no basic constraints":        func(f *forgery) { f.template.BasicConstraintsValid = false },
		"lenient basic constraints":   func(f *forgery) { f.flipCritical(t, 19) },
		"no key usage":                func(f *forgery) { f.template.KeyUsage = 0 },
		"no crl sign":                 func(f *forgery) { f.template.KeyUsage = x509.KeyUsageCertSign },
		"a leaf's key usage":          func(f *forgery) { f.template.KeyUsage |= x509.KeyUsageDigitalSignature },
		"a lenient key usage":         func(f *forgery) { f.flipCritical(t, 15) },
		"an extended key usage":       func(f *forgery) { f.template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
		"an unknown usage":            func(f *forgery) { f.template.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} },
		"another subject key id":      func(f *forgery) { f.template.SubjectKeyId = make([]byte, 20) },
		"another authority key id":    func(f *forgery) { f.setValue(t, 35, append([]byte{0x30, 22, 0x80, 20}, make([]byte, 20)...)...) },
		"a name":                      func(f *forgery) { f.template.DNSNames = []string{"db.example"} },
		"a policy":                    func(f *forgery) { f.setValue(t, 32, 0x30, 5, 0x30, 3, 6, 1, 0x2a) },
		"a crl distribution point":    func(f *forgery) { f.template.CRLDistributionPoints = []string{"http://a"} },
		"an unknown critical one":     func(f *forgery) { f.flipCritical(t, 99) },
		"an ed25519 key":              func(f *forgery) { f.public = newEd25519(t).Public() },
		"a key on p-521":              func(f *forgery) { f.public = newECDSA(t, elliptic.P521()).Public() },
		"the issuer's key":            func(f *forgery) { f.public = issuer.PublicKey },
		"no constraints":              func(f *forgery) { f.template.PermittedDNSDomains, f.template.ExcludedIPRanges = nil, nil },
		"lenient constraints":         func(f *forgery) { f.template.PermittedDNSDomainsCritical = false },
		"another domain":              func(f *forgery) { f.template.PermittedDNSDomains = []string{"db2.example"} },
		"a domain more":               func(f *forgery) { f.template.PermittedDNSDomains = []string{"db.example", "example.org"} },
		"a domain in other bytes":     func(f *forgery) { f.template.PermittedDNSDomains = []string{".db.example"} },
		"addresses without limit":     func(f *forgery) { f.template.ExcludedIPRanges = nil },
		"one family without limit":    func(f *forgery) { f.template.ExcludedIPRanges = f.template.ExcludedIPRanges[:1] },
		"half of a family":            func(f *forgery) { f.template.ExcludedIPRanges[0].Mask = net.CIDRMask(1, 32) },
		"an address that is fine":     func(f *forgery) { f.template.PermittedIPRanges = f.template.ExcludedIPRanges[:1] },
		"e-mails that are excluded":   func(f *forgery) { f.template.ExcludedEmailAddresses = []string{"a@example.org"} },
		"a uri domain that is fine":   func(f *forgery) { f.template.PermittedURIDomains = []string{"example.org"} },
		"domains excluded altogether": func(f *forgery) { f.template.ExcludedDNSDomains = []string{""} },
	} {
		t.Run("a subordinate with "+title, func(t *testing.T) {
			t.Parallel()
			f := genuine()
			change(&f)
			der, err := x509.CreateCertificate(rand.Reader, f.template, f.parent, f.public, f.signer)
			require.NoError(t, err)
			cert, err := x509.ParseCertificate(der)
			if err == nil {
				err = pki.CheckProfile(cert, issuer, template)
			}
			require.Error(t, err)
		})
	}
	t.Run("a subordinate for another template", func(t *testing.T) {
		t.Parallel()
		cert := genuine().sign(t)
		for _, other := range []pki.Template{
			subCATemplate(nil), subCATemplate(permit([]string{"db.example"}, "10.0.0.0/8")), rootTemplate(), leafTemplate(pki.Leaf),
		} {
			require.Error(t, pki.CheckProfile(cert, issuer, other))
		}
	})
}
