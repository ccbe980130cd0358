// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// TestBadCSRsAreRefusedAndNeighboursServed sends one bad request at a time,
// beside a good one of the same unit and one of another unit.
func TestBadCSRsAreRefusedAndNeighboursServed(t *testing.T) {
	t.Parallel()
	subject := func(commonName string, organization ...string) string {
		csr, _ := newCSR(t, func(r *x509.CertificateRequest) {
			r.Subject.CommonName, r.Subject.Organization = commonName, organization
		})
		return csr
	}
	cases := map[string]struct {
		csr    string
		code   int
		reason string
	}{
		"text that is no CSR":              {csr: "hello", code: 999, reason: "PEM"},
		"a certificate in place of a CSR":  {csr: pemText("CERTIFICATE", []byte("x")), code: 999, reason: "CERTIFICATE"},
		"DER that is no CSR":               {csr: pemText("CERTIFICATE REQUEST", []byte("x")), code: 999},
		"two CSRs in one":                  {csr: subject("a") + "\n" + subject("b"), code: 999},
		"a bad signature":                  {csr: forged(t), code: 999, reason: "signature"},
		"an RSA key of 1024 bits":          {csr: weakRSA(t), code: 999, reason: "1024"},
		"an unknown kind of key":           {csr: secp256k1(t), code: 999},
		"a line break in the common name":  {csr: subject("web\nexample"), code: 999, reason: "control character"},
		"a zero byte in a name":            {csr: withNames(t, "a\x00b.example.com"), code: 999, reason: "control character"},
		"the CA's own name":                {csr: subject("tls-authority demo G1"), code: 999, reason: "the CA's own"},
		"the CA's name in capitals":        {csr: subject("TLS-Authority  demo G1"), code: 999, reason: "the CA's own"},
		"the name of the global client":    {csr: subject("client"), code: 102, reason: "denied-common-names"},
		"the name of the API server":       {csr: subject("system:kube-apiserver"), code: 102, reason: "denied-common-names"},
		"the administrators of Kubernetes": {csr: subject("me", "system:masters"), code: 102, reason: "denied-organizations"},
		"the same among other groups":      {csr: subject("me", "staff", " System:Masters "), code: 102, reason: "denied-organizations"},
	}
	good, _ := newCSR(t, named("good.example.com"))
	neighbour, _ := newCSR(t, named("neighbour.example.com"))
	s := newSite(t, jujusim.Options{}, 1)
	relation := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, good), "web/1": csrBag(t, neighbour)})
	served := s.answers(relation)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.csr == "" {
				t.Skip("NOT TRIED: openssl, which makes this request, is not installed")
			}
			require.NoError(t, s.SetBag(relation, "web/0", csrBag(t, c.csr, good)))
			s.settle()
			require.Equal(t, served, s.answers(relation), "its neighbours keep what they have")
			errors := s.errors(relation)
			require.Len(t, errors, 1)
			got := errors[c.csr].Error
			require.Equal(t, c.code, got.Code)
			require.Equal(t, map[int]string{102: "DOMAIN_NOT_ALLOWED", 999: "OTHER"}[c.code], got.Name)
			require.NotEmpty(t, got.Message)
			require.Contains(t, got.Reason, c.reason)
			_, message := s.Status(charm + "/0")
			require.Contains(t, message, "1 denied: web/0")
			require.Contains(t, s.logText(), "refused a request of web/0")

			require.NoError(t, s.SetBag(relation, "web/0", csrBag(t, good)))
			s.settle()
			require.Empty(t, s.errors(relation), "an error goes with its request")
		})
	}
}

func TestWrongTypesInOneBagStopNobody(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"no JSON": "[", "an object": `{"a": 1}`, "strings": `["a", "b"]`, "null": "null", "a number": "7", "entries of wrong types": `[{"certificate_signing_request": 7}, 8, null]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, jujusim.Options{}, 1)
			csr, _ := newCSR(t, nil)
			web := s.relate("web", map[string]map[string]string{
				"web/0": {"certificate_signing_requests": value},
				"web/1": csrBag(t, csr),
			})
			etcd := s.relate("etcd", map[string]map[string]string{
				"etcd/0": {"unit_name": "etcd_0", "cert_requests": value, "client_cert_requests": value, "sans": value, "common_name": "10.0.1.1"},
				"etcd/1": etcdBags(2)["etcd/1"],
			})
			require.Contains(t, s.answers(web), csr)
			requireServer(t, s.root(), serverPair(s.legacy(etcd), "etcd_1").leaf(t))
			require.Equal(t, "10.0.1.1", serverPair(s.legacy(etcd), "etcd_0").leaf(t).Subject.CommonName)
		})
	}
}

func TestUnusualNamesAreServed(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	long := strings.Repeat("a-long-label.", 6) + "example.com"
	require.Greater(t, len(long), 64)

	t.Run("an address as common name is also a name", func(t *testing.T) {
		csr, _ := newCSR(t, named("10.1.2.3"))
		leaf := s.serveOne(t, "address", csr)
		require.Equal(t, "10.1.2.3", leaf.Subject.CommonName)
		require.Equal(t, "10.1.2.3", leaf.IPAddresses[0].String())
	})
	t.Run("a common name over 64 characters moves to the names", func(t *testing.T) {
		csr, _ := newCSR(t, named(long))
		leaf := s.serveOne(t, "long", csr)
		require.Empty(t, leaf.Subject.CommonName)
		require.Equal(t, []string{long}, leaf.DNSNames)
	})
	t.Run("the legacy answer stays keyed by the whole name", func(t *testing.T) {
		relation := s.relate("keystone", map[string]map[string]string{"keystone/0": {
			"unit_name": "keystone_0", "cert_requests": `{"` + long + `": {"sans": ["10.0.0.9"]}}`,
		}})
		leaf := processed(t, s.legacy(relation), "keystone_0.processed_requests")[long].leaf(t)
		require.Equal(t, []string{long}, leaf.DNSNames)
		requireServer(t, s.root(), leaf)
	})
	t.Run("an address in a dNSName is kept and added as an address", func(t *testing.T) {
		leaf := s.serveOne(t, "postgresql", withNames(t, "10.4.5.6", "db.example.com"))
		require.Contains(t, leaf.DNSNames, "10.4.5.6")
		require.Equal(t, "10.4.5.6", leaf.IPAddresses[0].String())
	})
}

// serveOne relates a new application that sends one CSR.
func (s *site) serveOne(t *testing.T, application, csr string) *x509.Certificate {
	t.Helper()
	relation := s.relate(application, map[string]map[string]string{application + "/0": csrBag(t, csr)})
	require.Empty(t, s.errors(relation))
	leaf := parseOne(t, s.answers(relation)[csr].Certificate)
	requireServer(t, s.root(), leaf)
	return leaf
}

func pemText(kind string, der []byte) string {
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

// withNames is a CSR with the given dNSNames, whatever they hold.
func withNames(t *testing.T, names ...string) string {
	t.Helper()
	csr, _ := newCSR(t, func(r *x509.CertificateRequest) { r.DNSNames = names })
	return csr
}

// forged is a CSR whose signature does not fit.
func forged(t *testing.T) string {
	t.Helper()
	csr, _ := newCSR(t, nil)
	block, _ := pem.Decode([]byte(csr))
	block.Bytes[len(block.Bytes)-1] ^= 1
	return pemText(block.Type, block.Bytes)
}

func weakRSA(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"weak.example.com"}}, key)
	require.NoError(t, err)
	return pemText("CERTIFICATE REQUEST", der)
}

// secp256k1 is a CSR for a curve that Go does not know; "" without openssl.
func secp256k1(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		return ""
	}
	path := filepath.Join(t.TempDir(), "csr.pem")
	text, err := exec.Command(program, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes",
		"-keyout", os.DevNull, "-subj", "/CN=koblitz.example.com", "-out", path).CombinedOutput()
	require.NoError(t, err, string(text))
	csr, err := os.ReadFile(path)
	require.NoError(t, err)
	return strings.TrimSpace(string(csr))
}

// TestAnErrorGoesWhenThePolicyAllows: the same CSR stays in the bag, so the
// charm itself must look again.
func TestAnErrorGoesWhenThePolicyAllows(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	csr, _ := newCSR(t, named("client"))
	relation := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	require.Equal(t, 102, s.errors(relation)[csr].Error.Code)
	require.NoError(t, s.Configure(charm, map[string]any{"denied-common-names": ""}))
	s.settle()
	require.Empty(t, s.errors(relation))
	require.Contains(t, s.answers(relation), csr)
}

// TestCARequestsAreRefused covers `ca: true`, and the same CSR without it.
func TestCARequestsAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	csr, _ := newCSR(t, named("sub.example.com"))
	text, err := json.Marshal([]map[string]any{{"certificate_signing_request": csr, "ca": true}})
	require.NoError(t, err)
	relation := s.relate("vault", map[string]map[string]string{"vault/0": {"certificate_signing_requests": string(text)}})
	require.Empty(t, s.answers(relation))
	require.Equal(t, 999, s.errors(relation)[csr].Error.Code)
	require.Contains(t, s.Bag(relation, charm)["capabilities"], `"supports_ca_certificates":false`)
}

// TestAnUnreadableBagKeepsWhatItHas: who cannot be read for a moment has not
// said that they want nothing.
func TestAnUnreadableBagKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	csr, _ := newCSR(t, nil)
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	etcd := s.relate("etcd", map[string]map[string]string{"etcd/0": {
		"unit_name": "etcd_0", "cert_requests": `{"a.example.com": {"sans": []}}`, "client_cert_requests": `{"me": {}}`,
		"application_cert_requests": `{"vip.example.com": {"sans": []}}`,
	}})
	answers, bag := s.answers(web), s.legacy(etcd)
	for _, garbage := range []string{"{broken", `{"an": "object"}`, `"text"`, "7"} {
		require.NoError(t, s.SetBag(web, "web/0", map[string]string{"certificate_signing_requests": garbage}))
		if garbage[0] != '{' || garbage == "{broken" {
			require.NoError(t, s.SetBag(etcd, "etcd/0", map[string]string{
				"cert_requests": garbage, "client_cert_requests": garbage, "application_cert_requests": garbage,
			}))
		}
		s.settle()
		require.Equal(t, answers, s.answers(web), garbage)
		require.Equal(t, bag, s.legacy(etcd), garbage)
		_, message := s.Status(charm + "/0")
		require.Contains(t, message, "denied")
	}
	require.NoError(t, s.SetBag(web, "web/0", map[string]string{"certificate_signing_requests": "[]"}))
	require.NoError(t, s.SetBag(etcd, "etcd/0", map[string]string{"cert_requests": "{}", "client_cert_requests": "", "application_cert_requests": ""}))
	s.settle()
	require.Empty(t, s.answers(web), "an empty list that can be read withdraws")
	require.NotContains(t, s.legacy(etcd), "etcd_0.processed_requests")
	require.NotContains(t, s.legacy(etcd), "etcd_0.processed_application_requests")
}

// TestAFloodOfGarbageStopsNobody fills a databag to what Juju allows.
func TestAFloodOfGarbageStopsNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	good, _ := newCSR(t, nil)
	csrs := []string{good}
	for i := range 700 {
		csrs = append(csrs, fmt.Sprintf("%d %s", i, strings.Repeat("x", 15<<10)))
	}
	relation := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csrs...)})
	require.Contains(t, s.answers(relation), good)
	require.NotEmpty(t, s.errors(relation))
	require.Less(t, len(s.Bag(relation, charm)["request_errors"]), 2<<20)
	etcd := s.relate("etcd", etcdBags(1))
	requireServer(t, s.root(), serverPair(s.legacy(etcd), "etcd_0").leaf(t))
}
