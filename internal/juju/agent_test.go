// SPDX-License-Identifier: GPL-3.0-only

package juju_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
)

const (
	contextID = "goca/0-certificates-relation-changed-5f0123456789abcdef0123456789abcd"
	// toolSocket tells the test binary, run as a tool, where its agent is.
	// Juju's own tools read JUJU_AGENT_SOCKET_ADDRESS; a test of Connect needs
	// that to be wrong while the tools still work.
	toolSocket = "TEST_TOOL_SOCKET"
	// printEnviron is a tool of these tests: it prints how it was run.
	printEnviron = "print-environ"
)

// tools are the names under which the test binary behaves as a hook tool.
func tools() []string {
	return []string{
		"is-leader", "config-get", "network-get", "opened-ports", "open-port", "close-port", "juju-log", "status-get", "status-set",
		"relation-ids", "relation-list", "relation-get", "relation-set",
		"secret-get", "secret-info-get", "secret-add", "secret-remove",
		"action-get", "action-set", "action-fail", "action-log", printEnviron,
	}
}

func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if slices.Contains(tools(), name) {
		os.Exit(runTool(name))
	}
	os.Exit(m.Run())
}

// runTool does what Juju's jujuc does: it calls the agent, and once more with
// its standard input when the agent asks for that.
func runTool(name string) int {
	dir, err := os.Getwd()
	if err != nil {
		return failTool(err)
	}
	if name == printEnviron {
		err = json.NewEncoder(os.Stdout).Encode(append(os.Environ(), dir))
		if err != nil {
			return failTool(err)
		}
		return 0
	}
	client, err := rpc.Dial("unix", os.Getenv(toolSocket))
	if err != nil {
		return failTool(err)
	}
	request := juju.Request{
		ContextId:   os.Getenv("JUJU_CONTEXT_ID"),
		Dir:         dir,
		CommandName: name,
		Args:        os.Args[1:],
		Token:       os.Getenv("JUJU_AGENT_TOKEN"),
	}
	var response juju.Response
	err = client.Call(juju.ServiceMethod, request, &response)
	if err != nil && err.Error() == juju.NeedsStdin {
		request.StdinSet = true
		request.Stdin, err = io.ReadAll(os.Stdin)
		if err != nil {
			return failTool(err)
		}
		err = client.Call(juju.ServiceMethod, request, &response)
	}
	if err != nil {
		return failTool(err)
	}
	os.Stdout.Write(response.Stdout)
	os.Stderr.Write(response.Stderr)
	return response.Code
}

func failTool(err error) int {
	fmt.Fprintln(os.Stderr, "ERROR "+err.Error())
	return 1
}

// toolFolder makes a folder with the test binary under every tool's name.
func toolFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	program, err := os.Executable()
	require.NoError(t, err)
	for _, name := range tools() {
		err := os.Symlink(program, filepath.Join(folder, name))
		require.NoError(t, err)
	}
	return folder
}

// agent is the unit agent's side of the socket. It keeps every request and
// answers by a function of the test.
type agent struct {
	address string
	answer  func(juju.Request) juju.Response

	mu          sync.Mutex
	requests    []juju.Request
	connections []net.Conn
}

// service keeps the methods of agent from the RPC server, except one.
type service struct{ agent *agent }

func (s service) Main(request juju.Request, response *juju.Response) error {
	if request.ContextId != contextID {
		return fmt.Errorf("bad request: wrong context ID; got %q", request.ContextId)
	}
	if slices.Contains(request.Args, "--file") && !request.StdinSet {
		return errors.New(juju.NeedsStdin)
	}
	s.agent.mu.Lock()
	s.agent.requests = append(s.agent.requests, request)
	s.agent.mu.Unlock()
	*response = s.agent.answer(request)
	return nil
}

// hangUp ends all connections, whatever is under way on them.
func (a *agent) hangUp() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, connection := range a.connections {
		connection.Close()
	}
}

// calls returns what arrived after the probe of Connect, which never comes as
// a program.
func (a *agent) calls(t *testing.T, transport string) []juju.Request {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if transport == "exec" {
		return slices.Clone(a.requests)
	}
	require.NotEmpty(t, a.requests)
	require.Equal(t, "is-leader", a.requests[0].CommandName)
	return slices.Clone(a.requests[1:])
}

func startAgent(t *testing.T, answer func(juju.Request) juju.Response) *agent {
	t.Helper()
	a := &agent{answer: answer}
	a.address = listen(t, func(connection net.Conn) {
		a.mu.Lock()
		a.connections = append(a.connections, connection)
		a.mu.Unlock()
		server := rpc.NewServer()
		err := server.RegisterName("Jujuc", service{a})
		if err != nil {
			panic(err)
		}
		server.ServeConn(connection)
	})
	return a
}

// listen serves connections to a unix socket until the test ends. Its folder
// has a short name, as a socket's path has 107 bytes at most.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "j")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	address := filepath.Join(folder, "agent.socket")
	listener, err := net.Listen("unix", address)
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(connection)
		}
	}()
	return address
}

// environ is what a hook sees, as far as a transport needs it.
func environ(network, address, path string, a *agent) []string {
	return []string{
		"JUJU_CONTEXT_ID=" + contextID,
		"JUJU_AGENT_SOCKET_NETWORK=" + network,
		"JUJU_AGENT_SOCKET_ADDRESS=" + address,
		"JUJU_AGENT_TOKEN=token of the agent",
		"PATH=relative:" + filepath.Join(path, "missing") + ":" + path,
		"LANG=C.UTF-8",
		"EMPTY=",
		toolSocket + "=" + a.address,
		// The test binary as a tool neither lingers when built with -race nor
		// warns when built with -cover.
		"GORACE=atexit_sleep_ms=0",
		"GOCOVERDIR=" + path,
	}
}

// connect makes a runner that reaches the agent over the transport.
func connect(t *testing.T, transport string, a *agent) (runner juju.Runner, dir string) {
	t.Helper()
	network, address := "unix", a.address
	if transport == "exec" {
		network, address = "tcp", "127.0.0.1:1"
	}
	dir = t.TempDir()
	runner, err := juju.Connect(context.Background(), environ(network, address, toolFolder(t), a), dir)
	require.NoError(t, err)
	closer, persistent := runner.(io.Closer)
	require.Equal(t, transport == "rpc", persistent)
	if persistent {
		t.Cleanup(func() { closer.Close() })
		_, _ = juju.NewClient(runner, "").IsLeader(context.Background()) // the probe answers this once
	}
	return runner, dir
}

// eachTransport runs a test over both.
func eachTransport(t *testing.T, test func(t *testing.T, transport string)) {
	for _, transport := range []string{"rpc", "exec"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			test(t, transport)
		})
	}
}

// says is the answer of a tool that succeeds.
func says(stdout string) juju.Response {
	return juju.Response{Stdout: []byte(stdout)}
}

// fails is the answer of a tool that fails, in Juju's form.
func fails(code int, text string) juju.Response {
	return juju.Response{Code: code, Stderr: []byte("ERROR " + text + "\n")}
}

// runnerFunc is a Runner for tests that look at commands only.
type runnerFunc func(juju.Command) ([]byte, error)

func (f runnerFunc) Run(_ context.Context, c juju.Command) ([]byte, error) {
	stdout, err := f(c)
	if err != nil || c.Stdout == nil {
		return stdout, err
	}
	return nil, c.Stdout(bytes.NewReader(stdout), 0)
}
