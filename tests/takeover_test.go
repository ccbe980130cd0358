// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// outsider is a CA that somebody else runs, with what stands above it, its
// issuer first and the root last.
type outsider struct {
	cert  *x509.Certificate
	key   crypto.Signer
	above []*x509.Certificate
}

// outsiderRSA is made once, because that takes long.
var outsiderRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// newRoot makes a root. The key is made if it is nil; change may be nil.
func newRoot(t *testing.T, name string, key crypto.Signer, change func(*x509.Certificate)) outsider {
	t.Helper()
	if key == nil {
		key = newECKey(t)
	}
	self := outsider{cert: &x509.Certificate{Subject: pkix.Name{CommonName: name}}, key: key}
	self.cert = self.sign(t, pkix.Name{CommonName: name}, key.Public(), change)
	return self
}

// sign makes the certificate of a CA for a key.
func (o outsider) sign(t *testing.T, subject pkix.Name, public crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: subject, BasicConstraintsValid: true, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(5, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if change != nil {
		change(template)
	}
	issuer := o.cert
	if issuer.Raw == nil {
		issuer = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, o.key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return certificate
}

// signCSR makes the certificate that a request of ours asks for, and what
// stands above it, as files.
func (o outsider) signCSR(t *testing.T, csr string, change func(*x509.Certificate)) map[string]any {
	t.Helper()
	request := parseCSR(t, csr)
	certificate := o.sign(t, request.Subject, request.PublicKey, change)
	return map[string]any{"certificate": pemOf(certificate), "chain": pemOf(o.path()...)}
}

// path is the CA with everything above it.
func (o outsider) path() []*x509.Certificate { return append([]*x509.Certificate{o.cert}, o.above...) }

// below makes another CA, signed by this one.
func (o outsider) below(t *testing.T, name string, key crypto.Signer, change func(*x509.Certificate)) outsider {
	t.Helper()
	if key == nil {
		key = newECKey(t)
	}
	return outsider{cert: o.sign(t, pkix.Name{CommonName: name}, key.Public(), change), key: key, above: o.path()}
}

// secret is the content of a user secret with the CA.
func (o outsider) secret(t *testing.T) map[string]string {
	t.Helper()
	content := map[string]string{"certificate": pemOf(o.cert), "private-key": pemKey(t, o.key)}
	if len(o.above) > 0 {
		content["chain"] = pemOf(o.above...)
	}
	return content
}

func until(notAfter time.Time) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotAfter = notAfter }
}

func pemOf(certificates ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range certificates {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return text.String()
}

// pemKey is a key in PKCS#8.
func pemKey(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func parseCSR(t *testing.T, text string) *x509.CertificateRequest {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	require.NotNil(t, block, "no PEM block in %q", text)
	require.Empty(t, strings.TrimSpace(string(rest)))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(t, err)
	require.NoError(t, request.CheckSignature())
	return request
}

// requireVerifies proves a leaf to those who trust one root and are presented
// with what stands between: in Go and, where it is installed, in OpenSSL.
func requireVerifies(t *testing.T, root *x509.Certificate, between []*x509.Certificate, leaf *x509.Certificate) {
	t.Helper()
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), KeyUsages: leaf.ExtKeyUsage}
	options.Roots.AddCert(root)
	for _, c := range between {
		options.Intermediates.AddCert(c)
	}
	_, err := leaf.Verify(options)
	require.NoError(t, err)
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("NOT VERIFIED by a second TLS stack: openssl is not installed")
		return
	}
	folder := t.TempDir()
	write := func(name string, certificates ...*x509.Certificate) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(pemOf(certificates...)), 0o600))
		return path
	}
	arguments := []string{"verify", "-purpose", "sslclient", "-CAfile", write("root.pem", root)}
	if slices.ContainsFunc(root.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "2.5.29.19" && e.Critical }) {
		arguments = append(arguments, "-x509_strict") // it refuses roots of Easy-RSA
	}
	if len(between) > 0 {
		arguments = append(arguments, "-untrusted", write("between.pem", between...))
	}
	text, err := exec.Command(program, append(arguments, write("leaf.pem", leaf))...).CombinedOutput()
	require.NoError(t, err, "openssl verify: %s", text)
}

// easyRSA is the pki folder of an easyrsa charm, its files by name, with the
// certificates and keys in it by common name.
type easyRSA struct {
	files map[string]string
	ca    outsider
	pairs map[string]archived
}

// archived is a pair as the folder holds it.
type archived struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// requireGiven proves that a requirer has the pair of the archive.
func (a archived) requireGiven(t *testing.T, p pair) {
	t.Helper()
	require.Equal(t, pemOf(a.cert), p.Cert)
	a.requireKey(t, p)
}

func (a archived) requireKey(t *testing.T, p pair) {
	t.Helper()
	p.leaf(t)
	require.True(t, pemKey(t, a.key) == p.Key, "the key is that of the archive")
}

// write packs the folder as the backup action of the easyrsa charm does.
func (e easyRSA) write(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "easyrsa-2026-01-01_00-00-00.tar.gz")
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	w := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(e.files[name])), Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(e.files[name]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zipped.Close())
	require.NoError(t, os.WriteFile(path, packed.Bytes(), 0o600))
	return path
}

// newEasyRSA makes a folder with the global client certificate and one for
// etcd/0, by OpenSSL where it is installed.
func newEasyRSA(t *testing.T) easyRSA {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err == nil {
		return newOpenSSL(t)
	}
	t.Log("MADE WITHOUT openssl, which is not installed: what Easy-RSA makes may differ")
	return newEasyRSAOfAge(t, time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0), time.Now().AddDate(2, 0, 0))
}

// newEasyRSAOfAge makes the folder without OpenSSL: a CA from begin to end,
// and leaves until another time, whose key identifiers name the CA by its
// serial number, too.
func newEasyRSAOfAge(t *testing.T, begin, end, leafEnd time.Time) easyRSA {
	t.Helper()
	ca := newRoot(t, "10.0.0.1", nil, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = begin, end })
	e := easyRSA{ca: ca, pairs: map[string]archived{}, files: map[string]string{
		"pki/ca.crt": pemOf(ca.cert), "pki/private/ca.key": pemKey(t, ca.key), "pki/index.txt": "", "pki/serial": "02\n",
	}}
	for name, usage := range map[string][]x509.ExtKeyUsage{
		"client":   {x509.ExtKeyUsageClientAuth},
		"10.0.1.1": {x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	} {
		key := newECKey(t)
		leaf := ca.sign(t, pkix.Name{CommonName: name}, key.Public(), func(c *x509.Certificate) {
			c.IsCA, c.KeyUsage, c.ExtKeyUsage = false, x509.KeyUsageDigitalSignature, usage
			c.NotBefore, c.NotAfter = leafEnd.AddDate(-2, 0, -1), leafEnd
			c.ExtraExtensions = []pkix.Extension{ca.identifier(t)}
			if name != "client" {
				c.DNSNames = []string{"etcd-0.example.com"}
			}
		})
		e.add(t, name, leaf, key)
	}
	return e
}

func (e easyRSA) add(t *testing.T, name string, leaf *x509.Certificate, key crypto.Signer) {
	t.Helper()
	e.pairs[name] = archived{leaf, key}
	e.files["pki/issued/"+name+".crt"] = "Certificate:\n    Data:\n" + pemOf(leaf)
	e.files["pki/private/"+name+".key"] = pemKey(t, key)
}

// identifier is an authority key identifier with key, issuer and serial number
// (RFC 5280 section 4.2.1.1), of which crypto/x509 has no model.
func (o outsider) identifier(t *testing.T) pkix.Extension {
	t.Helper()
	part := func(tag int, constructed bool, content []byte) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: constructed, Bytes: content}
	}
	name, err := asn1.Marshal(part(4, true, o.cert.RawSubject))
	require.NoError(t, err)
	serial, err := asn1.Marshal(o.cert.SerialNumber)
	require.NoError(t, err)
	value, err := asn1.Marshal([]asn1.RawValue{part(0, false, o.cert.SubjectKeyId), part(1, true, name), part(2, false, serial[2:])})
	require.NoError(t, err)
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: value}
}

// newOpenSSL makes the folder with the commands that Easy-RSA runs.
func newOpenSSL(t *testing.T) easyRSA {
	t.Helper()
	folder := t.TempDir()
	run := func(arguments ...string) {
		command := exec.Command("openssl", arguments...)
		command.Dir = folder
		text, err := command.CombinedOutput()
		require.NoError(t, err, "openssl %s: %s", arguments[0], text)
	}
	for _, name := range []string{"private", "issued", "reqs", "certs_by_serial"} {
		require.NoError(t, os.MkdirAll(filepath.Join(folder, "pki", name), 0o700))
	}
	config, err := os.ReadFile(filepath.Join(root, "internal", "easyrsa", "testdata", "openssl.cnf"))
	require.NoError(t, err)
	for name, content := range map[string]string{"config": string(config), "pki/index.txt": "", "pki/serial": "7f00000000000000000000000000aa01\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600))
	}
	run("req", "-config", "config", "-x509", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=10.0.0.1", "-days", "3650",
		"-sha256", "-extensions", "authority", "-keyout", "pki/private/ca.key", "-out", "pki/ca.crt")
	issue := func(profile, name string, more ...string) {
		run(append([]string{"req", "-config", "config", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name,
			"-keyout", "pki/private/" + name + ".key", "-out", "pki/reqs/" + name + ".req"}, more...)...)
		run("ca", "-batch", "-config", "config", "-extensions", profile, "-in", "pki/reqs/"+name+".req", "-out", "pki/issued/"+name+".crt")
	}
	issue("client", "client")
	issue("server", "10.0.1.1", "-addext", "subjectAltName=DNS:etcd-0.example.com,IP:10.0.1.1")

	e := easyRSA{files: map[string]string{}, pairs: map[string]archived{}}
	pki := os.DirFS(folder)
	require.NoError(t, fs.WalkDir(pki, "pki", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(pki, path)
		e.files[path] = string(content)
		return err
	}))
	read := func(certificate, key string) archived {
		_, body, _ := strings.Cut(e.files[certificate], "-----BEGIN CERTIFICATE-----")
		block, _ := pem.Decode([]byte(e.files[key]))
		require.NotNil(t, block)
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		require.NoError(t, err)
		return archived{parseOne(t, "-----BEGIN CERTIFICATE-----"+body), parsed.(crypto.Signer)}
	}
	ca := read("pki/ca.crt", "pki/private/ca.key")
	e.ca = outsider{cert: ca.cert, key: ca.key}
	for _, name := range []string{"client", "10.0.1.1"} {
		e.pairs[name] = read("pki/issued/"+name+".crt", "pki/private/"+name+".key")
	}
	return e
}

// takeOver deploys the charm and restores the archive.
func (e easyRSA) takeOver(t *testing.T) (*site, map[string]string) {
	t.Helper()
	s := newSourced(t, nil, 1)
	s.settle()
	results, failure := s.restore(e.write(t), locks{}, nil)
	require.Empty(t, failure)
	return s, results
}

// twin is a databag that asks for what etcd/0 asks for.
func twin(unitName string) map[string]string {
	bag := etcdBags(1)["etcd/0"]
	bag["unit_name"] = unitName
	return bag
}

func TestTakingOverFromEasyRSA(t *testing.T) {
	t.Parallel()
	e := newEasyRSA(t)
	s, results := e.takeOver(t)
	require.Equal(t, "archive of an easyrsa charm", results["origin"])
	require.Equal(t, "2", results["pairs"])
	require.Equal(t, "CN=10.0.0.1", results["subject"])
	require.NotContains(t, results, "left-out")
	require.True(t, e.ca.cert.Equal(s.root()))
	require.True(t, pemKey(t, e.ca.key) == s.secretOf("ca-2")["private-key"])

	etcd := s.relate("etcd", map[string]map[string]string{"etcd/0": twin("etcd_0"), "etcd/1": twin("etcd_1")})
	bag := s.legacy(etcd)
	require.Equal(t, pemOf(e.ca.cert), bag["ca"])
	require.NotContains(t, bag, "chain")
	first, second := serverPair(bag, "etcd_0"), serverPair(bag, "etcd_1")
	given := e.pairs["10.0.1.1"]
	if first.Cert != pemOf(given.cert) {
		first, second = second, first
	}
	given.requireGiven(t, first)
	require.False(t, first.Key == second.Key, "no two units share a key")
	requireVerifies(t, e.ca.cert, nil, second.leaf(t))
	e.pairs["client"].requireGiven(t, pair{Cert: bag["client.cert"], Key: bag["client.key"]})

	t.Run("another application gets keys of its own, and the one client certificate", func(t *testing.T) {
		s := s.in(t)
		again := s.relate("other", map[string]map[string]string{"other/0": twin("other_0")})
		other := s.legacy(again)
		require.False(t, serverPair(other, "other_0").Key == first.Key)
		requireVerifies(t, e.ca.cert, nil, serverPair(other, "other_0").leaf(t))
		e.pairs["client"].requireGiven(t, pair{Cert: other["client.cert"], Key: other["client.key"]})
		require.Equal(t, bag, s.legacy(etcd))
	})
	csr, _ := newCSR(t, nil)
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	s.requireAnswer(web, csr, e.ca.cert)
	list, _ := s.findings(charm + "/0")
	require.Contains(t, strings.Join(list, "\n"), "name the CA by its serial number")
	requireNoKeyLeaks(t, s)
	since := len(s.Hooks())
	require.NoError(t, s.UpdateStatus(charm+"/0"))
	require.Zero(t, s.writes(since))
}

func TestOnlyTheSameNamesGetAPairBack(t *testing.T) {
	t.Parallel()
	e := newEasyRSAOfAge(t, time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0), time.Now().AddDate(2, 0, 0))
	e.add(t, "expired.example.com", e.ca.sign(t, pkix.Name{CommonName: "expired.example.com"}, newECKey(t).Public(), until(time.Now().Add(-time.Minute))), newECKey(t))
	e.files["pki/private/expired.example.com.key"] = "garbage"
	s, results := e.takeOver(t)
	require.Equal(t, "2", results["pairs"])
	require.Contains(t, results["left-out"], "issued/expired.example.com.crt")
	given := e.pairs["10.0.1.1"]
	for name, change := range map[string]map[string]string{
		"more names":          {"sans": `["etcd-0.example.com", "etcd-9.example.com"]`},
		"fewer names":         {"sans": `[]`},
		"another common name": {"common_name": "10.0.1.9"},
		"as a client":         {"common_name": "", "sans": "", "client_cert_requests": `{"10.0.1.1": {"sans": []}}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			application := strings.ReplaceAll(name, " ", "-")
			asks := twin("any_0")
			for key, value := range change {
				asks[key] = value
			}
			bag := s.legacy(s.relate(application, map[string]map[string]string{application + "/0": asks}))
			require.NotContains(t, bag["any_0.server.key"]+bag["any_0.processed_client_requests"], strings.Split(pemKey(t, given.key), "\n")[1])
		})
	}
	t.Run("the names in another order and spelling", func(t *testing.T) {
		s := s.in(t)
		asks := twin("etcd_0")
		asks["sans"] = `["10.0.1.1", "ETCD-0.example.com", "etcd-0.example.com"]`
		bag := s.legacy(s.relate("etcd", map[string]map[string]string{"etcd/0": asks}))
		given.requireGiven(t, serverPair(bag, "etcd_0"))
	})
}

func TestARootThatLeavesNameBySerialIsNotRenewed(t *testing.T) {
	t.Parallel()
	// A CA in the last third of its life is due for renewal.
	begin, end := time.Now().AddDate(-8, 0, 0), time.Now().AddDate(2, 0, 0)
	t.Run("while one of them is valid, and then it is", func(t *testing.T) {
		t.Parallel()
		e := newEasyRSAOfAge(t, begin, end, time.Now().AddDate(1, 10, 0))
		s, _ := e.takeOver(t)
		etcd := s.relate("etcd", map[string]map[string]string{"etcd/0": twin("etcd_0")})
		e.pairs["10.0.1.1"].requireKey(t, serverPair(s.legacy(etcd), "etcd_0"))
		require.NoError(t, s.UpdateStatus(charm+"/0"))
		require.True(t, e.ca.cert.Equal(s.root()), "OpenSSL would refuse the leaves of the archive")

		_, failure := s.run(charm+"/0", "renew-certificates", map[string]any{"all": true})
		require.Empty(t, failure)
		require.NoError(t, s.UpdateStatus(charm+"/0"))
		require.NoError(t, s.UpdateStatus(charm+"/0"))
		renewed := s.root()
		require.Greater(t, renewed.NotAfter, end.AddDate(5, 0, 0))
		require.Equal(t, e.ca.cert.RawSubject, renewed.RawSubject)
		require.Equal(t, e.ca.cert.RawSubjectPublicKeyInfo, renewed.RawSubjectPublicKeyInfo)
		bag := s.legacy(etcd)
		require.Equal(t, pemOf(renewed), bag["ca"])
		for _, p := range []pair{serverPair(bag, "etcd_0"), {Cert: bag["client.cert"], Key: bag["client.key"]}} {
			requireVerifies(t, renewed, nil, p.leaf(t))
			requireVerifies(t, e.ca.cert, nil, p.leaf(t))
		}
	})
	t.Run("although none of them was given to anybody", func(t *testing.T) {
		t.Parallel()
		e := newEasyRSAOfAge(t, begin, end, time.Now().AddDate(1, 10, 0))
		s, _ := e.takeOver(t)
		require.NoError(t, s.UpdateStatus(charm+"/0"))
		require.True(t, e.ca.cert.Equal(s.root()), "somebody may still serve it")
	})
	t.Run("but when they have expired it is", func(t *testing.T) {
		t.Parallel()
		e := newEasyRSAOfAge(t, begin, end, time.Now().Add(-time.Minute))
		s, results := e.takeOver(t)
		require.Equal(t, "0", results["pairs"])
		require.NoError(t, s.UpdateStatus(charm+"/0"))
		require.Greater(t, s.root().NotAfter, end.AddDate(5, 0, 0))
	})
}

func TestRotatingAwayFromEasyRSA(t *testing.T) {
	t.Parallel()
	e := newEasyRSA(t)
	s, _ := e.takeOver(t)
	etcd := s.relate("etcd", map[string]map[string]string{"etcd/0": twin("etcd_0")})
	e.pairs["10.0.1.1"].requireGiven(t, serverPair(s.legacy(etcd), "etcd_0"))
	results, failure := s.run(charm+"/0", "rotate-ca", nil)
	require.Empty(t, failure)
	require.NotContains(t, results, "breaks")
	s.endRotation()
	next := s.root()
	require.NotEqual(t, e.ca.cert.RawSubjectPublicKeyInfo, next.RawSubjectPublicKeyInfo)
	bag := s.legacy(etcd)
	require.Equal(t, pemOf(next), bag["ca"])
	require.NotContains(t, bag, "chain")
	server := serverPair(bag, "etcd_0")
	e.pairs["10.0.1.1"].requireKey(t, server)
	requireServer(t, next, server.leaf(t))
	client := pair{Cert: bag["client.cert"], Key: bag["client.key"]}
	e.pairs["client"].requireKey(t, client)
	requireClient(t, next, client.leaf(t))
	require.Equal(t, []string{"ca-3"}, s.authoritySecrets(), "the key of the easyrsa CA is destroyed")
	requireNoKeyLeaks(t, s)
}

func TestAnArchiveThatIsNone(t *testing.T) {
	t.Parallel()
	e := newEasyRSAOfAge(t, time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0), time.Now().AddDate(2, 0, 0))
	expired := newEasyRSAOfAge(t, time.Now().AddDate(-10, 0, 0), time.Now().Add(-time.Minute), time.Now().Add(-time.Hour))
	s := newSourced(t, nil, 1)
	s.settle()
	without := func(name, content string) easyRSA {
		files := maps.Clone(e.files)
		files[name] = content
		if content == "" {
			delete(files, name)
		}
		return easyRSA{files: files}
	}
	for want, archive := range map[string]easyRSA{
		"it holds no pki/ca.crt":           without("pki/ca.crt", ""),
		"it holds no pki/private/ca.key":   without("pki/private/ca.key", ""),
		"it is not the key of ca.crt":      without("pki/private/ca.key", pemKey(t, newECKey(t))),
		"not the certificate of a CA":      without("pki/ca.crt", pemOf(e.pairs["client"].cert)),
		"the CA of the file has expired":   expired,
		"index.txt: line 1 has too few fi": without("pki/index.txt", "R\t1\n"),
	} {
		t.Run(want, func(t *testing.T) {
			s := s.in(t)
			s.requireSame(func() {
				_, failure := s.restore(archive.write(t), locks{}, nil)
				require.Contains(t, failure, want)
			})
		})
	}
}

// TestTakingOverFromSelfSignedCertificates imports the CA of that charm as its
// secret holds it, once the operator has copied it under our names.
func TestTakingOverFromSelfSignedCertificates(t *testing.T) {
	t.Parallel()
	key, err := outsiderRSA()
	require.NoError(t, err)
	ca := newRoot(t, "self-signed-certificates-operator", key, func(c *x509.Certificate) {
		c.Subject.Country, c.Subject.Organization = []string{"US"}, []string{"Canonical"}
		c.KeyUsage |= x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	})
	theirs := map[string]string{
		"ca-certificate": strings.TrimSpace(pemOf(ca.cert)),
		"private-key":    strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))),
	}
	s, uri := newImporting(t, theirs)
	s.requireStatus(charm+"/0", "blocked", "ca-secret: it has no certificate")
	require.Empty(t, s.authoritySecrets())
	require.NoError(t, s.UpdateUserSecret(uri, map[string]string{"certificate": theirs["ca-certificate"], "private-key": theirs["private-key"]}))
	s.settle()
	require.True(t, ca.cert.Equal(s.root()))
	f := s.newFleet()
	f.requireBelow(ca.cert)
	s.requireStatus(charm+"/0", "active", "root")
	requireNoKeyLeaks(t, s)
}
