// SPDX-License-Identifier: GPL-3.0-only

package easyrsa_test

import (
	"crypto/x509"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
)

// openssl makes a pki folder with the commands that Easy-RSA runs.
type openssl struct {
	t         *testing.T
	directory string
}

func (o openssl) run(arguments ...string) {
	o.t.Helper()
	command := exec.Command("openssl", arguments...)
	command.Dir = o.directory
	output, err := command.CombinedOutput()
	require.NoError(o.t, err, "openssl %s: %s", arguments[0], output)
}

func (o openssl) write(name, content string) {
	o.t.Helper()
	path := filepath.Join(o.directory, name)
	require.NoError(o.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(o.t, os.WriteFile(path, []byte(content), 0o600))
}

func (o openssl) issue(profile, name string, names ...string) {
	o.t.Helper()
	request := []string{"req", "-config", "config", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name,
		"-keyout", "pki/private/" + name + ".key", "-out", "pki/reqs/" + name + ".req"}
	if len(names) > 0 {
		request = append(request, "-addext", "subjectAltName="+strings.Join(names, ","))
	}
	o.run(request...)
	o.run("ca", "-batch", "-config", "config", "-extensions", profile,
		"-in", "pki/reqs/"+name+".req", "-out", "pki/issued/"+name+".crt")
}

func newOpenSSL(t *testing.T) openssl {
	t.Helper()
	_, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("SKIPPED: openssl is not installed: nothing shows that what Easy-RSA makes can be read")
	}
	o := openssl{t: t, directory: t.TempDir()}
	config, err := os.ReadFile(filepath.Join("testdata", "openssl.cnf"))
	require.NoError(t, err)
	o.write("config", string(config))
	o.write("pki/index.txt", "")
	o.write("pki/serial", "7f00000000000000000000000000aa01\n")
	for _, folder := range []string{"private", "issued", "reqs", "certs_by_serial"} {
		require.NoError(t, os.MkdirAll(filepath.Join(o.directory, "pki", folder), 0o700))
	}
	o.run("req", "-config", "config", "-x509", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=10.0.0.1",
		"-days", "3650", "-sha256", "-extensions", "authority", "-keyout", "pki/private/ca.key", "-out", "pki/ca.crt")
	return o
}

// tree reads the folder back.
func (o openssl) tree() tree {
	o.t.Helper()
	f := tree{}
	root := os.DirFS(o.directory)
	require.NoError(o.t, fs.WalkDir(root, "pki", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, path)
		f[path] = string(content)
		return err
	}))
	return f
}

func TestReadArchiveOfOpenSSL(t *testing.T) {
	t.Parallel()
	o := newOpenSSL(t)
	o.issue("client", "client")
	o.issue("server", "old.example", "DNS:old.example")
	o.issue("server", "kubernetes-control-plane", "DNS:kubernetes", "DNS:kubernetes.default.svc", "IP:10.152.183.1")
	o.run("ca", "-batch", "-config", "config", "-revoke", "pki/issued/old.example.crt")
	// PKCS#1, as older releases of OpenSSL wrote keys.
	o.run("rsa", "-traditional", "-in", "pki/private/client.key", "-out", "old.key")
	require.NoError(t, os.Rename(filepath.Join(o.directory, "old.key"), filepath.Join(o.directory, "pki/private/client.key")))
	f := o.tree()
	require.Contains(t, f["pki/issued/client.crt"], "Certificate:\n    Data:")
	require.Contains(t, f["pki/private/client.key"], "BEGIN RSA PRIVATE KEY")

	p, err := read(t, f)
	require.NoError(t, err)
	require.Equal(t, []string{"issued/old.example.crt: it is revoked"}, p.Left)
	require.Equal(t, []string{"client", "kubernetes-control-plane"}, names(p))
	server := p.Leaves[1].Certificate
	require.Equal(t, []string{"kubernetes", "kubernetes.default.svc"}, server.DNSNames)
	require.Len(t, server.IPAddresses, 1)
	require.True(t, pki.PinsIssuer(server))
	roots := x509.NewCertPool()
	roots.AddCert(p.CA)
	_, err = server.Verify(x509.VerifyOptions{Roots: roots, DNSName: "kubernetes", CurrentTime: server.NotBefore})
	require.NoError(t, err)
	_, err = pki.NewIssuer(p.CA, p.Key)
	require.NoError(t, err)
}

func TestReadArchiveRefusesAnEncryptedKeyOfOpenSSL(t *testing.T) {
	t.Parallel()
	o := newOpenSSL(t)
	o.run("pkcs8", "-topk8", "-passout", "pass:secret", "-in", "pki/private/ca.key", "-out", "locked.key")
	require.NoError(t, os.Rename(filepath.Join(o.directory, "locked.key"), filepath.Join(o.directory, "pki/private/ca.key")))
	_, err := read(t, o.tree())
	require.EqualError(t, err, "cannot read easyrsa archive: private/ca.key: cannot read private key: it is encrypted")
}
