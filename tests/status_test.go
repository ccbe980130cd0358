// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/jujusim"
)

// statusPort is the default of the option status-port.
const statusPort = 9880

// patience is far longer than a daemon needs for anything.
const patience = time.Minute

// subnets gives each test addresses of its own, of the loopback network.
var subnets atomic.Int64

// newServing deploys the charm with its status service on.
func newServing(t *testing.T, units int, options map[string]any) *site {
	t.Helper()
	const first, last = 21, 120 // demonstrations have those above
	subnet := first + subnets.Add(1)%(last-first)
	s := newModel(t, jujusim.Options{Subnet: fmt.Sprintf("127.%d", subnet)}, units)
	require.NoError(t, s.Configure(charm, map[string]any{"status-port": statusPort, "key-type": "ecdsa-p256", "rotation-hold": "0m"}))
	if len(options) > 0 {
		require.NoError(t, s.Configure(charm, options))
	}
	s.settle()
	return s
}

// base is the URL of a unit's status service.
func (s *site) base(unit string) string {
	return "http://" + net.JoinHostPort(s.Address(unit), strconv.Itoa(statusPort))
}

// fetch reads an address of a unit's service.
func (s *site) fetch(unit, path string) (int, []byte) {
	s.t.Helper()
	response, err := http.Get(s.base(unit) + path)
	require.NoError(s.t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response.StatusCode, content
}

// state asks a unit by OCSP.
func (s *site) state(unit string, issuer, leaf *x509.Certificate) *ocsp.Response {
	s.t.Helper()
	request, err := ocsp.CreateRequest(leaf, issuer, nil)
	require.NoError(s.t, err)
	response, err := http.Post(s.base(unit)+"/ocsp", "application/ocsp-request", bytes.NewReader(request))
	require.NoError(s.t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	answer, err := ocsp.ParseResponse(content, issuer)
	if err != nil {
		return nil // it refuses to answer
	}
	return answer
}

// eventually waits until the daemon has taken up what a hook wrote.
func (s *site) eventually(what string, is func() bool) {
	s.t.Helper()
	require.Eventually(s.t, is, patience, 50*time.Millisecond, what)
}

// opensslOCSP asks by the openssl program, which verifies the answer.
func opensslOCSP(t *testing.T, url string, issuer, leaf *x509.Certificate) string {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("NOT VERIFIED by a second TLS stack: openssl is not installed")
	}
	folder := t.TempDir()
	write := func(name string, c *x509.Certificate) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600))
		return path
	}
	ca := write("ca.pem", issuer)
	text, err := exec.Command(program, "ocsp", "-issuer", ca, "-CAfile", ca, "-cert", write("leaf.pem", leaf), "-url", url+"/ocsp", "-no_nonce").CombinedOutput()
	require.NoError(t, err, "%s", text)
	require.Contains(t, string(text), "Response verify OK")
	return string(text)
}

// TestEveryUnitTellsWhatIsRevoked is the promise of the status service, to
// other people's verifiers.
func TestEveryUnitTellsWhatIsRevoked(t *testing.T) {
	t.Parallel()
	s := newServing(t, 3, nil)
	units := []string{charm + "/0", charm + "/1", charm + "/2"}
	csr, _ := newCSR(t, nil)
	other, _ := newCSR(t, named("other.example.com"))
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr), "web/1": csrBag(t, other)})
	leaf, kept := parseOne(t, s.answers(web)[csr].Certificate), parseOne(t, s.answers(web)[other].Certificate)
	root := s.root()
	stranger := *leaf
	stranger.SerialNumber = root.SerialNumber // of another kind: nobody issued it

	all := func(what string, is func(unit string) bool) {
		t.Helper()
		for _, unit := range units {
			s.eventually(what+" on "+unit, func() bool { return is(unit) })
		}
	}
	status := func(c *x509.Certificate, want int) func(string) bool {
		return func(unit string) bool {
			answer := s.state(unit, root, c)
			return answer != nil && answer.Status == want
		}
	}
	all("good", status(leaf, ocsp.Good))
	all("unknown", status(&stranger, ocsp.Unknown))
	for _, unit := range units {
		code, text := s.fetch(unit, "/health")
		require.Equal(t, http.StatusOK, code, "%s", text)
		_, text = s.fetch(unit, "/ca.pem")
		require.Equal(t, root, parseOne(t, string(text)))
		require.Contains(t, opensslOCSP(t, s.base(unit), root, leaf), "good")
	}

	_, failure := s.run(charm+"/0", "revoke-certificate", map[string]any{"serial": serialOf(leaf), "reason": "superseded"})
	require.Empty(t, failure)
	s.settle()
	all("revoked", status(leaf, ocsp.Revoked))
	var lists [][]byte
	for _, unit := range units {
		require.Equal(t, ocsp.Superseded, s.state(unit, root, leaf).RevocationReason)
		require.Contains(t, opensslOCSP(t, s.base(unit), root, leaf), "revoked")
		var list []byte
		s.eventually("the list is there", func() bool {
			_, list = s.fetch(unit, "/crl/1.crl")
			parsed, err := x509.ParseRevocationList(list)
			return err == nil && len(parsed.RevokedCertificateEntries) == 1
		})
		lists = append(lists, list)
	}
	require.Equal(t, lists[0], lists[1])
	require.Equal(t, lists[0], lists[2])
	list, err := x509.ParseRevocationList(lists[0])
	require.NoError(t, err)
	text, err := opensslChecks(t, root, leaf, list)
	require.Error(t, err, text)
	require.Contains(t, text, "certificate revoked")
	text, err = opensslChecks(t, root, kept, list)
	require.NoError(t, err, text)
	all("the replacement is good", status(parseOne(t, s.answers(web)[csr].Certificate), ocsp.Good))

	// After a change of leader the next one signs, and every unit follows.
	require.NoError(t, s.SetLeader(charm+"/2"))
	s.settle()
	_, failure = s.run(charm+"/2", "revoke-certificate", map[string]any{"serial": serialOf(kept), "reason": "key-compromise"})
	require.Empty(t, failure)
	s.settle()
	all("revoked by the next leader", status(kept, ocsp.Revoked))
	all("still revoked", status(leaf, ocsp.Revoked))
	for _, unit := range units {
		require.Contains(t, opensslOCSP(t, s.base(unit), root, kept), "revoked")
	}
	since := len(s.Hooks())
	for _, unit := range units {
		require.NoError(t, s.UpdateStatus(unit))
	}
	require.Zero(t, s.writes(since), "an idle hook writes nothing")

	// A unit that leaves is certified no more, and takes its daemon with it.
	gone := s.base(units[1])
	require.NoError(t, s.RemoveUnit(units[1]))
	s.settle()
	_, err = http.Get(gone + "/live")
	require.Error(t, err)
	require.NotContains(t, s.peerBag()["responders"], units[1])
	requireNoKeyLeaks(t, s)
}

// TestTheServiceIsLookedAfter: what brings it down, and what brings it back.
func TestTheServiceIsLookedAfter(t *testing.T) {
	t.Parallel()
	s := newServing(t, 1, nil)
	unit := charm + "/0"
	live := func() bool {
		response, err := http.Get(s.base(unit) + "/live")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	}
	require.True(t, live())
	require.Equal(t, []string{strconv.Itoa(statusPort) + "/tcp"}, s.OpenedPorts(unit))

	t.Run("a daemon and its Pebble that are killed", func(t *testing.T) {
		for _, pid := range s.processes(unit) {
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		}
		s.eventually("down", func() bool { return !live() })
		require.NoError(t, s.UpdateStatus(unit))
		require.True(t, live())
		s.requireStatus(unit, "active", "root 9y")
	})
	t.Run("options that turn it off and on", func(t *testing.T) {
		s.configure(map[string]any{"status-port": 0})
		s.settle()
		require.False(t, live())
		require.Empty(t, s.processes(unit))
		require.Empty(t, s.OpenedPorts(unit))
		require.NotContains(t, s.peerBag(), "responders")
		s.configure(map[string]any{"status-port": statusPort})
		s.settle()
		require.True(t, live())
	})
	t.Run("a port that somebody else has", func(t *testing.T) {
		s.configure(map[string]any{"status-port": 0})
		s.settle()
		listener, err := net.Listen("tcp", net.JoinHostPort(s.Address(unit), strconv.Itoa(statusPort)))
		require.NoError(t, err)
		s.configure(map[string]any{"status-port": statusPort})
		s.settle()
		s.requireStatus(unit, "active", "status service off: port 9880 is taken")
		csr, _ := newCSR(t, nil)
		web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
		require.Contains(t, s.answers(web), csr, "issuing goes on")
		s.requireStatus(unit, "active", "1 certificate ", "status service off")
		results, _ := s.run(unit, "health-check", nil)
		require.Contains(t, results["findings"], "status service of "+unit+" is off")
		require.NoError(t, listener.Close())
		require.NoError(t, s.UpdateStatus(unit))
		require.True(t, live())
		_, message := s.Status(unit)
		require.NotContains(t, message, "status service")
	})
	t.Run("what it was told that is no status", func(t *testing.T) {
		spool := filepath.Join(s.Directory(), "agents", "unit-"+charm+"-0", "status", "spool", "status.json")
		require.NoError(t, os.WriteFile(spool, []byte("no JSON"), 0o600))
		s.eventually("unhealthy", func() bool { code, _ := s.fetch(unit, "/health"); return code == http.StatusServiceUnavailable })
		_, text := s.fetch(unit, "/health")
		require.Contains(t, string(text), "cannot read status")
		require.NoError(t, s.UpdateStatus(unit))
		s.eventually("healthy again", func() bool { code, _ := s.fetch(unit, "/health"); return code == http.StatusOK })
	})
}

// TestAStatusThatCannotBeWritten: a revocation that the daemon cannot be told of
// must not leave it saying that the certificate is good.
func TestAStatusThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := newServing(t, 1, nil)
	unit := charm + "/0"
	csr, _ := newCSR(t, nil)
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	root, leaf := s.root(), parseOne(t, s.answers(web)[csr].Certificate)
	good := func() bool { answer := s.state(unit, root, leaf); return answer != nil && answer.Status == ocsp.Good }
	s.eventually("good", good)

	// As on a full disk, no new file can be made.
	blocked := filepath.Join(s.Directory(), "agents", "unit-"+charm+"-0", "status", "spool", ".status.json.new", "full")
	require.NoError(t, os.MkdirAll(blocked, 0o700))
	_, failure := s.run(unit, "revoke-certificate", map[string]any{"serial": serialOf(leaf)})
	require.Empty(t, failure)
	s.settle()
	s.eventually("not good", func() bool { return !good() })
	code, text := s.fetch(unit, "/health")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, string(text), "status.json")
	require.Contains(t, s.logText(), "cannot write status.json")

	require.NoError(t, os.RemoveAll(filepath.Dir(blocked)))
	require.NoError(t, s.UpdateStatus(unit))
	s.eventually("revoked", func() bool {
		answer := s.state(unit, root, leaf)
		return answer != nil && answer.Status == ocsp.Revoked
	})
}

// TestTheServiceCostsNoCalls: the budgets of hooks hold with the service on.
func TestTheServiceCostsNoCalls(t *testing.T) {
	t.Parallel()
	s := newServing(t, 2, nil)
	first, _ := newCSR(t, nil)
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, first)})
	etcd := s.relate("etcd", etcdBags(1))
	calls := func(run jujusim.HookRun) int {
		n := 0
		for _, call := range run.Calls {
			if call.Tool != "juju-log" {
				n++
			}
		}
		return n
	}
	since := len(s.Hooks())
	second, _ := newCSR(t, named("second.example.com"))
	require.NoError(t, s.SetBag(web, "web/0", csrBag(t, first, second)))
	s.settle()
	require.NoError(t, s.SetBag(etcd, "etcd/0", map[string]string{"common_name": "10.9.9.9"}))
	s.settle()
	for _, run := range s.Hooks()[since:] {
		require.LessOrEqual(t, calls(run), 12, "%s of %s: %v", run.Hook, run.Unit, run.Calls)
	}
	since = len(s.Hooks())
	require.NoError(t, s.UpdateStatus(charm+"/0"))
	require.NoError(t, s.UpdateStatus(charm+"/1"))
	for _, run := range s.Hooks()[since:] {
		require.LessOrEqual(t, calls(run), 6, "%s: %v", run.Unit, run.Calls)
		require.Zero(t, run.Writes)
	}
}

// processes are what runs with the unit's folder in its environment.
func (s *site) processes(unit string) []int {
	s.t.Helper()
	folder := filepath.Join(s.Directory(), "agents", "unit-"+strings.ReplaceAll(unit, "/", "-"), "status")
	entries, err := os.ReadDir("/proc")
	require.NoError(s.t, err)
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		environ, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err == nil && bytes.Contains(environ, []byte("PEBBLE="+folder)) {
			found = append(found, pid)
		}
	}
	return found
}

// TestTheDaemonSeesNoKeyOfTheCA: neither its files nor its environment nor its
// memory hold one.
func TestTheDaemonSeesNoKeyOfTheCA(t *testing.T) {
	t.Parallel()
	s := newServing(t, 1, nil)
	etcd := s.relate("etcd", etcdBags(1))
	secret := []byte(s.secretOf("ca-1")["private-key"])
	block, _ := pem.Decode(secret)
	require.NotNil(t, block)
	leafKey := []byte(serverPair(s.legacy(etcd), "etcd_0").Key)
	body := bytes.Split(bytes.TrimSpace(secret), []byte("\n"))[1]
	state := filepath.Join(s.Directory(), "agents", "unit-"+charm+"-0", "status")
	pids := s.processes(charm + "/0")
	require.Len(t, pids, 2)
	require.NoError(t, filepath.WalkDir(state, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, key := range [][]byte{secret, body, block.Bytes, leafKey} {
			require.False(t, bytes.Contains(content, key), "%s holds a key", path)
		}
		return nil
	}))
	for name, mode := range map[string]os.FileMode{"": 0o700, "spool": 0o700, "spool/responder.key": 0o600} {
		info, err := os.Stat(filepath.Join(state, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
	for _, pid := range pids {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		require.NoError(t, err)
		require.NotContains(t, string(environ), "JUJU")
		// What Go calls private is what the kernel maps: the whole of it.
		memory := readMemory(t, pid)
		for _, key := range [][]byte{secret, body, block.Bytes, leafKey} {
			require.False(t, bytes.Contains(memory, key), "process %d holds a key", pid)
		}
	}
}

// readMemory is all that a process can write to, as the kernel shows it to its
// parent or root; others see nothing, and the test says so.
func readMemory(t *testing.T, pid int) []byte {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil || len(maps) == 0 {
		t.Skipf("NOT LOOKED INTO the memory of the daemon: %v", err)
	}
	file, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skipf("NOT LOOKED INTO the memory of the daemon: %v", err)
	}
	defer file.Close()
	var memory []byte
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		const most = 64 << 20
		part := make([]byte, min(to-from, most))
		n, _ := file.ReadAt(part, from) // parts that were given back cannot be read
		memory = append(memory, part[:n]...)
	}
	require.NotEmpty(t, memory)
	return memory
}

// TestLinksAreWrittenWhereTheOperatorWants: and lead to the service.
func TestLinksAreWrittenWhereTheOperatorWants(t *testing.T) {
	t.Parallel()
	s := newServing(t, 1, nil)
	csr, _ := newCSR(t, nil)
	web := s.relate("web", map[string]map[string]string{"web/0": csrBag(t, csr)})
	plain := parseOne(t, s.answers(web)[csr].Certificate)
	require.Empty(t, plain.OCSPServer)
	require.Empty(t, plain.CRLDistributionPoints)
	base := s.base(charm + "/0")
	s.configure(map[string]any{"status-url": base + "/"})
	s.settle()
	require.Equal(t, plain, parseOne(t, s.answers(web)[csr].Certificate), "what was issued stays")

	other, _ := newCSR(t, named("other.example.com"))
	require.NoError(t, s.SetBag(web, "web/0", csrBag(t, csr, other)))
	etcd := s.relate("etcd", etcdBags(1))
	root := s.root()
	for _, leaf := range []*x509.Certificate{parseOne(t, s.answers(web)[other].Certificate), serverPair(s.legacy(etcd), "etcd_0").leaf(t)} {
		require.Equal(t, []string{base + "/ocsp"}, leaf.OCSPServer)
		require.Equal(t, []string{base + "/ca/1.der"}, leaf.IssuingCertificateURL)
		require.Equal(t, []string{base + "/crl/1.crl"}, leaf.CRLDistributionPoints)
		requireServer(t, root, leaf)
		s.eventually("good", func() bool {
			answer := s.state(charm+"/0", root, leaf)
			return answer != nil && answer.Status == ocsp.Good
		})
	}
	_, der := s.fetch(charm+"/0", "/ca/1.der")
	require.Equal(t, root.Raw, der)
	_, der = s.fetch(charm+"/0", "/crl/1.crl")
	list, err := x509.ParseRevocationList(der)
	require.NoError(t, err)
	require.NoError(t, list.CheckSignatureFrom(root))
	issued, failure := s.run(charm+"/0", "issue-certificate", map[string]any{"common-name": "ops.example.com"})
	require.Empty(t, failure)
	require.NotEmpty(t, parseOne(t, issued["certificate"]).CRLDistributionPoints)
	var health struct{ Status string }
	_, text := s.fetch(charm+"/0", "/health")
	require.NoError(t, json.Unmarshal(text, &health))
	require.Equal(t, "ok", health.Status)
}

// TestTheLogGoesToLoki: what the daemon logs is pushed to the Loki that is
// related, with the labels by which the stack finds the unit.
func TestTheLogGoesToLoki(t *testing.T) {
	t.Parallel()
	pushed := make(chan map[string]string, 1000)
	loki := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Streams []struct {
				Stream map[string]string `json:"stream"`
			} `json:"streams"`
		}
		if json.NewDecoder(r.Body).Decode(&body) == nil && len(body.Streams) > 0 {
			pushed <- body.Streams[0].Stream
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer loki.Close()
	s := newServing(t, 1, nil)
	require.NoError(t, s.AddStandIn("loki", 1))
	relation, err := s.Relate(charm+":logging", "loki:logging")
	require.NoError(t, err)
	require.NoError(t, s.SetBag(relation, "loki/0", map[string]string{"endpoint": `{"url":"` + loki.URL + `/loki/api/v1/push"}`}))
	s.settle()
	var labels map[string]string
	s.eventually("a line is pushed", func() bool {
		// Each hook tells the daemon something, which it logs.
		require.NoError(t, s.UpdateStatus(charm+"/0"))
		select {
		case labels = <-pushed:
			return true
		default:
			return false
		}
	})
	require.Equal(t, charm+"/0", labels["juju_unit"])
	require.Equal(t, charm, labels["juju_application"])
	require.Equal(t, s.UUID(), labels["juju_model_uuid"])

	require.NoError(t, s.RemoveRelation(relation))
	s.settle()
	for len(pushed) > 0 {
		<-pushed
	}
	require.NoError(t, s.UpdateStatus(charm+"/0"))
	code, _ := s.fetch(charm+"/0", "/live")
	require.Equal(t, http.StatusOK, code)
}
