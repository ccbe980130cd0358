// SPDX-License-Identifier: GPL-3.0-only

// Package easyrsa reads the archive that the backup action of the easyrsa
// charm writes: a compressed tar of the pki folder of Easy-RSA 3.
//
// It reads one stream and writes nothing, neither files nor archives. It knows
// no time, so certificates that have expired are among the leaves. What the
// charm does with the CA and the leaves is decided elsewhere.
package easyrsa

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tls-authority/internal/pki"
)

// PKI is what an archive holds.
type PKI struct {
	CA  *x509.Certificate
	Key pki.PrivateKey
	// Leaves are the pairs that the CA signed and did not revoke, in the
	// order of the names of their files.
	Leaves []Leaf
	// Left are the certificates that are not among the leaves, each with the
	// reason, in the same order.
	Left []string
}

// Leaf is a certificate that the CA signed, with its key.
type Leaf struct {
	Certificate *x509.Certificate
	Key         pki.PrivateKey
}

// The files of a PKI, below its folder.
const (
	caCertificate = "ca.crt"
	caKey         = "private/ca.key"
	index         = "index.txt"
	issued        = "issued/"
	private       = "private/"

	certificateSuffix = ".crt"
	keySuffix         = ".key"
)

// IsArchive tells by its first bytes whether a file might be an archive: it
// starts as gzip does (RFC 1952 section 2.3.1).
func IsArchive(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0x1f, 0x8b})
}

// ReadArchive reads an archive of at most 10,000 entries and 64 MiB. A CA that
// cannot be used is an error, a leaf that cannot be used is left out. No error
// repeats anything of a file.
func ReadArchive(r io.Reader) (PKI, error) {
	files, err := unpack(r)
	if err != nil {
		return PKI{}, fmt.Errorf("cannot read easyrsa archive: %w", err)
	}
	p, err := files.parse()
	if err != nil {
		return PKI{}, fmt.Errorf("cannot read easyrsa archive: %w", err)
	}
	return p, nil
}

// folder is the content of the files of a PKI, by their names below it.
type folder map[string][]byte

func (f folder) parse() (PKI, error) {
	p, err := f.parseCA()
	if err != nil {
		return PKI{}, err
	}
	revoked, err := parseIndex(f[index])
	if err != nil {
		return PKI{}, fmt.Errorf("%s: %w", index, err)
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !strings.HasPrefix(name, issued) {
			continue
		}
		leaf, err := f.parseLeaf(name, p.CA, revoked)
		if err != nil {
			p.Left = append(p.Left, show(name)+": "+err.Error())
			continue
		}
		p.Leaves = append(p.Leaves, leaf)
	}
	return p, nil
}

// parseCA does not ask whether the CA can sign for us: that is asked of every
// CA that comes from elsewhere.
func (f folder) parseCA() (PKI, error) {
	for _, name := range []string{caCertificate, caKey} {
		if _, there := f[name]; !there {
			return PKI{}, fmt.Errorf("it holds no pki/%s", name)
		}
	}
	ca, err := parseCertificate(f[caCertificate])
	if err != nil {
		return PKI{}, fmt.Errorf("%s: %w", caCertificate, err)
	}
	if !ca.BasicConstraintsValid || !ca.IsCA {
		return PKI{}, fmt.Errorf("%s: it is not the certificate of a CA", caCertificate)
	}
	key, err := pki.ParsePrivateKeyPEM(f[caKey])
	if err != nil {
		return PKI{}, fmt.Errorf("%s: %w", caKey, err)
	}
	if !pki.KeyMatches(ca, key) {
		return PKI{}, fmt.Errorf("%s: it is not the key of %s", caKey, caCertificate)
	}
	return PKI{CA: ca, Key: key}, nil
}

// parseLeaf returns an error that is the reason to leave a certificate out.
func (f folder) parseLeaf(name string, ca *x509.Certificate, revoked serials) (Leaf, error) {
	cert, err := parseCertificate(f[name])
	if err != nil {
		return Leaf{}, err
	}
	switch {
	case cert.IsCA:
		return Leaf{}, errors.New("it is the certificate of a CA")
	case pki.SamePublicKey(cert.PublicKey, ca.PublicKey):
		// Its key goes to whoever asks for its names.
		return Leaf{}, errors.New("its key is that of the CA")
	case !signedBy(cert, ca):
		return Leaf{}, errors.New("it is not signed by the CA")
	case revoked.contain(cert.SerialNumber):
		return Leaf{}, errors.New("it is revoked")
	}
	text, there := f[keyOf(name)]
	if !there {
		return Leaf{}, errors.New("its key is not in the archive")
	}
	key, err := pki.ParsePrivateKeyPEM(text)
	if err != nil {
		return Leaf{}, err
	}
	if !pki.KeyMatches(cert, key) {
		return Leaf{}, errors.New("the key of its name is not its key")
	}
	return Leaf{Certificate: cert, Key: key}, nil
}

// keyOf names the file with the key of a certificate in issued.
func keyOf(name string) string {
	base := strings.TrimSuffix(strings.TrimPrefix(name, issued), certificateSuffix)
	return private + base + keySuffix
}

// signedBy compares the names too, which the signature says nothing of.
func signedBy(cert, ca *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, ca.RawSubject) && cert.CheckSignatureFrom(ca) == nil
}

// parseCertificate passes over the description that openssl ca prints before
// the certificate.
func parseCertificate(text []byte) (*x509.Certificate, error) {
	start := max(bytes.Index(text, []byte("-----BEGIN ")), 0)
	return pki.ParseCertificatePEM(string(text[start:]))
}

// show returns the name of a file, quoted and cut where an archive makes it
// one that no message can hold.
func show(name string) string {
	const enough = 120
	if len(name) > enough {
		name = strings.ToValidUTF8(name[:enough], "") + "…"
	}
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
