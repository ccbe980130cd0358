// SPDX-License-Identifier: GPL-3.0-only

package responder_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/pki"
	"tls-authority/internal/spool"
)

func TestOCSPAnswers(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	server := a.start(t, a.status(t), &at)
	requireHealth(t, server)
	ca := a.issuer.Certificate()
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384} {
		for want, cert := range map[int]*x509.Certificate{ocsp.Good: a.good, ocsp.Revoked: a.revoked, ocsp.Unknown: a.unknown} {
			request := requestFor(t, cert, ca, &ocsp.RequestOptions{Hash: hash})
			posted := call(server, http.MethodPost, "/ocsp", request)
			got := get(t, server, "/ocsp/"+url.PathEscape(base64.StdEncoding.EncodeToString(request)))
			for _, response := range []*http.Response{posted, got} {
				require.Equal(t, http.StatusOK, response.StatusCode)
				require.Equal(t, "application/ocsp-response", response.Header.Get("Content-Type"))
				require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
				require.NotEmpty(t, response.Header.Get("ETag"))
				answer, err := ocsp.ParseResponseForCert(read(t, response), cert, ca)
				require.NoError(t, err)
				require.Equal(t, want, answer.Status)
				require.Equal(t, hash, answer.IssuerHash)
				require.Equal(t, a.certificate.Raw, answer.Certificate.Raw)
				require.Equal(t, now.Add(-pki.Backdate), answer.ThisUpdate)
				require.Equal(t, answer.ThisUpdate.Format(http.TimeFormat), response.Header.Get("Last-Modified"))
				require.Equal(t, answer.NextUpdate.Format(http.TimeFormat), response.Header.Get("Expires"))
				switch want {
				case ocsp.Unknown:
					require.Equal(t, now.Add(10*time.Minute), answer.NextUpdate)
					require.Equal(t, "max-age=600, public, no-transform, must-revalidate", response.Header.Get("Cache-Control"))
				case ocsp.Revoked:
					require.Equal(t, now, answer.RevokedAt)
					require.Equal(t, ocsp.KeyCompromise, answer.RevocationReason)
					fallthrough
				default:
					require.Equal(t, now.Add(12*time.Hour), answer.NextUpdate)
					require.Equal(t, "max-age=3600, public, no-transform, must-revalidate", response.Header.Get("Cache-Control"))
				}
			}
		}
	}
}

func TestOCSPFailures(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		change func(*testing.T, *authority, *spool.Status)
		after  time.Duration
		want   ocsp.ResponseStatus
		health string // "" is healthy
	}{
		"another issuer": {func(t *testing.T, a *authority, _ *spool.Status) { a.issuer = newIssuer(t, "Other", now) },
			0, ocsp.Unauthorized, ""},
		"an issuer of the same name": {func(t *testing.T, a *authority, _ *spool.Status) { a.issuer = newIssuer(t, "Test root", now) },
			0, ocsp.Unauthorized, ""},
		"no generation": {func(_ *testing.T, _ *authority, s *spool.Status) { s.Generations = nil }, 0, ocsp.Unauthorized, ""},
		"no responder": {func(_ *testing.T, _ *authority, s *spool.Status) {
			s.Generations[0].Responder, s.Generations[0].NoResponder = nil, "its key has been destroyed"
		}, 0, ocsp.Unauthorized, ""},
		"no key": {func(t *testing.T, a *authority, _ *spool.Status) { require.NoError(t, a.spool.WriteKeys(nil)) },
			0, ocsp.TryLater, "generation 1: no key in responder.key is the responder's"},
		"a responder for something else": {func(t *testing.T, a *authority, s *spool.Status) {
			s.Generations[0].Responder = a.good.Raw
		}, 0, ocsp.TryLater, "generation 1: no key in responder.key"},
		"a responder of another CA": {func(t *testing.T, a *authority, s *spool.Status) {
			s.Generations[0].Responder = a.newResponder(t, newIssuer(t, "Test root", now)).Raw
		}, 0, ocsp.TryLater, "generation 1: cannot use OCSP responder"},
		"a stale status":             {nil, 48 * time.Hour, ocsp.TryLater, "the status is stale: it was good until 2030-05-19T12:30:45Z"},
		"a stale list":               {nil, 24 * time.Hour, ocsp.TryLater, "generation 1: the revocation list is stale: it was good until 2030-05-18T12:30:45Z"},
		"a status of tomorrow":       {nil, -24 * time.Hour, ocsp.TryLater, "which has yet to come"},
		"a responder that expired":   {outlast, 8 * 24 * time.Hour, ocsp.TryLater, "generation 1: the responder's certificate is valid from 2030-05-17T12:25:45Z to"},
		"a responder of the morrow":  {outlast, -24 * time.Hour, ocsp.TryLater, "generation 1: the responder's certificate is valid from"},
		"nothing, just before stale": {nil, 24*time.Hour - time.Second, ocsp.Success, ""},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			at, a := now.Add(c.after), newAuthority(t, now)
			status := a.status(t)
			if c.change != nil {
				c.change(t, a, &status)
			}
			server := a.start(t, status, &at)
			if c.want == ocsp.Success {
				a.requireState(t, server, a.good, ocsp.Good)
			} else {
				a.requireFailure(t, server, c.want)
			}
			if c.health == "" {
				requireHealth(t, server)
			} else {
				requireHealth(t, server, c.health)
			}
		})
	}
}

// outlast leaves nothing to expire but the certificate of the responder.
func outlast(_ *testing.T, _ *authority, s *spool.Status) {
	s.ThisUpdate, s.NextUpdate = now.Add(-30*24*time.Hour), now.Add(30*24*time.Hour)
	s.Generations[0].CRL, s.Generations[0].NoCRL = nil, "none in this test"
}

func TestOCSPWordOfTheListCounts(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	status := a.status(t)
	status.Generations[0].CRL = a.newList(t, 2, a.good, a.unknown)
	server := a.start(t, status, &at)
	for _, cert := range []*x509.Certificate{a.good, a.revoked, a.unknown} {
		a.requireState(t, server, cert, ocsp.Revoked)
	}
}

func TestOCSPGenerations(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	next := *a
	next.issuer = newIssuer(t, "Next root", now)
	next.certificate = next.newResponder(t, next.issuer)
	next.good = next.newLeaf(t, "next")
	status := a.status(t)
	second := next.status(t).Generations[0]
	second.ID, second.Active = 2, false
	status.Generations = append(status.Generations, second)
	server := a.start(t, status, &at)
	requireHealth(t, server)
	a.requireState(t, server, a.good, ocsp.Good)
	answer := next.requireState(t, server, next.good, ocsp.Good)
	require.Equal(t, next.certificate.Raw, answer.Certificate.Raw, "each generation has its own responder")
	next.requireState(t, server, a.good, ocsp.Unknown)

	t.Run("of one CA find each its own certificates", func(t *testing.T) {
		t.Parallel()
		status, again := a.status(t), a.status(t).Generations[0]
		again.ID, again.Active = 2, false
		again.Issued = []spool.Issued{issued(a.unknown)}
		status.Generations = append(status.Generations, again)
		at := now
		b := *a
		b.spool.Path = t.TempDir()
		require.NoError(t, b.spool.WriteKeys([]pki.PrivateKey{a.key}))
		server := b.start(t, status, &at)
		b.requireState(t, server, a.good, ocsp.Good)
		b.requireState(t, server, a.unknown, ocsp.Good)
		b.requireState(t, server, a.revoked, ocsp.Revoked)
	})
}

func TestOCSPAnswersAreKept(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	status := a.status(t)
	server := a.start(t, status, &at)
	first := a.requireState(t, server, a.good, ocsp.Good)
	at = now.Add(6*time.Hour - time.Second)
	require.Equal(t, first.Raw, a.requireState(t, server, a.good, ocsp.Good).Raw, "until half of its validity")
	at = now.Add(6 * time.Hour)
	second := a.requireState(t, server, a.good, ocsp.Good)
	require.Equal(t, now.Add(6*time.Hour-pki.Backdate), second.ThisUpdate)
	require.Equal(t, now.Add(18*time.Hour), second.NextUpdate)
	at = now.Add(13 * time.Hour)
	require.Equal(t, now.Add(24*time.Hour), a.requireState(t, server, a.good, ocsp.Good).NextUpdate, "no longer than the list")

	status.Generations[0].Issued[0].Revoked = &spool.Revoked{At: now, Reason: pki.Superseded}
	require.NoError(t, a.spool.WriteStatus(status))
	server.Reload()
	a.requireState(t, server, a.good, ocsp.Revoked)
}

func TestOCSPAddresses(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	server := a.start(t, a.status(t), &at)
	ca := a.issuer.Certificate()
	// Every shape of base64 occurs among a few requests.
	seen := map[string]bool{}
	for n := 0; n < 2000 && len(seen) < 4; n++ {
		cert := &x509.Certificate{SerialNumber: a.good.SerialNumber}
		if n > 0 {
			cert.SerialNumber = new(big.Int).Mul(big.NewInt(int64(n)), a.good.SerialNumber)
		}
		request := requestFor(t, cert, ca, nil)
		text := base64.StdEncoding.EncodeToString(request)
		news := false
		for _, shape := range []string{"//", "+", "=", "/"} {
			if strings.Contains(text, shape) && !seen[shape] {
				seen[shape], news = true, true
			}
		}
		if !news {
			continue
		}
		want := read(t, call(server, http.MethodPost, "/ocsp", request))
		answer, err := ocsp.ParseResponse(want, ca)
		require.NoError(t, err)
		for title, path := range map[string]string{
			"as it is":         text,
			"without padding":  strings.TrimRight(text, "="),
			"escaped":          url.PathEscape(text),
			"escaped as query": url.QueryEscape(text),
			"plus as space":    strings.ReplaceAll(text, "+", "%20"),
		} {
			got, err := ocsp.ParseResponse(read(t, get(t, server, "/ocsp/"+path)), ca)
			require.NoError(t, err, title)
			require.Equal(t, answer.SerialNumber, got.SerialNumber, title)
			require.Equal(t, answer.Status, got.Status, title)
		}
	}
	require.Len(t, seen, 4)
}

func TestOCSPHostileRequests(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	server := a.start(t, a.status(t), &at)
	ca := a.issuer.Certificate()
	good := requestFor(t, a.good, ca, nil)
	negative, err := hex.DecodeString(strings.Replace(hex.EncodeToString(good), "0210"+a.good.SerialNumber.Text(16), "021080"+a.good.SerialNumber.Text(16)[2:], 1))
	require.NoError(t, err)
	require.NotEqual(t, good, negative)

	for title, body := range map[string][]byte{
		"nothing":              nil,
		"text":                 []byte("GET / HTTP/1.1"),
		"half a request":       good[:len(good)/2],
		"a request and more":   append(bytes.Clone(good), 0),
		"an indefinite length": {0x30, 0x80, 0, 0},
		"a length of 4 GiB":    {0x30, 0x84, 0xff, 0xff, 0xff, 0xff},
		"no request in it":     {0x30, 4, 0x30, 2, 0x30, 0},
		"8 KiB of nothing":     make([]byte, pki.MaxOCSPRequestSize),
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			for _, response := range []*http.Response{
				call(server, http.MethodPost, "/ocsp", body),
				get(t, server, "/ocsp/"+url.PathEscape(base64.StdEncoding.EncodeToString(body))),
			} {
				require.Equal(t, http.StatusOK, response.StatusCode)
				require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
				require.Equal(t, ocsp.MalformedRequestErrorResponse, read(t, response))
			}
		})
	}
	for title, path := range map[string]string{
		"bad base64": "/ocsp/a", "no base64": "/ocsp/%00%ff", "an empty path": "/ocsp/", "no path": "/ocsp", "dots": "/ocsp/../../etc/passwd",
	} {
		require.Equal(t, ocsp.MalformedRequestErrorResponse, read(t, get(t, server, path)), title)
	}
	t.Run("a negative serial number is unknown", func(t *testing.T) {
		t.Parallel()
		answer, err := ocsp.ParseResponse(read(t, call(server, http.MethodPost, "/ocsp", negative)), ca)
		require.NoError(t, err)
		require.Equal(t, ocsp.Unknown, answer.Status)
	})
	t.Run("more than 8 KiB", func(t *testing.T) {
		t.Parallel()
		response := call(server, http.MethodPost, "/ocsp", make([]byte, pki.MaxOCSPRequestSize+1))
		require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
	})
	t.Run("another method", func(t *testing.T) {
		t.Parallel()
		response := call(server, http.MethodPut, "/ocsp", good)
		require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
		require.Equal(t, "GET, HEAD, POST", response.Header.Get("Allow"))
	})
	t.Run("conditions of a post do not count", func(t *testing.T) {
		t.Parallel()
		tag := call(server, http.MethodPost, "/ocsp", good).Header.Get("ETag")
		response := call(server, http.MethodPost, "/ocsp", good, "If-None-Match", tag, "If-Unmodified-Since", now.Add(-time.Hour).Format(http.TimeFormat))
		require.Equal(t, http.StatusOK, response.StatusCode)
	})
}
