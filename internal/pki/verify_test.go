// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

// forgery is a certificate by crypto/x509 alone that follows its profile until
// a test changes something.
type forgery struct {
	template, parent *x509.Certificate
	public           crypto.PublicKey
	signer           crypto.Signer
}

// edit changes one extension, identified by the last arc of its identifier,
// and leaves all others as and where they are. A new one comes last.
func (f forgery) edit(t *testing.T, last int, change func(*pkix.Extension)) {
	t.Helper()
	id := asn1.ObjectIdentifier{2, 5, 29, last}
	list := f.sign(t).Extensions
	n := slices.IndexFunc(list, func(e pkix.Extension) bool { return e.Id.Equal(id) })
	if n < 0 {
		n, list = len(list), append(list, pkix.Extension{Id: id, Value: []byte{5, 0}})
	}
	change(&list[n])
	f.template.ExtraExtensions = list
}

func (f forgery) setValue(t *testing.T, last int, value ...byte) {
	t.Helper()
	f.edit(t, last, func(e *pkix.Extension) { e.Value = value })
}

func (f forgery) flipCritical(t *testing.T, last int) {
	t.Helper()
	f.edit(t, last, func(e *pkix.Extension) { e.Critical = !e.Critical })
}

func (f forgery) sign(t *testing.T) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, f.template, f.parent, f.public, f.signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// TestCheckProfileNoticesEveryChange proves that the self-check can fail: a
// change of any one property is noticed.
func TestCheckProfileNoticesEveryChange(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t, ecdsaP256()).Certificate()
	issuerKey := signerOf(t, ecdsaP256())
	public := newECDSA(t, elliptic.P256()).Public()
	genuine, err := newIssuer(t, ecdsaP256()).Issue(leafTemplate(pki.Server), public)
	require.NoError(t, err)
	leaf := func() forgery {
		return forgery{&x509.Certificate{
			SerialNumber: genuine.SerialNumber, Subject: pkix.Name{CommonName: "db.example"},
			NotBefore: genuine.NotBefore, NotAfter: genuine.NotAfter, SignatureAlgorithm: x509.ECDSAWithSHA256,
			KeyUsage:              x509.KeyUsageDigitalSignature,
			ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			BasicConstraintsValid: true, SubjectKeyId: genuine.SubjectKeyId,
			DNSNames: genuine.DNSNames, IPAddresses: genuine.IPAddresses,
		}, issuer, public, issuerKey}
	}
	root := func() forgery {
		template := &x509.Certificate{
			SerialNumber: issuer.SerialNumber, RawSubject: issuer.RawSubject,
			NotBefore: issuer.NotBefore, NotAfter: issuer.NotAfter, SignatureAlgorithm: x509.ECDSAWithSHA256,
			KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
			BasicConstraintsValid: true, IsCA: true, SubjectKeyId: issuer.SubjectKeyId,
		}
		return forgery{template, template, ecdsaP256().Public(), issuerKey}
	}
	require.NoError(t, pki.CheckProfile(leaf().sign(t), issuer, leafTemplate(pki.Server)))
	forgedRoot := root().sign(t)
	require.NoError(t, pki.CheckProfile(forgedRoot, forgedRoot, rootTemplate()))

	policy, err := x509.ParseOID("1.2.3")
	require.NoError(t, err)
	changes := map[string]func(*forgery){
		"a short serial":                   func(f *forgery) { f.template.SerialNumber = big.NewInt(1) },
		"a serial of 17 octets":            func(f *forgery) { f.template.SerialNumber = new(big.Int).Lsh(f.template.SerialNumber, 1) },
		"a serial of 20 octets":            func(f *forgery) { f.template.SerialNumber = new(big.Int).Lsh(f.template.SerialNumber, 32) },
		"serial zero":                      func(f *forgery) { f.template.SerialNumber = big.NewInt(0) },
		"a later start":                    func(f *forgery) { f.template.NotBefore = f.template.NotBefore.Add(time.Second) },
		"a later end":                      func(f *forgery) { f.template.NotAfter = f.template.NotAfter.Add(time.Second) },
		"an earlier end":                   func(f *forgery) { f.template.NotAfter = f.template.NotAfter.Add(-time.Second) },
		"no key usage":                     func(f *forgery) { f.template.KeyUsage = 0 },
		"more key usage":                   func(f *forgery) { f.template.KeyUsage |= x509.KeyUsageKeyAgreement },
		"a key usage that is not critical": func(f *forgery) { f.flipCritical(t, 15) },
		"no basic constraints":             func(f *forgery) { f.template.BasicConstraintsValid = false },
		"lenient basic constraints":        func(f *forgery) { f.flipCritical(t, 19) },
		"no subject key id":                func(f *forgery) { f.template.IsCA, f.template.SubjectKeyId = false, nil },
		"another subject key id":           func(f *forgery) { f.template.SubjectKeyId = make([]byte, 20) },
		"another extension":                func(f *forgery) { f.template.OCSPServer = []string{"http://a"} },
		"a crl distribution point":         func(f *forgery) { f.template.CRLDistributionPoints = []string{"http://a"} },
		"a policy":                         func(f *forgery) { f.template.Policies = []x509.OID{policy} },
		"name constraints":                 func(f *forgery) { f.template.PermittedDNSDomains = []string{"example"} },
		"an unknown extension":             func(f *forgery) { f.edit(t, 99, func(*pkix.Extension) {}) },
		"a critical unknown one":           func(f *forgery) { f.flipCritical(t, 99) },
	}
	leafChanges := map[string]func(*forgery){
		"another subject":              func(f *forgery) { f.template.Subject.CommonName = "db2.example" },
		"a subject in other bytes":     func(f *forgery) { f.template.RawSubject = commonName(t, "db.example") },
		"no subject":                   func(f *forgery) { f.template.Subject = pkix.Name{} },
		"ca true":                      func(f *forgery) { f.template.IsCA = true },
		"no extended key usage":        func(f *forgery) { f.template.ExtKeyUsage = nil },
		"less extended key usage":      func(f *forgery) { f.template.ExtKeyUsage = f.template.ExtKeyUsage[:1] },
		"usages in another order":      func(f *forgery) { slices.Reverse(f.template.ExtKeyUsage) },
		"a usage twice":                func(f *forgery) { f.template.ExtKeyUsage = append(f.template.ExtKeyUsage, f.template.ExtKeyUsage[0]) },
		"an unknown usage":             func(f *forgery) { f.template.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} },
		"a critical usage":             func(f *forgery) { f.flipCritical(t, 37) },
		"no names":                     func(f *forgery) { f.template.DNSNames, f.template.IPAddresses = nil, nil },
		"a name less":                  func(f *forgery) { f.template.DNSNames = f.template.DNSNames[1:] },
		"a name more":                  func(f *forgery) { f.template.DNSNames = append(f.template.DNSNames, "evil.example") },
		"names in another order":       func(f *forgery) { f.template.DNSNames = []string{f.template.DNSNames[1], f.template.DNSNames[0]} },
		"an address more":              func(f *forgery) { f.template.IPAddresses = append(f.template.IPAddresses, net.IPv4(1, 2, 3, 4)) },
		"an e-mail":                    func(f *forgery) { f.template.EmailAddresses = []string{"a@b"} },
		"critical names":               func(f *forgery) { f.flipCritical(t, 17) },
		"a name that go does not read": func(f *forgery) { f.edit(t, 17, addRegisteredID) },
		"the issuer's serial in the authority key id": func(f *forgery) {
			f.edit(t, 35, func(e *pkix.Extension) {
				e.Value = append(append([]byte{0x30, byte(len(e.Value) + 1)}, e.Value[2:]...), 0x82, 1, 1)
			})
		},
		"another authority key id": func(f *forgery) { f.setValue(t, 35, append([]byte{0x30, 22, 0x80, 20}, make([]byte, 20)...)...) },
		"extensions in another order": func(f *forgery) {
			f.edit(t, 15, func(*pkix.Extension) {})
			slices.Reverse(f.template.ExtraExtensions)
		},
		"another key": func(f *forgery) { f.public = newECDSA(t, elliptic.P256()).Public() },
		"the issuer's key": func(f *forgery) {
			f.public, f.template.SubjectKeyId = issuer.PublicKey, issuer.SubjectKeyId
		},
		"another digest": func(f *forgery) { f.template.SignatureAlgorithm = x509.ECDSAWithSHA384 },
		"an issuer of the same name and key identifier": func(f *forgery) {
			other := newECDSA(t, elliptic.P256())
			f.parent = &x509.Certificate{RawSubject: issuer.RawSubject, SubjectKeyId: issuer.SubjectKeyId, PublicKey: other.Public()}
			f.signer = other
		},
		"an issuer of another name": func(f *forgery) {
			f.parent = &x509.Certificate{Subject: pkix.Name{CommonName: "x"}, SubjectKeyId: issuer.SubjectKeyId, PublicKey: issuer.PublicKey}
		},
	}
	for title, change := range changes {
		t.Run("a root with "+title, func(t *testing.T) {
			t.Parallel()
			f := root()
			change(&f)
			cert := f.sign(t)
			require.Error(t, pki.CheckProfile(cert, cert, rootTemplate()))
		})
		leafChanges[title] = change
	}
	for title, change := range leafChanges {
		t.Run("a leaf with "+title, func(t *testing.T) {
			t.Parallel()
			f := leaf()
			change(&f)
			require.Error(t, pki.CheckProfile(f.sign(t), issuer, leafTemplate(pki.Server)))
		})
	}

	t.Run("a root with a path length", func(t *testing.T) {
		t.Parallel()
		f := root()
		f.template.MaxPathLenZero = true
		cert := f.sign(t)
		require.ErrorContains(t, pki.CheckProfile(cert, cert, rootTemplate()), "wrong basic constraints")
	})
	t.Run("a leaf with a damaged signature", func(t *testing.T) {
		t.Parallel()
		der := slices.Clone(genuine.Raw)
		der[len(der)-1] ^= 1
		cert, err := pki.ParseCertificateDER(der)
		require.NoError(t, err)
		require.Error(t, pki.CheckProfile(cert, issuer, leafTemplate(pki.Server)))
	})
	t.Run("a leaf for another template", func(t *testing.T) {
		t.Parallel()
		for _, template := range leafTemplates() {
			err := pki.CheckProfile(genuine, issuer, template)
			same := template.Profile == pki.Server || template.Usage == pki.ServerAuth|pki.ClientAuth && template.Subject.CommonName != ""
			require.Equal(t, same, err == nil)
		}
		require.Error(t, pki.CheckProfile(genuine, issuer, rootTemplate()))
		require.Error(t, pki.CheckProfile(genuine, issuer, pki.Template{}))
	})
	t.Run("a leaf that outlives its issuer", func(t *testing.T) {
		t.Parallel()
		f := leaf()
		f.template.NotAfter = issuer.NotAfter.Add(time.Second)
		template := leafTemplate(pki.Server)
		template.Validity.NotAfter = f.template.NotAfter
		require.ErrorContains(t, pki.CheckProfile(f.sign(t), issuer, template), "wrong validity within the issuer's")
	})
}

// addRegisteredID appends a name to the list of an alternative name.
func addRegisteredID(e *pkix.Extension) {
	e.Value = append(slices.Clone(e.Value), 0x88, 1, 0x2a)
	e.Value[1] += 3
}

func TestProfileString(t *testing.T) {
	t.Parallel()
	for profile, want := range map[pki.Profile]string{
		pki.Root: "root", pki.Server: "server", pki.Client: "client", pki.Leaf: "leaf",
		pki.SubCA: "subordinate CA", pki.Responder: "responder", 0: "profile(0)", 9: "profile(9)",
	} {
		require.Equal(t, want, profile.String())
	}
}
