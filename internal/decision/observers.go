// SPDX-License-Identifier: GPL-3.0-only

package decision

import "tls-authority/internal/juju"

// Endpoints in metadata.yaml for the observability stack: a Prometheus, an
// agent on the same machine, a Grafana, and a Loki.
const (
	MetricsEndpoint   = "metrics-endpoint"
	AgentEndpoint     = "cos-agent"
	DashboardEndpoint = "grafana-dashboard"
	LoggingEndpoint   = "logging"
)

// Observer is a relation over which the stack is told of the status service.
type Observer struct {
	ID juju.RelationID
	// OwnUnitBag is nil where this endpoint has nothing in it.
	OwnUnitBag map[string]string
	// OwnApplicationBag is read on the leader only, and nil where this endpoint
	// has nothing in it.
	OwnApplicationBag map[string]string
}

// Outlet is where the status service of this unit is found.
type Outlet struct {
	// Port is 0 where the service is off.
	Port int
	// Bind is where it listens, Ingress where others reach it. They are empty
	// where nobody is told, or Juju knows none.
	Bind, Ingress string
}

// LogTarget is a unit of a Loki that takes in logs.
type LogTarget struct {
	// Name is the same as long as the unit is related, and no other target's.
	Name string
	URL  string
}

// TellsObservers tells whether an event looks at the relations of an endpoint
// over which the stack is told something. Nothing that it is told depends on
// requirers, on the record or on the clock, so that the events of those have no
// part in it; what the stack answers there changes nothing either, and the
// going of its units does not.
func (s Snapshot) TellsObservers(endpoint string) bool {
	switch s.Event.Kind {
	case juju.Start, juju.ConfigChanged, juju.UpgradeCharm, juju.LeaderElected:
		return endpoint != DashboardEndpoint || s.Leader
	case juju.RelationCreated, juju.RelationChanged:
		return s.Event.Relation.Endpoint == endpoint && (endpoint != DashboardEndpoint || s.Leader)
	}
	return false
}

// ReadsLogTargets tells whether an event looks at where logs go, as those do
// that start the status service by the options. What kept it from starting may
// have passed.
func (s Snapshot) ReadsLogTargets() bool {
	switch s.Event.Kind {
	case juju.UpdateStatus:
		return s.Daemon.Trouble != ""
	case juju.Start, juju.ConfigChanged, juju.UpgradeCharm, juju.LeaderElected:
		return true
	case juju.RelationChanged, juju.RelationDeparted, juju.RelationBroken:
		return s.Event.Relation.Endpoint == LoggingEndpoint
	}
	return false
}
