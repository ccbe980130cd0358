// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
)

// answers is an agent that knows a few calls and refuses all others. What it
// is asked is noted.
type answers struct {
	known map[string]string
	asked []string
}

func (a *answers) Run(_ context.Context, c juju.Command) ([]byte, error) {
	call := strings.ReplaceAll(c.Name+" "+strings.Join(c.Args, " "), "--format json ", "")
	a.asked = append(a.asked, call)
	answer, found := a.known[call]
	if !found {
		return nil, &juju.Error{Command: c.Name, Code: 1, Message: "relation not found"}
	}
	if c.Stdout != nil {
		return nil, c.Stdout(strings.NewReader(answer), len(answer))
	}
	return []byte(answer), nil
}

func TestReadLogTargets(t *testing.T) {
	t.Parallel()
	known := map[string]string{
		"relation-ids logging":                 `["logging:12","logging:3"]`,
		"relation-list -r logging:3":           `["loki/0","loki/1","loki/2"]`,
		"relation-list -r logging:12":          `["agent/0"]`,
		"relation-get -r logging:3 - loki/0":   `{"endpoint":"{\"url\": \"http://10.0.0.1:3100/loki/api/v1/push\"}"}`,
		"relation-get -r logging:3 - loki/1":   `{"ingress-address":"10.0.0.2"}`,
		"relation-get -r logging:3 - loki/2":   `{"endpoint":"{}"}`,
		"relation-get -r logging:12 - agent/0": `{"endpoint":"{\"url\": \"https://[fd00::1]:3500/push\"}"}`,
	}
	logging := func(number int) juju.RelationID { return juju.RelationID{Endpoint: "logging", Number: number} }
	both := []decision.LogTarget{
		{Name: "logging-3-loki-0", URL: "http://10.0.0.1:3100/loki/api/v1/push"},
		{Name: "logging-12-agent-0", URL: "https://[fd00::1]:3500/push"},
	}
	fault := "loki/2 of relation logging:3: cannot read the endpoint: its url is none of HTTP"
	tests := map[string]struct {
		event  juju.Event
		lost   string // a call that is refused
		read   bool
		want   []decision.LogTarget
		faults []string
	}{
		"when options change":                    {event: juju.Event{Kind: juju.ConfigChanged}, read: true, want: both, faults: []string{fault}},
		"when a Loki says where it is":           {event: juju.Event{Kind: juju.RelationChanged, Relation: logging(3)}, read: true, want: both, faults: []string{fault}},
		"when a unit of a Loki leaves":           {event: juju.Event{Kind: juju.RelationDeparted, Relation: logging(3)}, read: true, want: both, faults: []string{fault}},
		"without the Loki that is gone":          {event: juju.Event{Kind: juju.RelationBroken, Relation: logging(3)}, read: true, want: both[1:]},
		"not when a requirer asks for something": {event: juju.Event{Kind: juju.RelationChanged, Relation: juju.RelationID{Endpoint: "certificates", Number: 3}}},
		"not on the clock":                       {event: juju.Event{Kind: juju.UpdateStatus}},
		"without a Loki that cannot be read": {
			event: juju.Event{Kind: juju.Start}, lost: "relation-list -r logging:3", read: true, want: both[1:],
			faults: []string{"cannot list units of logging:3: cannot run relation-list: relation not found (exit status 1)"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent := &answers{known: map[string]string{}}
			for call, answer := range known {
				if call != test.lost {
					agent.known[call] = answer
				}
			}
			s, err := readLogTargets(context.Background(), juju.NewClient(agent, ""), decision.Snapshot{Event: test.event})
			require.NoError(t, err)
			require.Equal(t, test.read, s.LogTargetsRead)
			require.Equal(t, test.want, s.LogTargets)
			require.Equal(t, test.faults, s.ObserverFaults)
			require.Equal(t, test.read, len(agent.asked) > 0, "%v", agent.asked)
		})
	}
}

// TestReadObserversOfARelation counts what the event of one relation costs.
func TestReadObserversOfARelation(t *testing.T) {
	t.Parallel()
	known := map[string]string{
		"config-get --all": `{"status-port": 9880}`,
		"network-get --bind-address --ingress-address status": `{"bind-address":"10.0.0.1","ingress-address":"192.0.2.1"}`,
		"relation-get -r metrics-endpoint:3 - a/1":            `{}`,
		"relation-get -r metrics-endpoint:3 --app - a":        `{"scrape_jobs":"[]"}`,
		"relation-get -r cos-agent:3 - a/1":                   `{}`,
		"relation-get -r grafana-dashboard:3 --app - a":       `{}`,
	}
	const config, network = "config-get --all", "network-get --bind-address --ingress-address status"
	tests := map[string]struct {
		endpoint string
		kind     juju.EventKind
		leader   bool
		asked    []string
	}{
		"a Prometheus, on the leader":   {"metrics-endpoint", juju.RelationChanged, true, []string{network, "relation-get -r metrics-endpoint:3 - a/1", "relation-get -r metrics-endpoint:3 --app - a"}},
		"a Prometheus, on another unit": {"metrics-endpoint", juju.RelationCreated, false, []string{config, network, "relation-get -r metrics-endpoint:3 - a/1"}},
		"an agent, on the leader":       {"cos-agent", juju.RelationCreated, true, []string{network, "relation-get -r cos-agent:3 - a/1"}},
		"a Grafana, on the leader":      {"grafana-dashboard", juju.RelationCreated, true, []string{"relation-get -r grafana-dashboard:3 --app - a"}},
		"a Grafana, on another unit":    {"grafana-dashboard", juju.RelationCreated, false, nil},
		"a Prometheus that joins":       {"metrics-endpoint", juju.RelationJoined, true, nil},
		"a Prometheus that leaves":      {"metrics-endpoint", juju.RelationDeparted, true, nil},
		"a Prometheus that is gone":     {"metrics-endpoint", juju.RelationBroken, true, nil},
		"a requirer":                    {"certificates", juju.RelationChanged, true, nil},
		"our own units":                 {"authority", juju.RelationChanged, true, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent := &answers{known: known}
			s := decision.Snapshot{Leader: test.leader, Event: juju.Event{
				Kind: test.kind, Unit: "a/1", Relation: juju.RelationID{Endpoint: test.endpoint, Number: 3},
			}}
			s.Config.StatusPort = 9880
			s, err := readObservers(context.Background(), juju.NewClient(agent, ""), s)
			require.NoError(t, err)
			require.Equal(t, test.asked, agent.asked)
			require.Empty(t, s.ObserverFaults)
			require.Equal(t, len(test.asked) > 0, len(s.Observers) == 1)
			if len(test.asked) > 0 {
				require.Equal(t, 9880, s.Outlet.Port)
			}
		})
	}
}

// TestReadObserversWithoutAnswers: what Juju refuses ends no hook.
func TestReadObserversWithoutAnswers(t *testing.T) {
	t.Parallel()
	agent := &answers{known: map[string]string{"relation-ids metrics-endpoint": `["metrics-endpoint:1","metrics-endpoint:2"]`,
		"relation-ids cos-agent": `[]`, "relation-ids grafana-dashboard": `[]`, "relation-get -r metrics-endpoint:2 - a/1": `{}`}}
	s := decision.Snapshot{Event: juju.Event{Kind: juju.ConfigChanged, Unit: "a/1"}}
	s.Config.StatusPort = 9880
	s, err := readObservers(context.Background(), juju.NewClient(agent, ""), s)
	require.NoError(t, err)
	require.Len(t, s.ObserverFaults, 2)
	require.Equal(t, []decision.Observer{{ID: juju.RelationID{Endpoint: "metrics-endpoint", Number: 2}, OwnUnitBag: map[string]string{}}}, s.Observers)
}
