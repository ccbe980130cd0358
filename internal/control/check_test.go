// SPDX-License-Identifier: GPL-3.0-only

package control_test

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCheckReadsTheAnswer has answers that a Pebble which runs does not give at
// will; package service has those that it gives.
func TestCheckReadsTheAnswer(t *testing.T) {
	t.Parallel()
	const fine = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
	for name, tc := range map[string]struct{ answer, want string }{
		"it is active":       {fine + `{"type":"sync","status-code":200,"result":[{"name":"status","current":"active"}]}`, ""},
		"it is not":          {fine + `{"result":[{"name":"status","current":"backoff"}]}`, "pebble says that it is in state backoff"},
		"it is not known":    {fine + `{"result":[]}`, "pebble does not know it"},
		"nobody is let in":   {"HTTP/1.0 401 Unauthorized\r\n\r\n" + `{"result":{"message":"access denied"}}`, `pebble does not answer: it says "HTTP/1.0 401 Unauthorized"`},
		"it speaks no HTTP":  {"active", `pebble does not answer: it says "active"`},
		"it says nothing":    {"", `pebble does not answer: it says ""`},
		"it ends in between": {fine + `{"result":[{"name":`, "pebble does not answer: unexpected end of JSON input"},
		"it tells of another thing": {fine + `{"result":{"current":"active"}}`,
			"pebble does not answer: json: cannot unmarshal object into Go struct field .result"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t, "do")
			require.EqualError(t, site.Check(t.Context()), "the status service has not been started")
			require.NoError(t, os.MkdirAll(site.SpoolPath(), 0o700))
			require.NoError(t, os.MkdirAll(site.PebbleDirectory(), 0o700))
			socket, fits := site.OwnSocket()
			if !fits {
				t.Skipf("the path %s is too long for a socket: what Pebble answers was NOT looked at", socket)
			}
			require.EqualError(t, site.Check(t.Context()), "the status service is down: pebble does not run")
			listener, err := net.Listen("unix", socket)
			require.NoError(t, err)
			defer listener.Close()
			asked := make(chan string, 1)
			go func() {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				defer connection.Close()
				question := make([]byte, 1000)
				n, _ := connection.Read(question)
				_, _ = connection.Write([]byte(tc.answer))
				asked <- string(question[:n])
			}()
			err = site.Check(t.Context())
			require.Equal(t, "GET /v1/services?names=status HTTP/1.0\r\n\r\n", <-asked)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "the status service is down: "+tc.want)
		})
	}
}
