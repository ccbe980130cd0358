// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// Extensions and usages (RFC 5280 section 4.2.1), by which texts are compared.
const (
	oidSubjectKeyID     = "2.5.29.14"
	oidKeyUsage         = "2.5.29.15"
	oidSubjectAltName   = "2.5.29.17"
	oidBasicConstraints = "2.5.29.19"
	oidNameConstraints  = "2.5.29.30"
	oidAuthorityKeyID   = "2.5.29.35"
	oidExtKeyUsage      = "2.5.29.37"
	oidCRLPoints        = "2.5.29.31"
	oidAuthorityInfo    = "1.3.6.1.5.5.7.1.1"
	oidNoCheck          = "1.3.6.1.5.5.7.48.1.5" // RFC 6960 section 4.2.2.2.1

	oidServerAuth = "1.3.6.1.5.5.7.3.1"
	oidClientAuth = "1.3.6.1.5.5.7.3.2"
)

// CheckProfile compares cert with everything that t and issuer make it say,
// down to the order of its extensions, and verifies it against issuer at the
// first and last second of its validity. issuer of a root is the root itself,
// or the certificate that it renews.
func CheckProfile(cert, issuer *x509.Certificate, t Template) error {
	model := issuer
	if bytes.Equal(cert.Raw, issuer.Raw) {
		model = newRoot(cert.RawSubject, cert.PublicKey)
	}
	want, err := t.prepare(model, cert.PublicKey)
	if err == nil {
		err = checkFields(cert, issuer, want, t)
	}
	if err == nil {
		err = checkExtensions(cert, issuer, t)
	}
	if err == nil {
		err = verify(cert, issuer, t)
	}
	if err != nil {
		return fmt.Errorf("certificate does not follow profile %s: %w", t.Profile, err)
	}
	return nil
}

func checkFields(cert, issuer, want *x509.Certificate, t Template) error {
	isRoot := t.Profile == Root
	for _, property := range []struct {
		name string
		good bool
	}{
		{"version", cert.Version == 3},
		{"serial number", hasOwnSerialNumber(cert)},
		{"signature algorithm", cert.SignatureAlgorithm == want.SignatureAlgorithm},
		{"issuer", bytes.Equal(cert.RawIssuer, issuer.RawSubject)},
		{"subject", bytes.Equal(cert.RawSubject, want.RawSubject)},
		{"validity", ValidityOf(cert) == ValidityOf(want)},
		{"validity within the issuer's", isRoot || ValidityOf(issuer).contains(ValidityOf(cert))},
		{"public key", isRoot == SamePublicKey(cert.PublicKey, issuer.PublicKey)},
		{"key usage", cert.KeyUsage == want.KeyUsage},
		{"extended key usage", slices.Equal(cert.ExtKeyUsage, want.ExtKeyUsage) && len(cert.UnknownExtKeyUsage) == 0},
		{"basic constraints", cert.BasicConstraintsValid && cert.IsCA == want.IsCA && cert.MaxPathLen == want.MaxPathLen},
		{"path length of the issuer", t.Profile != SubCA || mayHaveAuthorities(issuer)},
		{"subject key identifier", bytes.Equal(cert.SubjectKeyId, want.SubjectKeyId)},
		{"links", slices.Equal(cert.OCSPServer, want.OCSPServer) && slices.Equal(cert.IssuingCertificateURL, want.IssuingCertificateURL) &&
			slices.Equal(cert.CRLDistributionPoints, want.CRLDistributionPoints)},
	} {
		if !property.good {
			return errors.New("wrong " + property.name)
		}
	}
	return t.checkKey(cert.PublicKey)
}

// checkExtensions wants exactly the extensions of the profile, in the order
// in which crypto/x509 writes them, and compares the bytes of those that it
// reads only in part.
func checkExtensions(cert, issuer *x509.Certificate, t Template) error {
	values, err := t.extensionValues(issuer)
	if err != nil {
		return err
	}
	type extension struct {
		oid      string
		critical bool
	}
	want := []extension{{oidKeyUsage, true}}
	if !t.isAuthority() {
		want = append(want, extension{oidExtKeyUsage, false})
	}
	want = append(want, extension{oidBasicConstraints, true}, extension{oidSubjectKeyID, false})
	if t.Profile != Root {
		want = append(want, extension{oidAuthorityKeyID, false})
	}
	if t.Links.OCSP != "" || t.Links.Issuer != "" {
		want = append(want, extension{oidAuthorityInfo, false})
	}
	if t.Names.Len() > 0 {
		want = append(want, extension{oidSubjectAltName, isEmptyName(cert.RawSubject)})
	}
	if !t.Constraints.isEmpty() {
		want = append(want, extension{oidNameConstraints, true})
	}
	if t.Links.CRL != "" {
		want = append(want, extension{oidCRLPoints, false})
	}
	if t.Profile == Responder {
		want = append(want, extension{oidNoCheck, false})
	}

	var got []extension
	for _, e := range cert.Extensions {
		oid := e.Id.String()
		value, known := values[oid]
		if known && !bytes.Equal(e.Value, value) {
			return fmt.Errorf("extension %s is another", oid)
		}
		got = append(got, extension{oid, e.Critical})
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("extensions are %v: want %v", got, want)
	}
	return nil
}

// extensionValues encodes, by object identifier, the extensions that differ
// from certificate to certificate.
func (t Template) extensionValues(issuer *x509.Certificate) (map[string][]byte, error) {
	names, err := subjectAltName(t.Names.Union(Names{}))
	if err != nil {
		return nil, err
	}
	authority, err := encodeAuthorityKeyID(issuer.SubjectKeyId)
	if err != nil {
		return nil, err
	}
	values := map[string][]byte{oidSubjectAltName: names, oidAuthorityKeyID: authority, oidNoCheck: asn1.NullBytes}
	if !t.Constraints.isEmpty() {
		values[oidNameConstraints], err = t.Constraints.encode()
	}
	return values, err
}

// encodeAuthorityKeyID writes the key identifier alone: issuer and serial
// number would pin one certificate of the issuer and break when it is renewed.
func encodeAuthorityKeyID(id []byte) ([]byte, error) {
	return asn1.Marshal(struct {
		KeyID []byte `asn1:"tag:0"`
	}{id})
}

// verify verifies the signature as any client would. The validity lies within
// the issuer's, so that one time stands for all.
func verify(cert, issuer *x509.Certificate, t Template) error {
	if t.Profile == Root {
		return cert.CheckSignatureFrom(issuer)
	}
	if cert.NotBefore.Before(issuer.NotBefore) || cert.NotAfter.After(issuer.NotAfter) {
		return errors.New("certificate is valid when its issuer is not")
	}
	roots := x509.NewCertPool()
	roots.AddCert(issuer)
	usages := t.usages()
	switch {
	case t.Profile == SubCA:
		usages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} // x509.Verify takes none for serverAuth
	case len(issuer.ExtKeyUsage)+len(issuer.UnknownExtKeyUsage) == 0:
		usages = usages[:1] // an issuer without any allows all, and the list has been compared
	}
	for _, usage := range usages {
		_, err := cert.Verify(x509.VerifyOptions{
			Roots:       roots,
			CurrentTime: cert.NotBefore,
			KeyUsages:   []x509.ExtKeyUsage{usage},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
