// SPDX-License-Identifier: GPL-3.0-only

package action_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/action"
	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// maxResult is what fits into one argument of a hook tool on Linux.
const maxResult = 128 << 10

// snapshot is that of an action on the leader of an application with a CA.
func snapshot(t *testing.T, name string, parameters map[string]any) decision.Snapshot {
	t.Helper()
	key, err := pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	root, err := pki.CreateSelfSigned(pki.Template{
		Profile: pki.Root, Subject: pki.Subject{CommonName: "test G1"}, Validity: pki.NewValidity(noon, 1000*24*time.Hour),
	}, key)
	require.NoError(t, err)
	s := decision.Snapshot{
		Now: noon, Leader: true, Parameters: map[string]json.RawMessage{},
		Event: juju.Event{Kind: juju.Action, Name: name, Unit: "tls-authority/0", Model: "k8s"},
		Peer: &decision.PeerRelation{Record: record.Record{
			CA:     record.NewAuthority(record.Generation{ID: 1, Certificate: root.Raw}),
			Legacy: map[int]*record.Legacy{}, CSR: map[int]*record.Requests{},
		}},
	}
	for key, value := range parameters {
		s.Parameters[key], err = json.Marshal(value)
		require.NoError(t, err)
	}
	return s
}

func TestListOfThousandsOfCertificates(t *testing.T) {
	t.Parallel()
	const certificates = 2_000 // each of its pages costs as much as the whole list
	requests := &record.Requests{Application: "web"}
	for i := range certificates {
		requests.Certificates = append(requests.Certificates, record.Certificate{
			Requesters: []string{fmt.Sprintf("remote-%032d/%d", i, i)},
			Name:       strings.Repeat("é", 100), // JSON writes it as it is; a name is cut at 200 bytes
			Issued:     record.Issued{Generation: 1, Serial: fmt.Sprintf("%032x", i), NotBefore: noon, NotAfter: noon.Add(time.Hour)},
		})
	}
	seen := map[string]bool{}
	for page := 1; ; page++ {
		s := snapshot(t, "list-certificates", map[string]any{"page": page})
		s.Peer.Record.CSR[7] = requests
		reply := action.Answer(s).Reply
		require.Empty(t, reply.Failure)
		require.Equal(t, strconv.Itoa(certificates), reply.Results["count"])
		size := 0
		for key, value := range reply.Results {
			size += len(key) + len(value) + 2
		}
		require.Less(t, size, maxResult/2, "a result must fit, with room for longer names of units")
		var listed []struct {
			Serial string `json:"serial-number"`
		}
		require.NoError(t, json.Unmarshal([]byte(reply.Results["certificates"]), &listed))
		for _, c := range listed {
			seen[c.Serial] = true
		}
		if reply.Results["pages"] == strconv.Itoa(page) {
			break
		}
	}
	require.Len(t, seen, certificates)
}
