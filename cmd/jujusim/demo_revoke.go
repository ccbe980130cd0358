// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/jujusim"
)

// revocation is what --json prints of a certificate that is revoked.
type revocation struct {
	Serial string `json:"serial-number"`
	// Before and After are what the status service answers by OCSP.
	Before string `json:"ocsp-before"`
	After  string `json:"ocsp-after"`
	// Listed tells that the revocation list has it.
	Listed bool `json:"on-the-list"`
	// Replacement is what OCSP says of the certificate in its place.
	Replacement string `json:"ocsp-of-the-replacement"`
}

const (
	// statusPort is the default of the option status-port.
	statusPort = 9880
	// takeUp is far longer than the daemon needs to take up what a hook wrote.
	takeUp = 30 * time.Second
)

// revoke takes back the certificate of one requirer and asks the status service
// about it, as a relying party would.
func revoke(model *jujusim.Model, r *requirer, show *show) error {
	service := statusService{address: "http://" + net.JoinHostPort(model.Address(authorityApplication+"/0"), strconv.Itoa(statusPort))}
	before, err := r.collect(model)
	if err != nil {
		return err
	}
	leaf := before[0].leaf
	result := revocation{Serial: leaf.SerialNumber.Text(16)}
	if err := service.readIssuer(); err != nil {
		return err
	}
	if result.Before, err = service.await(leaf, "good"); err != nil {
		return err
	}
	show.heading("juju run %s/leader revoke-certificate serial=%s reason=superseded", authorityApplication, result.Serial)
	if _, err := runAction(model, "revoke-certificate", map[string]any{"serial": result.Serial, "reason": "superseded"}); err != nil {
		return err
	}
	if err := model.Settle(); err != nil {
		return err
	}
	if result.After, err = service.await(leaf, "revoked"); err != nil {
		return err
	}
	if result.Listed, err = service.lists(leaf); err != nil {
		return err
	}
	after, err := r.collect(model)
	if err != nil {
		return err
	}
	if result.Replacement, err = service.await(after[0].leaf, "good"); err != nil {
		return err
	}
	show.revocation(service.address, before[0], after[0], result)
	return nil
}

// statusService is that of one unit.
type statusService struct {
	address string
	issuer  *x509.Certificate
}

func (s *statusService) get(path string) ([]byte, error) {
	response, err := http.Get(s.address + path)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the status service: %w", err)
	}
	return readAnswer(response)
}

func readAnswer(response *http.Response) ([]byte, error) {
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the status service says %s: %s", response.Status, bytes.TrimSpace(content))
	}
	return content, err
}

func (s *statusService) readIssuer() error {
	der, err := s.get("/ca.der")
	if err == nil {
		s.issuer, err = x509.ParseCertificate(der)
	}
	return err
}

// await asks by OCSP until the answer is the one that is wanted: the daemon
// looks for news once a second.
func (s *statusService) await(leaf *x509.Certificate, want string) (string, error) {
	late := time.Now().Add(takeUp)
	for {
		state, err := s.ask(leaf)
		if err == nil && state == want {
			return state, nil
		}
		if time.Now().After(late) {
			return state, errors.Join(fmt.Errorf("the status service says %q of %x, not %q", state, leaf.SerialNumber, want), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// ask returns what OCSP says of a certificate; the answer is verified.
func (s *statusService) ask(leaf *x509.Certificate) (string, error) {
	request, err := ocsp.CreateRequest(leaf, s.issuer, nil)
	if err != nil {
		return "", err
	}
	response, err := http.Post(s.address+"/ocsp", "application/ocsp-request", bytes.NewReader(request))
	if err != nil {
		return "", err
	}
	content, err := readAnswer(response)
	if err != nil {
		return "", err
	}
	answer, err := ocsp.ParseResponseForCert(content, leaf, s.issuer)
	if err != nil {
		return "", err
	}
	return map[int]string{ocsp.Good: "good", ocsp.Revoked: "revoked", ocsp.Unknown: "unknown"}[answer.Status], nil
}

// lists tells whether the revocation list of the CA, verified, has a
// certificate.
func (s *statusService) lists(leaf *x509.Certificate) (bool, error) {
	late := time.Now().Add(takeUp)
	for {
		der, err := s.get("/crl/1.crl")
		if err != nil {
			return false, err
		}
		list, err := x509.ParseRevocationList(der)
		if err == nil {
			err = list.CheckSignatureFrom(s.issuer)
		}
		if err != nil {
			return false, err
		}
		for _, entry := range list.RevokedCertificateEntries {
			if entry.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
				return true, nil
			}
		}
		if time.Now().After(late) {
			return false, fmt.Errorf("the revocation list does not have %x", leaf.SerialNumber)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// revocation tells what became of a certificate.
func (s *show) revocation(address string, before, after certificate, r revocation) {
	s.report.Revocation = r
	if s.json {
		return
	}
	green, plain := s.colour.green, s.colour.plain
	fmt.Fprintf(s.out, "  %s of %s\n", before.leaf.Subject.CommonName, before.Owner)
	fmt.Fprintf(s.out, "  %s/ocsp        before %s%s%s, now %s%s%s\n", address, green, r.Before, plain, green, r.After, plain)
	fmt.Fprintf(s.out, "  %s/crl/1.crl   has it\n", address)
	fmt.Fprintf(s.out, "  its replacement %x is %s%s%s\n", after.leaf.SerialNumber, green, r.Replacement, plain)
}
