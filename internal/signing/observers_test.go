// SPDX-License-Identifier: GPL-3.0-only

package signing

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
)

// observerSnapshot has a relation of each endpoint, as the leader sees them.
func observerSnapshot() decision.Snapshot {
	id := func(endpoint string) juju.RelationID { return juju.RelationID{Endpoint: endpoint, Number: 1} }
	told := map[string]string{"ingress-address": "10.0.0.1"}
	return decision.Snapshot{
		Leader: true,
		Event:  juju.Event{Unit: "a/1", Model: "m", ModelUUID: "12345678-1234-4abc-8def-1234567890ab"},
		Outlet: decision.Outlet{Port: 9880, Bind: "10.0.0.1", Ingress: "192.0.2.1"},
		Observers: []decision.Observer{
			{ID: id(decision.MetricsEndpoint), OwnUnitBag: told, OwnApplicationBag: map[string]string{}},
			{ID: id(decision.AgentEndpoint), OwnUnitBag: told},
			{ID: id(decision.DashboardEndpoint), OwnApplicationBag: map[string]string{}},
		},
	}
}

func TestObserverBags(t *testing.T) {
	t.Parallel()
	t.Run("the network and the machine are told their address each", func(t *testing.T) {
		t.Parallel()
		all := observerBags(observerSnapshot())
		require.Len(t, all, 3)
		require.Equal(t, "192.0.2.1", all[0].Unit["prometheus_scrape_unit_address"])
		require.Contains(t, all[0].Application["scrape_jobs"], "*:9880")
		require.Contains(t, all[1].Unit["config"], `"10.0.0.1:9880"`)
		require.Nil(t, all[1].Application)
		require.Nil(t, all[2].Unit)
		require.Contains(t, all[2].Application, "dashboards")
	})
	t.Run("one address stands in for the other", func(t *testing.T) {
		t.Parallel()
		s := observerSnapshot()
		s.Outlet.Ingress = ""
		require.Equal(t, "10.0.0.1", observerBags(s)[0].Unit["prometheus_scrape_unit_address"])
		s.Outlet.Bind, s.Outlet.Ingress = "", "192.0.2.1"
		require.Contains(t, observerBags(s)[1].Unit["config"], `"192.0.2.1:9880"`)
	})
	t.Run("without an address a unit's databag stays", func(t *testing.T) {
		t.Parallel()
		s := observerSnapshot()
		s.Outlet.Bind, s.Outlet.Ingress = "", ""
		all := observerBags(s)
		require.Equal(t, s.Observers[0].OwnUnitBag, all[0].Unit)
		require.Equal(t, s.Observers[1].OwnUnitBag, all[1].Unit)
		require.Contains(t, all[0].Application["scrape_jobs"], "*:9880")
	})
	t.Run("a service that is off is in no databag", func(t *testing.T) {
		t.Parallel()
		s := observerSnapshot()
		s.Outlet.Port = 0
		for _, change := range observerBags(s) {
			require.Empty(t, change.Unit)
			require.Empty(t, change.Application)
		}
		require.NotNil(t, observerBags(s)[0].Application, "nil would leave it as it is")
	})
	t.Run("a unit that does not lead writes its own databag alone", func(t *testing.T) {
		t.Parallel()
		s := observerSnapshot()
		s.Leader, s.Observers = false, []decision.Observer{{ID: s.Observers[0].ID, OwnUnitBag: map[string]string{}}}
		all := observerBags(s)
		require.NotEmpty(t, all[0].Unit)
		require.Nil(t, all[0].Application)
	})
}
