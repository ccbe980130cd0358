// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// fleet is a requirer of each dialect.
type fleet struct {
	s           *site
	legacy, csr int
	request     string
}

// join relates a requirer of each dialect; the one of CSRs shows the request.
func (s *site) join(request string) fleet {
	s.t.Helper()
	bags := etcdBags(2)
	bags["etcd/0"]["client_cert_requests"] = `{"etcd-client": {"sans": []}}`
	bags["etcd/1"]["application_cert_requests"] = `{"vip.example.com": {"sans": ["10.9.0.1"]}}`
	return fleet{
		s: s, request: request, legacy: s.relate("etcd", bags),
		csr: s.relate("web", map[string]map[string]string{"web/0": csrBag(s.t, request)}),
	}
}

// newFleet relates a requirer of each dialect.
func (s *site) newFleet() fleet {
	s.t.Helper()
	request, _ := newCSR(s.t, nil)
	return s.join(request)
}

// in lets a subtest look at the model.
func (s *site) in(t *testing.T) *site { return &site{Model: s.Model, t: t} }

// in lets a subtest look at the fleet.
func (f fleet) in(t *testing.T) fleet {
	f.s = f.s.in(t)
	return f
}

// pairs are the pairs of the legacy dialect.
func (f fleet) pairs() map[string]pair {
	f.s.t.Helper()
	bag := f.s.legacy(f.legacy)
	return map[string]pair{
		"client":      {Cert: bag["client.cert"], Key: bag["client.key"]},
		"etcd_0":      serverPair(bag, "etcd_0"),
		"etcd_1":      serverPair(bag, "etcd_1"),
		"etcd-client": processed(f.s.t, bag, "etcd_0.processed_client_requests")["etcd-client"],
		"application": processed(f.s.t, bag, "etcd_1.processed_application_requests")["app_data"],
	}
}

// leaves are all certificates that the fleet has.
func (f fleet) leaves() map[string]*x509.Certificate {
	f.s.t.Helper()
	leaves := map[string]*x509.Certificate{}
	for name, p := range f.pairs() {
		leaves[name] = p.leaf(f.s.t)
	}
	answers := f.s.answers(f.csr)
	require.Contains(f.s.t, answers, f.request)
	leaves["web"] = parseOne(f.s.t, answers[f.request].Certificate)
	return leaves
}

// requireBelow proves everything that the fleet was told: the root alone is to
// be trusted, and what stands between is presented with the leaves.
func (f fleet) requireBelow(root *x509.Certificate, between ...*x509.Certificate) {
	t := f.s.t
	t.Helper()
	bag := f.s.legacy(f.legacy)
	require.Equal(t, pemOf(root), bag["ca"])
	require.Equal(t, pemOf(between...), bag["chain"])
	for name, p := range f.pairs() {
		leaf := p.leaf(t)
		requireVerifies(t, root, between, leaf)
		if name == "client" || name == "etcd-client" {
			require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, leaf.ExtKeyUsage)
		} else {
			require.Contains(t, leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		}
	}
	f.s.requireAnswer(f.csr, f.request, root, between...)
}

// requireAnswer proves the answer to a CSR to those who trust the root alone.
// A rotation may leave more in the chain than stands between.
func (s *site) requireAnswer(relation int, csr string, root *x509.Certificate, between ...*x509.Certificate) {
	s.t.Helper()
	answers := s.answers(relation)
	require.Contains(s.t, answers, csr)
	got := answers[csr]
	require.Equal(s.t, root, parseOne(s.t, got.CA))
	require.Equal(s.t, got.Certificate, got.Chain[0])
	var presented []*x509.Certificate
	for _, text := range got.Chain[1:] {
		presented = append(presented, parseOne(s.t, text))
	}
	require.Equal(s.t, pemOf(between...), pemOf(presented[:len(between)]...))
	requireVerifies(s.t, root, presented, parseOne(s.t, got.Certificate))
}

// memory is everything that the model keeps for our application.
func (s *site) memory() string {
	var text strings.Builder
	for relation := range 12 {
		for _, owner := range append([]string{charm}, s.Units(charm)...) {
			fmt.Fprintln(&text, relation, owner, s.Bag(relation, owner))
		}
	}
	for _, secret := range s.Secrets() {
		if secret.Owner == charm {
			fmt.Fprintln(&text, secret.ID, secret.Label, secret.Revisions, s.SecretContent(secret.ID))
		}
	}
	return text.String()
}

// newSourced deploys the charm with options that are set before its first
// hook.
func newSourced(t *testing.T, options map[string]any, units int) *site {
	t.Helper()
	s := newModel(t, jujusim.Options{}, units)
	s.configure(map[string]any{"key-type": "ecdsa-p256", "rotation-hold": "0m"})
	s.configure(options)
	return s
}

// configure sets options and settles.
func (s *site) configure(options map[string]any) {
	s.t.Helper()
	require.NoError(s.t, s.Configure(charm, options))
}

// newImporting deploys the charm with a user secret that holds the CA.
func newImporting(t *testing.T, content map[string]string) (s *site, uri string) {
	t.Helper()
	s = newSourced(t, nil, 1)
	uri, err := s.AddUserSecret("ca", content)
	require.NoError(t, err)
	require.NoError(t, s.GrantUserSecret(uri, charm))
	s.configure(map[string]any{"ca-source": "imported", "ca-secret": uri})
	s.settle()
	return s, uri
}

func (s *site) requireStatus(unit, name string, parts ...string) {
	s.t.Helper()
	got, message := s.Status(unit)
	require.Equal(s.t, name, got, message)
	for _, part := range parts {
		require.Contains(s.t, message, part)
	}
}

// secretOf finds a secret of our application by its label.
func (s *site) secretOf(label string) map[string]string {
	for _, secret := range s.Secrets() {
		if secret.Label == label && secret.Owner == charm {
			return s.SecretContent(secret.ID)
		}
	}
	return nil
}

// endRotation lets hooks run until no rotation is under way.
func (s *site) endRotation() {
	s.t.Helper()
	var results map[string]string
	for range 20 {
		results, _ = s.run(charm+"/0", "rotation-status", nil)
		if results["stage"] == "none" {
			return
		}
		require.NoError(s.t, s.UpdateStatus(charm+"/0"))
	}
	require.Fail(s.t, "the rotation does not end", results)
}

// locks are the contents of two secrets: one seals backups, the other opens
// them.
type locks struct{ seals, opens map[string]string }

func newLocks(t *testing.T) locks {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return locks{map[string]string{"recipient": identity.Recipient().String()}, map[string]string{"identity": identity.String()}}
}

func passphrase(text string) locks {
	content := map[string]string{"passphrase": text}
	return locks{content, content}
}

// granted adds a user secret and lets the application read it.
func (s *site) granted(content map[string]string) string {
	s.t.Helper()
	uri, err := s.AddUserSecret(fmt.Sprintf("lock-%d", len(s.Secrets())), content)
	require.NoError(s.t, err)
	require.NoError(s.t, s.GrantUserSecret(uri, charm))
	return uri
}

// backUp runs backup and returns the file.
func (s *site) backUp(l locks) string {
	s.t.Helper()
	results, failure := s.run(charm+"/0", "backup", map[string]any{"secret": s.granted(l.seals), "directory": s.t.TempDir()})
	require.Empty(s.t, failure)
	return results["file"]
}

// restore runs restore; more are further parameters.
func (s *site) restore(file string, l locks, more map[string]any) (results map[string]string, failure string) {
	s.t.Helper()
	parameters := map[string]any{"file": file}
	if l.opens != nil {
		parameters["secret"] = s.granted(l.opens)
	}
	maps.Copy(parameters, more)
	return s.run(charm+"/0", "restore", parameters)
}

// keys are all private keys that a backup holds, PEM.
func (f fleet) keys() []string {
	var keys []string
	for _, label := range f.s.authoritySecrets() {
		keys = append(keys, f.s.secretOf(label)["private-key"])
	}
	for _, p := range f.pairs() {
		keys = append(keys, p.Key)
	}
	return keys
}

// shows tells whether a key can be read in a file, as PEM, DER or base64.
func shows(t *testing.T, file []byte, key string) bool {
	t.Helper()
	block, _ := pem.Decode([]byte(key))
	require.NotNil(t, block)
	lines := strings.Split(strings.TrimSpace(key), "\n")
	return bytes.Contains(file, []byte(lines[1])) || bytes.Contains(file, block.Bytes) ||
		bytes.Contains(file, []byte(base64.StdEncoding.EncodeToString(block.Bytes))) ||
		bytes.Contains(file, []byte("PRIVATE KEY"))
}

func TestBackup(t *testing.T) {
	t.Parallel()
	identity := newLocks(t).opens
	for name, l := range map[string]locks{
		"with a passphrase": passphrase("correct horse battery"),
		"for a recipient":   newLocks(t),
		"with an identity":  {identity, identity},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSourced(t, nil, 1)
			s.settle()
			f := s.newFleet()
			folder := filepath.Join(t.TempDir(), "a", "backups")
			results, failure := s.run(charm+"/0", "backup", map[string]any{"secret": s.granted(l.seals), "directory": folder})
			require.Empty(t, failure)
			require.Equal(t, []string{"backups", "file", "message", "return-code", "sha256", "size"}, slices.Sorted(maps.Keys(results)))
			file, err := os.ReadFile(results["file"])
			require.NoError(t, err)
			require.Equal(t, folder, filepath.Dir(results["file"]))
			require.Equal(t, filepath.Base(results["file"]), results["backups"])
			require.Equal(t, strconv.Itoa(len(file)), results["size"])
			require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(file)), results["sha256"])
			for path, mode := range map[string]os.FileMode{results["file"]: 0o600, folder: 0o700} {
				state, err := os.Stat(path)
				require.NoError(t, err)
				require.Equal(t, mode, state.Mode().Perm(), path)
			}
			keys := f.keys()
			require.Len(t, keys, 6)
			for _, key := range keys {
				block, _ := pem.Decode([]byte(key))
				require.True(t, shows(t, []byte("a key: "+base64.StdEncoding.EncodeToString(block.Bytes)), key), "the search can find")
				require.False(t, shows(t, file, key), "a key can be read in the file")
			}
			require.NotContains(t, string(file), charm)
			requireNoKeyLeaks(t, s)
			list, _ := s.findings(charm + "/0")
			require.Empty(t, list, "a backup was made, so that nothing is left to say")

			results, failure = s.restore(results["file"], l, map[string]any{"dry-run": true, "force": true})
			require.Empty(t, failure)
			require.Equal(t, s.root().Subject.String(), results["subject"])
			require.Equal(t, "0", results["pairs"], "none waits for its requester: all are in service")
		})
	}
}

func TestBackupsThatAreKept(t *testing.T) {
	t.Parallel()
	s := newSourced(t, nil, 1)
	s.settle()
	const oldest, old, other = charm + "-20200101T000000Z.age", charm + "-20210101T000000Z.age", charm + "-eu-20200101T000000Z.age"
	for name, c := range map[string]struct {
		there []string
		keep  int
		want  []string // without the new one
		told  string
	}{
		"keep=2 leaves the last two":                {[]string{oldest, old}, 2, []string{old}, old + " "},
		"keep=1 leaves the new one":                 {[]string{oldest, old}, 1, nil, ""},
		"keep=0 keeps all":                          {[]string{oldest, old}, 0, []string{oldest, old}, oldest + " " + old + " "},
		"other files stay":                          {[]string{old, "notes.txt", "x.age"}, 1, []string{"notes.txt", "x.age"}, ""},
		"backups of an application like ours stay":  {[]string{other}, 1, []string{other}, ""},
		"backups of an application like ours count": {[]string{old, other}, 0, []string{old, other}, old + " "},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			folder := t.TempDir()
			for _, file := range c.there {
				require.NoError(t, os.WriteFile(filepath.Join(folder, file), nil, 0o600))
			}
			results, failure := s.run(charm+"/0", "backup", map[string]any{"secret": s.granted(newLocks(t).seals), "directory": folder, "keep": c.keep})
			require.Empty(t, failure)
			fresh := filepath.Base(results["file"])
			require.Equal(t, c.told+fresh, results["backups"])
			entries, err := os.ReadDir(folder)
			require.NoError(t, err)
			var left []string
			for _, entry := range entries {
				left = append(left, entry.Name())
			}
			require.ElementsMatch(t, append(c.want, fresh), left)
		})
	}
}

func TestBackupRefuses(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	good := newLocks(t)
	s := newSourced(t, nil, 1)
	s.settle()
	for name, c := range map[string]struct {
		content    map[string]string // nil for a secret that is not granted
		parameters map[string]any
		want       string
	}{
		"a secret that is not granted":    {nil, nil, "cannot read the secret that locks the backup"},
		"a secret that is none":           {good.seals, map[string]any{"secret": "the lock"}, "secret"},
		"a secret that is not there":      {good.seals, map[string]any{"secret": "secret:aaaaaaaaaaaaaaaaaaaa"}, "secret"},
		"no secret":                       {good.seals, map[string]any{"secret": ""}, "passphrase or recipient"},
		"a short passphrase":              {map[string]string{"passphrase": "short"}, nil, "shorter than 12 characters"},
		"two locks":                       {map[string]string{"passphrase": "correct horse battery", "recipient": good.seals["recipient"]}, nil, "want one of them"},
		"no lock":                         {map[string]string{"password": "correct horse battery"}, nil, "passphrase, recipient and identity"},
		"a recipient that is none":        {map[string]string{"recipient": "age1nobody"}, nil, "not one public key of age"},
		"a relative directory":            {good.seals, map[string]any{"directory": "backups"}, "not an absolute path"},
		"a directory that is a file":      {good.seals, map[string]any{"directory": file}, "directory"},
		"a directory that cannot be made": {good.seals, map[string]any{"directory": filepath.Join(file, "below")}, "directory"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			directory := filepath.Join(t.TempDir(), "backups")
			parameters := map[string]any{"directory": directory}
			if c.content == nil {
				uri, err := s.AddUserSecret("lock", good.seals)
				require.NoError(t, err)
				parameters["secret"] = uri
			} else {
				parameters["secret"] = s.granted(c.content)
			}
			maps.Copy(parameters, c.parameters)
			s.requireSame(func() {
				_, failure := s.run(charm+"/0", "backup", parameters)
				require.Contains(t, failure, c.want)
			})
			require.NoDirExists(t, directory)
			list, _ := s.findings(charm + "/0")
			require.Equal(t, []string{"info: no backup was made"}, list)
		})
	}
}

func TestRestoreInAnotherModel(t *testing.T) {
	t.Parallel()
	middle := newRoot(t, "Root", nil, nil).below(t, "Middle", nil, nil)
	for name, c := range map[string]struct {
		source func(t *testing.T) *site
		lock   locks
		path   []*x509.Certificate // nil for what the charm made
	}{
		"a root of ours": {func(t *testing.T) *site {
			s := newSourced(t, nil, 1)
			s.settle()
			return s
		}, newLocks(t), nil},
		"an intermediate, by passphrase": {func(t *testing.T) *site {
			s, _ := newImporting(t, middle.secret(t))
			return s
		}, passphrase("correct horse battery"), middle.path()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.source(t)
			f := s.newFleet()
			path := c.path
			if path == nil {
				path = []*x509.Certificate{s.root()}
			}
			end := len(path) - 1
			leaves, pairs := f.leaves(), f.pairs()
			file := s.backUp(c.lock)

			again := newSourced(t, nil, 2)
			again.settle()
			fresh := again.root()
			results, failure := again.restore(file, c.lock, nil)
			require.Empty(t, failure)
			require.Equal(t, path[0].Subject.String(), results["subject"])
			require.Equal(t, path[0].NotAfter.UTC().Format(time.RFC3339), results["not-after"])
			require.Equal(t, "5", results["pairs"])
			require.Equal(t, "5", results["pairs"])
			require.NotEqual(t, fresh, again.root())
			require.True(t, path[end].Equal(again.root()), "the root is the same, byte for byte")
			require.Equal(t, []string{"ca-2"}, again.authoritySecrets(), "the key of the CA that served nobody is gone")
			require.True(t, again.secretOf("ca-2")["private-key"] == s.secretOf("ca-1")["private-key"])

			g := again.join(f.request)
			g.requireBelow(path[end], path[:end]...)
			for place, p := range g.pairs() {
				require.True(t, pairs[place] == p, "%s has its pair back, byte for byte", place)
			}
			require.NotEqual(t, leaves["web"].SerialNumber, g.leaves()["web"].SerialNumber)
			require.Equal(t, leaves["web"].RawIssuer, g.leaves()["web"].RawIssuer)
			for _, leaf := range leaves {
				requireVerifies(t, again.root(), path[:end], leaf)
			}
			requireNoKeyLeaks(t, again)
			since := len(again.Hooks())
			require.NoError(t, again.UpdateStatus(charm+"/0"))
			require.NoError(t, again.UpdateStatus(charm+"/1"))
			require.Zero(t, again.writes(since))
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	l, words := newLocks(t), passphrase("correct horse battery")
	s := newSourced(t, nil, 1)
	s.settle()
	f := s.newFleet()
	file, byWords := s.backUp(l), s.backUp(words)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	folder := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	flipped := func(i int) string {
		damaged := bytes.Clone(content)
		damaged[i] ^= 1
		return write(fmt.Sprintf("flipped-%d", i), damaged)
	}
	for name, c := range map[string]struct {
		file string
		lock locks
		want string
	}{
		"a wrong passphrase":               {byWords, passphrase("incorrect horse battery"), "passphrase"},
		"a wrong identity":                 {file, newLocks(t), "identity"},
		"a passphrase for a recipient's":   {file, words, ""},
		"the recipient":                    {file, locks{opens: l.seals}, "a recipient only seals"},
		"no secret":                        {file, locks{}, "parameter secret"},
		"a file that ends early":           {write("short", content[:len(content)-1]), l, ""},
		"half a file":                      {write("half", content[:len(content)/2]), l, ""},
		"only the beginning":               {write("begin", content[:30]), l, ""},
		"an empty file":                    {write("empty", nil), l, "neither a backup of this charm nor an archive"},
		"text":                             {write("text", []byte("a text")), l, "neither a backup of this charm nor an archive"},
		"one byte more":                    {write("long", append(bytes.Clone(content), 0)), l, ""},
		"a flipped bit in the header":      {flipped(60), l, ""},
		"a flipped bit in the middle":      {flipped(len(content) / 2), l, ""},
		"a flipped bit at the end":         {flipped(len(content) - 1), l, ""},
		"a file that is not there":         {filepath.Join(folder, "absent"), l, "no such file"},
		"a directory":                      {folder, l, "not a regular file"},
		"a relative path":                  {"backup.age", l, "not absolute"},
		"an archive that is only a header": {write("gzip", []byte{0x1f, 0x8b, 8, 0}), l, "easyrsa"},
	} {
		t.Run(name, func(t *testing.T) {
			again := s.in(t)
			again.granted(map[string]string{"passphrase": "another secret"})
			again.requireSame(func() {
				_, failure := again.restore(c.file, c.lock, map[string]any{"force": true})
				require.NotEmpty(t, failure)
				require.Contains(t, failure, c.want)
				require.NotContains(t, failure, "exit status")
			})
		})
	}
	t.Run("a CA that serves somebody", func(t *testing.T) {
		again := s.in(t)
		again.requireSame(func() {
			_, failure := again.restore(file, l, nil)
			require.Contains(t, failure, "serves 5 certificates")
			require.Contains(t, failure, "force=true")
			results, failure := again.restore(file, l, map[string]any{"dry-run": true})
			require.Empty(t, failure)
			require.Contains(t, results["message"], "nothing has been changed")
			require.Contains(t, results["message"], "force=true")
		})
	})
	t.Run("a CA that issued by an action", func(t *testing.T) {
		again := newSourced(t, nil, 1)
		again.settle()
		_, failure := again.run(charm+"/0", "issue-certificate", map[string]any{"common-name": "ops.example.com"})
		require.Empty(t, failure)
		again.requireSame(func() {
			_, failure := again.restore(file, l, nil)
			require.Contains(t, failure, "issued 1 certificate by actions")
		})
	})
	require.NotEmpty(t, f.leaves())
}

func TestRestoreByForceReplacesTheCA(t *testing.T) {
	t.Parallel()
	l := newLocks(t)
	s := newSourced(t, nil, 1)
	s.settle()
	s.newFleet()
	file := s.backUp(l)

	again := newSourced(t, nil, 1)
	again.settle()
	g := again.newFleet()
	before := g.leaves()
	again.requireSame(func() {
		_, failure := again.restore(file, l, nil)
		require.Contains(t, failure, "serves 5 certificates")
	})
	_, failure := again.restore(file, l, map[string]any{"force": true})
	require.Empty(t, failure)
	require.NoError(t, again.UpdateStatus(charm+"/0"))
	require.Equal(t, s.root(), again.root())
	g.requireBelow(s.root())
	for place, leaf := range g.leaves() {
		require.NotEqual(t, before[place].SerialNumber, leaf.SerialNumber, place)
	}
	require.Equal(t, []string{"ca-2"}, again.authoritySecrets())
	again.requireStatus(charm+"/0", "active", "root", "5 certificates")
	since := len(again.Hooks())
	require.NoError(t, again.UpdateStatus(charm+"/0"))
	require.Zero(t, again.writes(since))
}

func TestABackupWithinARotation(t *testing.T) {
	t.Parallel()
	for _, steps := range []int{0, 2} {
		t.Run(fmt.Sprintf("after %d stages", steps), func(t *testing.T) {
			t.Parallel()
			l := newLocks(t)
			s := newSourced(t, map[string]any{"rotation-hold": "24h"}, 1)
			s.settle()
			f := s.newFleet()
			old := s.root()
			_, failure := s.run(charm+"/0", "rotate-ca", nil)
			require.Empty(t, failure)
			for range steps {
				_, failure := s.run(charm+"/0", "advance-rotation", nil)
				require.Empty(t, failure)
			}
			status, _ := s.run(charm+"/0", "rotation-status", nil)
			require.Equal(t, []string{"distributing", "issuing", "flipping"}[steps], status["stage"])
			pairs := f.pairs()
			file := s.backUp(l)

			again := newSourced(t, map[string]any{"rotation-hold": "24h"}, 1)
			again.settle()
			_, failure = again.restore(file, l, nil)
			require.Empty(t, failure)
			restored, _ := again.run(charm+"/0", "rotation-status", nil)
			require.Equal(t, status["stage"], restored["stage"])
			require.Len(t, again.authoritySecrets(), 2, "both keys are there")
			g := again.join(f.request)
			for place, p := range g.pairs() {
				require.True(t, pairs[place] == p, place)
			}
			requireVerifies(t, old, again.between(g), g.leaves()["web"])

			again.configure(map[string]any{"rotation-hold": "0m"})
			again.settle()
			again.endRotation()
			next := again.root()
			require.NotEqual(t, old.Subject, next.Subject)
			g.requireBelow(next)
			require.Len(t, again.authoritySecrets(), 1, "the old key is destroyed")
			requireNoKeyLeaks(t, again)
		})
	}
}

// between is what the fleet's answer to a CSR is presented with.
func (s *site) between(f fleet) []*x509.Certificate {
	s.t.Helper()
	var presented []*x509.Certificate
	for _, text := range s.answers(f.csr)[f.request].Chain[1:] {
		presented = append(presented, parseOne(s.t, text))
	}
	return presented
}
