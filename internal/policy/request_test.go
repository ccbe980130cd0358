// SPDX-License-Identifier: GPL-3.0-only

package policy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
)

var (
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidOrganization = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidEmail        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidSAN          = asn1.ObjectIdentifier{2, 5, 29, 17}

	requestKey = sync.OnceValues(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })
)

// Alternatives of GeneralName.
const (
	tagEmail        = 1
	tagDNS          = 2
	tagURI          = 6
	tagIP           = 7
	tagRegisteredID = 8
)

// asked is what a certificate request says, to the byte.
type asked struct {
	subject []pkix.RelativeDistinguishedNameSET
	names   []asn1.RawValue
}

func (a asked) attribute(kind asn1.ObjectIdentifier, values ...string) asked {
	var rdn pkix.RelativeDistinguishedNameSET
	for _, value := range values {
		tag := asn1.TagUTF8String
		if kind.Equal(oidEmail) {
			tag = asn1.TagIA5String
		}
		rdn = append(rdn, pkix.AttributeTypeAndValue{Type: kind, Value: asn1.RawValue{Tag: tag, Bytes: []byte(value)}})
	}
	a.subject = append(a.subject[:len(a.subject):len(a.subject)], rdn)
	return a
}

func (a asked) name(tag int, value string) asked {
	a.names = append(a.names[:len(a.names):len(a.names)], asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(value)})
	return a
}

// parse signs the request and reads it as the charm does.
func (a asked) parse(t *testing.T) (*pki.CertificateRequest, error) {
	t.Helper()
	subject, err := asn1.Marshal(pkix.RDNSequence(a.subject))
	require.NoError(t, err)
	template := &x509.CertificateRequest{RawSubject: subject}
	if len(a.subject) == 0 {
		template.RawSubject = []byte{0x30, 0}
	}
	if len(a.names) > 0 {
		value, err := asn1.Marshal(a.names)
		require.NoError(t, err)
		template.ExtraExtensions = []pkix.Extension{{Id: oidSAN, Value: value}}
	}
	key, err := requestKey()
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	require.NoError(t, err)
	return pki.ParseCertificateRequest(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
}

// templateOf is the certificate that a request leads to.
func templateOf(request *pki.CertificateRequest) pki.Template {
	return pki.Template{Profile: pki.Leaf, Subject: request.Subject, Names: request.Names, Usage: request.Usage}
}

// judge gives both verdicts of the policy; a request that pki refuses has none.
func (a asked) judge(t *testing.T, config policy.Config) (r *policy.Refusal, readable bool) {
	t.Helper()
	request, err := a.parse(t)
	if err != nil {
		require.ErrorIs(t, err, pki.ErrBadRequest)
		return nil, false
	}
	if r := policy.CheckIdentity(config, request); r != nil {
		return r, true
	}
	return config.CheckNames(templateOf(request)), true
}

// options are set as an operator does.
func options(t testing.TB, options map[string]any) policy.Config {
	t.Helper()
	config, problems := policy.ParseConfig(raw(t, options), "tls-authority", "test")
	require.Empty(t, problems)
	return config
}

func raw(t testing.TB, options map[string]any) map[string]json.RawMessage {
	t.Helper()
	encoded := map[string]json.RawMessage{}
	for option, value := range options {
		text, err := json.Marshal(value)
		require.NoError(t, err)
		encoded[option] = text
	}
	return encoded
}
