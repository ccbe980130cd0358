// SPDX-License-Identifier: GPL-3.0-only

package hooktools_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/juju/cmd/v3"
	jujuerrors "github.com/juju/errors"
	"github.com/juju/juju/juju/sockets"
	"github.com/juju/juju/worker/uniter/runner/jujuc"

	"tls-authority/internal/jujusim"
)

// serveSocket serves Juju's tools on the socket of a hook's unit, where a charm may
// call them itself. It is meant for jujusim.Options.
func serveSocket(hook jujusim.HookContext) (environ []string, stop func(), err error) {
	stop, err = serve(hook, sockets.Socket{Network: "unix", Address: hook.Socket()}, "", "rpc")
	return nil, stop, err
}

// servePrograms serves Juju's tools over TLS and TCP with a token, as agents
// outside of the charm's pod did: the charm then
// calls the programs on PATH. It is meant for jujusim.Options.
func servePrograms(hook jujusim.HookContext) (environ []string, stop func(), err error) {
	application, _, _ := strings.Cut(hook.Unit(), "/")
	certificate, authority, err := newCertificate(application)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot serve hook tools over TLS: %w", err)
	}
	trust, token := filepath.Join(filepath.Dir(hook.Socket()), "ca.crt"), rand.Text()
	err = os.WriteFile(trust, authority, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot serve hook tools over TLS: %w", err)
	}
	// The server does not tell its port, so that one has to be chosen before:
	// somebody else may take it meanwhile.
	const tries = 20
	for range tries {
		socket := sockets.Socket{Network: "tcp", TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
		socket.Address, err = freeAddress()
		if err == nil {
			stop, err = serve(hook, socket, token, "exec")
		}
		if err == nil {
			return []string{
				"JUJU_AGENT_SOCKET_ADDRESS=" + socket.Address, "JUJU_AGENT_SOCKET_NETWORK=tcp",
				"JUJU_AGENT_CA_CERT=" + trust, "JUJU_AGENT_TOKEN=" + token,
			}, stop, nil
		}
	}
	return nil, nil, err
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func serve(hook jujusim.HookContext, socket sockets.Socket, token, transport string) (stop func(), err error) {
	tools := func(id, name string) (cmd.Command, error) {
		if id != hook.ID() { // worker/uniter/uniter.go
			return nil, jujuerrors.Errorf("wrong context ID; got %q", id)
		}
		command, err := jujuc.NewCommand(&toolContext{hook: hook}, name)
		if err != nil {
			return nil, err
		}
		return &recorded{Command: command, hook: hook, call: jujusim.Call{Tool: name, Transport: transport}}, nil
	}
	server, err := jujuc.NewServer(tools, socket, token)
	if err != nil {
		return nil, fmt.Errorf("cannot serve hook tools: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run() }()
	return func() {
		server.Close() // waits for whoever is still connected
		<-ended
	}, nil
}

// recorded notes in the model's record that a tool was run.
type recorded struct {
	cmd.Command
	hook jujusim.HookContext
	call jujusim.Call
}

func (r *recorded) Init(args []string) error {
	r.call.Args = args // without flags, which are parsed by now
	err := r.Command.Init(args)
	if err != nil {
		r.record(2, err)
	}
	return err
}

func (r *recorded) Run(ctx *cmd.Context) error {
	err := r.Command.Run(ctx)
	switch {
	case err == nil:
		r.record(0, nil)
	case jujuerrors.Cause(err) != jujuc.ErrNoStdin: // it is run again
		r.record(1, err)
	}
	return err
}

func (r *recorded) record(code int, err error) {
	r.call.Code = code
	if err != nil {
		r.call.Error = "ERROR " + err.Error() + "\n"
	}
	r.hook.Record(r.call)
}

// newCertificate makes the agent's certificate, which is also what it is
// verified with.
func newCertificate(name string) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template(name), template(name), key.Public(), key)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private, keyErr := x509.MarshalPKCS8PrivateKey(key)
	if err = errors.Join(err, keyErr); err != nil {
		return tls.Certificate{}, nil, err
	}
	certificate, err := tls.X509KeyPair(authority, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	return certificate, authority, err
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
}
