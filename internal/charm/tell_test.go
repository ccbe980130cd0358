// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/spool"
	"tls-authority/internal/tlscertificates"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func newRoot(t *testing.T) record.Generation {
	t.Helper()
	key, err := pki.GenerateKey(pki.ECDSAP256)
	require.NoError(t, err)
	root, err := pki.CreateSelfSigned(pki.Template{
		Profile: pki.Root, Subject: pki.Subject{CommonName: "Root G1"}, Validity: pki.NewValidity(noon, 1000*time.Hour),
	}, key)
	require.NoError(t, err)
	return record.Generation{ID: 1, Certificate: root.Raw}
}

func issuedAt(serial string, life time.Duration) record.Issued {
	return record.Issued{Generation: 1, Serial: serial, NotBefore: noon, NotAfter: noon.Add(life)}
}

// TestTold: what the status service is told of every certificate that somebody
// may ask about, wherever the record keeps it.
func TestTold(t *testing.T) {
	t.Parallel()
	backup := noon.Add(-time.Hour)
	pair := func(serial string, life time.Duration) record.Pair {
		return record.Pair{Issued: issuedAt(serial, life)}
	}
	client := pair("c", time.Hour)
	r := record.Record{
		CA:       record.NewAuthority(newRoot(t)),
		Client:   &client,
		ByAction: []record.Certificate{{Requesters: []string{"the operator"}, Issued: issuedAt("a1", time.Hour)}},
		Legacy: map[int]*record.Legacy{3: {
			Application: "etcd",
			Units:       []record.Unit{{Unit: "etcd/0", Pairs: []record.Answer{{Kind: tlscertificates.Server, Pair: pair("e0", 12*time.Hour)}}}},
			Shared:      &record.Answer{Kind: tlscertificates.Application, Pair: pair("e", 2*time.Hour)},
		}},
		CSR: map[int]*record.Requests{4: {
			Application: "web",
			Certificates: []record.Certificate{
				{Requesters: []string{"web/0"}, Issued: issuedAt("f0", 100*time.Hour)},
				{Requesters: []string{"web/0"}, Issued: issuedAt("f1", 0)},
			},
			Problems: []record.Problem{{Requester: "web/1", Subject: "x", Reason: "no", Code: 102}, {Requester: "web/2", Subject: "y", Reason: "partly"}},
		}},
		Spare:      []record.Spare{{Pair: pair("d", time.Hour)}},
		Withdrawn:  []record.Withdrawn{{Generation: 1, Serial: "b", NotAfter: noon.Add(time.Hour).Unix()}, {Generation: 1, Serial: "b0", NotAfter: noon.Unix()}},
		Agenda:     record.Agenda{Relations: []int{3}},
		Responders: map[string]*record.Responder{"ca/0": {Key: []byte("key"), Certificates: []record.ResponderCertificate{{Issued: issuedAt("99", time.Hour), Certificate: []byte("der")}}}},
		Lists:      map[int]*record.List{1: {CRL: []byte("list")}},
	}
	r.CA.Backup = &backup
	r.Revoke(pki.Superseded, noon, issuedAt("b", time.Hour))
	s := decision.Snapshot{Now: noon, Leader: true, Event: juju.Event{Unit: "ca/0"}, Daemon: decision.Daemon{Key: []byte("key")}}
	status := told(s, r, spool.Hook{Duration: time.Second, Calls: 7})

	require.Equal(t, noon, status.ThisUpdate)
	require.Equal(t, noon.Add(48*time.Hour), status.NextUpdate)
	require.Len(t, status.Generations, 1)
	g := status.Generations[0]
	require.True(t, g.Active)
	require.Equal(t, []byte("list"), g.CRL)
	require.Equal(t, []byte("der"), g.Responder)
	entry := func(serial string, life time.Duration) spool.Issued {
		return spool.Issued{Serial: serial, NotAfter: noon.Add(life)}
	}
	revoked := entry("b", time.Hour)
	revoked.Revoked = &spool.Revoked{At: noon, Reason: pki.Superseded}
	require.Equal(t, []spool.Issued{
		entry("a1", time.Hour), revoked, entry("c", time.Hour), entry("d", time.Hour),
		entry("e", 2*time.Hour), entry("e0", 12*time.Hour), entry("f0", 100*time.Hour),
	}, g.Issued)
	require.Equal(t, spool.Metrics{
		Leaves: []spool.Leaves{
			{Application: "etcd", Count: 1, NotAfter: noon.Add(2 * time.Hour), Renewal: noon.Add(90 * time.Minute)},
			{Application: "etcd", Unit: "etcd/0", Count: 1, NotAfter: noon.Add(12 * time.Hour), Renewal: noon.Add(9 * time.Hour)},
			{Application: "web", Unit: "web/0", Count: 2, NotAfter: noon, Renewal: noon},
		},
		Expired: 1, Pending: 1, Denied: map[int]int{102: 1}, Backup: backup,
		Hook: spool.Hook{Duration: time.Second, Calls: 7},
	}, status.Metrics)
	_, err := spool.Encode(status)
	require.NoError(t, err)
}

// TestToldWithout: each thing that is not there has its reason.
func TestToldWithout(t *testing.T) {
	t.Parallel()
	s := decision.Snapshot{Now: noon, Event: juju.Event{Unit: "ca/0"}, Daemon: decision.Daemon{Key: []byte("key")}}
	require.Empty(t, told(s, record.Record{}, spool.Hook{}).Generations, "there is no CA yet")

	r := record.Record{CA: record.NewAuthority(newRoot(t))}
	for _, c := range []struct {
		want   string
		change func()
	}{
		{"the leader has not certified this unit yet", func() {}},
		{"no", func() {
			r.Responders = map[string]*record.Responder{"ca/0": {Key: []byte("key"), Certificates: []record.ResponderCertificate{{Issued: issuedAt("", time.Hour), Problem: "no"}}}}
		}},
	} {
		c.change()
		g := told(s, r, spool.Hook{}).Generations[0]
		require.Equal(t, "none has been signed yet", g.NoCRL)
		require.Equal(t, c.want, g.NoResponder)
	}
	other := newRoot(t)
	other.ID = 2
	r.CA = r.CA.Added(other)
	require.Len(t, told(s, r, spool.Hook{}).Generations, 1, "one that has signed nothing yet is left out")
}
