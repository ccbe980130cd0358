// SPDX-License-Identifier: GPL-3.0-only

package responder

import (
	"crypto"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tls-authority/internal/pki"
)

const (
	// answerLifetime is how long an answer is good. Servers that staple it, and
	// clients that keep it, come through half a day without us; after as long,
	// a revocation is known everywhere.
	answerLifetime = 12 * time.Hour
	// unknownLifetime is that of an answer about a certificate that may have
	// been issued a moment ago.
	unknownLifetime = 10 * time.Minute
)

// answerKey tells answers of one generation apart.
type answerKey struct {
	serial string
	hash   crypto.Hash
}

// answer is a signed answer that is kept until it should be signed anew.
type answer struct {
	document
	renew time.Time
}

// serveOCSP answers by POST and, with the request in the path, by GET (RFC 6960
// appendix A). What is wrong with a request, or with us, is an answer of OCSP
// and no error of HTTP, so that clients understand it.
func (s *Server) serveOCSP(w http.ResponseWriter, r *http.Request, encoded string) {
	var request []byte
	var err error
	switch r.Method {
	case http.MethodPost:
		request, err = io.ReadAll(http.MaxBytesReader(w, r.Body, pki.MaxOCSPRequestSize))
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			refuse(w, http.StatusRequestEntityTooLarge, "the request is too long")
			return
		}
	case http.MethodGet, http.MethodHead:
		request, err = decodePath(encoded)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		refuse(w, http.StatusMethodNotAllowed, "an OCSP request comes by GET or POST")
		return
	}
	var answered document
	failure := pki.MalformedRequest
	now := s.clock()
	if err == nil {
		answered, failure = s.answer(request, now)
	}
	if failure != 0 {
		s.counts.addAnswer(failureName(failure))
		w.Header().Set("Content-Type", typeOCSP)
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(failure.Encode()) // the client is gone, or it is not
		return
	}
	// Two answers may be signed in one second: only their tags differ.
	r.Header.Del("If-Modified-Since")
	answered.write(w, r, now)
}

// decodePath reads a request from the path. Clients differ in what they
// escape, and in the padding.
func decodePath(encoded string) ([]byte, error) {
	text, err := url.PathUnescape(encoded)
	if err != nil {
		return nil, err
	}
	text = strings.TrimRight(strings.ReplaceAll(text, " ", "+"), "=")
	return base64.RawStdEncoding.DecodeString(text)
}

// answer returns the signed answer to a request; when there is none, failure
// is not 0.
func (s *Server) answer(der []byte, now time.Time) (answered document, failure pki.OCSPFailure) {
	request, err := pki.ParseOCSPRequest(der)
	if err != nil {
		return document{}, pki.MalformedRequest
	}
	view := s.view.Load()
	snapshot, err := view.usable(now)
	if err != nil {
		return document{}, pki.TryLater
	}
	g := snapshot.find(request)
	switch {
	case g == nil, g.responder == nil && !g.waits:
		return document{}, pki.Unauthorized
	case g.checkResponder(now) != nil, g.checkList(now) != nil:
		return document{}, pki.TryLater
	}
	revoked, issued := g.states[request.Serial.Text(16)]
	state := pki.Unknown
	switch {
	case revoked != nil:
		state = pki.Revoked
	case view.fault != nil:
		// What hooks wrote last cannot be read, and may be a revocation.
		return document{}, pki.TryLater
	case issued:
		state = pki.Good
	}
	key := answerKey{request.Serial.Text(16), request.Issuer.Hash}
	if kept, ok := g.answers.Load(key); ok && now.Before(kept.(answer).renew) {
		s.counts.addAnswer(stateName(state))
		return kept.(answer).document, 0
	}
	fresh, err := g.sign(request, state, snapshot.status.NextUpdate, now)
	if err != nil {
		s.log.Error("cannot answer", "generation", g.id, "cause", err)
		return document{}, pki.InternalError
	}
	// Of unknown certificates there are as many as anybody likes to ask for.
	if issued {
		g.answers.Store(key, fresh)
	}
	s.counts.addAnswer(stateName(state))
	return fresh.document, 0
}

// sign makes an answer that is good no longer than what it follows from: the
// status, the revocation list and the certificate that signs.
func (g *generation) sign(request pki.OCSPRequest, state pki.CertificateState, until, now time.Time) (answer, error) {
	lifetime := answerLifetime
	if state == pki.Unknown {
		lifetime = unknownLifetime
	}
	ends := []time.Time{until, now.Add(lifetime), g.responder.Certificate().NotAfter}
	if g.list != nil {
		ends = append(ends, g.list.NextUpdate)
	}
	content := pki.OCSPAnswer{
		Serial: request.Serial, Hash: request.Issuer.Hash, State: state,
		ThisUpdate: now.Add(-pki.Backdate).UTC().Truncate(time.Second),
		NextUpdate: slices.MinFunc(ends, time.Time.Compare).UTC().Truncate(time.Second),
	}
	if state == pki.Revoked {
		revoked := g.states[request.Serial.Text(16)]
		content.RevokedAt, content.Reason = revoked.At.UTC().Truncate(time.Second), revoked.Reason
	}
	der, err := g.responder.Sign(content)
	if err != nil {
		return answer{}, err
	}
	return answer{
		document: newDocument(typeOCSP, der, content.ThisUpdate, content.NextUpdate),
		renew:    now.Add(content.NextUpdate.Sub(now) / 2),
	}, nil
}

func stateName(state pki.CertificateState) string {
	switch state {
	case pki.Good:
		return "good"
	case pki.Revoked:
		return "revoked"
	}
	return "unknown"
}

func failureName(failure pki.OCSPFailure) string {
	switch failure {
	case pki.MalformedRequest:
		return "malformed-request"
	case pki.TryLater:
		return "try-later"
	case pki.Unauthorized:
		return "unauthorized"
	}
	return "internal-error"
}
