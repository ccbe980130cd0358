// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// charm is the name under which tests deploy the charm.
const charm = "tls-authority"

// site is a simulated model with the packed charm deployed in it.
type site struct {
	*jujusim.Model
	t *testing.T
}

// newSite deploys the charm with one unit or more and lets it settle.
func newSite(t *testing.T, o jujusim.Options, units int) *site {
	t.Helper()
	s := newModel(t, o, units)
	s.settle()
	return s
}

// newModel deploys the charm without letting it run.
func newModel(t *testing.T, o jujusim.Options, units int) *site {
	t.Helper()
	if o.ExecOnly {
		// A program built with the race detector takes a second to exit, and
		// this one is called a dozen times a hook.
		program, err := simulator()
		require.NoError(t, err, program)
		o.ToolBinary = program
	}
	o.Cache = filepath.Join(scratch, "unpacked")
	model, err := jujusim.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, model.Close()) })
	s := &site{Model: model, t: t}
	require.NoError(t, s.Deploy(charmPath(t), charm, units))
	// The service is two processes a unit; tests that are about it turn it on.
	// Keys of RSA, the default, take a tenth of a second each: the tests that
	// are about them ask for them.
	require.NoError(t, s.Configure(charm, map[string]any{"status-port": 0, "key-type": "ecdsa-p256"}))
	return s
}

func (s *site) settle() {
	s.t.Helper()
	require.NoError(s.t, s.Settle())
}

// relate adds a requirer whose databags are given by owner, and settles.
func (s *site) relate(application string, bags map[string]map[string]string) int {
	s.t.Helper()
	units := 0
	for owner := range bags {
		if strings.Contains(owner, "/") {
			units++
		}
	}
	require.NoError(s.t, s.AddStandIn(application, units))
	relation, err := s.Relate(charm+":certificates", application+":certificates")
	require.NoError(s.t, err)
	for _, owner := range slices.Sorted(maps.Keys(bags)) {
		require.NoError(s.t, s.SetBag(relation, owner, bags[owner]))
	}
	s.settle()
	return relation
}

// legacy is our unit's databag in a relation.
func (s *site) legacy(relation int) map[string]string {
	return s.Bag(relation, charm+"/0")
}

// answers are the certificates of the CSR dialect in a relation, by CSR.
func (s *site) answers(relation int) map[string]answer {
	s.t.Helper()
	text := s.Bag(relation, charm)["certificates"]
	byCSR := map[string]answer{}
	if text == "" {
		return byCSR
	}
	var list []answer
	require.NoError(s.t, json.Unmarshal([]byte(text), &list))
	for _, a := range list {
		require.NotContains(s.t, byCSR, a.CSR, "one CSR is answered twice")
		byCSR[a.CSR] = a
	}
	return byCSR
}

// errors are the refusals of the CSR dialect in a relation, by CSR.
func (s *site) errors(relation int) map[string]requestError {
	s.t.Helper()
	text := s.Bag(relation, charm)["request_errors"]
	byCSR := map[string]requestError{}
	if text == "" {
		return byCSR
	}
	var list []requestError
	require.NoError(s.t, json.Unmarshal([]byte(text), &list))
	for _, e := range list {
		require.Equal(s.t, e.CSR, e.CertificateSigningRequest, "libraries and schema differ in the key: both are written")
		byCSR[e.CSR] = e
	}
	return byCSR
}

// root asks the charm for its CA certificate.
func (s *site) root() *x509.Certificate {
	s.t.Helper()
	result, err := s.RunAction(charm+"/0", "get-ca-certificate", nil)
	require.NoError(s.t, err)
	require.Equal(s.t, "completed", result.Status, result.Message)
	text, ok := result.Results["ca-certificate"].(string)
	require.True(s.t, ok)
	return parseOne(s.t, text)
}

// writes counts what the model was told to change since a number of hooks.
func (s *site) writes(since int) int {
	total := 0
	for _, run := range s.Hooks()[since:] {
		total += run.Writes
	}
	return total
}

// logText is everything that was logged or printed.
func (s *site) logText() string {
	var text strings.Builder
	for _, line := range s.Log() {
		text.WriteString(line.String() + "\n")
	}
	return text.String()
}

// answer is an entry of `certificates` as requirers read it.
type answer struct {
	CSR         string   `json:"certificate_signing_request"`
	Certificate string   `json:"certificate"`
	CA          string   `json:"ca"`
	Chain       []string `json:"chain"`
	Revoked     *bool    `json:"revoked"`
}

// requestError is an entry of `request_errors`.
type requestError struct {
	CSR                       string `json:"csr"`
	CertificateSigningRequest string `json:"certificate_signing_request"`
	Error                     struct {
		Code    int    `json:"code"`
		Name    string `json:"name"`
		Message string `json:"message"`
		Reason  string `json:"reason"`
	} `json:"error"`
}

// pair is what the legacy dialect answers with.
type pair struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// leaf proves that the certificate goes with the key.
func (p pair) leaf(t *testing.T) *x509.Certificate {
	t.Helper()
	require.True(t, strings.HasSuffix(p.Cert, "-----END CERTIFICATE-----\n"), "consumers append the chain as text")
	both, err := tls.X509KeyPair([]byte(p.Cert), []byte(p.Key))
	require.NoError(t, err)
	return both.Leaf
}

// serverPair is the answer to a unit's top-level request.
func serverPair(bag map[string]string, name string) pair {
	return pair{Cert: bag[name+".server.cert"], Key: bag[name+".server.key"]}
}

// processed are the answers under one of the processed_… keys.
func processed(t *testing.T, bag map[string]string, key string) map[string]pair {
	t.Helper()
	pairs := map[string]pair{}
	if bag[key] != "" {
		require.NoError(t, json.Unmarshal([]byte(bag[key]), &pairs))
	}
	return pairs
}

// parseOne reads a text that must hold one certificate and nothing else.
func parseOne(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	require.NotNil(t, block, "no PEM block in %q", text)
	require.Empty(t, strings.TrimSpace(string(rest)), "more than one PEM block")
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return certificate
}

// newCSR signs a request with a new P-256 key. change may be nil.
func newCSR(t *testing.T, change func(*x509.CertificateRequest)) (string, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.CertificateRequest{}
	template.Subject.CommonName = "web.example.com"
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	require.NoError(t, err)
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))), key
}

// named is a change of newCSR that sets the common name.
func named(commonName string) func(*x509.CertificateRequest) {
	return func(r *x509.CertificateRequest) { r.Subject.CommonName = commonName }
}

// csrBag is the databag of a requirer of the CSR dialect.
func csrBag(t *testing.T, csrs ...string) map[string]string {
	t.Helper()
	entries := []map[string]any{}
	for _, csr := range csrs {
		entries = append(entries, map[string]any{"certificate_signing_request": csr, "ca": false})
	}
	text, err := json.Marshal(entries)
	require.NoError(t, err)
	return map[string]string{"certificate_signing_requests": string(text)}
}

// openssl verifies a certificate with another stack than the one that made
// it, strictly and for a purpose.
func openssl(t *testing.T, root, leaf *x509.Certificate, purpose string) error {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("NOT VERIFIED by a second TLS stack: openssl is not installed")
	}
	folder := t.TempDir()
	write := func(name string, certificate *x509.Certificate) string {
		path := filepath.Join(folder, name)
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
		require.NoError(t, os.WriteFile(path, text, 0o600))
		return path
	}
	text, err := exec.Command(program, "verify", "-x509_strict", "-purpose", purpose, "-CAfile", write("root.pem", root), write("leaf.pem", leaf)).CombinedOutput()
	if err != nil {
		t.Logf("openssl verify: %s", text)
	}
	return err
}

// requireServer is what every server certificate must be to other stacks.
func requireServer(t *testing.T, root, leaf *x509.Certificate) {
	t.Helper()
	require.NoError(t, openssl(t, root, leaf, "sslserver"))
	require.NoError(t, openssl(t, root, leaf, "sslclient"), "etcd's peers present it as clients")
}

// requireClient is what every client certificate must be, and must not be.
func requireClient(t *testing.T, root, leaf *x509.Certificate) {
	t.Helper()
	require.NoError(t, openssl(t, root, leaf, "sslclient"))
	require.Error(t, openssl(t, root, leaf, "sslserver"), "a client certificate must be refused when a server presents it")
}
