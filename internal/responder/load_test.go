// SPDX-License-Identifier: GPL-3.0-only

package responder_test

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"tls-authority/internal/pki"
	"tls-authority/internal/spool"
)

// TestManyClients has 64 clients ask 10,000 times while hooks rewrite the
// spool. Every answer is whole, of a status that was written, and right about
// the certificates whose state does not change.
func TestManyClients(t *testing.T) {
	t.Parallel()
	const clients, requests, versions = 64, 10_000, 8
	at, a := now, newAuthority(t, now)
	k := newKnowledge(t, a)
	var statuses []spool.Status
	for n := range versions {
		statuses = append(statuses, k.status(t, n))
	}
	server := a.start(t, statuses[0], &at)
	address, stop := serve(t, server)

	// A hook runs after every hundredth request.
	due := make(chan int, requests/100)
	var hooks, all sync.WaitGroup
	hooks.Go(func() {
		for n := range due {
			if err := a.spool.WriteStatus(statuses[n%versions]); err != nil {
				t.Error(err)
			}
			server.Reload()
		}
	})
	for n := range clients {
		c, err := newClient(address, k)
		require.NoError(t, err)
		all.Go(func() {
			defer c.connection.Close()
			for m := n; m < requests; m += clients {
				if m%100 == 0 {
					due <- m / 100
				}
				if err := c.ask(m); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	close(due)
	hooks.Wait()
	require.NoError(t, a.spool.WriteStatus(statuses[1]))
	server.Reload()
	a.requireState(t, server, k.changing, ocsp.Revoked)
	requireHealth(t, server)
	require.NoError(t, stop())
}

// knowledge is what may be answered. It changes only while a test is set up.
type knowledge struct {
	authority *authority
	changing  *x509.Certificate // revoked in every second version
	questions []question
	lists     map[string]bool
	seen      sync.Map // good answers by their bytes: each is verified once
}

// question is an OCSP request with the states of which one is the answer.
type question struct {
	request []byte
	states  []int
}

func newKnowledge(t *testing.T, a *authority) *knowledge {
	t.Helper()
	k := &knowledge{authority: a, changing: a.newLeaf(t, "changing"), lists: map[string]bool{}}
	for _, q := range []struct {
		cert   *x509.Certificate
		states []int
	}{
		{a.good, []int{ocsp.Good}}, {a.revoked, []int{ocsp.Revoked}}, {a.unknown, []int{ocsp.Unknown}}, {k.changing, []int{ocsp.Good, ocsp.Revoked}},
	} {
		k.questions = append(k.questions, question{requestFor(t, q.cert, a.issuer.Certificate(), nil), q.states})
	}
	return k
}

func (k *knowledge) status(t *testing.T, version int) spool.Status {
	t.Helper()
	status, entry, revoked := k.authority.status(t), issued(k.changing), []*x509.Certificate{k.authority.revoked}
	if version%2 == 1 {
		entry.Revoked = &spool.Revoked{At: now, Reason: pki.Superseded}
		revoked = append(revoked, k.changing)
	}
	status.Generations[0].CRL = k.authority.newList(t, int64(version+1), revoked...)
	status.Generations[0].Issued = append(status.Generations[0].Issued, entry)
	k.lists[string(status.Generations[0].CRL)] = true
	return status
}

// client has one connection, and is cheaper than that of net/http.
type client struct {
	*knowledge
	connection net.Conn
	reader     *bufio.Reader
}

func newClient(address string, k *knowledge) (*client, error) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{k, connection, bufio.NewReader(connection)}, nil
}

// ask makes the nth request: by turns OCSP by POST and GET, the list, and the
// rest.
func (c *client) ask(n int) error {
	q := c.questions[n/8%4]
	switch n % 8 {
	case 0, 1, 2:
		return c.checkAnswer(q, fmt.Sprintf("POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(q.request), q.request))
	case 3, 4:
		return c.checkAnswer(q, "GET /ocsp/"+base64.StdEncoding.EncodeToString(q.request)+" HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	path := []string{"/ca.pem", "/health", "/metrics", "/ca.der"}[n/8%4]
	if n%8 < 7 {
		path = "/crl/1.crl"
	}
	content, err := c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
	switch {
	case err != nil:
		return err
	case path == "/crl/1.crl" && !c.lists[string(content)]:
		return fmt.Errorf("a list of %d bytes that nobody signed", len(content))
	case path == "/ca.der" && !bytes.Equal(content, c.authority.issuer.Certificate().Raw):
		return fmt.Errorf("a certificate of %d bytes", len(content))
	}
	return nil
}

func (c *client) send(request string) ([]byte, error) {
	if _, err := io.WriteString(c.connection, request); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, content)
	}
	return content, err
}

func (c *client) checkAnswer(q question, request string) error {
	content, err := c.send(request)
	if err != nil {
		return err
	}
	state, known := c.seen.Load(string(content))
	if !known {
		answer, err := ocsp.ParseResponse(content, c.authority.issuer.Certificate())
		if err != nil {
			return err
		}
		state = answer.Status
		c.seen.Store(string(content), state)
	}
	if !slices.Contains(q.states, state.(int)) {
		return fmt.Errorf("state is %d, want %v", state, q.states)
	}
	return nil
}
