// SPDX-License-Identifier: GPL-3.0-only

package signing

import (
	"cmp"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/observe"
)

// ObserverChanges are our bags in one relation of the observability stack, nil
// where they are not ours to write or stay as they are.
type ObserverChanges struct {
	Observer    decision.Observer
	Unit        map[string]string
	Application map[string]string
}

// observerBags are what the stack is told of the status service; nothing when
// that is off.
func observerBags(s decision.Snapshot) []ObserverChanges {
	topology := observe.Topology{Model: s.Event.Model, ModelUUID: s.Event.ModelUUID, Application: s.Event.Unit.Application()}
	var all []ObserverChanges
	for _, o := range s.Observers {
		change := ObserverChanges{Observer: o, Unit: observerUnit(s, o, topology)}
		if o.OwnApplicationBag != nil {
			change.Application = map[string]string{}
		}
		switch {
		case change.Application == nil || s.Outlet.Port == 0:
		case o.ID.Endpoint == decision.MetricsEndpoint:
			change.Application = observe.EncodeScrapeApplication(topology, s.Outlet.Port)
		case o.ID.Endpoint == decision.DashboardEndpoint:
			change.Application = observe.EncodeDashboards(topology)
		}
		all = append(all, change)
	}
	return all
}

// observerUnit is this unit's part. Where Juju knows no address, what was told
// stays.
func observerUnit(s decision.Snapshot, o decision.Observer, t observe.Topology) map[string]string {
	at := s.Outlet
	bind, ingress := cmp.Or(at.Bind, at.Ingress), cmp.Or(at.Ingress, at.Bind)
	switch {
	case o.OwnUnitBag == nil || at.Port == 0:
		return nil
	case bind == "":
		return o.OwnUnitBag
	case o.ID.Endpoint == decision.AgentEndpoint:
		return observe.EncodeAgent(t, bind, at.Port)
	}
	return observe.EncodeScrapeUnit(string(s.Event.Unit), ingress)
}

// observerFaults are warnings: the stack is not what the charm is for.
func observerFaults(s decision.Snapshot) []decision.LogLine {
	var lines []decision.LogLine
	for _, fault := range s.ObserverFaults {
		lines = append(lines, decision.LogLine{Level: juju.Warning, Message: "observability: " + fault})
	}
	return lines
}
