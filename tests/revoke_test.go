// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// list is the revocation list of a generation, 0 for the one that signs, as the
// unit tells it.
func (s *site) list(unit string, generation int) *x509.RevocationList {
	s.t.Helper()
	results, failure := s.run(unit, "get-revocation-list", map[string]any{"generation": generation})
	require.Empty(s.t, failure)
	block, rest := pem.Decode([]byte(results["crl"]))
	require.NotNil(s.t, block)
	require.Equal(s.t, "X509 CRL", block.Type)
	require.Empty(s.t, rest)
	list, err := x509.ParseRevocationList(block.Bytes)
	require.NoError(s.t, err)
	require.Equal(s.t, strconv.Itoa(len(list.RevokedCertificateEntries)), results["revoked"])
	return list
}

// requireRevoked wants a list with exactly the given certificates on it.
func (s *site) requireRevoked(reason int, certificates ...*x509.Certificate) *x509.RevocationList {
	s.t.Helper()
	list := s.list(charm+"/0", 0)
	require.Len(s.t, list.RevokedCertificateEntries, len(certificates))
	for _, c := range certificates {
		require.Equal(s.t, reason, reasonOf(s.t, list, c.SerialNumber))
	}
	require.NoError(s.t, list.CheckSignatureFrom(s.root()))
	return list
}

func reasonOf(t *testing.T, list *x509.RevocationList, serial *big.Int) int {
	t.Helper()
	for _, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(serial) == 0 {
			return entry.ReasonCode
		}
	}
	require.Fail(t, "not on the list", serial.Text(16))
	return 0
}

func serialOf(c *x509.Certificate) string { return c.SerialNumber.Text(16) }

// opensslChecks verifies a certificate with the list of its issuer at hand.
func opensslChecks(t *testing.T, root, leaf *x509.Certificate, list *x509.RevocationList) (string, error) {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("NOT VERIFIED by a second TLS stack: openssl is not installed")
	}
	folder := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	text, err := exec.Command(program, "verify", "-x509_strict", "-crl_check",
		"-CAfile", write("root.pem", "CERTIFICATE", root.Raw), "-CRLfile", write("list.pem", "X509 CRL", list.Raw),
		write("leaf.pem", "CERTIFICATE", leaf.Raw)).CombinedOutput()
	return string(text), err
}

func TestARevokedCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 2)
	require.NoError(t, s.Configure(charm, map[string]any{"key-type": "ecdsa-p256"}))
	csr, key := newCSR(t, nil)
	other, _ := newCSR(t, named("other.example.com"))
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr), "web/1": csrBag(t, other)})
	etcd := s.relate("etcd", etcdBags(3))
	leaf := parseOne(t, s.answers(web)[csr].Certificate)
	neighbour := s.answers(web)[other]

	s.requireSame(func() {
		results, failure := s.run(charm+"/0", "revoke-certificate", map[string]any{"serial": serialOf(leaf), "dry-run": true})
		require.Empty(t, failure)
		require.Equal(t, "1", results["count"])
	})

	t.Run("one of the CSR dialect, named as openssl prints it", func(t *testing.T) {
		colons := strings.ToUpper(serialOf(leaf))
		for i := len(colons) - 2; i > 0; i -= 2 {
			colons = colons[:i] + ":" + colons[i:]
		}
		results, failure := s.run(charm+"/0", "revoke-certificate", map[string]any{"serial": colons, "reason": "superseded"})
		require.Empty(t, failure)
		require.Equal(t, serialOf(leaf), results["serial-numbers"])
		s.settle()
		answer := s.answers(web)[csr]
		require.Nil(t, answer.Revoked, "requirers would stop to serve")
		fresh := parseOne(t, answer.Certificate)
		require.NotEqual(t, leaf.SerialNumber, fresh.SerialNumber)
		requireKey(t, key, fresh)
		requireServer(t, s.root(), fresh)
		require.Equal(t, neighbour, s.answers(web)[other])
		list := s.requireRevoked(4, leaf)
		text, err := opensslChecks(t, s.root(), leaf, list)
		require.Error(t, err)
		require.Contains(t, text, "certificate revoked")
		text, err = opensslChecks(t, s.root(), fresh, list)
		require.NoError(t, err, text)
		require.Equal(t, list, s.list(charm+"/1", 1), "every unit has the same list")
	})
	t.Run("a unit of the legacy dialect", func(t *testing.T) {
		before := s.legacy(etcd)
		first := s.list(charm+"/0", 0)
		_, failure := s.run(charm+"/0", "revoke-certificate", map[string]any{"unit": "etcd/1", "reason": "key-compromise"})
		require.Empty(t, failure)
		since := len(s.Hooks())
		s.settle()
		after := s.legacy(etcd)
		old, fresh := serverPair(before, "etcd_1"), serverPair(after, "etcd_1")
		require.False(t, old.Key == fresh.Key, "a revoked pair gets another key")
		requireServer(t, s.root(), fresh.leaf(t))
		require.True(t, fresh == serverPair(s.Bag(etcd, charm+"/1"), "etcd_1"), "every unit mirrors it")
		for _, name := range []string{"etcd_0", "etcd_2"} {
			require.True(t, serverPair(before, name) == serverPair(after, name), "%s keeps its own", name)
		}
		list := s.list(charm+"/0", 0)
		require.Equal(t, 1, reasonOf(t, list, old.leaf(t).SerialNumber))
		require.Positive(t, list.Number.Cmp(first.Number))
		require.Less(t, len(s.Hooks())-since, 12, "the revocation comes to an end")
	})
	t.Run("the client that all share, and one of an operator", func(t *testing.T) {
		before := pair{Cert: s.legacy(etcd)["client.cert"], Key: s.legacy(etcd)["client.key"]}
		issued, failure := s.run(charm+"/0", "issue-certificate", map[string]any{"common-name": "ops.example.com"})
		require.Empty(t, failure)
		for _, c := range []*x509.Certificate{before.leaf(t), parseOne(t, issued["certificate"])} {
			_, failure = s.run(charm+"/0", "revoke-certificate", map[string]any{"serial": serialOf(c)})
			require.Empty(t, failure)
			s.settle()
			require.Zero(t, reasonOf(t, s.list(charm+"/0", 0), c.SerialNumber), "unspecified is left out")
		}
		after := pair{Cert: s.legacy(etcd)["client.cert"], Key: s.legacy(etcd)["client.key"]}
		require.False(t, before.Key == after.Key, "another key")
		requireClient(t, s.root(), after.leaf(t))
	})
	t.Run("what cannot be", func(t *testing.T) {
		for want, parameters := range map[string]map[string]any{
			"name a serial number":     nil,
			"name either":              {"serial": "1", "unit": "web/0"},
			"is known":                 {"serial": "4711"},
			"they have no certificate": {"application": "nobody"},
			"was revoked at":           {"serial": serialOf(leaf)},
			"superseded":               {"serial": serialOf(leaf)},
		} {
			s.requireSame(func() {
				_, failure := s.run(charm+"/0", "revoke-certificate", parameters)
				require.Contains(t, failure, want)
			})
		}
		listed, _ := s.run(charm+"/1", "list-certificates", map[string]any{"application": "web"})
		require.Equal(t, "2", listed["count"])
		require.NotContains(t, listed["certificates"], "revoked")
	})
	since := len(s.Hooks())
	require.NoError(t, s.UpdateStatus(charm+"/0"))
	require.Zero(t, s.writes(since), "what was revoked is done once")
	requireNoKeyLeaks(t, s)
}

func TestACompromisedKeyIsNeverCertifiedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	csr, key := newCSR(t, nil)
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	leaf := parseOne(t, s.answers(web)[csr].Certificate)
	_, failure := s.run(charm+"/0", "revoke-certificate", map[string]any{"application": "web", "reason": "key-compromise"})
	require.Empty(t, failure)
	s.settle()
	answer := s.answers(web)[csr]
	require.NotNil(t, answer.Revoked)
	require.True(t, *answer.Revoked)
	require.Equal(t, leaf, parseOne(t, answer.Certificate), "the same certificate, said to be revoked")
	s.requireRevoked(1, leaf)
	s.requireStatus(charm+"/0", "active", "1 denied", "web/0", "its key is compromised")
	s.requireSame(func() { require.NoError(t, s.UpdateStatus(charm+"/0")) })

	again := requestFor(t, key, "elsewhere.example.com")
	require.NoError(t, s.SetBag(web, "web/0", csrBag(t, again)))
	s.settle()
	require.Empty(t, s.answers(web))
	require.Equal(t, 999, s.errors(web)[again].Error.Code)
	require.Contains(t, s.errors(web)[again].Error.Reason, "compromised")
	_, failure = s.run(charm+"/0", "sign-csr", map[string]any{"csr": again})
	require.Contains(t, failure, "compromised")

	renewed, fresh := newCSR(t, nil)
	require.NoError(t, s.SetBag(web, "web/0", csrBag(t, renewed)))
	s.settle()
	requireKey(t, fresh, parseOne(t, s.answers(web)[renewed].Certificate))
	require.Empty(t, s.errors(web))
	s.requireRevoked(1, leaf)
}

// requestFor is a CSR for a key that exists.
func requestFor(t *testing.T, key crypto.Signer, commonName string) string {
	t.Helper()
	template := &x509.CertificateRequest{}
	template.Subject.CommonName = commonName
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	require.NoError(t, err)
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
}

func TestWhoLeavesIsRevokedWhereTheOperatorWants(t *testing.T) {
	t.Parallel()
	for _, revokes := range []bool{true, false} {
		t.Run(strconv.FormatBool(revokes), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, jujusim.Options{}, 2)
			require.NoError(t, s.Configure(charm, map[string]any{"key-type": "ecdsa-p256", "revoke-on-departure": revokes}))
			first, _ := newCSR(t, named("first.example.com"))
			second, _ := newCSR(t, named("second.example.com"))
			web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, first), "web/1": csrBag(t, second)})
			etcd := s.relate("etcd", etcdBags(2))
			replaced := parseOne(t, s.answers(web)[first].Certificate)
			renewed, _ := newCSR(t, named("first.example.com"))
			require.NoError(t, s.SetBag(web, "web/0", csrBag(t, renewed)))
			s.settle()
			left := []*x509.Certificate{parseOne(t, s.answers(web)[renewed].Certificate), serverPair(s.legacy(etcd), "etcd_1").leaf(t)}
			require.NoError(t, s.RemoveUnit("web/0"))
			require.NoError(t, s.RemoveUnit("etcd/1"))
			s.settle()
			if !revokes {
				_, failure := s.run(charm+"/0", "get-revocation-list", nil)
				require.Contains(t, failure, "no revocation list")
				// What is in service no more can still be revoked.
				_, failure = s.run(charm+"/0", "revoke-certificate", map[string]any{"serial": serialOf(left[0]), "reason": "cessation-of-operation"})
				require.Empty(t, failure)
				s.settle()
				s.requireRevoked(5, left[0])
				return
			}
			s.requireRevoked(5, left...)
			left = append(left, serverPair(s.legacy(etcd), "etcd_0").leaf(t), pair{Cert: s.legacy(etcd)["client.cert"], Key: s.legacy(etcd)["client.key"]}.leaf(t))
			require.NoError(t, s.RemoveRelation(etcd))
			s.settle()
			s.requireRevoked(5, left[:3]...)
			_ = replaced // a renewal is no departure: it is not on the list
		})
	}
}

func TestADestroyedKeyLeavesAFinalList(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	require.NoError(t, s.Configure(charm, map[string]any{"rotation-hold": "0m"}))
	csr, _ := newCSR(t, nil)
	other, _ := newCSR(t, named("other.example.com"))
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr), "web/1": csrBag(t, other)})
	leaf, kept := parseOne(t, s.answers(web)[csr].Certificate), parseOne(t, s.answers(web)[other].Certificate)
	root := s.root()
	_, failure := s.run(charm+"/0", "revoke-certificate", map[string]any{"serial": serialOf(leaf)})
	require.Empty(t, failure)
	s.settle()
	replaced := parseOne(t, s.answers(web)[csr].Certificate)
	_, failure = s.run(charm+"/0", "rotate-ca", nil)
	require.Empty(t, failure)
	for range 20 {
		s.settle()
		require.NoError(t, s.UpdateStatus(charm+"/0"))
	}
	status, _ := s.run(charm+"/0", "rotation-status", nil)
	require.Equal(t, "none", status["stage"])
	require.NotEqual(t, root, s.root())

	final := s.list(charm+"/0", 1)
	require.NoError(t, final.CheckSignatureFrom(root))
	require.Len(t, final.RevokedCertificateEntries, 1)
	for _, c := range []*x509.Certificate{leaf, kept, replaced} {
		require.False(t, final.NextUpdate.Before(c.NotAfter), "the last list must hold as long as anything it is about")
	}
	text, err := opensslChecks(t, root, leaf, final)
	require.Error(t, err)
	require.Contains(t, text, "certificate revoked")
	text, err = opensslChecks(t, root, kept, final)
	require.NoError(t, err, text)
	s.requireSame(func() {
		_, failure := s.run(charm+"/0", "revoke-certificate", map[string]any{"serial": serialOf(kept)})
		require.Contains(t, failure, "the key of generation 1 of the CA is destroyed")
	})
	require.Empty(t, s.list(charm+"/0", 2).RevokedCertificateEntries)
}
