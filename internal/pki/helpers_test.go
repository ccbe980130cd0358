// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

// now is the time of every test. Certificates that openssl verifies need the
// real one, which it is close to only in so far as -attime says.
var now = time.Date(2030, time.May, 17, 12, 30, 45, 0, time.UTC)

// RSA keys are slow to make, the more so under the race detector: one of each
// size for all tests, and a second one of 2048 bits.
var (
	rsa2048   = sync.OnceValue(func() pki.PrivateKey { return mustGenerate(pki.RSA2048) })
	rsa2048b  = sync.OnceValue(func() pki.PrivateKey { return mustGenerate(pki.RSA2048) })
	rsa3072   = sync.OnceValue(func() pki.PrivateKey { return mustGenerate(pki.RSA3072) })
	rsa4096   = sync.OnceValue(func() pki.PrivateKey { return mustGenerate(pki.RSA4096) })
	ecdsaP256 = sync.OnceValue(func() pki.PrivateKey { return mustGenerate(pki.ECDSAP256) })
	ecdsaP384 = sync.OnceValue(func() pki.PrivateKey { return mustGenerate(pki.ECDSAP384) })
)

func mustGenerate(t pki.KeyType) pki.PrivateKey {
	key, err := pki.GenerateKey(t)
	if err != nil {
		panic(err)
	}
	return key
}

func keyOf(t pki.KeyType) pki.PrivateKey {
	return map[pki.KeyType]func() pki.PrivateKey{
		pki.ECDSAP256: ecdsaP256, pki.ECDSAP384: ecdsaP384,
		pki.RSA2048: rsa2048, pki.RSA3072: rsa3072, pki.RSA4096: rsa4096,
	}[t]()
}

func rootTemplate() pki.Template {
	return pki.Template{
		Profile:  pki.Root,
		Subject:  pki.Subject{CommonName: "Test root", Organization: "Test"},
		Validity: pki.NewValidity(now, 10*365*24*time.Hour),
	}
}

func newIssuer(t testing.TB, key pki.PrivateKey) *pki.Issuer {
	t.Helper()
	cert, err := pki.CreateSelfSigned(rootTemplate(), key)
	require.NoError(t, err)
	issuer, err := pki.NewIssuer(cert, key)
	require.NoError(t, err)
	return issuer
}

func leafTemplate(profile pki.Profile) pki.Template {
	return pki.Template{
		Profile: profile,
		Subject: pki.Subject{CommonName: "db.example"},
		Names: pki.Names{
			DNS: []string{"*.db.example", "db.example"},
			IP:  []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")},
		},
		Usage:    map[pki.Profile]pki.Usage{pki.Leaf: pki.ServerAuth | pki.ClientAuth}[profile],
		Validity: pki.Validity{NotBefore: now.Add(-pki.Backdate), NotAfter: now.Add(90*24*time.Hour - time.Second)},
	}
}

// signerOf gives the test what the package gives nobody.
func signerOf(t testing.TB, key pki.PrivateKey) crypto.Signer {
	t.Helper()
	parsed, err := x509.ParsePKCS8PrivateKey(key.EncodeDER())
	require.NoError(t, err)
	return parsed.(crypto.Signer)
}

func newECDSA(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func newEd25519(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

// request is a certificate request before it is signed, taken apart so that
// a test can put something into it that crypto/x509 would not write.
type request struct {
	key        *ecdsa.PrivateKey
	version    int
	subject    []byte
	attributes []attribute
	claims     crypto.PublicKey      // instead of the key's own
	algorithm  asn1.ObjectIdentifier // of the signature
	after      []byte                // after the DER of the request
	damage     bool                  // of the signature
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

type attributeTypeAndValue struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type rdnSET []attributeTypeAndValue

var (
	oidExtensionRequest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}
	oidChallengePassword = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}
	oidSAN               = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidEKU               = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidBC                = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidCN                = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidO                 = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU                = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidC                 = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidUniqueID          = asn1.ObjectIdentifier{2, 5, 4, 45}
	oidMail              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidDC                = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
)

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	require.NoError(t, err)
	return der
}

func text(tag int, value string) asn1.RawValue {
	return asn1.RawValue{Tag: tag, Bytes: []byte(value)}
}

// name encodes one attribute an RDN.
func name(t *testing.T, attributes ...attributeTypeAndValue) []byte {
	t.Helper()
	sequence := []rdnSET{}
	for _, a := range attributes {
		sequence = append(sequence, rdnSET{a})
	}
	return marshal(t, sequence)
}

func commonName(t *testing.T, value string) []byte {
	t.Helper()
	return name(t, attributeTypeAndValue{oidCN, text(asn1.TagUTF8String, value)})
}

func extensionRequest(t *testing.T, extensions ...pkix.Extension) attribute {
	t.Helper()
	return attribute{oidExtensionRequest, []asn1.RawValue{{FullBytes: marshal(t, extensions)}}}
}

func general(tag int, value string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(value)}
}

func dns(names ...string) []asn1.RawValue {
	var list []asn1.RawValue
	for _, name := range names {
		list = append(list, general(2, name))
	}
	return list
}

func san(t *testing.T, names ...asn1.RawValue) pkix.Extension {
	t.Helper()
	return pkix.Extension{Id: oidSAN, Value: marshal(t, names)}
}

func eku(t *testing.T, usages ...asn1.ObjectIdentifier) pkix.Extension {
	t.Helper()
	return pkix.Extension{Id: oidEKU, Value: marshal(t, usages)}
}

func newRequest(t *testing.T) request {
	t.Helper()
	return request{
		key:       newECDSA(t, elliptic.P256()),
		subject:   commonName(t, "db.example"),
		algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2},
	}
}

func (r request) withExtensions(t *testing.T, extensions ...pkix.Extension) request {
	t.Helper()
	r.attributes = []attribute{extensionRequest(t, extensions...)}
	return r
}

func (r request) encode(t *testing.T) string {
	t.Helper()
	if r.claims == nil {
		r.claims = r.key.Public()
	}
	spki, err := x509.MarshalPKIXPublicKey(r.claims)
	require.NoError(t, err)
	info := marshal(t, struct {
		Version      int
		Subject, Key asn1.RawValue
		Attributes   []attribute `asn1:"tag:0,set"`
	}{r.version, asn1.RawValue{FullBytes: r.subject}, asn1.RawValue{FullBytes: spki}, r.attributes})
	digest := sha256.Sum256(info)
	signature, err := ecdsa.SignASN1(rand.Reader, r.key, digest[:])
	require.NoError(t, err)
	if r.damage {
		signature[len(signature)-1] ^= 1
	}
	der := marshal(t, struct {
		Info      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: info},
		pkix.AlgorithmIdentifier{Algorithm: r.algorithm},
		asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
	return requestPEM(append(der, r.after...))
}

func requestPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// requestBy is a request as crypto/x509 makes it.
func requestBy(t *testing.T, key crypto.Signer, template x509.CertificateRequest) string {
	t.Helper()
	if template.Subject.CommonName == "" {
		template.Subject.CommonName = "db.example"
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	require.NoError(t, err)
	return requestPEM(der)
}

// openssl runs the command in a folder of the test and returns what it
// printed. Without openssl the test is skipped, which the log shows.
func openssl(t *testing.T, folder string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("SKIPPED: openssl is not installed")
	}
	command := exec.Command(path, args...)
	command.Dir = folder
	output, err := command.CombinedOutput()
	return string(output), err
}

// unixTime is what openssl takes for a time.
func unixTime(at time.Time) string {
	return strconv.FormatInt(at.Unix(), 10)
}

func writeFile(t *testing.T, folder, name, content string) {
	t.Helper()
	err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600)
	require.NoError(t, err)
}
