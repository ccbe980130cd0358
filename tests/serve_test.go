// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/pki"
	"tls-authority/internal/spool"
)

// spooled is a CA and a spool that tells of it, as hooks would write it. The
// daemon is another process, so that its clock is the real one.
type spooled struct {
	spool        spool.Folder
	key          pki.PrivateKey // of the CA
	issuer       *pki.Issuer
	made         time.Time
	responderKey pki.PrivateKey
	responder    *x509.Certificate
	// fixed is good at all times, changing is revoked in every second version.
	fixed, revoked, changing *x509.Certificate
}

func newSpooled(t *testing.T) *spooled {
	t.Helper()
	// Not t.TempDir, into which no other user can look: see runAs.
	folder, err := os.MkdirTemp("", "tls-authority-spool-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	require.NoError(t, os.Chmod(folder, 0o755))
	s := &spooled{spool: spool.Folder{Path: folder}, made: time.Now().UTC().Truncate(time.Second)}
	s.key, err = pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	root, err := pki.CreateSelfSigned(pki.Template{
		Profile: pki.Root, Subject: pki.Subject{CommonName: "Served root"}, Validity: pki.NewValidity(s.made, 10*365*24*time.Hour),
	}, s.key)
	require.NoError(t, err)
	s.issuer, err = pki.NewIssuer(root, s.key)
	require.NoError(t, err)
	s.fixed, s.revoked, s.changing = s.newLeaf(t, "fixed"), s.newLeaf(t, "revoked"), s.newLeaf(t, "changing")

	s.responderKey, err = pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	subject, err := pki.ResponderSubject("test", s.responderKey.Public())
	require.NoError(t, err)
	s.responder = s.issue(t, pki.Template{Profile: pki.Responder, Subject: subject}, s.responderKey, pki.ResponderLifetime)
	return s
}

func (s *spooled) issue(t *testing.T, template pki.Template, key pki.PrivateKey, lifetime time.Duration) *x509.Certificate {
	t.Helper()
	var err error
	template.Validity, err = pki.ValidityOf(s.issuer.Certificate()).Clip(s.made, lifetime)
	require.NoError(t, err)
	cert, err := s.issuer.Issue(template, key.Public())
	require.NoError(t, err)
	return cert
}

func (s *spooled) newLeaf(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	key, err := pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	return s.issue(t, pki.Template{Profile: pki.Server, Subject: pki.Subject{CommonName: name}, Names: pki.Names{DNS: []string{name}}}, key, 90*24*time.Hour)
}

// status is the nth version of what hooks write.
func (s *spooled) status(t *testing.T, n int) spool.Status {
	t.Helper()
	list := pki.RevocationList{Number: big.NewInt(int64(n + 1)), ThisUpdate: s.made.Add(-pki.Backdate), NextUpdate: s.made.Add(24 * time.Hour)}
	var inventory []spool.Issued
	for _, cert := range []*x509.Certificate{s.fixed, s.revoked, s.changing} {
		entry := spool.Issued{Serial: cert.SerialNumber.Text(16), NotAfter: cert.NotAfter.UTC()}
		if cert == s.revoked || cert == s.changing && n%2 == 1 {
			entry.Revoked = &spool.Revoked{At: s.made, Reason: pki.KeyCompromise}
			list.Entries = append(list.Entries, pki.Revocation{Serial: cert.SerialNumber, RevokedAt: s.made, Reason: pki.KeyCompromise})
		}
		inventory = append(inventory, entry)
	}
	der, err := s.issuer.SignCRL(list)
	require.NoError(t, err)
	return spool.Status{ThisUpdate: s.made, NextUpdate: s.made.Add(48 * time.Hour), Generations: []spool.Generation{{
		ID: 1, Active: true, Certificate: s.issuer.Certificate().Raw, CRL: der, Responder: s.responder.Raw, Issued: inventory,
	}}}
}

func (s *spooled) write(t *testing.T, status spool.Status) {
	t.Helper()
	require.NoError(t, s.spool.WriteKeys([]pki.PrivateKey{s.responderKey}))
	require.NoError(t, s.spool.WriteStatus(status))
}

// daemon is the shipped program, serving.
type daemon struct {
	cmd  *exec.Cmd
	url  string
	wait func() error
}

// start runs the program of the charm.
func (s *spooled) start(t *testing.T, adjust func(*exec.Cmd)) *daemon {
	t.Helper()
	folder := expand(t)
	d := &daemon{}
	d.cmd = exec.Command(filepath.Join(folder, "bin", "tls-authority"), "serve", "--spool", s.spool.Path, "--listen", "127.0.0.1:0")
	d.cmd.Env = []string{"PATH=/usr/bin:/bin"}
	if adjust != nil {
		adjust(d.cmd)
	}
	stderr, err := d.cmd.StderrPipe()
	require.NoError(t, err)
	err = d.cmd.Start()
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("the program cannot be run as another user, so whether it can be dumped was NOT looked at: %v", err)
	}
	require.NoError(t, err)
	lines := bufio.NewScanner(stderr)
	var seen []string
	for d.url == "" && lines.Scan() {
		seen = append(seen, lines.Text())
		if found := regexp.MustCompile(`msg="the status service listens" address=(\S+)`).FindStringSubmatch(lines.Text()); found != nil {
			d.url = "http://" + found[1]
		}
	}
	drained := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, stderr) // or it would block when the pipe is full
		drained <- err
	}()
	d.wait = sync.OnceValue(func() error {
		return errors.Join(<-drained, d.cmd.Wait())
	})
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		_ = d.wait()
	})
	require.NotEmpty(t, d.url, "%s", strings.Join(seen, "\n"))
	return d
}

// stop ends the daemon as a service manager does.
func (d *daemon) stop(t *testing.T, signal os.Signal) {
	t.Helper()
	require.NoError(t, d.cmd.Process.Signal(signal))
	require.NoError(t, d.wait(), "it ends with exit code 0")
}

func (d *daemon) get(t *testing.T, path string) (int, string) {
	t.Helper()
	response, err := http.Get(d.url + path)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(content)
}

// await asks until the answer is as wanted. The daemon looks for a new spool
// every second; the bound only ends a test that has failed.
func (d *daemon) await(t *testing.T, path string, wanted func(code int, body string) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return wanted(d.get(t, path)) }, time.Minute, 20*time.Millisecond)
}

func (s *spooled) question(t *testing.T, cert *x509.Certificate) []byte {
	t.Helper()
	der, err := ocsp.CreateRequest(cert, s.issuer.Certificate(), nil)
	require.NoError(t, err)
	return der
}

func (d *daemon) ask(t *testing.T, s *spooled, cert *x509.Certificate) (*ocsp.Response, error) {
	t.Helper()
	response, err := http.Post(d.url+"/ocsp", "application/ocsp-request", bytes.NewReader(s.question(t, cert)))
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return ocsp.ParseResponseForCert(content, cert, s.issuer.Certificate())
}

func (d *daemon) requireState(t *testing.T, s *spooled, cert *x509.Certificate, want int) {
	t.Helper()
	answer, err := d.ask(t, s, cert)
	require.NoError(t, err)
	require.Equal(t, want, answer.Status)
}

// load is how many requests are made: the race detector makes each dear.
func load(t *testing.T) int {
	t.Helper()
	build, ok := debug.ReadBuildInfo()
	require.True(t, ok)
	if slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return 2_000
	}
	return 10_000
}

// TestServeUnderLoad has 64 clients ask the shipped program while hooks
// rewrite the spool: no request fails, and every answer is whole.
func TestServeUnderLoad(t *testing.T) {
	t.Parallel()
	const clients, versions = 64, 8
	s, requests := newSpooled(t), load(t)
	var statuses []spool.Status
	lists := map[string]bool{}
	for n := range versions {
		statuses = append(statuses, s.status(t, n))
		lists[string(statuses[n].Generations[0].CRL)] = true
	}
	s.write(t, statuses[0])
	d := s.start(t, nil)
	k := &visitor{d: d, spooled: s, lists: lists, states: map[string][]int{
		string(s.question(t, s.fixed)):    {ocsp.Good},
		string(s.question(t, s.revoked)):  {ocsp.Revoked},
		string(s.question(t, s.changing)): {ocsp.Good, ocsp.Revoked},
	}, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}}
	for question := range k.states {
		k.questions = append(k.questions, question)
	}
	slices.Sort(k.questions)

	due := make(chan int, requests)
	var hooks, all sync.WaitGroup
	hooks.Go(func() {
		for n := range due {
			if err := s.spool.WriteStatus(statuses[n%versions]); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range clients {
		all.Go(func() {
			for m := n; m < requests; m += clients {
				if m%50 == 0 {
					due <- m / 50
				}
				if err := k.visit(m); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	close(due)
	hooks.Wait()
	k.client.CloseIdleConnections()
	require.NoError(t, s.spool.WriteStatus(statuses[versions-1]))
	d.await(t, "/crl/1.crl", func(_ int, body string) bool { return body == string(statuses[versions-1].Generations[0].CRL) })
	d.requireState(t, s, s.changing, ocsp.Revoked)
	code, body := d.get(t, "/health")
	require.Equal(t, http.StatusOK, code, body)
	d.stop(t, syscall.SIGTERM)
}

// visitor knows what may be answered.
type visitor struct {
	*spooled
	d         *daemon
	client    *http.Client
	lists     map[string]bool
	states    map[string][]int // by question
	questions []string
}

// visit makes the nth request and checks its answer.
func (v *visitor) visit(n int) error {
	question := v.questions[n/4%len(v.questions)]
	switch n % 4 {
	case 0:
		return v.check(question)(v.fetch(http.MethodPost, "/ocsp", question))
	case 1:
		return v.check(question)(v.fetch(http.MethodGet, "/ocsp/"+base64.StdEncoding.EncodeToString([]byte(question)), ""))
	case 2:
		content, err := v.fetch(http.MethodGet, "/crl/1.crl", "")
		if err == nil && !v.lists[string(content)] {
			err = fmt.Errorf("a list of %d bytes that nobody signed", len(content))
		}
		return err
	}
	path := []string{"/ca.der", "/ca.pem", "/live", "/health", "/metrics"}[n/4%5]
	content, err := v.fetch(http.MethodGet, path, "")
	if err == nil && path == "/ca.der" && !bytes.Equal(content, v.issuer.Certificate().Raw) {
		err = fmt.Errorf("a certificate of %d bytes", len(content))
	}
	return err
}

func (v *visitor) fetch(method, path, body string) ([]byte, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, v.d.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := v.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, response.Status, content)
	}
	return content, err
}

func (v *visitor) check(question string) func([]byte, error) error {
	return func(content []byte, err error) error {
		if err != nil {
			return err
		}
		answer, err := ocsp.ParseResponse(content, v.issuer.Certificate())
		if err == nil && !slices.Contains(v.states[question], answer.Status) {
			err = fmt.Errorf("state is %d, want one of %v", answer.Status, v.states[question])
		}
		return err
	}
}

func TestServeWithABadSpool(t *testing.T) {
	t.Parallel()
	requireFailing := func(t *testing.T, d *daemon) {
		t.Helper()
		d.await(t, "/health", func(code int, body string) bool {
			return code == http.StatusServiceUnavailable && strings.Contains(body, "cannot read status")
		})
		code, body := d.get(t, "/live")
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, "ok\n", body, "a restart would not mend it")
	}
	spoil := func(t *testing.T, s *spooled) {
		t.Helper()
		text, err := spool.Encode(s.status(t, 0))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(s.spool.Path, "status.json"), text[:len(text)/2], 0o640))
	}
	t.Run("that was never good, nothing is answered", func(t *testing.T) {
		t.Parallel()
		s := newSpooled(t)
		spoil(t, s)
		d := s.start(t, nil)
		requireFailing(t, d)
		for _, cert := range []*x509.Certificate{s.fixed, s.revoked} {
			_, err := d.ask(t, s, cert)
			require.Equal(t, ocsp.ResponseError{Status: ocsp.TryLater}, err)
		}
		for _, path := range []string{"/crl/1.crl", "/ca.pem", "/ca/1.der"} {
			code, _ := d.get(t, path)
			require.Equal(t, http.StatusServiceUnavailable, code, path)
		}
		s.write(t, s.status(t, 0))
		d.await(t, "/health", func(code int, _ string) bool { return code == http.StatusOK })
		d.requireState(t, s, s.fixed, ocsp.Good)
		d.stop(t, syscall.SIGINT)
	})
	t.Run("that was good, nobody is told that something is good", func(t *testing.T) {
		t.Parallel()
		s := newSpooled(t)
		s.write(t, s.status(t, 1))
		d := s.start(t, nil)
		d.requireState(t, s, s.changing, ocsp.Revoked)
		spoil(t, s) // it begins like one in which the certificate is good
		requireFailing(t, d)
		d.requireState(t, s, s.changing, ocsp.Revoked)
		d.requireState(t, s, s.revoked, ocsp.Revoked)
		_, err := d.ask(t, s, s.fixed)
		require.Equal(t, ocsp.ResponseError{Status: ocsp.TryLater}, err, "what cannot be read may be a revocation")
		d.stop(t, syscall.SIGTERM)
	})
}

func TestServeRefusesWhatItCannotServe(t *testing.T) {
	t.Parallel()
	program := filepath.Join(expand(t), "bin", "tls-authority")
	for name, args := range map[string][]string{
		"no spool":           {"serve", "--listen", "127.0.0.1:0"},
		"no address":         {"serve", "--spool", t.TempDir()},
		"an unknown address": {"serve", "--spool", t.TempDir(), "--listen", "192.0.2.1:9880"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.Command(program, args...).CombinedOutput()
			require.Error(t, err, "%s", out)
			require.Contains(t, string(out), "Error: ")
		})
	}
}

// TestServeKeepsItsMemory: neither a core dump nor another process of its user
// can read it. /proc shows the latter by giving the process to root, so that
// it must run as somebody else.
func TestServeKeepsItsMemory(t *testing.T) {
	t.Parallel()
	s := newSpooled(t)
	const nobody = 65534
	user := nobody
	if os.Getuid() != 0 {
		user = os.Getuid()
	} else {
		s.spool.Owner = &spool.Owner{UID: nobody, GID: nobody}
	}
	s.write(t, s.status(t, 0))
	d := s.start(t, func(cmd *exec.Cmd) { s.runAs(t, cmd, user) })
	d.requireState(t, s, s.fixed, ocsp.Good)

	process := filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid))
	limits, err := os.ReadFile(filepath.Join(process, "limits"))
	require.NoError(t, err)
	require.Regexp(t, `(?m)^Max core file size +0 +0 +bytes`, string(limits))
	status, err := os.ReadFile(filepath.Join(process, "status"))
	require.NoError(t, err)
	require.Contains(t, string(status), fmt.Sprintf("\nUid:\t%[1]d\t%[1]d\t", user))
	owner, err := os.Stat(filepath.Join(process, "environ"))
	require.NoError(t, err)
	require.Zero(t, owner.Sys().(*syscall.Stat_t).Uid, "it can be dumped")
	d.stop(t, syscall.SIGTERM)
}

// runAs makes a command run as the user, from a folder that the user may enter.
func (s *spooled) runAs(t *testing.T, cmd *exec.Cmd, user int) {
	t.Helper()
	if user == os.Getuid() {
		return
	}
	content, err := os.ReadFile(cmd.Path)
	require.NoError(t, err)
	cmd.Path = filepath.Join(s.spool.Path, "tls-authority")
	require.NoError(t, os.WriteFile(cmd.Path, content, 0o755))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
}

// TestServeHasNoKeyOfTheCA looks into all that the process was given.
func TestServeHasNoKeyOfTheCA(t *testing.T) {
	t.Parallel()
	s := newSpooled(t)
	s.write(t, s.status(t, 0))
	d := s.start(t, nil)
	d.requireState(t, s, s.fixed, ocsp.Good)

	given := s.given(t, d)
	require.Equal(t, []string{filepath.Join(s.spool.Path, "responder.key")}, holders(t, given, s.responderKey), "the search finds keys")
	require.Empty(t, holders(t, given, s.key))
	d.stop(t, syscall.SIGTERM)
}

// holders returns the names of the contents that a key is in.
func holders(t *testing.T, given map[string][]byte, key pki.PrivateKey) []string {
	t.Helper()
	var found []string
	for name, content := range given {
		if slices.ContainsFunc(forms(t, key), func(form []byte) bool { return bytes.Contains(content, form) }) {
			found = append(found, name)
		}
	}
	return found
}

// given returns the content of the process's environment, arguments, open
// files and spool.
func (s *spooled) given(t *testing.T, d *daemon) map[string][]byte {
	t.Helper()
	process := filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid))
	names := []string{filepath.Join(process, "environ"), filepath.Join(process, "cmdline")}
	open, err := os.ReadDir(filepath.Join(process, "fd"))
	if errors.Is(err, fs.ErrPermission) {
		t.Log("the open files of a process that cannot be dumped are shown to root only: they were NOT looked at")
		names = names[1:] // nor is its environment
	} else {
		require.NoError(t, err)
		require.NotEmpty(t, open)
	}
	given := map[string][]byte{}
	for _, entry := range open {
		name := filepath.Join(process, "fd", entry.Name())
		state, err := os.Stat(name)
		if err != nil || !state.Mode().IsRegular() {
			continue
		}
		content, err := os.ReadFile(name)
		if err == nil { // else it is closed by now, as the spool after a look at it
			given[name] = content
		}
	}
	spool, err := filepath.Glob(filepath.Join(s.spool.Path, "*"))
	require.NoError(t, err)
	require.Len(t, spool, 2)
	for _, name := range append(names, spool...) {
		given[name], err = os.ReadFile(name)
		require.NoError(t, err)
	}
	return given
}

// forms are the ways in which a key may be written: the whole key, and what
// lies between the lines of PEM that all keys share.
func forms(t *testing.T, key pki.PrivateKey) [][]byte {
	t.Helper()
	text := key.EncodePEM()
	block, _ := pem.Decode(text)
	require.NotNil(t, block)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	secret := block.Bytes[36 : 36+32] // the scalar of RFC 5915 in PKCS #8, for P-256
	return [][]byte{text, key.EncodeDER(), lines[2], secret, []byte(base64.StdEncoding.EncodeToString(key.EncodeDER()))}
}
