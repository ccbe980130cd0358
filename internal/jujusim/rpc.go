// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"tls-authority/internal/juju"
)

// shimMethod is served beside Juju's method and used by Shim, which is how
// the record tells the two transports apart, and what is left in an ExecOnly
// model.
const shimMethod = "Shim.Main"

// server serves the tools of one hook on its unit's socket.
type server struct {
	context  *hookContext
	listener net.Listener
	wait     sync.WaitGroup

	mu          sync.Mutex
	closed      bool
	connections map[net.Conn]bool
}

// door is one connection's RPC service, under one of its names. A connection
// has its own so that a killed charm's can be cut.
type door struct {
	server     *server
	connection net.Conn
	transport  string
}

// serveTools serves a hook's tools, or has them served by Options.Serve.
func (m *Model) serveTools(c *hookContext) (environ []string, stop func(), err error) {
	if m.options.Serve != nil {
		return m.options.Serve(HookContext{c})
	}
	server, err := m.serve(c)
	if err != nil {
		return nil, nil, err
	}
	return nil, server.close, nil
}

// serve starts to serve a hook's tools.
func (m *Model) serve(c *hookContext) (*server, error) {
	path := c.unit.socket()
	_ = os.Remove(path) // left by nobody but a crashed test
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for hook tools: %w", err)
	}
	err = os.Chmod(path, 0o700)
	if err != nil {
		listener.Close()
		return nil, fmt.Errorf("cannot listen for hook tools: %w", err)
	}
	s := &server{context: c, listener: listener, connections: map[net.Conn]bool{}}
	m.mu.Lock()
	c.cut = s.cut
	m.mu.Unlock()
	s.wait.Add(1)
	go s.accept(m.options.ExecOnly)
	return s, nil
}

func (s *server) accept(execOnly bool) {
	defer s.wait.Done()
	for {
		connection, err := s.listener.Accept()
		if err != nil {
			return // the listener is closed
		}
		if !s.keep(connection) {
			connection.Close()
			continue
		}
		services := rpc.NewServer()
		shim, _, _ := strings.Cut(shimMethod, ".")
		agent, _, _ := strings.Cut(juju.ServiceMethod, ".")
		// Registering fails only for a type without suitable methods.
		_ = services.RegisterName(shim, &door{s, connection, "exec"})
		if !execOnly {
			_ = services.RegisterName(agent, &door{s, connection, "rpc"})
		}
		s.wait.Add(1)
		go func() {
			defer s.wait.Done()
			services.ServeConn(connection)
			s.forget(connection)
		}()
	}
}

func (s *server) keep(connection net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.connections[connection] = true
	}
	return !s.closed
}

func (s *server) forget(connection net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, connection)
}

// cut breaks every connection and refuses new ones.
func (s *server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for connection := range s.connections {
		connection.Close()
	}
}

// close ends the service and waits for calls that are under way.
func (s *server) close() {
	s.listener.Close()
	s.cut()
	s.wait.Wait()
}

// Main runs one hook tool (runner/jujuc/server.go). Failures of the tool are
// in the response; an error means that it was not run.
func (d *door) Main(request juju.Request, response *juju.Response) error {
	c := d.server.context
	c.serving.Lock()
	defer c.serving.Unlock()
	err := c.call(request, response, d.transport)
	if errors.Is(err, errHungUp) {
		d.connection.Close()
	}
	return err
}

var (
	errKilled = errors.New("the charm was killed")
	errHungUp = errors.New("the agent hung up")
)

func (c *hookContext) call(request juju.Request, response *juju.Response, transport string) error {
	m := c.model
	m.mu.Lock()
	t, err := c.admit(request)
	if err != nil {
		m.mu.Unlock()
		return err
	}
	i := &invocation{hookContext: c, request: request}
	run, parseErr := i.parse(t)
	if errors.Is(parseErr, errNeedsStdin) {
		m.mu.Unlock()
		return errNeedsStdin
	}
	record := Call{
		Unit: c.unit.name, Hook: c.hookOrAction(), Attempt: c.attempt(), Index: len(c.calls),
		Tool: request.CommandName, Args: request.Args, Stdin: request.Stdin, Transport: transport,
	}
	c.calls = append(c.calls, record)
	ask := m.intervene
	m.mu.Unlock()

	decision := Intervention{}
	if ask != nil {
		decision = ask(record.clone())
	}
	if decision.Meanwhile != nil {
		decision.Meanwhile()
	}
	switch decision.Verdict {
	case KillCharm:
		c.die()
		return errKilled
	case HangUp:
		return errHungUp
	}
	m.mu.Lock()
	if c.ended {
		m.mu.Unlock()
		return errKilled
	}
	if decision.Verdict == Fail {
		i.fail(max(1, decision.Code), errors.New(decision.Stderr))
	} else {
		i.run(t, run, parseErr)
	}
	made := &c.calls[record.Index]
	made.Code, made.StdoutBytes, made.Error = i.code, i.stdout.Len(), i.stderr.String()
	m.mu.Unlock()
	*response = juju.Response{Code: i.code, Stdout: i.stdout.Bytes(), Stderr: i.stderr.Bytes()}
	switch decision.Verdict {
	case KillAfter:
		c.die()
		return errKilled
	case HangUpAfter:
		return errHungUp
	case Truncate:
		response.Stdout = response.Stdout[:len(response.Stdout)/2]
	case Garble:
		response.Stdout = []byte(garbage)
	}
	return nil
}

// garbage is no text in any encoding, and begins nothing that JSON or YAML has.
const garbage = "\x00\xff\xfe{[\x80"

// admit checks a request as the agent does, in its order.
func (c *hookContext) admit(request juju.Request) (tool, error) {
	switch {
	case request.Token != "":
		return tool{}, errors.New("bad request: token does not match")
	case request.CommandName == "":
		return tool{}, errors.New("bad request: command not specified")
	case !filepath.IsAbs(request.Dir):
		return tool{}, errors.New("bad request: Dir is not absolute")
	case request.ContextId != c.id || c.ended:
		return tool{}, fmt.Errorf("bad request: wrong context ID; got %q", request.ContextId)
	}
	t, found := toolTable[request.CommandName]
	if !found || !t.isIn(c.model.version) {
		return tool{}, fmt.Errorf("bad request: unknown command: %s", request.CommandName)
	}
	return t, nil
}

// die kills the charm in the middle of a call.
func (c *hookContext) die() {
	c.model.mu.Lock()
	c.killed, c.ended = true, true
	kill := c.kill
	c.model.mu.Unlock()
	kill()
	c.breakOff()
}

// breakOff cuts the charm's connections.
func (c *hookContext) breakOff() {
	c.model.mu.Lock()
	c.ended = true
	cut := c.cut
	c.model.mu.Unlock()
	cut()
}

func (c *hookContext) hookOrAction() string {
	if c.action != nil {
		return c.action.name
	}
	return c.event.name()
}
