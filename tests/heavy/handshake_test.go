// SPDX-License-Identifier: GPL-3.0-only

package heavy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// welcome is the page of the server that verifiers connect to.
const welcome = "a page of tls-authority"

// serve answers over TLS with what the question's party shows, until closed.
func serve(q question) (port string, closed func(), err error) {
	shown := tls.Certificate{PrivateKey: q.key, Certificate: [][]byte{q.leaf.Raw}}
	for _, c := range q.between {
		shown.Certificate = append(shown.Certificate, c.Raw)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{shown}})
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, welcome) }),
		ErrorLog: log.New(io.Discard, "", 0), // refusals are what is asked for
	}
	go func() { _ = server.Serve(listener) }() // it ends when it is closed
	_, port, err = net.SplitHostPort(listener.Addr().String())
	return port, func() { _ = server.Close() }, err
}

// programTimeout bounds one run of a program that talks over a network.
const programTimeout = time.Minute

// handshakeNSS connects with the test client of NSS. The name that it asks for
// is the one that it expects.
func handshakeNSS(database string, q question) error {
	port, closed, err := serve(q)
	if err != nil {
		return err
	}
	defer closed()
	ctx, cancel := context.WithTimeout(context.Background(), programTimeout)
	defer cancel()
	text, err := exec.CommandContext(ctx, "tstclnt", "-h", "127.0.0.1", "-p", port, "-a", q.host, "-d", database, "-Q", "-O").CombinedOutput()
	if err != nil {
		return fmt.Errorf("tstclnt: %w: %s", err, text)
	}
	return nil
}

// databases are certificate databases of NSS, one for each set of anchors.
type databases struct {
	mu     sync.Mutex
	folder string
	homes  map[string]string // by anchors
}

func newDatabases(t *testing.T) *databases {
	return &databases{folder: t.TempDir(), homes: map[string]string{}}
}

// open returns a database that trusts the anchors for servers and clients.
func (d *databases) open(trust string) (string, error) {
	home, err := d.home(trust)
	return "sql:" + filepath.Join(home, ".pki", "nssdb"), err
}

// home is a home directory with such a database where browsers look for it.
func (d *databases) home(trust string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if home, made := d.homes[trust]; made {
		return home, nil
	}
	home := filepath.Join(d.folder, fmt.Sprint(len(d.homes)))
	folder := filepath.Join(home, ".pki", "nssdb")
	err := errors.Join(os.MkdirAll(folder, 0o700), run("certutil", "-N", "-d", "sql:"+folder, "--empty-password"))
	for rest := []byte(trust); err == nil; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		path := filepath.Join(folder, fmt.Sprintf("%d.pem", len(rest)))
		err = errors.Join(os.WriteFile(path, pem.EncodeToMemory(block), 0o600),
			run("certutil", "-A", "-d", "sql:"+folder, "-n", fmt.Sprintf("anchor %d", len(rest)), "-t", "CT,,", "-a", "-i", path))
	}
	d.homes[trust] = home
	return home, err
}

// openChromium opens pages in a browser without a window. It takes seconds, and
// is asked about servers alone.
func openChromium(t *testing.T, trusted *databases) verifier {
	if testing.Short() {
		t.Skip("NOT VERIFIED by a browser: it is slow")
	}
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && program == "" {
			program = path
		}
	}
	if program == "" {
		t.Skip("NOT VERIFIED by a browser: Chromium is not installed")
	}
	if _, err := exec.LookPath("certutil"); err != nil {
		t.Skip("NOT VERIFIED by a browser: certutil, with which it is told to trust a CA, is not installed")
	}
	return func(q question) error {
		if q.usage != x509.ExtKeyUsageServerAuth {
			return errNotAsked
		}
		home, err := trusted.home(q.trust)
		if err != nil {
			return err
		}
		port, closed, err := serve(q)
		if err != nil {
			return err
		}
		defer closed()
		// A profile is locked by the browser that uses it.
		profile, err := os.MkdirTemp(home, "profile")
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), programTimeout)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
			"--user-data-dir="+profile, "--host-resolver-rules=MAP * 127.0.0.1", "--dump-dom", "https://"+q.host+":"+port+"/")
		cmd.Env = append(os.Environ(), "HOME="+home)
		page, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("chromium: %w", err)
		}
		if !strings.Contains(string(page), welcome) {
			return fmt.Errorf("chromium: another page: %s", refusal(string(page)))
		}
		return nil
	}
}

// refusal finds what a page of a browser says of a certificate.
func refusal(page string) string {
	if _, code, found := strings.Cut(page, "ERR_"); found {
		code, _, _ = strings.Cut(code, "<")
		return "ERR_" + code
	}
	return page
}
