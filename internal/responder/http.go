// SPDX-License-Identifier: GPL-3.0-only

package responder

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Types of RFC 8555 section 9.1, RFC 2585 section 4 and RFC 6960 appendix C.
const (
	typePEM  = "application/pem-certificate-chain"
	typeDER  = "application/pkix-cert"
	typeCRL  = "application/pkix-crl"
	typeOCSP = "application/ocsp-response"
)

// maxAge bounds how long caches may keep anything without asking: a
// revocation, or the next CA, shows after an hour at the latest.
const maxAge = time.Hour

// document is what is served by one address, as long as nothing changes.
type document struct {
	kind            string // media type
	body            []byte
	tag             string // strong ETag
	modified, until time.Time
}

func newDocument(kind string, body []byte, modified, until time.Time) document {
	digest := sha256.Sum256(body)
	return document{kind, body, fmt.Sprintf(`"%x"`, digest[:16]), modified, until}
}

// write answers GET, HEAD and conditional requests, and POST as if it had no
// conditions (RFC 9110 section 13.2.1).
func (d document) write(w http.ResponseWriter, r *http.Request, now time.Time) {
	header := w.Header()
	header.Set("Content-Type", d.kind)
	header.Set("ETag", d.tag)
	header.Set("Expires", d.until.UTC().Format(http.TimeFormat))
	header.Set("Cache-Control", fmt.Sprintf("max-age=%d, public, no-transform, must-revalidate",
		int(max(min(d.until.Sub(now), maxAge), 0).Seconds())))
	if r.Method == http.MethodPost {
		header.Set("Last-Modified", d.modified.UTC().Format(http.TimeFormat))
		_, _ = w.Write(d.body) // the client is gone, or it is not
		return
	}
	r.Header.Del("Range") // a document is served whole
	http.ServeContent(w, r, "", d.modified, bytes.NewReader(d.body))
}

// ServeHTTP answers one request. It does without http.ServeMux, which redirects
// paths with two slashes: OCSP requests in base64 have such.
func (s *Server) ServeHTTP(writer http.ResponseWriter, r *http.Request) {
	w := &recorder{ResponseWriter: writer}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	path := r.URL.EscapedPath()
	endpoint := "other"
	switch {
	case path == "/ocsp" || strings.HasPrefix(path, "/ocsp/"):
		endpoint = "ocsp"
		s.serveOCSP(w, r, strings.TrimPrefix(strings.TrimPrefix(path, "/ocsp"), "/"))
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "this address is only read")
	case path == "/ca.pem" || path == "/ca.der":
		endpoint = "ca"
		s.serveCA(w, r, path == "/ca.pem")
	case strings.HasPrefix(path, "/ca/"):
		endpoint = "ca"
		s.serveGeneration(w, r, strings.TrimPrefix(path, "/ca/"), ".der", func(g *generation) (document, error) {
			return g.document, nil
		})
	case strings.HasPrefix(path, "/crl/"):
		endpoint = "crl"
		s.serveGeneration(w, r, strings.TrimPrefix(path, "/crl/"), ".crl", func(g *generation) (document, error) {
			return g.listDocument, g.checkList(s.clock())
		})
	case path == "/live":
		endpoint = "live"
		serveLife(w)
	case path == "/health":
		endpoint = "health"
		s.serveHealth(w)
	case path == "/metrics":
		endpoint = "metrics"
		w.Header().Set("Cache-Control", "no-store")
		s.metrics.ServeHTTP(w, r)
	default:
		refuse(w, http.StatusNotFound, "there is nothing at this address")
	}
	s.counts.addRequest(endpoint, w.code)
}

// recorder notes the code of an answer.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(content []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.ResponseWriter.Write(content)
}

// refuse answers in words, which nobody may keep.
func refuse(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, reason, code)
}

// usable returns the snapshot to answer from, or why there is none.
func (s *Server) usable(now time.Time) (*snapshot, error) {
	return s.view.Load().usable(now)
}

func (v *view) usable(now time.Time) (*snapshot, error) {
	if v.snapshot == nil {
		return nil, v.fault
	}
	return v.snapshot, v.snapshot.check(now)
}

func (s *Server) serveCA(w http.ResponseWriter, r *http.Request, bundle bool) {
	now := s.clock()
	snapshot, err := s.usable(now)
	switch {
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, err.Error())
	case len(snapshot.caDER.body) == 0:
		refuse(w, http.StatusNotFound, "there is no CA yet")
	case bundle:
		snapshot.caPEM.write(w, r, now)
	default:
		snapshot.caDER.write(w, r, now)
	}
}

// serveGeneration answers with what document returns for the generation whose
// number is the name of the file. An error tells that it is stale.
func (s *Server) serveGeneration(w http.ResponseWriter, r *http.Request, name, suffix string, find func(*generation) (document, error)) {
	now := s.clock()
	snapshot, err := s.usable(now)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	number, isFile := strings.CutSuffix(name, suffix)
	id, err := strconv.Atoi(number)
	g := snapshot.generation(id)
	if !isFile || err != nil || strconv.Itoa(id) != number || g == nil {
		refuse(w, http.StatusNotFound, "there is no such generation")
		return
	}
	found, err := find(g)
	switch {
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, err.Error())
	case len(found.body) == 0:
		refuse(w, http.StatusNotFound, "there is no revocation list: "+g.noList)
	default:
		found.write(w, r, now)
	}
}

// faults lists all that is wrong now; none when the daemon is healthy.
func (s *Server) faults() []string {
	v := s.view.Load()
	faults := []string{}
	if v.fault != nil {
		faults = append(faults, v.fault.Error())
	}
	if v.snapshot != nil {
		faults = append(faults, v.snapshot.faults(s.clock())...)
	}
	return faults
}

// serveLife tells that the process answers, whatever the spool says: whoever
// restarts the daemon asks here, and a restart mends no spool.
func serveLife(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n")) // the client is gone, or it is not
}

func (s *Server) serveHealth(w http.ResponseWriter) {
	health := struct {
		Status  string   `json:"status"`
		Reasons []string `json:"reasons"`
	}{"ok", s.faults()}
	code := http.StatusOK
	if len(health.Reasons) > 0 {
		health.Status, code = "failing", http.StatusServiceUnavailable
	}
	text, err := json.Marshal(health)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "cannot encode health")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(append(text, '\n')) // the client is gone, or it is not
}
