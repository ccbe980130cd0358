// SPDX-License-Identifier: GPL-3.0-only

package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// CrossSign makes a certificate for the subject, key and key identifier of
// another authority: whoever trusts the issuer then trusts what is below the
// other one (RFC 9810 section 4.4, "new with old"). Its validity is what those
// of both have in common, from now on. The path length, name constraints and
// extended key usages of the other are carried over, because no authority
// must gain power in this way, and one with further critical extensions is
// refused. The error is an ErrPathLength when the issuer may not have
// authorities below it, an ErrIssuerExpires when it has expired.
func (i *Issuer) CrossSign(other *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	cert, err := i.crossSign(other, now)
	if err != nil {
		return nil, fmt.Errorf("cannot cross-sign %s: %w", quote(other.Subject.String()), err)
	}
	return cert, nil
}

func (i *Issuer) crossSign(other *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	err := CheckCross(i.certificate, other, now)
	if err != nil {
		return nil, err
	}
	carried, err := limitsOf(other)
	if err != nil {
		return nil, err
	}
	validity, err := crossValidity(i.certificate, other, now)
	if err != nil {
		return nil, err
	}
	algorithm, err := signatureAlgorithm(i.certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          newSerialNumber(),
		SignatureAlgorithm:    algorithm,
		RawSubject:            other.RawSubject,
		NotBefore:             validity.NotBefore,
		NotAfter:              validity.NotAfter,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            other.MaxPathLen,
		MaxPathLenZero:        other.MaxPathLenZero,
		SubjectKeyId:          other.SubjectKeyId,
		// crypto/x509 leaves it out by itself when the names are equal.
		AuthorityKeyId:  i.certificate.SubjectKeyId,
		ExtraExtensions: carried,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.certificate, other.PublicKey, i.key.reveal().signer)
	if err != nil {
		return nil, fmt.Errorf("cannot sign certificate: %w", err)
	}
	cert, err := ParseCertificateDER(der)
	if err != nil {
		return nil, err
	}
	err = checkCross(cert, i.certificate, other, template)
	if err != nil {
		return nil, fmt.Errorf("certificate is not what was signed: %w", err)
	}
	return cert, nil
}

// CheckCross finds the reason why an issuer cannot cross-sign another
// authority, as far as their certificates tell.
func CheckCross(issuer, other *x509.Certificate, now time.Time) error {
	err := checkOther(issuer, other)
	if err != nil {
		return err
	}
	_, err = limitsOf(other)
	if err != nil {
		return err
	}
	_, err = crossValidity(issuer, other, now)
	return err
}

// checkOther refuses certificates that do not stand for an authority other
// than the issuer.
func checkOther(issuer, other *x509.Certificate) error {
	weak := weakness(other.PublicKey)
	switch {
	case !mayHaveAuthorities(issuer):
		return ErrPathLength
	case SamePublicKey(other.PublicKey, issuer.PublicKey):
		return errors.New("its key is the issuer's own")
	case !isAuthority(other):
		return errors.New("it is not the certificate of a CA")
	case !maySign(other):
		return errors.New("it may not sign certificates")
	case namesNobody(other.RawSubject):
		return errors.New("it has no subject")
	case len(other.SubjectKeyId) == 0:
		return errors.New("it has no subject key identifier")
	case weak != "":
		return errors.New("its key is " + weak)
	}
	return nil
}

// limitsOf returns the extensions by which other is limited, as they are. One
// that is critical and not known here could be such a limit too.
func limitsOf(other *x509.Certificate) ([]pkix.Extension, error) {
	var limits []pkix.Extension
	for _, extension := range other.Extensions {
		switch extension.Id.String() {
		case oidNameConstraints, oidExtKeyUsage:
			limits = append(limits, extension)
		case oidBasicConstraints, oidKeyUsage:
		default:
			if extension.Critical {
				return nil, fmt.Errorf("its critical extension %s cannot be carried over", extension.Id)
			}
		}
	}
	if len(other.UnhandledCriticalExtensions) > 0 {
		return nil, errors.New("it has a critical extension that is not understood")
	}
	return limits, nil
}

func crossValidity(issuer, other *x509.Certificate, now time.Time) (Validity, error) {
	now = now.UTC().Truncate(time.Second)
	validity := ChainValidity(issuer, other)
	if validity.NotBefore.Before(now.Add(-Backdate)) {
		validity.NotBefore = now.Add(-Backdate)
	}
	switch {
	case issuer.NotAfter.Before(now):
		return Validity{}, fmt.Errorf("issuer is valid until %s: %w", ValidityOf(issuer).NotAfter.Format(time.RFC3339), ErrIssuerExpires)
	case other.NotAfter.Before(now):
		return Validity{}, fmt.Errorf("it is valid until %s", ValidityOf(other).NotAfter.Format(time.RFC3339))
	}
	return validity, validity.check()
}

// checkCross compares all that the certificate says with its parents and its
// template, and verifies it as any client would.
func checkCross(cert, issuer, other, template *x509.Certificate) error {
	extensions, err := crossExtensions(issuer, other, template)
	if err != nil {
		return err
	}
	for _, property := range []struct {
		name string
		good bool
	}{
		{"version", cert.Version == 3},
		{"serial number", hasOwnSerialNumber(cert)},
		{"signature algorithm", cert.SignatureAlgorithm == template.SignatureAlgorithm},
		{"issuer", bytes.Equal(cert.RawIssuer, issuer.RawSubject)},
		{"subject", bytes.Equal(cert.RawSubject, other.RawSubject)},
		{"public key", bytes.Equal(cert.RawSubjectPublicKeyInfo, other.RawSubjectPublicKeyInfo)},
		{"validity", ValidityOf(cert) == ValidityOf(template)},
		{"validity within those of both", ChainValidity(issuer, other).contains(ValidityOf(cert))},
		{"extensions", slices.EqualFunc(cert.Extensions, extensions, sameExtension)},
	} {
		if !property.good {
			return errors.New("wrong " + property.name)
		}
	}
	return verify(cert, issuer, Template{Profile: SubCA})
}

// crossExtensions writes all extensions without the help of crypto/x509, in
// the order in which that package writes them.
func crossExtensions(issuer, other, template *x509.Certificate) ([]pkix.Extension, error) {
	extensions, err := authorityExtensions(other.MaxPathLen)
	if err != nil {
		return nil, err
	}
	subject, err := asn1.Marshal(other.SubjectKeyId)
	if err != nil {
		return nil, err
	}
	authority := encodeAuthorityKeyID(issuer.SubjectKeyId)
	extensions = append(extensions,
		pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 14}, Value: subject},
		pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: authority})
	return append(extensions, template.ExtraExtensions...), nil
}

func sameExtension(a, b pkix.Extension) bool {
	return a.Id.Equal(b.Id) && a.Critical == b.Critical && bytes.Equal(a.Value, b.Value)
}
