// SPDX-License-Identifier: GPL-3.0-only

package responder_test

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/pki"
	"tls-authority/internal/responder"
	"tls-authority/internal/spool"
)

// now is the time of every test in which no other program looks at the clock.
var now = time.Date(2030, time.May, 17, 12, 30, 45, 0, time.UTC)

// authority is a CA with leaves, and a spool that tells of it.
type authority struct {
	issuer *pki.Issuer
	spool  spool.Folder
	// key is that of the unit's responder, with its certificate.
	key         pki.PrivateKey
	certificate *x509.Certificate
	// good and revoked are in the inventory, unknown is not.
	good, revoked, unknown *x509.Certificate
	made                   time.Time
}

func newIssuer(t testing.TB, name string, made time.Time) *pki.Issuer {
	t.Helper()
	key, err := pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	cert, err := pki.CreateSelfSigned(pki.Template{
		Profile: pki.Root, Subject: pki.Subject{CommonName: name}, Validity: pki.NewValidity(made, 10*365*24*time.Hour),
	}, key)
	require.NoError(t, err)
	issuer, err := pki.NewIssuer(cert, key)
	require.NoError(t, err)
	return issuer
}

func newAuthority(t testing.TB, made time.Time) *authority {
	t.Helper()
	a := newAuthorityWithout(t, made)
	require.NoError(t, a.spool.WriteKeys([]pki.PrivateKey{a.key}))
	return a
}

// newAuthorityWithout makes one without files.
func newAuthorityWithout(t testing.TB, made time.Time) *authority {
	t.Helper()
	a := &authority{issuer: newIssuer(t, "Test root", made), spool: spool.Folder{Path: t.TempDir()}, made: made.Truncate(time.Second)}
	a.good, a.revoked, a.unknown = a.newLeaf(t, "good"), a.newLeaf(t, "revoked"), a.newLeaf(t, "unknown")
	var err error
	a.key, err = pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	a.certificate = a.newResponder(t, a.issuer)
	return a
}

func (a *authority) newLeaf(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	key, err := pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	validity, err := pki.ValidityOf(a.issuer.Certificate()).Clip(a.made, 90*24*time.Hour)
	require.NoError(t, err)
	cert, err := a.issuer.Issue(pki.Template{
		Profile: pki.Server, Subject: pki.Subject{CommonName: name}, Names: pki.Names{DNS: []string{name}}, Validity: validity,
	}, key.Public())
	require.NoError(t, err)
	return cert
}

func (a *authority) newResponder(t testing.TB, issuer *pki.Issuer) *x509.Certificate {
	t.Helper()
	subject, err := pki.ResponderSubject("test", a.key.Public())
	require.NoError(t, err)
	validity, err := pki.ValidityOf(issuer.Certificate()).Clip(a.made, pki.ResponderLifetime)
	require.NoError(t, err)
	cert, err := issuer.Issue(pki.Template{Profile: pki.Responder, Subject: subject, Validity: validity}, a.key.Public())
	require.NoError(t, err)
	return cert
}

func (a *authority) newList(t testing.TB, number int64, revoked ...*x509.Certificate) []byte {
	t.Helper()
	list := pki.RevocationList{Number: big.NewInt(number), ThisUpdate: a.made.Add(-pki.Backdate), NextUpdate: a.made.Add(24 * time.Hour)}
	for _, cert := range revoked {
		list.Entries = append(list.Entries, pki.Revocation{Serial: cert.SerialNumber, RevokedAt: a.made, Reason: pki.KeyCompromise})
	}
	der, err := a.issuer.SignCRL(list)
	require.NoError(t, err)
	return der
}

func issued(cert *x509.Certificate) spool.Issued {
	return spool.Issued{Serial: cert.SerialNumber.Text(16), NotAfter: cert.NotAfter.UTC()}
}

// status is what a hook would write when the authority was made.
func (a *authority) status(t testing.TB) spool.Status {
	t.Helper()
	revoked := issued(a.revoked)
	revoked.Revoked = &spool.Revoked{At: a.made, Reason: pki.KeyCompromise}
	return spool.Status{
		ThisUpdate: a.made, NextUpdate: a.made.Add(48 * time.Hour),
		Generations: []spool.Generation{{
			ID: 1, Active: true, Certificate: a.issuer.Certificate().Raw,
			CRL: a.newList(t, 1, a.revoked), Responder: a.certificate.Raw,
			Issued: []spool.Issued{issued(a.good), revoked},
		}},
	}
}

// start writes the status and starts a daemon whose clock stands at *at.
func (a *authority) start(t testing.TB, status spool.Status, at *time.Time) *responder.Server {
	t.Helper()
	require.NoError(t, a.spool.WriteStatus(status))
	return responder.New(a.spool, func() time.Time { return *at }, discard())
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// call sends one request past the network.
func call(server http.Handler, method, target string, body []byte, header ...string) *http.Response {
	request := httptest.NewRequest(method, target, bytes.NewReader(body))
	for n := 0; n < len(header); n += 2 {
		request.Header.Set(header[n], header[n+1])
	}
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, request)
	return recorder.Result()
}

func read(t testing.TB, response *http.Response) []byte {
	t.Helper()
	defer response.Body.Close()
	var content bytes.Buffer
	_, err := content.ReadFrom(response.Body)
	require.NoError(t, err)
	return content.Bytes()
}

func get(t testing.TB, server http.Handler, target string, header ...string) *http.Response {
	t.Helper()
	return call(server, http.MethodGet, target, nil, header...)
}

func requestFor(t testing.TB, cert, issuer *x509.Certificate, options *ocsp.RequestOptions) []byte {
	t.Helper()
	der, err := ocsp.CreateRequest(cert, issuer, options)
	require.NoError(t, err)
	return der
}

// ask posts an OCSP request for a certificate and returns the answer.
func (a *authority) ask(t testing.TB, server http.Handler, cert *x509.Certificate) (*ocsp.Response, error) {
	t.Helper()
	response := call(server, http.MethodPost, "/ocsp", requestFor(t, cert, a.issuer.Certificate(), nil))
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "application/ocsp-response", response.Header.Get("Content-Type"))
	return ocsp.ParseResponseForCert(read(t, response), cert, a.issuer.Certificate())
}

// requireState asks for a certificate and wants a signed answer.
func (a *authority) requireState(t testing.TB, server http.Handler, cert *x509.Certificate, want int) *ocsp.Response {
	t.Helper()
	answer, err := a.ask(t, server, cert)
	require.NoError(t, err)
	require.Equal(t, want, answer.Status)
	return answer
}

// requireFailure asks for a certificate and wants an answer that says nothing.
func (a *authority) requireFailure(t testing.TB, server http.Handler, want ocsp.ResponseStatus) {
	t.Helper()
	_, err := a.ask(t, server, a.good)
	require.Equal(t, ocsp.ResponseError{Status: want}, err)
}

func requireHealth(t testing.TB, server http.Handler, reasons ...string) {
	t.Helper()
	response := get(t, server, "/health")
	text := string(read(t, response))
	if len(reasons) == 0 {
		require.Equal(t, http.StatusOK, response.StatusCode, text)
		require.JSONEq(t, `{"status": "ok", "reasons": []}`, text)
		return
	}
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.Contains(t, text, `"status":"failing"`)
	for _, reason := range reasons {
		require.Contains(t, text, reason)
	}
}

// fullStatus has something in every field.
func fullStatus(t testing.TB, a *authority) spool.Status {
	t.Helper()
	status := a.status(t)
	status.Generations[0].Chain = [][]byte{{1}, {2}}
	status.Generations = append(status.Generations, spool.Generation{
		ID: 2, Certificate: []byte{3}, NoCRL: "its key has been destroyed", NoResponder: "its key has been destroyed",
	})
	status.Metrics = spool.Metrics{
		Leaves: []spool.Leaves{
			{Application: "etcd", Unit: "etcd/0", Count: 2, NotAfter: now.Add(time.Hour), Renewal: now.Add(-time.Minute)},
			{Application: "grafana"},
		},
		Expired: 1, Pending: 2, Denied: map[int]int{101: 3, 102: 1}, Stage: "issuing",
		StageSince: now.Add(-2 * time.Hour), StageDue: now.Add(22 * time.Hour),
		Hook: spool.Hook{Duration: 1500 * time.Millisecond, Calls: 31}, Backup: now.Add(-time.Hour),
	}
	return status
}
