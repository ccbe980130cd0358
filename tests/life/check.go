// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Check holds the model to what must be true whenever it is quiet.
func (l *Life) Check() error {
	root, err := l.root()
	if err = errors.Join(err, l.look()); err != nil {
		return err
	}
	keys := map[string]string{} // who has a private key, by its public half
	for _, r := range l.requirers {
		check := checkCSRs
		if r.legacy {
			check = checkLegacy
		}
		if err := check(l, r, root, keys); err != nil {
			return fmt.Errorf("%s: %w", r.application, err)
		}
	}
	return l.checkBook()
}

// root is the one CA: one secret, one key from one rotation to the next, known
// to every unit.
func (l *Life) root() (*x509.Certificate, error) {
	secrets := 0
	for _, secret := range l.Model.Secrets() {
		if strings.HasPrefix(secret.Label, "ca-") && secret.Owner == Application {
			secrets++
		}
	}
	if secrets != 1 {
		return nil, fmt.Errorf("there are %d CA secrets", secrets)
	}
	var root *x509.Certificate
	for _, unit := range l.units() {
		result, err := l.Model.RunAction(unit, "get-ca-certificate", nil)
		if err != nil {
			return nil, err
		}
		text, _ := result.Results["ca-certificate"].(string)
		certificate, err := parseOne(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", unit, result.Message, err)
		}
		if root != nil && !root.Equal(certificate) {
			return nil, errors.New("units disagree on the CA certificate")
		}
		root = certificate
		between, _ := result.Results["ca-chain"].(string)
		l.between = pool(between)
	}
	if l.authority == nil {
		l.authority = root.RawSubjectPublicKeyInfo
	}
	if !bytes.Equal(l.authority, root.RawSubjectPublicKeyInfo) {
		return nil, errors.New("the CA has another key than before")
	}
	return root, nil
}

// verify is what a relying party does at the clock of the model.
func (l *Life) verify(leaf, root *x509.Certificate, usage x509.ExtKeyUsage) error {
	roots := x509.NewCertPool()
	roots.AddCert(root)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: l.between, CurrentTime: l.Now, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

type pair struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// checkLegacy compares what all our units publish with what is asked for.
func checkLegacy(l *Life, r *requirer, root *x509.Certificate, keys map[string]string) error {
	bag, err := l.commonBag(r)
	if err != nil {
		return err
	}
	expected := map[string]bool{}
	if len(r.wants) > 0 {
		for _, key := range []string{"ca", "client.cert", "client.key"} {
			expected[key] = true
		}
		expected["chain"] = bag["chain"] != ""
		if err := l.checkPair(pair{bag["client.cert"], bag["client.key"]}, "client", root, x509.ExtKeyUsageClientAuth, "the global client", keys); err != nil {
			return err
		}
	}
	for _, owner := range slices.Sorted(maps.Keys(r.wants)) {
		if err := l.checkUnit(bag, owner, r.wants[owner], root, keys, expected); err != nil {
			return fmt.Errorf("%s: %w", owner, err)
		}
	}
	for key := range bag {
		if !expected[key] {
			return fmt.Errorf("%s is published and nobody asks for it", key)
		}
	}
	return nil
}

// commonBag is what every one of our units publishes, without what Juju adds.
func (l *Life) commonBag(r *requirer) (map[string]string, error) {
	var common map[string]string
	for _, unit := range l.units() {
		bag := l.Model.Bag(r.relation, unit)
		for _, key := range []string{"ingress-address", "private-address", "egress-subnets"} {
			delete(bag, key)
		}
		if common != nil && !maps.Equal(common, bag) {
			return nil, fmt.Errorf("%s publishes other bytes than its siblings", unit)
		}
		common = bag
	}
	return common, nil
}

func (l *Life) checkUnit(bag map[string]string, owner string, w *want, root *x509.Certificate, keys map[string]string, expected map[string]bool) error {
	name := strings.ReplaceAll(owner, "/", "_")
	listed := map[string]bool{}
	for commonName, sans := range w.server {
		p := pair{bag[name+".server.cert"], bag[name+".server.key"]}
		if commonName == w.top {
			expected[name+".server.cert"], expected[name+".server.key"] = true, true
		} else {
			listed[commonName] = true
			expected[name+".processed_requests"] = true
			p = processed(bag[name+".processed_requests"])[commonName]
		}
		if err := l.checkPair(p, commonName, root, x509.ExtKeyUsageServerAuth, owner+" server "+commonName, keys); err != nil {
			return err
		}
		if err := checkNames(p, sans); err != nil {
			return err
		}
	}
	if got := processed(bag[name+".processed_requests"]); len(got) != len(listed) {
		return fmt.Errorf("%d requests are listed, %d answered", len(listed), len(got))
	}
	for _, commonName := range w.client {
		expected[name+".processed_client_requests"] = true
		p := processed(bag[name+".processed_client_requests"])[commonName]
		if err := l.checkPair(p, commonName, root, x509.ExtKeyUsageClientAuth, owner+" client "+commonName, keys); err != nil {
			return err
		}
	}
	if w.shared == "" {
		return nil
	}
	expected[name+".processed_application_requests"] = true
	p := processed(bag[name+".processed_application_requests"])["app_data"]
	application, _, _ := strings.Cut(owner, "/")
	if err := l.checkPair(p, "", root, x509.ExtKeyUsageServerAuth, application+" shared", keys); err != nil {
		return err
	}
	return checkNames(p, fmt.Sprintf("[%q]", w.shared))
}

// checkPair verifies one certificate with its key, and that nobody else has
// the key.
func (l *Life) checkPair(p pair, commonName string, root *x509.Certificate, usage x509.ExtKeyUsage, holder string, keys map[string]string) error {
	both, err := tls.X509KeyPair([]byte(p.Cert), []byte(p.Key))
	if err != nil {
		return fmt.Errorf("%s: %w", holder, err)
	}
	if err := l.verify(both.Leaf, root, usage); err != nil {
		return fmt.Errorf("%s: %w", holder, err)
	}
	if commonName != "" && both.Leaf.Subject.CommonName != commonName {
		return fmt.Errorf("%s: the common name is %q", holder, both.Leaf.Subject.CommonName)
	}
	if err := l.book.checkService(both.Leaf, false); err != nil {
		return fmt.Errorf("%s: %w", holder, err)
	}
	public := string(both.Leaf.RawSubjectPublicKeyInfo)
	if other, taken := keys[public]; taken && other != holder {
		return fmt.Errorf("%s and %s share a private key", holder, other)
	}
	keys[public] = holder
	return nil
}

// checkNames looks for every requested name in a certificate.
func checkNames(p pair, sans string) error {
	var names []string
	if err := json.Unmarshal([]byte(sans), &names); err != nil {
		return err
	}
	leaf, err := parseOne(p.Cert)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := leaf.VerifyHostname(name); err != nil {
			return err
		}
	}
	return nil
}

// checkCSRs compares the answers in our application databag with the CSRs.
func checkCSRs(l *Life, r *requirer, root *x509.Certificate, _ map[string]string) error {
	want := map[string]crypto.PublicKey{}
	for _, w := range r.wants {
		maps.Copy(want, w.csrs)
	}
	bag := l.Model.Bag(r.relation, Application)
	if err := l.takeRefused(want, bag["request_errors"]); err != nil {
		return err
	}
	var answers []struct {
		CSR         string `json:"certificate_signing_request"`
		Certificate string `json:"certificate"`
		CA          string `json:"ca"`
		Revoked     bool   `json:"revoked"`
	}
	if text := bag["certificates"]; text != "" {
		if err := json.Unmarshal([]byte(text), &answers); err != nil {
			return err
		}
	}
	if len(answers) != len(want) {
		return fmt.Errorf("%d CSRs have %d answers", len(want), len(answers))
	}
	for _, answer := range answers {
		leaf, err := parseOne(answer.Certificate)
		if err != nil {
			return err
		}
		anchor, err := parseOne(answer.CA)
		if err != nil {
			return err
		}
		key, asked := want[answer.CSR].(interface{ Equal(crypto.PublicKey) bool })
		if !asked || !key.Equal(leaf.PublicKey) {
			return fmt.Errorf("the certificate %q answers no request", leaf.Subject)
		}
		if err := l.book.checkService(leaf, answer.Revoked); err != nil {
			return err
		}
		if answer.Revoked {
			continue // of a CA that may be gone
		}
		if err := errors.Join(l.verify(leaf, root, x509.ExtKeyUsageServerAuth), l.verify(leaf, anchor, x509.ExtKeyUsageClientAuth)); err != nil {
			return err
		}
	}
	_, err := l.commonBag(r)
	return err
}

func processed(text string) map[string]pair {
	pairs := map[string]pair{}
	if text != "" && json.Unmarshal([]byte(text), &pairs) != nil {
		return nil
	}
	return pairs
}

func parseOne(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("%.40q is not one certificate", text)
	}
	return x509.ParseCertificate(block.Bytes)
}

// Root is the CA certificate at present, nil where Check would fail.
func (l *Life) Root() *x509.Certificate {
	root, err := l.root()
	if err != nil {
		return nil
	}
	return root
}

// Answers are the answers to CSRs as they are published, by relation.
func (l *Life) Answers() map[int]string {
	answers := map[int]string{}
	for _, r := range l.requirers {
		if text := l.Model.Bag(r.relation, Application)["certificates"]; text != "" {
			answers[r.relation] = text
		}
	}
	return answers
}
