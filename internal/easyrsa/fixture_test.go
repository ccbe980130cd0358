// SPDX-License-Identifier: GPL-3.0-only

package easyrsa_test

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
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority makes certificates as Easy-RSA does, of which crypto/x509 has no
// model: the key identifier also names the issuer by its serial number.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// rsaKey is made once, because that takes long.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	return rsa.GenerateKey(rand.Reader, 2048)
})

func validity(t *x509.Certificate) *x509.Certificate {
	t.NotBefore = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	t.NotAfter = t.NotBefore.AddDate(10, 0, 0)
	return t
}

func newAuthority(t testing.TB, commonName string) authority {
	t.Helper()
	key := newKey(t)
	template := validity(&x509.Certificate{
		SerialNumber:          big.NewInt(0xca),
		Subject:               pkix.Name{CommonName: commonName},
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	})
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{cert: cert, key: key}
}

func (a authority) issue(t testing.TB, commonName string, serial int64, public crypto.PublicKey, change ...func(*x509.Certificate)) []byte {
	t.Helper()
	template := validity(&x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: commonName},
		DNSNames:              []string{commonName},
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		ExtraExtensions:       []pkix.Extension{a.identifier(t)},
	})
	for _, f := range change {
		f(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	require.NoError(t, err)
	return der
}

// identifier is an AuthorityKeyIdentifier with all three fields (RFC 5280
// section 4.2.1.1).
func (a authority) identifier(t testing.TB) pkix.Extension {
	t.Helper()
	value, err := asn1.Marshal(struct {
		Key    []byte `asn1:"tag:0"`
		Issuer []asn1.RawValue
		Serial *big.Int `asn1:"tag:2"`
	}{Key: a.cert.SubjectKeyId, Serial: a.cert.SerialNumber, Issuer: []asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: a.cert.RawSubject},
	}})
	require.NoError(t, err)
	// encoding/asn1 has no implicit tag for a sequence of raw values.
	value[4+len(a.cert.SubjectKeyId)] = 0xa1
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: value}
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// dump is a certificate as openssl ca writes it.
func dump(der []byte) string {
	return "Certificate:\n    Data:\n        Version: 3 (0x2)\n        Serial Number: 1 (0x1)\n" + encode("CERTIFICATE", der)
}

func keyPEM(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return encode("PRIVATE KEY", der)
}

// tree is a pki folder, its files by name.
type tree map[string]string

// newTree is the folder after two requests, of which one was asked for anew
// with other names.
func newTree(t testing.TB) (tree, authority) {
	t.Helper()
	ca := newAuthority(t, "10.0.0.1")
	client := newKey(t)
	server, err := rsaKey()
	require.NoError(t, err)
	first := ca.issue(t, "server.example", 1, newKey(t).Public())
	return tree{
		"pki/ca.crt":                        encode("CERTIFICATE", ca.cert.Raw),
		"pki/private/ca.key":                keyPEM(t, ca.key),
		"pki/serial":                        "04\n",
		"pki/issued/client.crt":             dump(ca.issue(t, "client", 2, client.Public())),
		"pki/private/client.key":            keyPEM(t, client),
		"pki/issued/server.example.crt":     dump(ca.issue(t, "server.example", 3, server.Public())),
		"pki/private/server.example.key":    encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(server)),
		"pki/reqs/client.req":               "any",
		"pki/certs_by_serial/02.pem":        "any",
		"pki/revoked/certs_by_serial/1.crt": dump(first),
		"pki/index.txt": "R\t300101000000Z\t250101000000Z\t01\tunknown\t/CN=server.example\n" +
			"V\t300101000000Z\t\t02\tunknown\t/CN=client\n" +
			"V\t300101000000Z\t\t03\tunknown\t/CN=server.example\n",
	}, ca
}

func file(name, content string) (tar.Header, string) {
	return tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg}, content
}

// archive packs the folder, its entries in order, with more behind them.
func (f tree) archive(t testing.TB, more ...tar.Header) []byte {
	t.Helper()
	var packed bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	require.NoError(t, err)
	w := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		header, content := file(name, f[name])
		require.NoError(t, w.WriteHeader(&header))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	for _, header := range more {
		require.NoError(t, w.WriteHeader(&header))
		_, err := w.Write(make([]byte, header.Size))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zipped.Close())
	return packed.Bytes()
}

// moved puts the folder elsewhere.
func (f tree) moved(format string) tree {
	moved := tree{}
	for name, content := range f {
		moved[fmt.Sprintf(format, name)] = content
	}
	return moved
}
