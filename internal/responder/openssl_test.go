// SPDX-License-Identifier: GPL-3.0-only

package responder_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/pki"
	"tls-authority/internal/responder"
)

// openssl runs the command in a folder and returns what it printed. Without
// openssl the test is skipped, which the log shows.
func openssl(t *testing.T, folder string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("SKIPPED: openssl is not installed")
	}
	command := exec.Command(path, args...)
	command.Dir = folder
	output, err := command.CombinedOutput()
	return string(output), err
}

// TestOpenSSL asks a running daemon, by the clock of the machine, which is
// openssl's.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, time.Now())
	require.NoError(t, a.spool.WriteStatus(a.status(t)))
	address, _ := serve(t, responder.New(a.spool, time.Now, discard()))
	folder := t.TempDir()
	write := func(name string, content []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	fetch := func(path string) []byte {
		response, err := http.Get("http://" + address + path)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		return read(t, response)
	}
	write("ca.pem", fetch("/ca.pem"))
	write("ca.der", fetch("/ca.der"))
	write("list.crl", fetch("/crl/1.crl"))
	output, err := openssl(t, folder, "crl", "-inform", "DER", "-in", "list.crl", "-out", "list.pem")
	require.NoError(t, err, output)
	for name, der := range map[string][]byte{"good": a.good.Raw, "revoked": a.revoked.Raw, "unknown": a.unknown.Raw} {
		write(name+".pem", []byte(pki.EncodeCertificatePEM(der)))
	}

	for name, want := range map[string]string{
		"good": "good.pem: good", "revoked": "revoked.pem: revoked", "unknown": "unknown.pem: unknown",
	} {
		for _, digest := range []string{"-sha1", "-sha256"} {
			t.Run("ocsp by post, "+name+" "+digest, func(t *testing.T) {
				output, err := openssl(t, folder, "ocsp", "-issuer", "ca.pem", digest, "-cert", name+".pem", "-CAfile", "ca.pem", "-url", "http://"+address+"/ocsp")
				require.NoError(t, err, output)
				require.Contains(t, output, "Response verify OK")
				require.Contains(t, output, want)
			})
		}
		t.Run("ocsp by get, "+name, func(t *testing.T) {
			output, err := openssl(t, folder, "ocsp", "-issuer", "ca.pem", "-no_nonce", "-cert", name+".pem", "-reqout", name+".req")
			require.NoError(t, err, output)
			request, err := os.ReadFile(filepath.Join(folder, name+".req"))
			require.NoError(t, err)
			write(name+".resp", fetch("/ocsp/"+url.PathEscape(base64.StdEncoding.EncodeToString(request))))
			output, err = openssl(t, folder, "ocsp", "-issuer", "ca.pem", "-no_nonce", "-cert", name+".pem", "-CAfile", "ca.pem", "-respin", name+".resp")
			require.NoError(t, err, output)
			require.Contains(t, output, "Response verify OK")
			require.Contains(t, output, want)
		})
	}
	t.Run("ocsp says when and why", func(t *testing.T) {
		output, err := openssl(t, folder, "ocsp", "-issuer", "ca.pem", "-cert", "revoked.pem", "-CAfile", "ca.pem", "-url", "http://"+address+"/ocsp")
		require.NoError(t, err, output)
		require.Contains(t, output, "Reason: keyCompromise")
		require.Contains(t, output, "Revocation Time: "+a.made.UTC().Format("Jan _2 15:04:05 2006 GMT"))
	})
	t.Run("ocsp for two certificates answers the first", func(t *testing.T) {
		output, err := openssl(t, folder, "ocsp", "-issuer", "ca.pem", "-cert", "good.pem", "-cert", "revoked.pem", "-CAfile", "ca.pem", "-url", "http://"+address+"/ocsp")
		require.Error(t, err, output)
		require.Contains(t, output, "good.pem: good")
		require.Contains(t, output, "revoked.pem: ERROR: No Status found.")
	})
	t.Run("the list refuses the revoked certificate alone", func(t *testing.T) {
		verify := func(name string) (string, error) {
			return openssl(t, folder, "verify", "-x509_strict", "-CAfile", "ca.pem", "-CRLfile", "list.pem", "-crl_check", name+".pem")
		}
		for _, name := range []string{"good", "unknown"} {
			output, err := verify(name)
			require.NoError(t, err, output)
		}
		output, err := verify("revoked")
		require.Error(t, err, output)
		require.Contains(t, output, "certificate revoked")
	})
	t.Run("the certificate is the CA's", func(t *testing.T) {
		output, err := openssl(t, folder, "x509", "-inform", "DER", "-in", "ca.der", "-noout", "-subject")
		require.NoError(t, err, output)
		require.Contains(t, output, "Test root")
	})
}
