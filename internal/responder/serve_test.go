// SPDX-License-Identifier: GPL-3.0-only

package responder_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/responder"
)

// serve runs the daemon on a port of its own until the test ends.
func serve(t *testing.T, server *responder.Server) (address string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-served
	})
	t.Cleanup(func() { _ = stop() })
	return listener.Addr().String(), stop
}

func TestServeStops(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	address, stop := serve(t, a.start(t, a.status(t), &at))
	response, err := http.Get("http://" + address + "/ca.pem")
	require.NoError(t, err)
	require.NotEmpty(t, read(t, response))
	require.NoError(t, stop())
	_, err = net.Dial("tcp", address)
	require.Error(t, err)
}

// TestServeFinishes stops the daemon in the middle of a request.
func TestServeFinishes(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	address, stop := serve(t, a.start(t, a.status(t), &at))
	request := requestFor(t, a.good, a.issuer.Certificate(), nil)
	connection, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer connection.Close()
	fmt.Fprintf(connection, "POST /ocsp HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(request))
	reader := bufio.NewReader(connection)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue", "the daemon waits for the request")

	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until nobody is let in any more
		another, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		another.Close()
	}
	_, err = connection.Write(request)
	require.NoError(t, err)
	_, err = reader.ReadString('\n') // the end of the first answer
	require.NoError(t, err)
	response, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	answer, err := ocsp.ParseResponse(read(t, response), a.issuer.Certificate())
	require.NoError(t, err)
	require.Equal(t, ocsp.Good, answer.Status)
	require.NoError(t, <-stopped)
}

func TestServeFails(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	server := a.start(t, a.status(t), &at)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.ErrorContains(t, server.Serve(t.Context(), listener), "cannot serve: ")
}

// TestServeFollowsTheSpool waits for the daemon to notice by itself.
func TestServeFollowsTheSpool(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	status := a.status(t)
	address, _ := serve(t, a.start(t, status, &at))
	status.Generations[0].CRL = a.newList(t, 2, a.good)
	require.NoError(t, a.spool.WriteStatus(status))
	for {
		response, err := http.Get("http://" + address + "/crl/1.crl")
		require.NoError(t, err)
		if bytes.Equal(status.Generations[0].CRL, read(t, response)) {
			return
		}
	}
}

// TestServeOddConnections speaks without a client that would mend anything.
func TestServeOddConnections(t *testing.T) {
	t.Parallel()
	at, a := now, newAuthority(t, now)
	address, _ := serve(t, a.start(t, a.status(t), &at))
	ask := func(text string) (*http.Response, error) {
		connection, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer connection.Close()
		_, err = io.WriteString(connection, text)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(response.Body)
		response.Body = io.NopCloser(bytes.NewReader(content))
		return response, err
	}
	t.Run("two slashes in the path are not cleaned away", func(t *testing.T) {
		t.Parallel()
		// A serial number is looked for whose request has two slashes.
		ca := a.issuer.Certificate()
		for n := range 100_000 {
			cert := &x509.Certificate{SerialNumber: big.NewInt(int64(n) + 1)}
			request := requestFor(t, cert, ca, nil)
			text := base64.StdEncoding.EncodeToString(request)
			if !strings.Contains(text, "//") {
				continue
			}
			response, err := ask("GET /ocsp/" + text + " HTTP/1.0\r\n\r\n")
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, response.StatusCode)
			answer, err := ocsp.ParseResponse(read(t, response), ca)
			require.NoError(t, err)
			require.Equal(t, cert.SerialNumber, answer.SerialNumber)
			return
		}
		t.Fatal("no such request was found")
	})
	t.Run("a header that does not end", func(t *testing.T) {
		t.Parallel()
		response, err := ask("GET /ca.pem HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 32<<10) + "\r\n\r\n")
		if err == nil { // the connection may be reset before the answer is read
			require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
		}
	})
	t.Run("a body that is longer than it may be", func(t *testing.T) {
		t.Parallel()
		response, err := ask("POST /ocsp HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3000\r\n" + strings.Repeat("x", 0x3000) + "\r\n0\r\n\r\n")
		require.NoError(t, err)
		require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
	})
	t.Run("no http", func(t *testing.T) {
		t.Parallel()
		response, err := ask("\x16\x03\x01\x00\x05hello\r\n\r\n")
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, response.StatusCode)
	})
}
