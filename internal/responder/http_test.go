// SPDX-License-Identifier: GPL-3.0-only

package responder_test

import (
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/pki"
	"tls-authority/internal/responder"
	"tls-authority/internal/spool"
)

func TestDocuments(t *testing.T) {
	t.Parallel()
	at, a := now.Add(time.Minute), newAuthority(t, now)
	above := newIssuer(t, "Above", now).Certificate()
	status := a.status(t)
	status.Generations[0].Chain = [][]byte{above.Raw}
	server := a.start(t, status, &at)
	ca := a.issuer.Certificate()
	for path, want := range map[string]struct {
		kind, body, modified, expires string
	}{
		"/ca.pem": {"application/pem-certificate-chain", pki.EncodeCertificatePEM(ca.Raw) + pki.EncodeCertificatePEM(above.Raw),
			"Fri, 17 May 2030 12:30:45 GMT", "Sun, 19 May 2030 12:30:45 GMT"},
		"/ca.der": {"application/pkix-cert", string(ca.Raw),
			"Fri, 17 May 2030 12:30:45 GMT", "Sun, 19 May 2030 12:30:45 GMT"},
		"/ca/1.der": {"application/pkix-cert", string(ca.Raw),
			"Fri, 17 May 2030 12:30:45 GMT", "Sun, 19 May 2030 12:30:45 GMT"},
		"/crl/1.crl": {"application/pkix-crl", string(status.Generations[0].CRL),
			"Fri, 17 May 2030 12:25:45 GMT", "Sat, 18 May 2030 12:30:45 GMT"},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			response := get(t, server, path)
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Equal(t, want.body, string(read(t, response)))
			for name, value := range map[string]string{
				"Content-Type": want.kind, "Last-Modified": want.modified, "Expires": want.expires, "X-Content-Type-Options": "nosniff",
				"Cache-Control": "max-age=3600, public, no-transform, must-revalidate",
			} {
				require.Equal(t, value, response.Header.Get(name), name)
			}
			head := call(server, http.MethodHead, path, nil)
			require.Equal(t, response.Header, head.Header)
			require.Empty(t, read(t, head))

			tag := response.Header.Get("ETag")
			for title, c := range map[string]struct {
				header []string
				code   int
			}{
				"the same tag":                     {[]string{"If-None-Match", tag}, http.StatusNotModified},
				"one of several tags":              {[]string{"If-None-Match", `"x", W/` + tag}, http.StatusNotModified},
				"any tag":                          {[]string{"If-None-Match", "*"}, http.StatusNotModified},
				"another tag":                      {[]string{"If-None-Match", `"x"`}, http.StatusOK},
				"the same time":                    {[]string{"If-Modified-Since", want.modified}, http.StatusNotModified},
				"an older time":                    {[]string{"If-Modified-Since", "Fri, 17 May 2030 12:25:44 GMT"}, http.StatusOK},
				"no time":                          {[]string{"If-Modified-Since", "yesterday"}, http.StatusOK},
				"another tag counts more than":     {[]string{"If-None-Match", `"x"`, "If-Modified-Since", want.modified}, http.StatusOK},
				"a range is not served":            {[]string{"Range", "bytes=0-1"}, http.StatusOK},
				"a range of what has not changed ": {[]string{"Range", "bytes=0-1", "If-None-Match", tag}, http.StatusNotModified},
			} {
				response := get(t, server, path, c.header...)
				require.Equal(t, c.code, response.StatusCode, title)
				if c.code == http.StatusNotModified {
					require.Equal(t, tag, response.Header.Get("ETag"), title)
					require.Equal(t, want.expires, response.Header.Get("Expires"), title)
					require.Empty(t, read(t, response), title)
				}
			}
		})
	}
}

func TestOCSPConditions(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	server := a.start(t, a.status(t), &at)
	path := "/ocsp/" + base64.StdEncoding.EncodeToString(requestFor(t, a.good, a.issuer.Certificate(), nil))
	response := get(t, server, path)
	require.Equal(t, http.StatusNotModified, get(t, server, path, "If-None-Match", response.Header.Get("ETag")).StatusCode)
	require.Equal(t, http.StatusOK, get(t, server, path, "If-Modified-Since", response.Header.Get("Last-Modified")).StatusCode,
		"two answers may be of one second")
	at = now.Add(6 * time.Hour)
	require.Equal(t, http.StatusOK, get(t, server, path, "If-None-Match", response.Header.Get("ETag")).StatusCode)
}

func TestCacheEndsWithTheList(t *testing.T) {
	t.Parallel()
	at, a := now.Add(24*time.Hour-90*time.Second), newAuthority(t, now)
	server := a.start(t, a.status(t), &at)
	require.Equal(t, "max-age=90, public, no-transform, must-revalidate", get(t, server, "/crl/1.crl").Header.Get("Cache-Control"))
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	status := a.status(t)
	status.Generations = append(status.Generations, spool.Generation{
		ID: 2, Certificate: newIssuer(t, "Imported", now).Certificate().Raw, NoCRL: "the CA may not sign any", NoResponder: "not yet",
	})
	server := a.start(t, status, &at)
	requireHealth(t, server)
	for path, want := range map[string]string{
		"/": "nothing at this address", "/ca": "nothing", "/ca.pem/": "nothing", "//ca.pem": "nothing", "/%63a.pem": "nothing",
		"/crl/3.crl": "no such generation", "/crl/01.crl": "no such generation", "/crl/1": "no such generation",
		"/crl/1.crl/": "no such generation", "/crl/../ca.pem": "no such generation", "/crl/-1.crl": "no such generation",
		"/crl/99999999999999999999.crl": "no such generation",
		"/crl/2.crl":                    "there is no revocation list: the CA may not sign any",
	} {
		response := get(t, server, path)
		require.Equal(t, http.StatusNotFound, response.StatusCode, path)
		require.Equal(t, "no-store", response.Header.Get("Cache-Control"), path)
		require.Contains(t, string(read(t, response)), want, path)
	}
	for _, path := range []string{"/ca.pem", "/crl/1.crl", "/health", "/metrics", "/"} {
		for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodOptions, "BREW"} {
			response := call(server, method, path, nil)
			require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
			require.Equal(t, "GET, HEAD", response.Header.Get("Allow"))
		}
	}
}

func TestWithoutAuthority(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	server := a.start(t, spool.Status{ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, &at)
	requireHealth(t, server)
	require.Equal(t, http.StatusNotFound, get(t, server, "/ca.pem").StatusCode)
	for _, path := range []string{"/ca.der", "/ca/1.der", "/ca/1.pem", "/ca/", "/crl/1.crl"} {
		require.Equal(t, http.StatusNotFound, get(t, server, path).StatusCode, path)
	}
}

// requireRefusal wants that nothing is answered that somebody could rely on.
func requireRefusal(t *testing.T, a *authority, server http.Handler) {
	t.Helper()
	for _, path := range []string{"/ca.pem", "/ca.der", "/ca/1.der", "/crl/1.crl"} {
		require.Equal(t, http.StatusServiceUnavailable, get(t, server, path).StatusCode, path)
	}
	a.requireFailure(t, server, ocsp.TryLater)
	require.Equal(t, http.StatusOK, get(t, server, "/metrics").StatusCode)
}

func TestStaleStatus(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	server := a.start(t, a.status(t), &at)
	at = now.Add(24 * time.Hour)
	require.Equal(t, http.StatusOK, get(t, server, "/ca.pem").StatusCode)
	require.Equal(t, http.StatusServiceUnavailable, get(t, server, "/crl/1.crl").StatusCode, "the list is stale before the status")
	at = now.Add(48 * time.Hour)
	requireRefusal(t, a, server)
	at = now.Add(-time.Hour)
	requireRefusal(t, a, server)
	at = now.Add(-pki.Backdate)
	require.Equal(t, http.StatusOK, get(t, server, "/ca.pem").StatusCode, "clocks differ a little")
}

func TestBadSpool(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		spoil func(*testing.T, *authority)
		want  string
	}{
		"no file": {func(t *testing.T, a *authority) {
			require.NoError(t, os.Remove(filepath.Join(a.spool.Path, "status.json")))
		}, "cannot read status.json: "},
		"a directory": {func(t *testing.T, a *authority) {
			require.NoError(t, os.Remove(filepath.Join(a.spool.Path, "status.json")))
			require.NoError(t, os.Mkdir(filepath.Join(a.spool.Path, "status.json"), 0o700))
		}, "it is not a regular file"},
		"an empty file": {spoilWith("status.json", ""), "cannot read status: "},
		"half a file":   {spoilWith("status.json", `{"schema": 1, "this-update"`), "cannot read status: "},
		"the future":    {spoilWith("status.json", `{"schema": 2, "generations": "many"}`), "it has schema 2, this program knows 1"},
		"a bad certificate": {func(t *testing.T, a *authority) {
			status := a.status(t)
			status.Generations[0].Certificate = []byte{1}
			require.NoError(t, a.spool.WriteStatus(status))
		}, "cannot use generation 1 of the status: cannot read certificate"},
		"a bad chain": {func(t *testing.T, a *authority) {
			status := a.status(t)
			status.Generations[0].Chain = [][]byte{{1}}
			require.NoError(t, a.spool.WriteStatus(status))
		}, "cannot use generation 1 of the status: cannot read certificate"},
		"a bad responder": {func(t *testing.T, a *authority) {
			status := a.status(t)
			status.Generations[0].Responder = []byte{1}
			require.NoError(t, a.spool.WriteStatus(status))
		}, "cannot use generation 1 of the status: cannot read certificate"},
		"the list of another CA": {func(t *testing.T, a *authority) {
			status := a.status(t)
			other := *a
			other.issuer = newIssuer(t, "Test root", now)
			status.Generations[0].CRL = other.newList(t, 5)
			require.NoError(t, a.spool.WriteStatus(status))
		}, "the list of another key"},
		"a damaged list": {func(t *testing.T, a *authority) {
			status := a.status(t)
			status.Generations[0].CRL[len(status.Generations[0].CRL)-1] ^= 1
			require.NoError(t, a.spool.WriteStatus(status))
		}, "cannot read revocation list"},
		"keys that are none": {spoilWith("responder.key", "-----BEGIN PRIVATE KEY-----"), "cannot read responder.key: it is not 1 to 4 keys"},
		"keys that anybody may read": {func(t *testing.T, a *authority) {
			require.NoError(t, os.Chmod(filepath.Join(a.spool.Path, "responder.key"), 0o604))
		}, "its mode is 0604"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			at, a := now, newAuthority(t, now)
			server := a.start(t, a.status(t), &at)
			c.spoil(t, a)
			server.Reload()
			requireHealth(t, server, c.want)
			a.requireFailure(t, server, ocsp.TryLater) // what cannot be read may be a revocation
			a.requireState(t, server, a.revoked, ocsp.Revoked)
			require.Equal(t, http.StatusOK, get(t, server, "/ca.pem").StatusCode, "the last good spool counts")
			at = now.Add(48 * time.Hour)
			requireRefusal(t, a, server)
			requireHealth(t, server, c.want, "the status is stale")

			fresh := responder.New(a.spool, func() time.Time { return now }, discard())
			requireHealth(t, fresh, c.want)
			requireRefusal(t, a, fresh)

			at = now
			require.NoError(t, os.RemoveAll(filepath.Join(a.spool.Path, "status.json")))
			require.NoError(t, a.spool.WriteStatus(a.status(t)))
			require.NoError(t, a.spool.WriteKeys([]pki.PrivateKey{a.key}))
			server.Reload()
			requireHealth(t, server)
		})
	}
}

func spoilWith(name, content string) func(*testing.T, *authority) {
	return func(t *testing.T, a *authority) {
		require.NoError(t, os.WriteFile(filepath.Join(a.spool.Path, name), []byte(content), 0o600))
	}
}

// TestNoKeyOfTheCA hands the daemon what it must never have.
func TestNoKeyOfTheCA(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	key, err := pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	cert, err := pki.CreateSelfSigned(pki.Template{
		Profile: pki.Root, Subject: pki.Subject{CommonName: "Test root"}, Validity: pki.NewValidity(now, 24*time.Hour),
	}, key)
	require.NoError(t, err)
	status := a.status(t)
	status.Generations = append(status.Generations, spool.Generation{ID: 2, Certificate: cert.Raw, NoCRL: "-", NoResponder: "-"})
	require.NoError(t, a.spool.WriteKeys([]pki.PrivateKey{a.key, key}))
	server := a.start(t, status, &at)
	requireHealth(t, server, "responder.key has the key of the CA, which does not belong there")
	requireRefusal(t, a, server)
}

func TestKeysChange(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	server := a.start(t, a.status(t), &at)
	old := a.key
	var err error
	a.key, err = pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	require.NoError(t, a.spool.WriteKeys([]pki.PrivateKey{old, a.key}))
	server.Reload()
	require.Equal(t, a.certificate.Raw, a.requireState(t, server, a.good, ocsp.Good).Certificate.Raw)
	a.certificate = a.newResponder(t, a.issuer)
	require.NoError(t, a.spool.WriteStatus(a.status(t)))
	server.Reload()
	require.Equal(t, a.certificate.Raw, a.requireState(t, server, a.good, ocsp.Good).Certificate.Raw)
	require.NoError(t, a.spool.WriteKeys([]pki.PrivateKey{a.key}))
	server.Reload()
	requireHealth(t, server)
}

// TestRenewedAuthority serves a root that was renewed: its certificate is
// younger than that of the responder, its key is the same.
func TestRenewedAuthority(t *testing.T) {
	t.Parallel()
	at, a := now.Add(time.Hour), newAuthority(t, now)
	status := a.status(t)
	renewed, err := a.issuer.Renew(pki.NewValidity(at, 10*365*24*time.Hour))
	require.NoError(t, err)
	status.Generations[0].Certificate = renewed.Raw
	server := a.start(t, status, &at)
	requireHealth(t, server)
	a.requireState(t, server, a.good, ocsp.Good)
	parsed, err := x509.ParseRevocationList(read(t, get(t, server, "/crl/1.crl")))
	require.NoError(t, err)
	require.NoError(t, parsed.CheckSignatureFrom(renewed))
	require.True(t, strings.HasPrefix(string(read(t, get(t, server, "/ca.pem"))), pki.EncodeCertificatePEM(renewed.Raw)))
}

func TestLiveWhateverTheSpoolSays(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	server := a.start(t, a.status(t), &at)
	requireLive := func() {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			response := call(server, method, "/live", nil)
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
		}
		require.Equal(t, "ok\n", string(read(t, get(t, server, "/live"))))
	}
	requireHealth(t, server)
	requireLive()
	require.NoError(t, os.WriteFile(filepath.Join(a.spool.Path, "status.json"), []byte("{"), 0o640))
	server.Reload()
	requireHealth(t, server, "cannot read status")
	requireLive()
	at = now.Add(100 * 24 * time.Hour)
	requireHealth(t, server, "cannot read status")
	requireLive()
	require.Equal(t, http.StatusMethodNotAllowed, call(server, http.MethodPost, "/live", nil).StatusCode)
}
