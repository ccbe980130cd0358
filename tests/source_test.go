// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

func TestAnImportedCAIssues(t *testing.T) {
	t.Parallel()
	slow, err := outsiderRSA()
	require.NoError(t, err)
	root := newRoot(t, "Root", nil, nil)
	middle := root.below(t, "Middle", nil, nil)
	low := middle.below(t, "Low", nil, nil)
	pkcs1 := func(content map[string]string) {
		content["private-key"] = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(slow)}))
	}
	sec1 := func(o outsider) func(map[string]string) {
		return func(content map[string]string) {
			der, err := x509.MarshalECPrivateKey(o.key.(*ecdsa.PrivateKey))
			require.NoError(t, err)
			content["private-key"] = string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
		}
	}
	for name, c := range map[string]struct {
		ca     outsider
		change func(content map[string]string)
	}{
		"a root with a key in PKCS#8":          {root, nil},
		"a root with a key in PKCS#1":          {newRoot(t, "RSA Root", slow, nil), pkcs1},
		"an intermediate with a key in PKCS#1": {root.below(t, "RSA", slow, nil), pkcs1},
		"a chain out of order, with doubles, and SEC1": {low, func(content map[string]string) {
			sec1(low)(content)
			content["chain"] = pemOf(root.cert, low.cert, middle.cert, root.cert)
		}},
		"everything in the key certificate, its own last, and others": {low, func(content map[string]string) {
			content["certificate"] = pemOf(newRoot(t, "Stranger", nil, nil).cert, root.cert, middle.cert, low.cert)
			delete(content, "chain")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := c.ca.secret(t)
			if c.change != nil {
				c.change(content)
			}
			s, _ := newImporting(t, content)
			f := s.newFleet()
			path := c.ca.path()
			end := len(path) - 1
			f.requireBelow(path[end], path[:end]...)
			require.Len(t, s.answers(f.csr)[f.request].Chain, len(path)+1, "leaf first, root last")
			kind := "intermediate"
			if end == 0 {
				kind = "root"
			}
			s.requireStatus(charm+"/0", "active", kind+" ", "5 certificates", "2 applications")
			require.Equal(t, []string{"ca-1"}, s.authoritySecrets(), "the key is copied into one secret of ours")
			results, failure := s.run(charm+"/0", "get-ca-certificate", nil)
			require.Empty(t, failure)
			require.Equal(t, path[0].Subject.String(), results["subject"])
			require.Equal(t, pemOf(path[end]), results["ca-certificate"], "what is to be trusted is the root")
			require.Equal(t, pemOf(path[:end]...), results["ca-chain"])
			requireNoKeyLeaks(t, s)
			since := len(s.Hooks())
			require.NoError(t, s.UpdateStatus(charm+"/0"))
			require.Zero(t, s.writes(since))
		})
	}
}

func TestAnImportedCAWithAFaultIsNotTaken(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "Root", nil, nil)
	good := root.below(t, "Good", nil, nil)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	with := func(key, value string) map[string]string {
		content := good.secret(t)
		content[key] = value
		if value == "" {
			delete(content, key)
		}
		return content
	}
	changed := func(change func(*x509.Certificate)) map[string]string {
		return root.below(t, "Bad", nil, change).secret(t)
	}
	s, uri := newImporting(t, with("private-key", ""))
	csr, _ := newCSR(t, nil)
	relation := s.relate("mixed", map[string]map[string]string{"mixed/0": csrBag(t, csr), "mixed/1": etcdBags(1)["etcd/0"]})
	for name, c := range map[string]struct {
		content map[string]string
		want    string
	}{
		"the key of another certificate":  {with("private-key", pemKey(t, newECKey(t))), "none of its certificates is that of its private key"},
		"not a CA":                        {changed(func(c *x509.Certificate) { c.IsCA = false }), "the certificate is not one of a CA"},
		"a CA that may not sign":          {changed(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), "may not sign certificates"},
		"expired":                         {changed(until(time.Now().Add(-time.Minute))), "expired on"},
		"not valid yet":                   {changed(func(c *x509.Certificate) { c.NotBefore = time.Now().AddDate(0, 1, 0) }), "not valid before"},
		"no root in the chain":            {with("chain", ""), `the certificate of "CN=Root" is missing`},
		"another root in the chain":       {with("chain", pemOf(newRoot(t, "Root", nil, nil).cert)), `the certificate of "CN=Root" is missing`},
		"a weak key":                      {root.below(t, "Weak", small, nil).secret(t), "RSA of 1024 bits"},
		"a weak key above":                {newRoot(t, "Weak", small, nil).below(t, "Strong", nil, nil).secret(t), "RSA of 1024 bits"},
		"a path length that leaves none":  {newRoot(t, "Short", nil, func(c *x509.Certificate) { c.MaxPathLenZero = true }).below(t, "Low", nil, nil).secret(t), "path length"},
		"only for one use":                {changed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "extended key usage"},
		"no certificate":                  {with("certificate", ""), "it has no certificate"},
		"no key":                          {with("private-key", ""), "it has no private-key"},
		"a certificate that is garbage":   {with("certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "cannot read certificate"},
		"a key that is garbage":           {with("private-key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "private-key"},
		"a key in the key certificate":    {with("certificate", pemKey(t, good.key)), "cannot read certificate"},
		"a key that is encrypted":         {with("private-key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), "encrypted"},
		"the names of another charm keys": {map[string]string{"ca-certificate": pemOf(root.cert), "private-key": pemKey(t, root.key)}, "it has no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			require.NoError(t, s.UpdateUserSecret(uri, c.content))
			s.settle()
			s.requireStatus(charm+"/0", "blocked", "ca-secret", c.want)
			require.NoError(t, s.UpdateStatus(charm+"/0"))
			s.requireStatus(charm+"/0", "blocked", "ca-secret", c.want)
			require.Empty(t, s.authoritySecrets(), "no CA of any kind is made")
			require.NotContains(t, s.legacy(relation), "ca")
			require.Empty(t, s.answers(relation))
			_, failure := s.run(charm+"/0", "get-ca-certificate", nil)
			require.Contains(t, failure, "no CA yet")
			s.requireNotTold(c.content["private-key"])
		})
	}
	require.NoError(t, s.UpdateUserSecret(uri, good.secret(t)))
	s.settle()
	s.requireStatus(charm+"/0", "active", "intermediate")
	s.requireAnswer(relation, csr, root.cert, good.cert)
	require.Equal(t, pemOf(root.cert), s.legacy(relation)["ca"])
	require.Equal(t, []string{"ca-1"}, s.authoritySecrets())
}

// requireNotTold looks for the lines of a key where operators and agents read.
func (s *site) requireNotTold(key string) {
	s.t.Helper()
	_, told := s.Status(charm + "/0")
	told += s.logText()
	for _, run := range s.Hooks() {
		for _, call := range run.Calls {
			told += strings.Join(call.Args, " ")
		}
	}
	for line := range strings.Lines(key) {
		if !strings.HasPrefix(line, "-----") {
			require.NotContains(s.t, told, strings.TrimSpace(line))
		}
	}
}

func TestASecretThatIsNotGranted(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "Root", nil, nil)
	for hook, version := range map[string]string{"config-changed": "3.5.4", "update-status": "3.6.11", "secret-changed": "4.1"} {
		t.Run(hook+" of juju "+version, func(t *testing.T) {
			t.Parallel()
			s := newModel(t, jujusim.Options{Version: version}, 1)
			uri, err := s.AddUserSecret("ca", root.secret(t))
			require.NoError(t, err)
			s.configure(map[string]any{"key-type": "ecdsa-p256", "ca-source": "imported", "ca-secret": uri})
			s.settle()
			csr, _ := newCSR(t, nil)
			relation := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
			s.requireStatus(charm+"/0", "blocked", "juju grant-secret "+strings.TrimPrefix(uri, "secret:")+" "+charm)
			require.Empty(t, s.authoritySecrets())

			require.NoError(t, s.GrantUserSecret(uri, charm))
			s.settle()
			s.requireStatus(charm+"/0", "blocked", "juju grant-secret")
			if hook == "secret-changed" {
				// A unit hears of a secret that it has read: what it read
				// could not be used.
				bad := root.secret(t)
				bad["certificate"] = "none"
				require.NoError(t, s.UpdateUserSecret(uri, bad))
				require.NoError(t, s.UpdateStatus(charm+"/0"))
				s.requireStatus(charm+"/0", "blocked", "cannot read certificate")
				require.NoError(t, s.UpdateUserSecret(uri, root.secret(t)))
			} else {
				require.NoError(t, s.Queue(charm+"/0", hook))
			}
			s.settle()
			require.True(t, slices.ContainsFunc(s.Hooks(), func(run jujusim.HookRun) bool { return run.Hook == hook }))
			s.requireStatus(charm+"/0", "active")
			s.requireAnswer(relation, csr, root.cert)
		})
	}
}

func TestARenewedImportedCAIsTaken(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "Root", nil, nil)
	middle := root.below(t, "Middle", nil, nil)
	later := until(time.Now().AddDate(8, 0, 0))
	longRoot := outsider{cert: root.sign(t, root.cert.Subject, root.key.Public(), until(time.Now().AddDate(9, 0, 0))), key: root.key}
	renewedRoot := newRoot(t, "Root", root.key, later)
	for name, c := range map[string]struct{ before, after outsider }{
		"a root":                           {root, renewedRoot},
		"an intermediate":                  {middle, root.below(t, "Middle", middle.key, later)},
		"an intermediate below a new root": {middle, longRoot.below(t, "Middle", middle.key, later)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, uri := newImporting(t, c.before.secret(t))
			f := s.newFleet()
			leaves, pairs := f.leaves(), f.pairs()
			require.NoError(t, s.UpdateUserSecret(uri, c.after.secret(t)))
			s.settle()
			require.Equal(t, leaves, f.leaves(), "no leaf is issued anew")
			require.Equal(t, pairs, f.pairs())
			path := c.after.path()
			end := len(path) - 1
			bag := s.legacy(f.legacy)
			require.Equal(t, pemOf(path[end]), bag["ca"])
			require.Equal(t, pemOf(path[:end]...), bag["chain"])
			for _, leaf := range leaves {
				requireVerifies(t, path[end], path[:end], leaf)
			}
			_, message := s.Status(charm + "/0")
			require.NotContains(t, message, "pending")
			require.Equal(t, []string{"ca-1"}, s.authoritySecrets())
			require.Equal(t, path[0], parseOne(t, s.newest().Certificate))
			since := len(s.Hooks())
			require.NoError(t, s.UpdateStatus(charm+"/0"))
			require.Zero(t, s.writes(since))
		})
	}
}

// newest signs one more request and returns what stands right above the leaf
// as a certificate.
func (s *site) newest() answer {
	s.t.Helper()
	csr, _ := newCSR(s.t, nil)
	relation := s.relate("newest", map[string]map[string]string{"newest/0": csrBag(s.t, csr)})
	got := s.answers(relation)[csr]
	require.Greater(s.t, len(got.Chain), 1)
	return answer{Certificate: got.Chain[1], CA: got.CA, Chain: got.Chain}
}

func TestAnotherImportedCAWaitsForRotateCA(t *testing.T) {
	t.Parallel()
	root, other := newRoot(t, "Old Root", nil, nil), newRoot(t, "New Root", nil, nil)
	next := other.below(t, "Next", nil, nil)
	for name, c := range map[string]struct {
		before, after outsider
	}{
		"from a root to a root":                {root, other},
		"from a root to an intermediate":       {root, next},
		"from an intermediate to another root": {root.below(t, "Middle", nil, nil), other},
		"to another key below the same root":   {root.below(t, "Middle", nil, nil), root.below(t, "Second", nil, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, uri := newImporting(t, c.before.secret(t))
			f := s.newFleet()
			leaves, pairs := f.leaves(), f.pairs()
			require.NoError(t, s.UpdateUserSecret(uri, c.after.secret(t)))
			s.settle()
			s.requireStatus(charm+"/0", "active", "pending: ca-secret holds another CA: run rotate-ca")
			require.Equal(t, leaves, f.leaves(), "nothing happens by itself")

			memory := s.memory()
			plan, failure := s.run(charm+"/0", "rotate-ca", map[string]any{"dry-run": true})
			require.Empty(t, failure)
			require.Contains(t, plan["plan"], "destroy the key of generation 1")
			require.Equal(t, c.after.cert.Subject.String(), plan["next-subject"])
			require.True(t, memory == s.memory(), "a dry run changes nothing")

			_, failure = s.run(charm+"/0", "rotate-ca", nil)
			require.Empty(t, failure)
			s.endRotation()
			path := c.after.path()
			end := len(path) - 1
			f.requireBelow(path[end], path[:end]...)
			for place, leaf := range f.leaves() {
				require.NotEqual(t, leaves[place].SerialNumber, leaf.SerialNumber, place)
			}
			for place, p := range f.pairs() {
				require.True(t, pairs[place].Key == p.Key, "a rotation keeps the key of %s", place)
			}
			require.Equal(t, []string{"ca-2"}, s.authoritySecrets(), "the key of the old CA is destroyed")
			key := s.secretOf("ca-2")["private-key"]
			require.True(t, key == pemKey(t, c.after.key))
			_, message := s.Status(charm + "/0")
			require.NotContains(t, message, "pending")
		})
	}
}

func TestAnOfflineCA(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "Offline Root", nil, nil)
	other := newRoot(t, "Other Root", nil, nil)
	s := newSourced(t, map[string]any{"ca-source": "offline", "ca-common-name": "ours", "ca-key-type": "ecdsa-p384"}, 1)
	s.settle()
	f := s.newFleet()
	s.requireStatus(charm+"/0", "blocked", "get-csr", "upload-ca-certificate")
	require.Empty(t, s.authoritySecrets())
	_, failure := s.run(charm+"/0", "upload-ca-certificate", map[string]any{"certificate": pemOf(root.cert)})
	require.Contains(t, failure, "run get-csr first")

	csr := s.askOffline(nil)
	require.Equal(t, csr, s.askOffline(nil), "a request that waits is told again")
	request := parseCSR(t, csr)
	require.Equal(t, "P-384", request.PublicKey.(*ecdsa.PublicKey).Params().Name)
	require.Contains(t, request.Subject.CommonName, "ours")
	s.requireStatus(charm+"/0", "blocked", "get-csr", "upload-ca-certificate")
	s.requireRefusals(csr, root)

	dry := root.signCSR(t, csr, nil)
	dry["dry-run"] = true
	s.requireSame(func() {
		results, failure := s.run(charm+"/0", "upload-ca-certificate", dry)
		require.Empty(t, failure)
		require.Equal(t, root.cert.Subject.String(), results["root"])
	})
	first := s.upload(root.signCSR(t, csr, nil))
	f.requireBelow(root.cert, first)
	s.requireStatus(charm+"/0", "active", "intermediate")
	leaves, pairs := f.leaves(), f.pairs()

	t.Run("a renewal keeps the key and every leaf", func(t *testing.T) {
		s, f := s.in(t), f.in(t)
		csr := s.askOffline(nil)
		require.Equal(t, request.RawSubjectPublicKeyInfo, parseCSR(t, csr).RawSubjectPublicKeyInfo)
		require.Equal(t, csr, s.askOffline(nil))
		s.requireRefusals(csr, root)
		require.Equal(t, leaves, f.leaves(), "a request changes nothing")
		renewed := s.upload(root.signCSR(t, csr, until(time.Now().AddDate(7, 0, 0))))
		require.Equal(t, leaves, f.leaves())
		require.Equal(t, pemOf(renewed), s.legacy(f.legacy)["chain"])
		for _, leaf := range leaves {
			requireVerifies(t, root.cert, []*x509.Certificate{renewed}, leaf)
		}
	})
	t.Run("a renewal below another root is a rotation with the same key", func(t *testing.T) {
		s, f := s.in(t), f.in(t)
		csr := s.askOffline(nil)
		require.Equal(t, request.RawSubjectPublicKeyInfo, parseCSR(t, csr).RawSubjectPublicKeyInfo)
		key := s.secretOf("ca-1")["private-key"]
		moved := s.upload(other.signCSR(t, csr, nil))
		s.endRotation()
		f.requireBelow(other.cert, moved)
		require.Equal(t, []string{"ca-1"}, s.authoritySecrets())
		require.True(t, key == s.secretOf("ca-1")["private-key"])
		for place, p := range f.pairs() {
			require.True(t, pairs[place].Key == p.Key, place)
		}
	})
	t.Run("a new key waits for rotate-ca", func(t *testing.T) {
		s, f := s.in(t), f.in(t)
		leaves := f.leaves()
		csr := s.askOffline(map[string]any{"new-key": true})
		require.NotEqual(t, request.RawSubjectPublicKeyInfo, parseCSR(t, csr).RawSubjectPublicKeyInfo)
		require.Equal(t, csr, s.askOffline(map[string]any{"new-key": true}))
		_, failure := s.run(charm+"/0", "rotate-ca", nil)
		require.Contains(t, failure, "upload-ca-certificate")
		next := s.upload(root.below(t, "Issuing", nil, nil).signCSR(t, csr, nil))
		require.Equal(t, leaves, f.leaves(), "nothing happens by itself")
		require.NoError(t, s.UpdateStatus(charm+"/0"))
		s.requireStatus(charm+"/0", "active", "pending", "run rotate-ca")

		results, failure := s.run(charm+"/0", "rotate-ca", nil)
		require.Empty(t, failure)
		require.Equal(t, next.Subject.String(), results["next-subject"])
		s.endRotation()
		require.Equal(t, next, parseOne(t, s.newest().Certificate))
		for place, leaf := range f.leaves() {
			require.NotEqual(t, leaves[place].SerialNumber, leaf.SerialNumber, place)
		}
		require.Equal(t, pemOf(root.cert), s.legacy(f.legacy)["ca"])
		require.Len(t, s.authoritySecrets(), 1, "the key of the old CA is destroyed")
		require.Nil(t, s.secretOf("ca-1"))
		requireNoKeyLeaks(t, s)
	})
}

// askOffline runs get-csr.
func (s *site) askOffline(parameters map[string]any) string {
	s.t.Helper()
	results, failure := s.run(charm+"/0", "get-csr", parameters)
	require.Empty(s.t, failure)
	return results["csr"]
}

// upload runs upload-ca-certificate and returns the certificate.
func (s *site) upload(parameters map[string]any) *x509.Certificate {
	s.t.Helper()
	_, failure := s.run(charm+"/0", "upload-ca-certificate", parameters)
	require.Empty(s.t, failure)
	return parseOne(s.t, parameters["certificate"].(string))
}

// requireSame proves that something changes nothing of what the model keeps.
func (s *site) requireSame(f func()) {
	s.t.Helper()
	before := s.memory()
	f()
	require.True(s.t, before == s.memory(), "it changes nothing")
}

// requireRefusals uploads what is no certificate for the request.
func (s *site) requireRefusals(csr string, root outsider) {
	t := s.t
	t.Helper()
	good := root.signCSR(t, csr, nil)
	with := func(key, value string) map[string]any {
		upload := maps.Clone(good)
		upload[key] = value
		return upload
	}
	stranger := newRoot(t, "Stranger", nil, nil)
	short := newRoot(t, "Short", nil, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	for want, upload := range map[string]map[string]any{
		"another key":                    with("certificate", pemOf(root.below(t, "Ours", nil, nil).cert)),
		"not one of a CA":                root.signCSR(t, csr, func(c *x509.Certificate) { c.IsCA = false }),
		"may not sign certificates":      root.signCSR(t, csr, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }),
		"expired on":                     root.signCSR(t, csr, until(time.Now().Add(-time.Minute))),
		"path length":                    short.signCSR(t, csr, nil),
		"does not lead to a root":        with("chain", ""),
		`"CN=Offline Root" is missing`:   with("chain", pemOf(stranger.cert)),
		"cannot read the certificate":    with("certificate", "garbage"),
		"cannot read the chain":          with("chain", "garbage"),
		"more than one PEM block":        with("certificate", pemOf(root.cert, root.cert)),
		`PEM block is a "X509 CRL"`:      with("certificate", strings.ReplaceAll(pemOf(root.cert), "CERTIFICATE", "X509 CRL")),
		"damaged PEM block":              with("certificate", strings.Replace(good["certificate"].(string), "END", "FIN", 1)),
		`the certificate of "CN=Middle"`: {"certificate": root.below(t, "Middle", nil, nil).signCSR(t, csr, nil)["certificate"], "chain": pemOf(root.cert)},
	} {
		s.requireSame(func() {
			_, failure := s.run(charm+"/0", "upload-ca-certificate", upload)
			require.Contains(t, failure, want)
		})
	}
}

const upper = "upper"

// newBelow deploys the charm twice: ours, whose CA the other is to sign.
func newBelow(t *testing.T, units int, allow bool) *site {
	t.Helper()
	s := newSourced(t, map[string]any{"ca-source": "upstream"}, units)
	require.NoError(t, s.Deploy(charmPath(t), upper, 1))
	require.NoError(t, s.Configure(upper, map[string]any{"allow-ca-requests": allow, "ca-common-name": "Upper", "status-port": 0}))
	s.settle()
	return s
}

// ascend relates ours to the CA above.
func (s *site) ascend() int {
	s.t.Helper()
	relation, err := s.Relate(upper+":certificates", charm+":upstream")
	require.NoError(s.t, err)
	s.settle()
	return relation
}

// above are the root above and our certificate below it.
func (s *site) above() (top, ours *x509.Certificate) {
	s.t.Helper()
	results, failure := s.run(upper+"/0", "get-ca-certificate", nil)
	require.Empty(s.t, failure)
	own, failure := s.run(charm+"/0", "get-ca-certificate", nil)
	require.Empty(s.t, failure)
	return parseOne(s.t, results["ca-certificate"]), parseOne(s.t, own["ca-chain"])
}

func TestACABelowAnotherOfOurs(t *testing.T) {
	t.Parallel()
	s := newBelow(t, 3, true)
	f := s.newFleet()
	s.requireStatus(charm+"/0", "blocked", "juju integrate "+charm+":upstream")
	require.Empty(t, s.secretOf("ca-1"))
	relation := s.ascend()
	top, ours := s.above()
	f.requireBelow(top, ours)
	s.requireStatus(charm+"/0", "active", "intermediate")
	s.requireStatus(charm+"/1", "active", "standby")

	csr := s.Bag(relation, charm+"/0")["certificate_signing_requests"]
	require.NotEmpty(t, csr)
	one := func() {
		for _, unit := range s.Units(charm) {
			require.Equal(t, csr, s.Bag(relation, unit)["certificate_signing_requests"], unit)
		}
		var answers []answer
		require.NoError(t, json.Unmarshal([]byte(s.Bag(relation, upper)["certificates"]), &answers))
		require.Len(t, answers, 1, "three units, one request")
		require.Equal(t, ours, parseOne(t, answers[0].Certificate))
	}
	one()
	leaves := f.leaves()
	require.NoError(t, s.SetLeader(charm+"/1"))
	_, err := s.AddUnit(charm)
	require.NoError(t, err)
	s.settle()
	require.NoError(t, s.RemoveUnit(charm+"/2"))
	s.settle()
	require.NoError(t, s.UpdateStatus(charm+"/1"))
	one()
	require.Equal(t, leaves, f.leaves())
	since := len(s.Hooks())
	for _, unit := range append(s.Units(charm), upper+"/0") {
		require.NoError(t, s.UpdateStatus(unit))
	}
	require.Zero(t, s.writes(since))

	require.NoError(t, s.RemoveRelation(relation))
	s.settle()
	require.NoError(t, s.UpdateStatus(charm+"/1"))
	t.Run("without the relation what was issued stays, and more is issued", func(t *testing.T) {
		s, f := s.in(t), f.in(t)
		f.requireBelow(top, ours)
		require.Equal(t, leaves, f.leaves())
		require.Equal(t, ours, parseOne(t, s.newest().Certificate))
		list, _ := s.findings(charm + "/1")
		require.Contains(t, strings.Join(list, "\n"), "critical: ca-source is upstream, but there is no relation")
	})
	t.Run("without the relation the status tells", func(t *testing.T) {
		s.in(t).requireStatus(charm+"/1", "active", "juju integrate "+charm+":upstream")
	})
	t.Run("related again the CA keeps its key and every leaf", func(t *testing.T) {
		s, f := s.in(t), f.in(t)
		again := s.ascend()
		require.Equal(t, csr, s.Bag(again, charm+"/1")["certificate_signing_requests"])
		require.Equal(t, leaves, f.leaves())
		_, renewed := s.above()
		require.Equal(t, ours.RawSubjectPublicKeyInfo, renewed.RawSubjectPublicKeyInfo)
		bag := s.legacy(f.legacy)
		require.Equal(t, pemOf(top)+pemOf(renewed), bag["ca"]+bag["chain"])
	})
}

func TestTheCAAboveRefuses(t *testing.T) {
	t.Parallel()
	s := newBelow(t, 1, false)
	f := s.newFleet()
	relation := s.ascend()
	s.requireStatus(charm+"/0", "blocked", "upstream refuses our request", "allow-ca-requests")
	require.Empty(t, s.answers(f.csr))
	list, _ := s.findings(upper + "/0")
	require.Contains(t, strings.Join(list, "\n"), "the request of "+charm+"/0")
	csr := s.Bag(relation, charm+"/0")["certificate_signing_requests"]

	require.NoError(t, s.Configure(upper, map[string]any{"allow-ca-requests": true}))
	s.settle()
	top, ours := s.above()
	f.requireBelow(top, ours)
	require.Equal(t, csr, s.Bag(relation, charm+"/0")["certificate_signing_requests"])
	s.requireStatus(charm+"/0", "active", "intermediate")
}

// findings are those of health-check, each as its severity and its text.
func (s *site) findings(unit string) (list []string, results map[string]string) {
	s.t.Helper()
	results, failure := s.run(unit, "health-check", nil)
	require.Empty(s.t, failure)
	var parsed []map[string]string
	require.NoError(s.t, json.Unmarshal([]byte(results["findings"]), &parsed))
	counts := map[string]int{}
	for _, f := range parsed {
		require.NotEmpty(s.t, f["remedy"])
		counts[f["severity"]]++
		list = append(list, f["severity"]+": "+f["finding"])
	}
	require.Equal(s.t, fmt.Sprint(counts["critical"], counts["warning"]), results["critical"]+" "+results["warnings"])
	return list, results
}

func TestHealthCheckFinds(t *testing.T) {
	t.Parallel()
	soon := until(time.Now().AddDate(0, 0, 20))
	noCRL := func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	deny := func(s *site) {
		csr, _ := newCSR(s.t, named("system:admin"))
		s.relate("climber", map[string]map[string]string{"climber/0": csrBag(s.t, csr)})
	}
	importing := func(o outsider) func(s *site) {
		return func(s *site) {
			uri, err := s.AddUserSecret("ca", o.secret(s.t))
			require.NoError(s.t, err)
			require.NoError(s.t, s.GrantUserSecret(uri, charm))
			s.configure(map[string]any{"ca-source": "imported", "ca-secret": uri})
		}
	}
	setting := func(options map[string]any) func(s *site) { return func(s *site) { s.configure(options) } }
	nothing := func(*site) {}
	const fresh = "info: no backup was made"
	for name, c := range map[string]struct {
		before, after func(*site) // before and after the first hooks
		want          []string    // each found in one finding, in this order, and no others
		message       string
	}{
		"a fresh CA":                  {nothing, nothing, []string{fresh}, "healthy"},
		"a root near its end":         {setting(map[string]any{"ca-validity": "20d"}), nothing, []string{"critical: the CA certificate ends in 19d", fresh}, "1 critical finding"},
		"a root that ends this year":  {setting(map[string]any{"ca-validity": "100d"}), nothing, []string{"warning: the CA certificate ends in 99d", fresh}, "1 warning"},
		"an imported CA near its end": {importing(newRoot(t, "Root", nil, nil).below(t, "Low", nil, soon)), nothing, []string{"critical: the CA certificate ends in", fresh}, "1 critical finding"},
		"a root above near its end": {importing(newRoot(t, "Root", nil, soon).below(t, "Low", nil, nil)), nothing,
			[]string{"critical: the certificate above, CN=Root, ends in", fresh}, "1 critical finding"},
		"an imported CA without cRLSign": {importing(newRoot(t, "Root", nil, noCRL)), nothing, []string{"info: the CA may not sign revocation lists", fresh}, "healthy"},
		"a pending source":               {nothing, setting(map[string]any{"ca-source": "offline"}), []string{"warning: pending: ca-source is offline", fresh}, "1 warning"},
		"a weak imported CA, pending":    {nothing, importing(newRoot(t, "Weak", small, nil)), []string{"warning: pending: ca-secret: its key is too weak: RSA of 1024 bits", fresh}, "1 warning"},
		"a weak imported CA, no other":   {importing(newRoot(t, "Weak", small, nil)), nothing, []string{"critical: there is no CA"}, "1 critical finding"},
		"a denied request":               {nothing, deny, []string{"warning: the request of climber/0 for \"system:admin\" is refused", fresh}, "1 warning"},
		"upstream missing": {nothing, setting(map[string]any{"ca-source": "upstream"}),
			[]string{"critical: ca-source is upstream, but there is no relation", "warning: pending: ca-source is upstream", fresh}, "1 critical finding"},
		"upstream missing from the start": {setting(map[string]any{"ca-source": "upstream"}), nothing, []string{"critical: there is no CA"}, "1 critical finding"},
		"a bad option":                    {nothing, setting(map[string]any{"ca-validity": "soon"}), []string{"critical: ca-validity", fresh}, "1 critical finding"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSourced(t, nil, 1)
			c.before(s)
			s.settle()
			c.after(s)
			s.settle()
			list, results := s.findings(charm + "/0")
			require.Len(t, list, len(c.want), list)
			for i, want := range c.want {
				require.Contains(t, list[i], want)
			}
			require.Equal(t, c.message, results["message"])
		})
	}
}

func TestActionsOfAUnitThatDoesNotLead(t *testing.T) {
	t.Parallel()
	s := newSourced(t, nil, 2)
	s.settle()
	issued, failure := s.run(charm+"/0", "issue-certificate", map[string]any{"common-name": "a.example.com"})
	require.Empty(t, failure)
	_, failure = s.run(charm+"/0", "revoke-certificate", map[string]any{"serial": issued["serial-number"]})
	require.Empty(t, failure)
	s.settle()
	told := []string{"get-ca-certificate", "get-revocation-list", "list-certificates", "rotation-status", "health-check"}
	required := map[string]map[string]any{
		"issue-certificate": {"common-name": "a.example.com"}, "sign-csr": {"csr": "any"}, "upload-ca-certificate": {"certificate": "any"},
		"backup": {"secret": "any"}, "restore": {"file": "/any"},
	}
	actions, err := os.ReadFile(filepath.Join(root, "actions.yaml"))
	require.NoError(t, err)
	names := regexp.MustCompile(`(?m)^[a-z-]+:`).FindAllString(string(actions), -1)
	require.Greater(t, len(names), 13)
	for _, name := range names {
		action := strings.TrimSuffix(name, ":")
		s.requireSame(func() {
			_, failure := s.run(charm+"/1", action, required[action])
			if slices.Contains(told, action) {
				require.Empty(t, failure, action)
			} else {
				require.Contains(t, failure, charm+"/leader", action)
			}
			for _, unit := range []string{charm + "/0", charm + "/1"} {
				unknown := maps.Clone(required[action])
				if unknown == nil {
					unknown = map[string]any{}
				}
				unknown["colour"] = "blue"
				_, err := s.RunAction(unit, action, unknown)
				require.ErrorContains(t, err, "colour", action)
			}
		})
		for parameter := range required[action] {
			incomplete := maps.Clone(required[action])
			delete(incomplete, parameter)
			_, err := s.RunAction(charm+"/0", action, incomplete)
			require.ErrorContains(t, err, parameter, action)
		}
	}
}
