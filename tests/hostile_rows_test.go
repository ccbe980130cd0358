// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/stretchr/testify/require"
)

const (
	webSubject = "CN=web.example.com"
	webName    = "DNS:web.example.com"
)

// plain is a request as crypto/x509 makes it, for web.example.com if nothing
// else is said.
func plain(change func(*x509.CertificateRequest)) func(*stage) string {
	return func(s *stage) string {
		csr, _ := newCSR(s.t, change)
		return csr
	}
}

// keyed is a request by a key of the given kind.
func keyed(generate func() (crypto.Signer, error), algorithm x509.SignatureAlgorithm) func(*stage) string {
	return func(s *stage) string {
		key, err := generate()
		require.NoError(s.t, err)
		template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "web.example.com"}, SignatureAlgorithm: algorithm}
		der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
		require.NoError(s.t, err)
		return pemText("CERTIFICATE REQUEST", der)
	}
}

func onCurve(curve elliptic.Curve) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return ecdsa.GenerateKey(curve, rand.Reader) }
}

func rsaOf(bits int) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) }
}

// texted changes the text of a good request.
func texted(change func(csr string) string) func(*stage) string {
	return func(s *stage) string { return change(plain(nil)(s)) }
}

func extended(extensions ...pkix.Extension) func(*stage) string {
	return plain(func(r *x509.CertificateRequest) { r.ExtraExtensions = extensions })
}

func must(value any) []byte {
	der, err := asn1.Marshal(value)
	if err != nil {
		panic(err)
	}
	return der
}

// alternative is an extension with names of any kind, whatever they hold.
func alternative(names ...asn1.RawValue) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: must(names)}
}

func generalName(tag int, text string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(text)}
}

// dnsNames is a request with the given dNSNames beside the common name.
func dnsNames(names ...string) func(*stage) string {
	var list []asn1.RawValue
	for _, name := range names {
		list = append(list, generalName(2, name))
	}
	return extended(alternative(list...))
}

func usages(list ...asn1.ObjectIdentifier) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: must(list)}
}

// value is an attribute of a subject, of any string type.
type value struct {
	oid  asn1.ObjectIdentifier
	tag  int
	text string
}

// subject is a request with a subject that crypto/x509 would not write.
func subject(values ...value) func(*stage) string {
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type rdnSET []attribute
	sequence := []rdnSET{}
	for _, v := range values {
		sequence = append(sequence, rdnSET{{v.oid, asn1.RawValue{Tag: v.tag, Bytes: []byte(v.text)}}})
	}
	return plain(func(r *x509.CertificateRequest) { r.RawSubject = must(sequence) })
}

var (
	oidCN           = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidO            = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidUniqueID     = asn1.ObjectIdentifier{2, 5, 4, 45}
	oidE            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidPrivate      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
	oidSHA256ECDSA  = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidSHA256RSA    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidServer       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}
	oidCodeSigning  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}
	oidOCSPSigning  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 9}
	oidAnyUsage     = asn1.ObjectIdentifier{2, 5, 29, 37, 0}
	oidExtensions   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}
	oidChallenge    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}
	oidMicrosoftExt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 14}
)

// crafted is a request put together by hand.
type crafted struct {
	version    int
	attributes []craftedAttribute
	claims     func(*stage) crypto.PublicKey // instead of the key's own
	algorithm  asn1.ObjectIdentifier
	after      string
}

type craftedAttribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

func asked(oid asn1.ObjectIdentifier, extensions ...pkix.Extension) craftedAttribute {
	return craftedAttribute{oid, []asn1.RawValue{{FullBytes: must(extensions)}}}
}

func (c crafted) make(s *stage) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(s.t, err)
	claims := key.Public()
	if c.claims != nil {
		claims = c.claims(s)
	}
	if c.algorithm == nil {
		c.algorithm = oidSHA256ECDSA
	}
	spki, err := x509.MarshalPKIXPublicKey(claims)
	require.NoError(s.t, err)
	info := must(struct {
		Version    int
		Subject    pkix.RDNSequence
		Key        asn1.RawValue
		Attributes []craftedAttribute `asn1:"tag:0,set"`
	}{c.version, pkix.Name{CommonName: "web.example.com"}.ToRDNSequence(), asn1.RawValue{FullBytes: spki}, c.attributes})
	digest := sha256.Sum256(info)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	require.NoError(s.t, err)
	der := must(struct {
		Info      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: info}, pkix.AlgorithmIdentifier{Algorithm: c.algorithm}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	return pemText("CERTIFICATE REQUEST", append(der, c.after...))
}

// claimedRSA is a key of the given shape; nobody has its private half.
func claimedRSA(bits uint, exponent int) func(*stage) crypto.PublicKey {
	return func(*stage) crypto.PublicKey {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: exponent}
	}
}

// byOpenSSL is a request that only openssl makes; "" where it is missing. The
// steps are its command lines, which leave csr.pem.
func byOpenSSL(steps ...string) func(*stage) string {
	return func(s *stage) string {
		program, err := exec.LookPath("openssl")
		if err != nil {
			return ""
		}
		folder := s.t.TempDir()
		for _, step := range steps {
			cmd := exec.Command(program, strings.Fields(step)...)
			cmd.Dir = folder
			text, err := cmd.CombinedOutput()
			require.NoError(s.t, err, "%s: %s", step, text)
		}
		csr, err := os.ReadFile(filepath.Join(folder, "csr.pem"))
		require.NoError(s.t, err)
		return strings.TrimSpace(string(csr))
	}
}

const request = "req -new -subj /CN=web.example.com -out csr.pem -key key.pem "

// refused and served are the two ends of a row of the CSR dialect.
func refused(name, reason string, csr func(*stage) string) hostileRow {
	return hostileRow{name: "csr: " + name, csr: csr, code: 999, reason: reason}
}

func served(name, subject, names string, csr func(*stage) string) hostileRow {
	return hostileRow{name: "csr: " + name, csr: csr, issued: true, subject: subject, names: names}
}

func fixed(text string) func(*stage) string { return func(*stage) string { return text } }

// hostileTexts are what may stand where a request is expected.
func hostileTexts() []hostileRow {
	entry := func(name, entries string, end hostileRow) hostileRow {
		end.name, end.entries, end.csr = "csr: "+name, entries, plain(nil)
		return end
	}
	web := hostileRow{issued: true, subject: webSubject, names: webName}
	nothing := func(name, entries, told string) hostileRow {
		return hostileRow{name: "csr: " + name, entries: entries, told: told}
	}
	shared := entry("a request of a unit and of its application", "", web)
	shared.also = "hostile"
	twins := entry("a request of two units", "", web)
	twins.also = "hostile/2"
	return []hostileRow{
		nothing("a list that is not JSON", "[{", "not JSON"),
		nothing("an object in place of the list", `{"a": 1}`, "not a JSON array"),
		nothing("text in place of the list", `"hello"`, "not a JSON array"),
		nothing("a number in place of the list", "7", "not a JSON array"),
		nothing("null in place of the list", "null", "not a JSON array"),
		nothing("a list of strings", `["a", "b"]`, "not a JSON object"),
		nothing("a request that is a number", `[{"certificate_signing_request": 7, "ca": false}]`, "not text"),
		nothing("a request that is empty", `[{"certificate_signing_request": "", "ca": false}]`, "empty"),
		nothing("an entry without a request", `[{"ca": true}]`, "missing"),
		nothing("half of a surrogate pair", `[{"certificate_signing_request": "\ud800", "ca": false}]`, "UTF-8"),
		nothing("a request over 16 KiB", `[{"certificate_signing_request": "`+strings.Repeat("x", 16<<10+1)+`", "ca": false}]`, "longer than 16384"),
		nothing("lists in lists, a thousand deep", strings.Repeat("[", 1000)+strings.Repeat("]", 1000), "not a JSON object"),
		entry("an entry without ca", `[{"certificate_signing_request": CSR}]`, web),
		entry("ca is null", `[{"certificate_signing_request": CSR, "ca": null}]`, web),
		entry("ca is the text false", `[{"certificate_signing_request": CSR, "ca": "false"}]`, web),
		entry("ca is one", `[{"certificate_signing_request": CSR, "ca": 1}]`, hostileRow{code: 999, reason: "allow-ca-requests"}),
		entry("ca is banana", `[{"certificate_signing_request": CSR, "ca": "banana"}]`, hostileRow{code: 999, reason: "neither true nor false"}),
		entry("ca with and without for the same request", `[{"certificate_signing_request": CSR, "ca": true}, {"certificate_signing_request": CSR, "ca": false}]`, web),
		entry("a good entry among bad ones", `[7, null, {"certificate_signing_request": CSR, "ca": false}, {}]`, web),
		entry("the same entry three times", `[{"certificate_signing_request": CSR}, {"certificate_signing_request": CSR}, {"certificate_signing_request": CSR}]`, web),
		entry("fields that nobody knows", `[{"certificate_signing_request": CSR, "ca": false, "validity": "100y", "CA": true}]`, web),
		shared,
		twins,
		served("a request copied from a neighbour", "CN=good.example.com", "DNS:good.example.com", func(s *stage) string { return s.goodCSR }),
		refused("text that is no request", "PEM", fixed("hello")),
		refused("blanks", "empty", fixed(" \n")),
		refused("a certificate", "CERTIFICATE", func(s *stage) string { return pemText("CERTIFICATE", s.root.Raw) }),
		refused("DER that is no request", "malformed", fixed(pemText("CERTIFICATE REQUEST", []byte("x")))),
		refused("a request after other text", "does not begin", texted(func(csr string) string { return "see below\n" + csr })),
		refused("other text after the request", "text after", texted(func(csr string) string { return csr + "\nand so on" })),
		refused("several requests", "more than one", texted(func(csr string) string { return csr + "\n" + csr })),
		refused("a request with headers", "headers", texted(func(csr string) string {
			return strings.Replace(csr, "REQUEST-----\n", "REQUEST-----\nComment: x\n\n", 1)
		})),
		refused("a request that is cut", "PEM", texted(func(csr string) string { return csr[:len(csr)/2] })),
		served("line ends of Windows", webSubject, webName, texted(func(csr string) string { return strings.ReplaceAll(csr, "\n", "\r\n") })),
		served("blanks around the request", webSubject, webName, texted(func(csr string) string { return "\n  " + csr + "\n\n" })),
		served("the older name of a request", webSubject, webName, texted(func(csr string) string {
			return strings.ReplaceAll(csr, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
		})),
	}
}

// hostileKeys are keys, signatures and structures.
func hostileKeys() []hostileRow {
	ed := func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	weak := crafted{claims: claimedRSA(2048, 3), algorithm: oidSHA256RSA}
	huge := crafted{claims: claimedRSA(16384, 65537), algorithm: oidSHA256RSA}
	own := crafted{claims: func(s *stage) crypto.PublicKey { return s.root.PublicKey }}
	san := alternative(generalName(2, "alias.example.com"))
	return []hostileRow{
		refused("a signature that does not fit", "signature", func(s *stage) string { return forged(s.t) }),
		refused("an RSA key of 1024 bits", "1024 bits", func(s *stage) string { return weakRSA(s.t) }),
		refused("an RSA key of 16384 bits", "16384 bits", huge.make),
		refused("an RSA exponent of three", "exponent", weak.make),
		refused("a key on P-224", "P-256", keyed(onCurve(elliptic.P224()), 0)),
		refused("the CA's own key", "signature", own.make),
		refused("a SHA-1 signature", "SHA1", keyed(onCurve(elliptic.P256()), x509.ECDSAWithSHA1)),
		refused("an MD5 signature", "MD5", byOpenSSL("genrsa -out key.pem 2048", request+"-md5")),
		refused("a key on secp256k1", "curve", func(s *stage) string { return secp256k1(s.t) }),
		refused("an Ed448 key", "algorithm is unknown", byOpenSSL("genpkey -algorithm ED448 -out key.pem", request)),
		refused("a DSA key", "DSA", byOpenSSL("genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out dsa.pem", "genpkey -paramfile dsa.pem -out key.pem", request)),
		refused("a curve by its parameters", "malformed", byOpenSSL("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit -out key.pem", request)),
		refused("a compressed point", "malformed", byOpenSSL("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out long.pem", "ec -in long.pem -conv_form compressed -out key.pem", request)),
		refused("a salt of unusual length", "salt", byOpenSSL("genrsa -out key.pem 2048", request+"-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max")),
		served("a key on P-384", webSubject, webName, keyed(onCurve(elliptic.P384()), 0)),
		served("a key on P-521", webSubject, webName, keyed(onCurve(elliptic.P521()), 0)),
		served("an Ed25519 key", webSubject, webName, keyed(ed, 0)),
		served("an RSA key of 2048 bits", webSubject, webName, keyed(rsaOf(2048), 0)),
		refused("a version that is not known", "version", crafted{version: 5}.make),
		refused("bytes after the request", "malformed", crafted{after: "x"}.make),
		refused("two lists of extensions", "more than one list", crafted{attributes: []craftedAttribute{asked(oidExtensions, san), asked(oidExtensions, usages(oidServer))}}.make),
		refused("an extension twice", "malformed", crafted{attributes: []craftedAttribute{asked(oidExtensions, san, san)}}.make),
		served("attributes that mean nothing to us", webSubject, webName, crafted{attributes: []craftedAttribute{
			asked(oidMicrosoftExt, san),
			{oidChallenge, []asn1.RawValue{{Tag: asn1.TagUTF8String, Bytes: []byte("secret")}}},
		}}.make),
	}
}

// hostileSubjects are subjects, plain and crafted.
func hostileSubjects() []hostileRow {
	long := strings.Repeat("a-long-label.", 6) + "example.com"
	utf8, printable, ia5 := asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String
	denied := func(name, reason string, csr func(*stage) string) hostileRow {
		row := refused(name, reason, csr)
		row.code = 102
		return row
	}
	var many []value
	for i := range 17 {
		many = append(many, value{oidO, utf8, fmt.Sprint("group ", i)})
	}
	return []hostileRow{
		served("an address as common name", "CN=10.1.2.3", "IP:10.1.2.3", plain(named("10.1.2.3"))),
		served("a common name that is no host", "CN=hello world", "", plain(named("hello world"))),
		served("a common name over 64 characters", "", "DNS:"+long, plain(named(long))),
		refused("a common name over 64 characters that is no host", "name", plain(named(strings.Repeat("no host ", 10)))),
		refused("neither subject nor names", "name", subject()),
		served("names without a subject", "", "DNS:alias.example.com", plain(func(r *x509.CertificateRequest) {
			r.Subject.CommonName, r.DNSNames = "", []string{"alias.example.com"}
		})),
		served("a common name that is not ASCII", "CN=bücher.example", "DNS:xn--bcher-kva.example", plain(named("bücher.example"))),
		refused("a line break in the common name", "control character", plain(named("web\nexample"))),
		refused("a zero byte in the common name", "control character", plain(named("web.example.com\x00.evil.example"))),
		refused("an escape sequence in an organization", "control character", subject(value{oidCN, utf8, "web.example.com"}, value{oidO, utf8, "\x1b[2J"})),
		refused("the CA's own subject", "the CA's own", plain(named("tls-authority demo G1"))),
		refused("the CA's own subject in capitals", "the CA's own", plain(named("TLS-AUTHORITY  DEMO G1"))),
		denied("a common name that clusters trust", "denied-common-names", plain(named("system:kube-apiserver"))),
		denied("the same name in wide letters", "denied-common-names", plain(named("ｃｌｉｅｎｔ"))),
		denied("the group of administrators", "denied-organizations", subject(value{oidCN, utf8, "me"}, value{oidO, printable, "system:masters"})),
		denied("the same group after another", "denied-organizations", subject(value{oidCN, utf8, "me"}, value{oidO, utf8, "staff"}, value{oidO, utf8, "System:Masters"})),
		denied("a trusted name as alternative name", "denied-common-names", dnsNames("client")),
		served("an identifier as Canonical writes it", "CN=web.example.com,2.5.4.45=#1303613162", webName, subject(value{oidCN, utf8, "web.example.com"}, value{oidUniqueID, utf8, "a1b"})),
		served("an identifier in bits", webSubject, webName, subject(value{oidCN, utf8, "web.example.com"}, value{oidUniqueID, asn1.TagBitString, "\x00\x01"})),
		served("an e-mail address in the subject", "CN=web.example.com,1.2.840.113549.1.9.1=#0c0e6d65406578616d706c652e636f6d", webName+" email:me@example.com",
			subject(value{oidCN, utf8, "web.example.com"}, value{oidE, ia5, "me@example.com"})),
		refused("a subject of seventeen values", "more than 16", subject(many...)),
		refused("a subject of three kilobytes", "2048 bytes", subject(value{oidCN, utf8, "web.example.com"}, value{oidO, utf8, strings.Repeat("x", 3<<10)})),
	}
}

// hostileNames are alternative names in requests.
func hostileNames() []hostileRow {
	many := func(count int) func(*stage) string {
		var names []string
		for i := range count {
			names = append(names, fmt.Sprintf("n%d.example.com", i))
		}
		return dnsNames(names...)
	}
	spiffe, err := url.Parse("spiffe://example.com/ns/web")
	if err != nil {
		panic(err)
	}
	return []hostileRow{
		refused("a zero byte in a name", "control character", dnsNames("a\x00b.example.com")),
		refused("a blank in a name", "space", dnsNames("a b.example.com")),
		refused("a slash in a name", "character", dnsNames("a/b.example.com")),
		refused("a name of 300 characters", "longer", dnsNames(strings.Repeat("a.", 146)+"example")),
		refused("a label of 64 characters", "63 octets", dnsNames(strings.Repeat("a", 64)+".example.com")),
		refused("an empty label", "empty label", dnsNames("a..example.com")),
		refused("a wildcard above one label", "wildcard", dnsNames("*.example")),
		refused("a wildcard in the middle", "wildcard", dnsNames("a.*.example.com")),
		refused("half a wildcard", "wildcard", dnsNames("foo*.example.com")),
		refused("an address that is none", "address", dnsNames("010.1.2.3")),
		refused("an A-label that is none", "internationalised", dnsNames("xn--a.example.com")),
		refused("a name that is not ASCII", "malformed", dnsNames("b\xfccher.example")),
		refused("a URI that is no identity", "spiffe", extended(alternative(generalName(6, "https://example.com/")))),
		refused("a URI with a bad host", "malformed", extended(alternative(generalName(6, "spiffe://a b/")))),
		refused("an address of three bytes", "malformed", extended(alternative(generalName(7, "abc")))),
		refused("a name of another kind", "none of", extended(alternative(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: must(oidPrivate)}))),
		refused("three hundred names", "more than the 250 allowed", many(300)),
		served("an empty name among others", webSubject, webName+" DNS:alias.example.com", dnsNames("", "alias.example.com")),
		served("an empty e-mail address", webSubject, webName, extended(alternative(generalName(1, "")))),
		served("no names in the list of names", webSubject, webName, extended(alternative([]asn1.RawValue{}...))),
		served("an address as DNS name", webSubject, webName+" DNS:10.4.5.6 IP:10.4.5.6", dnsNames("10.4.5.6")),
		served("an underscore and a final dot", webSubject, webName+" DNS:a_b.example.com", dnsNames("a_b.example.com.")),
		served("one name in three spellings", webSubject, webName, dnsNames("WEB.example.com", "web.example.com.", "Web.Example.Com")),
		served("a wildcard", webSubject, webName+" DNS:*.example.com", dnsNames("*.example.com")),
		served("an IPv4 address within IPv6", webSubject, webName+" IP:10.0.0.7", extended(alternative(generalName(7, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x07")))),
		served("a registered identifier", webSubject, webName+" RID:1.2.3.4", extended(alternative(generalName(8, "\x2a\x03\x04")))),
		served("an identity of a workload", webSubject, webName+" URI:spiffe://example.com/ns/web", plain(func(r *x509.CertificateRequest) { r.URIs = []*url.URL{spiffe} })),
	}
}

// hostileExtensions ask for more than a leaf is.
func hostileExtensions() []hostileRow {
	constraints := func(der ...byte) pkix.Extension {
		return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: der}
	}
	other := func(critical bool, oid ...int) pkix.Extension {
		return pkix.Extension{Id: oid, Critical: critical, Value: []byte{5, 0}}
	}
	return []hostileRow{
		served("the wish to be a CA", webSubject, webName, extended(constraints(0x30, 3, 1, 1, 0xff))),
		refused("constraints that are malformed", "malformed", extended(constraints(0x30, 9))),
		served("the usages of a CA", webSubject, webName, extended(pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 1, 6}})),
		served("a usage beside ours", webSubject, webName, extended(usages(oidServer, oidOCSPSigning, oidCodeSigning))),
		refused("the usage of a signer of code", "neither serverAuth nor clientAuth", extended(usages(oidCodeSigning))),
		refused("the usage of an OCSP responder", "neither serverAuth nor clientAuth", extended(usages(oidOCSPSigning))),
		refused("any usage", "neither serverAuth nor clientAuth", extended(usages(oidAnyUsage))),
		served("an unknown critical extension", webSubject, webName, extended(pkix.Extension{Id: oidPrivate, Critical: true, Value: []byte{5, 0}})),
		served("constraints on names", webSubject, webName, extended(other(true, 2, 5, 29, 30), other(true, 2, 5, 29, 36))),
		served("other places to ask for revocation", webSubject, webName, extended(other(false, 2, 5, 29, 31), other(false, 1, 3, 6, 1, 5, 5, 7, 1, 1))),
		served("the poison of a precertificate", webSubject, webName, extended(other(true, 1, 3, 6, 1, 4, 1, 11129, 2, 4, 3))),
		served("an identifier of another key", webSubject, webName, extended(pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 14}, Value: must([]byte("the CA's"))})),
	}
}

// legacyServed is a row with one request in a list, and legacyRefused one that
// gets nothing.
func legacyServed(name, key, list, commonName, subject, names, logged string) hostileRow {
	return hostileRow{
		name: "legacy: " + name, bag: map[string]string{"unit_name": "hostile_0", key: list}, logged: logged,
		issued: true, kind: strings.Replace("processed_"+key, "cert_", "", 1), commonName: commonName, subject: subject, names: names,
	}
}

func legacyRefused(name, key, list, told string) hostileRow {
	return hostileRow{name: "legacy: " + name, bag: map[string]string{"unit_name": "hostile_0", key: list}, told: told}
}

// topLevel is a request with names as they stand in the databag.
func topLevel(name, unitName, commonName, sans, subject, names, logged string) hostileRow {
	return hostileRow{
		name: "legacy: " + name, bag: map[string]string{"unit_name": unitName, "common_name": commonName, "sans": sans}, logged: logged,
		issued: true, kind: "top", subject: subject, names: names,
	}
}

// hostileBags are legacy databags that are not what they should be.
func hostileBags() []hostileRow {
	const servers, clients = "cert_requests", "client_cert_requests"
	both := topLevel("one name at both places", "hostile_0", "web.example.com", `["a.example.com"]`, webSubject, webName+" DNS:a.example.com DNS:b.example.com", "")
	both.bag[servers] = `{"web.example.com": {"sans": ["b.example.com"]}}`
	// A list alone is no sign of the dialect: it must not bring out a key.
	list := hostileRow{name: "legacy: a list of the first draft, from unit and application", bag: map[string]string{servers: `["x"]`}, also: "hostile"}
	return []hostileRow{
		legacyRefused("requests that are not JSON", servers, "{broken", "not JSON"),
		legacyRefused("requests that are a list", servers, `[{"common_name": "x"}]`, "an array of requests is not served"),
		legacyRefused("requests that are text", clients, `"hello"`, "not a JSON object"),
		legacyRefused("requests that are a number", servers, "7", "not a JSON object"),
		legacyRefused("a request that is text", servers, `{"web.example.com": "x"}`, "not a JSON object"),
		legacyRefused("a request without a name", servers, `{"": {"sans": ["a.example.com"]}}`, "common name is empty"),
		legacyRefused("a name of two kilobytes", servers, `{"`+strings.Repeat("x", 2<<10)+`": {}}`, "longer than 1024"),
		legacyRefused("a name with a zero byte", servers, `{"web\u0000.example.com": {}}`, "control character"),
		legacyRefused("a name with a line break", clients, `{"web\n.example.com": {}}`, "control character"),
		legacyRefused("a name that is half of a surrogate pair", servers, `{"\ud800": {}}`, "UTF-8"),
		legacyRefused("the CA's own name", clients, `{"tls-authority demo G1": {}}`, "the CA's own"),
		legacyRefused("the certificate of a CA", "intermediate_cert_requests", `{"ca.example.com": {"sans": []}}`, "allow-ca-requests"),
		legacyRefused("more names than a certificate has", servers, `{"web.example.com": {"sans": `+numbered(300)+`}}`, "at most 250"),
		legacyServed("a request without names", servers, `{"web.example.com": {}}`, "web.example.com", webSubject, webName, ""),
		legacyServed("names that are null", clients, `{"someone": {"sans": null}}`, "someone", "CN=someone", "", ""),
		legacyServed("names that are one text", servers, `{"web.example.com": {"sans": "a.example.com"}}`, "web.example.com", webSubject, webName+" DNS:a.example.com", ""),
		legacyServed("names that are no text", servers, `{"web.example.com": {"sans": [null, 7, "a.example.com", {}]}}`, "web.example.com", webSubject, webName+" DNS:a.example.com", "is not text"),
		legacyServed("names that are an object", servers, `{"web.example.com": {"sans": {"a.example.com": 1}}}`, "web.example.com", webSubject, webName, "neither an array nor text"),
		legacyServed("a request twice", servers, `{"web.example.com": {"sans": ["a.example.com"]}, "web.example.com": {"sans": ["b.example.com"]}}`, "web.example.com", webSubject, webName+" DNS:b.example.com", ""),
		legacyServed("a good request among bad ones", servers, `{"a": 7, "": {}, "web.example.com": {"sans": []}, "b": []}`, "web.example.com", webSubject, webName, "not a JSON object"),
		legacyServed("an application without names", "application_cert_requests", `{"web.example.com": {"sans": []}}`, "app_data", webSubject, webName, ""),
		topLevel("names with commas in place of a list", "hostile_0", "web.example.com", "a.example.com,10.0.0.9", webSubject, webName+" DNS:a.example.com IP:10.0.0.9", ""),
		topLevel("names with blanks in place of a list", "hostile_0", "web.example.com", "a.example.com fd00::9", webSubject, webName+" DNS:a.example.com IP:fd00::9", ""),
		topLevel("a sentence in place of a list", "hostile_0", "web.example.com", "no names, today!", webSubject, webName, "left out"),
		topLevel("the unit name of a sibling", "hostile_1", "web.example.com", "[]", webSubject, webName, "is not the name of this unit"),
		topLevel("the unit name of the global client", "client", "web.example.com", "[]", webSubject, webName, "is not the name of this unit"),
		topLevel("a unit name with a line break", "hostile_0\nca", "web.example.com", "[]", webSubject, webName, "is not the name of this unit"),
		topLevel("a unit name as Juju spells it", "hostile/0", "web.example.com", "[]", webSubject, webName, ""),
		topLevel("the name that a sibling has", "hostile_0", "10.6.0.1", `["sibling.example.com"]`, "CN=10.6.0.1", "IP:10.6.0.1 DNS:sibling.example.com", ""),
		both,
		list,
	}
}

func numbered(count int) string {
	var names []string
	for i := range count {
		names = append(names, fmt.Sprintf(`"n%d.example.com"`, i))
	}
	return "[" + strings.Join(names, ",") + "]"
}

// hostileLegacyNames are names in requests of the legacy dialect: what is no
// name is left out, the rest is served.
func hostileLegacyNames() []hostileRow {
	var rows []hostileRow
	long := strings.Repeat("a-long-label.", 6) + "example.com"
	for _, c := range []struct{ name, commonName, subject, names string }{
		{"the word null as name", "null", "CN=null", "DNS:null"},
		{"a word of the protocol as name", "client.cert", "CN=client.cert", "DNS:client.cert"},
		{"commands as name", "$(touch /tmp/x); `id`", "CN=$(touch /tmp/x)\\; `id`", ""},
		{"an option as name", "--help", "CN=--help", ""},
		{"a path as name", "../../etc/passwd", "CN=../../etc/passwd", ""},
		{"a name that is not ASCII", "bücher.example", "CN=bücher.example", "DNS:xn--bcher-kva.example"},
		{"a name over 64 characters", long, "", "DNS:" + long},
		{"an IPv6 address as name", "fd00::7", "CN=fd00::7", "IP:fd00::7"},
		{"a wildcard as name", "*.example.com", "CN=*.example.com", "DNS:*.example.com"},
	} {
		rows = append(rows, legacyServed(c.name, "cert_requests", fmt.Sprintf(`{%q: {"sans": []}}`, c.commonName), c.commonName, c.subject, c.names, ""))
	}
	for _, c := range []struct{ name, sans, names, logged string }{
		{"an address in brackets", `"[fd00::8]"`, "IP:fd00::8", ""},
		{"a range of addresses", `"10.0.0.0/8"`, "", "left out"},
		{"a name with a port", `"a.example.com:443"`, "", "left out"},
		{"a URL as name", `"https://a.example.com/"`, "", "left out"},
		{"an address with a zone", `"fe80::1%eth0"`, "", "zone"},
		{"an address with leading zeros", `"010.1.2.3"`, "", "looks like an address"},
		{"a line break in a name", `"a\n.example.com"`, "", "control character"},
		{"an unfit wildcard", `"*.example"`, "", "wildcard"},
		{"a label over 63 characters", `"` + strings.Repeat("a", 64) + `.example.com"`, "", "63 octets"},
		{"dots in a row", `"a..example.com"`, "", "empty label"},
		{"an invalid A-label", `"xn--a.example.com"`, "", "internationalised"},
		{"a mapped address", `"::ffff:10.0.0.8"`, "IP:10.0.0.8", ""},
		{"wide letters and other spellings", `"ａ.example.com", "A.example.com.", "a.EXAMPLE.com"`, "DNS:a.example.com", ""},
	} {
		rows = append(rows, legacyServed(c.name, "cert_requests", `{"web.example.com": {"sans": [`+c.sans+`, "last.example.com"]}}`,
			"web.example.com", webSubject, strings.TrimSpace(webName+" DNS:last.example.com "+c.names), c.logged))
	}
	return rows
}
