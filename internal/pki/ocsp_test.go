// SPDX-License-Identifier: GPL-3.0-only

package pki_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/pki"
)

func responderTemplate() pki.Template {
	return pki.Template{
		Profile:  pki.Responder,
		Subject:  pki.Subject{CommonName: "tls-authority OCSP 01020304"},
		Validity: pki.Validity{NotBefore: now.Add(-pki.Backdate), NotAfter: now.Add(pki.ResponderLifetime - time.Second)},
	}
}

func newResponder(t *testing.T, issuer *pki.Issuer) *pki.OCSPResponder {
	t.Helper()
	key := mustGenerate(pki.ECDSAP256)
	cert, err := issuer.Issue(responderTemplate(), key.Public())
	require.NoError(t, err)
	responder, err := pki.NewOCSPResponder(cert, issuer.Certificate(), key)
	require.NoError(t, err)
	return responder
}

func TestIssueResponder(t *testing.T) {
	t.Parallel()
	issuer, template := newIssuer(t, rsa2048()), responderTemplate()
	validity, err := pki.ValidityOf(issuer.Certificate()).Clip(now, pki.ResponderLifetime)
	require.NoError(t, err)
	template.Validity = validity
	require.Equal(t, 7*24*time.Hour, validity.NotAfter.Sub(validity.NotBefore)+time.Second, "both ends are in it")
	cert, err := issuer.Issue(template, newECDSA(t, elliptic.P256()).Public())
	require.NoError(t, err)
	require.Equal(t, []pkix.Extension{
		{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 7, 0x80}},
		{Id: oidEKU, Value: []byte{0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 9}},
		{Id: oidBC, Critical: true, Value: []byte{0x30, 0}},
		{Id: asn1.ObjectIdentifier{2, 5, 29, 14}, Value: append([]byte{4, 20}, keyID(t, cert)...)},
		{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: append([]byte{0x30, 22, 0x80, 20}, issuer.Certificate().SubjectKeyId...)},
		{Id: oidNoCheck, Value: []byte{5, 0}},
	}, cert.Extensions)
}

var oidNoCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}

func TestIssueResponderRefuses(t *testing.T) {
	t.Parallel()
	p256 := newECDSA(t, elliptic.P256()).Public()
	for title, c := range map[string]struct {
		change func(*pki.Template)
		public crypto.PublicKey
		want   string
		ours   bool // the fault is the authority's own
	}{
		"a key of P-384":  {nil, ecdsaP384().Public(), "must be on P-256", false},
		"a key of RSA":    {nil, rsa2048b().Public(), "must be on P-256", false},
		"a key of 25519":  {nil, newEd25519(t).Public(), "must be on P-256", false},
		"no subject":      {func(t *pki.Template) { t.Subject = pki.Subject{} }, p256, "has a subject", false},
		"a host name":     {func(t *pki.Template) { t.Names.DNS = []string{"a"} }, p256, "no alternative names", false},
		"an address":      {func(t *pki.Template) { t.Names.IP = []netip.Addr{netip.MustParseAddr("10.0.0.1")} }, p256, "no alternative names", false},
		"too many days":   {func(t *pki.Template) { t.Validity.NotAfter = t.Validity.NotAfter.Add(time.Second) }, p256, "7 days at most", true},
		"the CA's name":   {func(t *pki.Template) { t.Subject = rootTemplate().Subject }, p256, "subject is the issuer's own", false},
		"constraints":     {func(t *pki.Template) { t.Constraints = permit([]string{"a"}) }, p256, "name constraints are not for a responder", true},
		"another profile": {func(t *pki.Template) { t.Profile = pki.Responder + 1 }, p256, "unknown profile", false},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			template := responderTemplate()
			if c.change != nil {
				c.change(&template)
			}
			_, err := newIssuer(t, ecdsaP256()).Issue(template, c.public)
			require.ErrorContains(t, err, c.want)
			if c.ours {
				require.NotErrorIs(t, err, pki.ErrBadRequest)
			} else {
				require.ErrorIs(t, err, pki.ErrBadRequest)
			}
		})
	}
}

// forgedResponder is as Issue would make it until a test changes something.
func forgedResponder(t *testing.T, key pki.PrivateKey) forgery {
	t.Helper()
	issuer := newIssuer(t, ecdsaP256())
	cert, err := issuer.Issue(responderTemplate(), key.Public())
	require.NoError(t, err)
	return forgery{&x509.Certificate{
		SerialNumber: cert.SerialNumber, RawSubject: cert.RawSubject, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
		SignatureAlgorithm: x509.ECDSAWithSHA256, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		BasicConstraintsValid: true, SubjectKeyId: cert.SubjectKeyId,
		ExtraExtensions: []pkix.Extension{{Id: oidNoCheck, Value: []byte{5, 0}}},
	}, issuer.Certificate(), key.Public(), signerOf(t, ecdsaP256())}
}

func TestCheckProfileOfResponder(t *testing.T) {
	t.Parallel()
	key := mustGenerate(pki.ECDSAP256)
	genuine := forgedResponder(t, key)
	require.NoError(t, pki.CheckProfile(genuine.sign(t), genuine.parent, responderTemplate()))
	for title, change := range map[string]func(*forgery){
		"no word on revocation":      func(f *forgery) { f.template.ExtraExtensions = nil },
		"a critical word on it":      func(f *forgery) { f.template.ExtraExtensions[0].Critical = true },
		"another word on it":         func(f *forgery) { f.template.ExtraExtensions[0].Value = []byte{0x30, 0} },
		"a usage more":               func(f *forgery) { f.template.ExtKeyUsage = append(f.template.ExtKeyUsage, x509.ExtKeyUsageServerAuth) },
		"another usage":              func(f *forgery) { f.template.ExtKeyUsage[0] = x509.ExtKeyUsageServerAuth },
		"a crl distribution point":   func(f *forgery) { f.template.CRLDistributionPoints = []string{"http://a"} },
		"a host name":                func(f *forgery) { f.template.DNSNames = []string{"a"} },
		"the power to sign":          func(f *forgery) { f.template.KeyUsage |= x509.KeyUsageCertSign },
		"a key that is not for OCSP": func(f *forgery) { f.public = ecdsaP384().Public() },
		"extensions in another order": func(f *forgery) {
			f.edit(t, 15, func(*pkix.Extension) {})
			slices.Reverse(f.template.ExtraExtensions)
		},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			f := forgedResponder(t, key)
			change(&f)
			require.Error(t, pki.CheckProfile(f.sign(t), f.parent, responderTemplate()))
		})
	}
}

func TestNewOCSPResponder(t *testing.T) {
	t.Parallel()
	key := mustGenerate(pki.ECDSAP256)
	for title, c := range map[string]struct {
		change func(*forgery)
		want   string
	}{
		"as it should be":       {func(*forgery) {}, ""},
		"of another usage":      {func(f *forgery) { f.template.ExtKeyUsage[0] = x509.ExtKeyUsageServerAuth }, "something else than OCSP"},
		"of any usage":          {func(f *forgery) { f.template.ExtKeyUsage = nil }, "something else than OCSP"},
		"that is an authority":  {func(f *forgery) { f.template.IsCA = true }, "something else than OCSP"},
		"that may be revoked":   {func(f *forgery) { f.template.ExtraExtensions = nil }, "whether the certificate is itself revoked"},
		"for another key":       {func(f *forgery) { f.public = newECDSA(t, elliptic.P256()).Public() }, "not the certificate's"},
		"of another authority":  {func(f *forgery) { f.parent, f.signer = &x509.Certificate{}, newECDSA(t, elliptic.P256()) }, "ECDSA verification failure"},
		"from before a renewal": {func(f *forgery) { f.template.NotBefore = f.parent.NotBefore.Add(-time.Hour) }, ""},
	} {
		t.Run("a certificate "+title, func(t *testing.T) {
			t.Parallel()
			f := forgedResponder(t, key)
			issuer := f.parent
			c.change(&f)
			responder, err := pki.NewOCSPResponder(f.sign(t), issuer, key)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "[redacted]", fmt.Sprintf("%+v", responder))
		})
	}
}

func TestResponderSubject(t *testing.T) {
	t.Parallel()
	a, b := mustGenerate(pki.ECDSAP256), mustGenerate(pki.ECDSAP256)
	one, err := pki.ResponderSubject("ca in model", a.Public())
	require.NoError(t, err)
	require.Regexp(t, `^ca in model OCSP [0-9a-f]{8}$`, one.CommonName)
	two, err := pki.ResponderSubject("ca in model", b.Public())
	require.NoError(t, err)
	require.NotEqual(t, one, two)
	long, err := pki.ResponderSubject(strings.Repeat("ä", 80), a.Public())
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("ä", 50), strings.Split(long.CommonName, " ")[0])
	_, err = long.Encode()
	require.NoError(t, err)
	_, err = pki.ResponderSubject("a", nil)
	require.Error(t, err)
}

func TestSignOCSPAnswer(t *testing.T) {
	t.Parallel()
	for _, kind := range []pki.KeyType{pki.ECDSAP256, pki.RSA2048} {
		issuer := newIssuer(t, keyOf(kind))
		responder := newResponder(t, issuer)
		leaf, err := issuer.Issue(leafTemplate(pki.Server), newECDSA(t, elliptic.P256()).Public())
		require.NoError(t, err)
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			der, err := ocsp.CreateRequest(leaf, issuer.Certificate(), &ocsp.RequestOptions{Hash: hash})
			require.NoError(t, err)
			request, err := pki.ParseOCSPRequest(der)
			require.NoError(t, err)
			require.Equal(t, leaf.SerialNumber, request.Serial)
			ids, err := pki.IssuerIDs(issuer.Certificate())
			require.NoError(t, err)
			require.Contains(t, ids, request.Issuer)
			for _, state := range []pki.CertificateState{pki.Good, pki.Revoked, pki.Unknown} {
				answer := pki.OCSPAnswer{
					Serial: request.Serial, Hash: request.Issuer.Hash, State: state,
					RevokedAt: now.Add(-time.Hour), Reason: pki.Superseded,
					ThisUpdate: now, NextUpdate: now.Add(time.Hour),
				}
				der, err := responder.Sign(answer)
				require.NoError(t, err)
				got, err := ocsp.ParseResponseForCert(der, leaf, issuer.Certificate())
				require.NoError(t, err)
				require.Equal(t, int(state), got.Status)
				require.Equal(t, hash, got.IssuerHash)
				require.Equal(t, now, got.ThisUpdate)
				require.Equal(t, now.Add(time.Hour), got.NextUpdate)
				require.Equal(t, responder.Certificate().RawSubject, got.RawResponderName)
				if state == pki.Revoked {
					require.Equal(t, now.Add(-time.Hour), got.RevokedAt)
					require.Equal(t, ocsp.Superseded, got.RevocationReason)
				}
			}
		}
	}
}

func TestSignOCSPAnswerRefuses(t *testing.T) {
	t.Parallel()
	responder := newResponder(t, newIssuer(t, ecdsaP256()))
	for title, change := range map[string]func(*pki.OCSPAnswer){
		"no serial":          func(a *pki.OCSPAnswer) { a.Serial = nil },
		"an unknown state":   func(a *pki.OCSPAnswer) { a.State = 3 },
		"a negative state":   func(a *pki.OCSPAnswer) { a.State = -1 },
		"no time":            func(a *pki.OCSPAnswer) { a.RevokedAt = time.Time{} },
		"an odd reason":      func(a *pki.OCSPAnswer) { a.Reason = 7 },
		"no end":             func(a *pki.OCSPAnswer) { a.NextUpdate = time.Time{} },
		"a reversed period":  func(a *pki.OCSPAnswer) { a.NextUpdate = a.ThisUpdate },
		"parts of a second":  func(a *pki.OCSPAnswer) { a.ThisUpdate = a.ThisUpdate.Add(1) },
		"an unknown digest":  func(a *pki.OCSPAnswer) { a.Hash = crypto.MD5 },
		"a revocation of ns": func(a *pki.OCSPAnswer) { a.RevokedAt = a.RevokedAt.Add(1) },
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			answer := pki.OCSPAnswer{
				Serial: big.NewInt(5), Hash: crypto.SHA1, State: pki.Revoked, RevokedAt: now, ThisUpdate: now, NextUpdate: now.Add(time.Hour),
			}
			_, err := responder.Sign(answer)
			require.NoError(t, err)
			change(&answer)
			_, err = responder.Sign(answer)
			require.ErrorContains(t, err, "cannot sign OCSP answer: ")
		})
	}
}

func TestOCSPFailure(t *testing.T) {
	t.Parallel()
	for failure, want := range map[pki.OCSPFailure][]byte{
		pki.MalformedRequest: ocsp.MalformedRequestErrorResponse, pki.InternalError: ocsp.InternalErrorErrorResponse,
		pki.TryLater: ocsp.TryLaterErrorResponse, pki.Unauthorized: ocsp.UnauthorizedErrorResponse,
	} {
		require.Equal(t, want, failure.Encode())
	}
}

func FuzzParseOCSPRequest(f *testing.F) {
	t := &testing.T{}
	issuer := newIssuer(t, ecdsaP256())
	responder := newResponder(t, issuer)
	leaf, err := issuer.Issue(leafTemplate(pki.Server), newECDSA(t, elliptic.P256()).Public())
	if err != nil {
		f.Fatal(err)
	}
	der, err := ocsp.CreateRequest(leaf, issuer.Certificate(), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(der[:len(der)-1])
	f.Add([]byte{0x30, 0x80})
	f.Add(make([]byte, pki.MaxOCSPRequestSize+1))
	f.Fuzz(func(t *testing.T, der []byte) {
		request, err := pki.ParseOCSPRequest(der)
		if err != nil {
			return
		}
		// Whatever is accepted can be answered.
		_, err = responder.Sign(pki.OCSPAnswer{
			Serial: request.Serial, Hash: request.Issuer.Hash, State: pki.Unknown, ThisUpdate: now, NextUpdate: now.Add(time.Hour),
		})
		require.NoError(t, err)
	})
}
