// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
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
	subject, err := t.check(cert.PublicKey)
	var want *x509.Certificate
	if err == nil {
		want, err = t.prepare(subject, model, cert.PublicKey)
	}
	if err == nil {
		err = t.compare(cert, issuer, want)
	}
	if err == nil {
		err = verify(cert, issuer, t)
	}
	if err != nil {
		return fmt.Errorf("certificate does not follow profile %s: %w", t.Profile, err)
	}
	return nil
}

// compare compares cert with what was to be signed.
func (t Template) compare(cert, issuer, want *x509.Certificate) error {
	err := checkFields(cert, issuer, want, t)
	if err != nil {
		return err
	}
	return checkExtensions(cert, issuer, want, t)
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
	return nil
}

// checkExtensions wants exactly the extensions of the profile, in the order
// in which crypto/x509 writes them, and compares the bytes of those that it
// reads only in part.
func checkExtensions(cert, issuer, want *x509.Certificate, t Template) error {
	expected, err := t.extensions(issuer, want)
	if err != nil {
		return err
	}
	if len(cert.Extensions) != len(expected) {
		return fmt.Errorf("%d extensions: want %d", len(cert.Extensions), len(expected))
	}
	for i, got := range cert.Extensions {
		oid := got.Id.String()
		switch e := expected[i]; {
		case oid != e.oid:
			return fmt.Errorf("extension %s: want %s", oid, e.oid)
		case got.Critical != e.critical:
			return fmt.Errorf("extension %s has another criticality", oid)
		case e.value != nil && !bytes.Equal(got.Value, e.value):
			return fmt.Errorf("extension %s is another", oid)
		}
	}
	return nil
}

// extension is one that a certificate is to have. Of those without value all
// that they can say is a field of the certificate.
type extension struct {
	oid      string
	critical bool
	value    []byte
}

// extensions lists those of the profile.
func (t Template) extensions(issuer, want *x509.Certificate) ([]extension, error) {
	list := append(make([]extension, 0, 8), extension{oid: oidKeyUsage, critical: true})
	if !t.isAuthority() {
		list = append(list, extension{oid: oidExtKeyUsage})
	}
	list = append(list, extension{oid: oidBasicConstraints, critical: true}, extension{oid: oidSubjectKeyID})
	if t.Profile != Root {
		list = append(list, extension{oid: oidAuthorityKeyID, value: encodeAuthorityKeyID(issuer.SubjectKeyId)})
	}
	if t.Links.OCSP != "" || t.Links.Issuer != "" {
		list = append(list, extension{oid: oidAuthorityInfo})
	}
	if t.Names.Len() > 0 {
		names, err := encodeNames(t.Names.Union(Names{}))
		if err != nil {
			return nil, err
		}
		list = append(list, extension{oid: oidSubjectAltName, critical: isEmptyName(want.RawSubject), value: names})
	}
	if !t.Constraints.isEmpty() {
		constraints, err := t.Constraints.encode()
		if err != nil {
			return nil, err
		}
		list = append(list, extension{oid: oidNameConstraints, critical: true, value: constraints})
	}
	if t.Links.CRL != "" {
		list = append(list, extension{oid: oidCRLPoints})
	}
	if t.Profile == Responder {
		list = append(list, extension{oid: oidNoCheck, value: asn1.NullBytes})
	}
	return list, nil
}

// encodeAuthorityKeyID writes the key identifier alone: issuer and serial
// number would pin one certificate of the issuer and break when it is renewed.
func encodeAuthorityKeyID(id []byte) []byte {
	const tagSequence, tagKeyIdentifier = 0x30, 0x80
	return appendDER(nil, tagSequence, appendDER(nil, tagKeyIdentifier, id))
}

// verifiedBySigning tells whether nothing is left to verify of a certificate
// that crypto/x509 signed: it verifies each signature with the issuer's key
// before it returns it, and what else a verification looks at has been
// compared. What is left are the bounds that an issuer may set to those below
// it, which NewIssuer does not know and only a verification follows.
func verifiedBySigning(t Template, issuer *x509.Certificate) bool {
	if t.isAuthority() || len(issuer.ExtKeyUsage)+len(issuer.UnknownExtKeyUsage) > 0 {
		return false
	}
	return !slices.ContainsFunc(issuer.Extensions, func(e pkix.Extension) bool { return e.Id.String() == oidNameConstraints })
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
