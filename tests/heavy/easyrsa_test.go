// SPDX-License-Identifier: GPL-3.0-only

package heavy_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/tests/life"
)

// scripts is where Debian puts easy-rsa.
const scripts = "/usr/share/easy-rsa/easyrsa"

// easyrsa runs the real easy-rsa in a folder, with the commands of the easyrsa
// charm.
func easyrsa(t *testing.T, folder string, args ...string) {
	t.Helper()
	cmd := exec.Command(scripts, append([]string{"--batch"}, args...)...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// newArchive makes a PKI as the easyrsa charm does, and its backup archive.
func newArchive(t *testing.T) (folder, archive string) {
	t.Helper()
	if _, err := os.Stat(scripts); err != nil {
		t.Skip("easy-rsa is not installed: its archive is not imported")
	}
	folder = t.TempDir()
	easyrsa(t, folder, "init-pki")
	easyrsa(t, folder, "--req-cn=10.0.0.9", "build-ca", "nopass")
	easyrsa(t, folder, "--subject-alt-name=IP:10.0.1.1,DNS:etcd-0", "build-server-full", "10.0.1.1", "nopass")
	easyrsa(t, folder, "build-client-full", "client", "nopass")
	easyrsa(t, folder, "build-client-full", "system:kube-apiserver", "nopass")
	archive = filepath.Join(t.TempDir(), "easyrsa.tar.gz")
	out, err := exec.Command("tar", "-C", folder, "-czf", archive, "pki").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return folder, archive
}

// TestEasyRSAIsTakenOver restores the archive of a PKI that the real easy-rsa
// made, and asks for the same certificates: they come back unchanged.
func TestEasyRSAIsTakenOver(t *testing.T) {
	folder, archive := newArchive(t)
	l, err := life.New(charmPath(t), 1)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, l.Model.Settle())
	result, err := l.Act("restore", map[string]any{"file": archive})
	require.NoError(t, err)
	require.Equal(t, "3", result.Results["pairs"], "%v", result.Results)
	require.NotContains(t, result.Results, "left-out")

	require.NoError(t, l.Model.Settle())
	require.NoError(t, l.Model.AddStandIn("etcd", 2))
	relation, err := l.Model.Relate(life.Application+":certificates", "etcd:certificates")
	require.NoError(t, err)
	for unit, name := range map[string]string{"etcd/0": "etcd_0", "etcd/1": "etcd_1"} {
		require.NoError(t, l.Model.SetBag(relation, unit, map[string]string{
			"unit_name": name, "common_name": "10.0.1.1", "sans": `["10.0.1.1", "etcd-0"]`,
			"client_cert_requests": `{"system:kube-apiserver": {"sans": null}}`,
		}))
	}
	require.NoError(t, l.Model.Settle())
	bag := l.Model.Bag(relation, life.Application+"/0")

	requireSame(t, filepath.Join(folder, "pki", "ca.crt"), bag["ca"])
	requireSame(t, filepath.Join(folder, "pki", "issued", "client.crt"), bag["client.cert"])
	requireSameKey(t, filepath.Join(folder, "pki", "private", "client.key"), bag["client.key"])
	units := []string{"etcd_0", "etcd_1"}
	if !sameBlock(t, filepath.Join(folder, "pki", "issued", "10.0.1.1.crt"), bag["etcd_0.server.cert"]) {
		units = []string{"etcd_1", "etcd_0"}
	}
	requireSame(t, filepath.Join(folder, "pki", "issued", "10.0.1.1.crt"), bag[units[0]+".server.cert"])
	requireSameKey(t, filepath.Join(folder, "pki", "private", "10.0.1.1.key"), bag[units[0]+".server.key"])
	require.NotEqual(t, bag[units[0]+".server.key"], bag[units[1]+".server.key"], "no two units share a key")

	clients := map[string]struct{ Cert, Key string }{}
	require.NoError(t, json.Unmarshal([]byte(bag["etcd_0.processed_client_requests"]), &clients))
	require.NotEmpty(t, clients["system:kube-apiserver"].Cert)
	verify(t, bag["ca"], bag[units[0]+".server.cert"])
	verify(t, bag["ca"], bag[units[1]+".server.cert"])
}

// verify asks openssl, which minds the identifiers of easy-rsa's certificates.
func verify(t *testing.T, root, leaf string) {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{"root.pem": root, "leaf.pem": leaf} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	cmd := exec.Command("openssl", "verify", "-CAfile", "root.pem", "leaf.pem")
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func block(t *testing.T, text string) []byte {
	t.Helper()
	if i := strings.Index(text, "-----BEGIN"); i >= 0 {
		text = text[i:]
	}
	b, _ := pem.Decode([]byte(text))
	require.NotNil(t, b)
	return b.Bytes
}

func sameBlock(t *testing.T, path, text string) bool {
	t.Helper()
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(block(t, string(file))) == string(block(t, text))
}

func requireSame(t *testing.T, path, text string) {
	t.Helper()
	require.True(t, sameBlock(t, path, text), "%s is not what is published", path)
}

func requireSameKey(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	want, err := x509.ParsePKCS8PrivateKey(block(t, string(file)))
	require.NoError(t, err)
	got, err := x509.ParsePKCS8PrivateKey(block(t, text))
	require.NoError(t, err)
	require.Equal(t, want, got)
}
