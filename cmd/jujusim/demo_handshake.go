// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"time"
)

// handshake is one attempt of a client to reach a server over mutual TLS, and
// whether it ended as it should.
type handshake struct {
	Name     string `json:"name"`
	Accepted bool   `json:"accepted"`
	Wanted   bool   `json:"wanted"`
	Detail   string `json:"detail"`
}

// handshakeTimeout bounds one attempt over loopback, so that a fault shows as
// a refusal and not as a demo that stands still.
const handshakeTimeout = 10 * time.Second

// shakeHands plays the API server and its client over loopback: what a client
// certificate is good for, and what it is not good for.
func shakeHands(issued []certificate) []handshake {
	server, client := find(issued, "10.0.0.5"), find(issued, "system:kube-apiserver")
	if server == nil || client == nil {
		return []handshake{{Name: "the control plane has both of its certificates", Wanted: true, Detail: "one is missing"}}
	}
	byName := &tls.Config{RootCAs: server.roots, ServerName: "127.0.0.1"}
	withCertificate := byName.Clone()
	withCertificate.Certificates = []tls.Certificate{client.pair}
	return []handshake{
		attempt("client certificate presented by the client", true, *server, withCertificate),
		attempt("no client certificate", false, *server, byName),
		attempt("client certificate presented by the server", false, *client, byUsage(*client)),
	}
}

// byUsage is a client that checks everything but the server's name. A client
// certificate has no name to check; left to that, a refusal would not show
// that its usage is what forbids it.
func byUsage(client certificate) *tls.Config {
	return &tls.Config{
		Certificates:       []tls.Certificate{client.pair},
		InsecureSkipVerify: true, // VerifyConnection verifies all but the name
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots:     client.roots,
				KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			})
			return err
		},
	}
}

// find is the certificate with a common name; nil when there is none.
func find(issued []certificate, commonName string) *certificate {
	for i := range issued {
		if issued[i].leaf.Subject.CommonName == commonName {
			return &issued[i]
		}
	}
	return nil
}

// attempt lets a client call a server that demands a client certificate.
func attempt(name string, wanted bool, server certificate, client *tls.Config) handshake {
	h := handshake{Name: name, Wanted: wanted}
	detail, err := connect(server, client)
	if err != nil {
		h.Detail = err.Error()
		return h
	}
	h.Accepted, h.Detail = true, detail
	return h
}

// connect makes the handshake and carries one byte each way: under TLS 1.3 a
// client learns of the server's refusal only with the first read.
func connect(server certificate, client *tls.Config) (string, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return "", err
	}
	defer listener.Close()
	if err := listener.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return "", err
	}
	served := make(chan error, 1)
	go func() { served <- echoOne(listener, server) }()

	detail, clientErr := call(listener.Addr().String(), client)
	serverErr := <-served
	switch {
	case clientErr != nil && serverErr != nil:
		return "", fmt.Errorf("server: %v; client: %w", serverErr, clientErr)
	case clientErr != nil:
		return "", fmt.Errorf("client: %w", clientErr)
	case serverErr != nil:
		return "", fmt.Errorf("server: %w", serverErr)
	}
	return detail, nil
}

// echoOne takes one connection and sends back the byte that it gets.
func echoOne(listener net.Listener, server certificate) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	secured := tls.Server(conn, &tls.Config{
		Certificates: []tls.Certificate{server.pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    server.roots,
	})
	if err := secured.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	buffer := make([]byte, 1)
	if _, err := io.ReadFull(secured, buffer); err != nil {
		return err
	}
	_, err = secured.Write(buffer)
	return err
}

func call(address string, config *tls.Config) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte{1}); err != nil {
		return "", err
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return "", err
	}
	state := conn.(*tls.Conn).ConnectionState()
	return fmt.Sprintf("%s, %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)), nil
}
