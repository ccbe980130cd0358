// SPDX-License-Identifier: GPL-3.0-only

package responder_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/pki"
	"tls-authority/internal/responder"
	"tls-authority/internal/spool"
)

// FuzzOCSP asks by POST, and by GET in the path. Whatever is asked, the answer
// is one of OCSP, and good only for the certificate that is.
func FuzzOCSP(f *testing.F) {
	at, a := now, newAuthority(f, now)
	server := a.start(f, a.status(f), &at)
	ca := a.issuer.Certificate()
	for _, cert := range [][]byte{
		requestFor(f, a.good, ca, nil), requestFor(f, a.unknown, ca, nil), requestFor(f, a.good, a.certificate, nil),
	} {
		f.Add(cert, base64.StdEncoding.EncodeToString(cert))
	}
	f.Add([]byte{0x30, 0x80}, "%2f//+ ==")
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		responses := []*http.Response{call(server, http.MethodPost, "/ocsp", body)}
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.URL = &url.URL{Path: "/ocsp/" + path, RawPath: "/ocsp/" + path}
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, request)
		for _, response := range append(responses, recorder.Result()) {
			if response.StatusCode == http.StatusRequestEntityTooLarge {
				continue
			}
			require.Equal(t, http.StatusOK, response.StatusCode)
			answer, err := ocsp.ParseResponse(read(t, response), ca)
			if err != nil {
				require.IsType(t, ocsp.ResponseError{}, err)
				continue
			}
			isGood := answer.SerialNumber.Cmp(a.good.SerialNumber) == 0
			require.Equal(t, isGood, answer.Status == ocsp.Good)
		}
	})
}

// FuzzStatus starts a daemon with a status, whatever it says.
func FuzzStatus(f *testing.F) {
	a := newAuthority(f, now)
	for _, status := range []spool.Status{fullStatus(f, a), a.status(f)} {
		text, err := spool.Encode(status)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(bytes.Replace(text, []byte(`"id":1`), []byte(`"id":-1`), 1))
	}
	f.Add([]byte(`{"schema": 1, "generations": [null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		status, err := spool.Parse(text)
		if err != nil {
			return
		}
		server, err := responder.NewFrom(status, []pki.PrivateKey{a.key}, func() time.Time { return now })
		if err != nil {
			return
		}
		for _, path := range []string{"/ca.pem", "/ca.der", "/crl/1.crl", "/health", "/metrics"} {
			get(t, server, path)
		}
		for _, cert := range []*x509.Certificate{a.good, a.unknown} {
			answer, err := a.ask(t, server, cert)
			require.True(t, err != nil || answer.Status != ocsp.Good || bytes.Contains(text, []byte(answer.SerialNumber.Text(16))))
		}
	})
}
