// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/observe"
	"tls-authority/internal/policy"
)

// statusBinding is the extra binding of metadata.yaml at which the status
// service listens.
const statusBinding = "status"

// readObservers reads our databags in the relations over which the stack is
// told of the status service, and where that is. What Juju refuses to tell
// stays as it is: nobody's certificates shall wait for it.
func readObservers(ctx context.Context, client *juju.Client, s decision.Snapshot) (decision.Snapshot, error) {
	ids, err := observers(ctx, client, s)
	if err != nil || len(ids) == 0 {
		return s, err
	}
	outlet, known, err := readOutlet(ctx, client, &s, ids)
	if err != nil || !known {
		return s, err
	}
	s.Outlet = outlet
	for _, id := range ids {
		observer, err := readObserver(ctx, client, s, id)
		if refused := (*juju.Error)(nil); errors.As(err, &refused) {
			s.ObserverFaults = append(s.ObserverFaults, err.Error())
			continue
		}
		if err != nil {
			return s, err
		}
		s.Observers = append(s.Observers, observer)
	}
	return s, nil
}

func observers(ctx context.Context, client *juju.Client, s decision.Snapshot) ([]juju.RelationID, error) {
	var all []juju.RelationID
	for _, endpoint := range []string{decision.MetricsEndpoint, decision.AgentEndpoint, decision.DashboardEndpoint} {
		if !s.TellsObservers(endpoint) {
			continue
		}
		if relationEvent(s.Event) {
			return []juju.RelationID{s.Event.Relation}, nil
		}
		ids, err := client.Relations(ctx, endpoint)
		if err != nil {
			return nil, fmt.Errorf("cannot list relations: %w", err)
		}
		all = append(all, ids...)
	}
	return all, nil
}

// readOutlet asks for the addresses only if somebody is told them. With bad
// options it is not known whether the service is on.
func readOutlet(ctx context.Context, client *juju.Client, s *decision.Snapshot, ids []juju.RelationID) (outlet decision.Outlet, known bool, err error) {
	config, problems := s.Config, s.ConfigProblems
	if !s.Leader && !s.ReadsLogTargets() { // else they were read
		raw, err := client.Config(ctx)
		if err != nil {
			return decision.Outlet{}, false, fmt.Errorf("cannot read configuration: %w", err)
		}
		config, problems = policy.ParseConfig(raw, s.Event.Unit.Application(), s.Event.Model)
	}
	if len(problems) > 0 {
		return decision.Outlet{}, false, nil
	}
	outlet.Port = config.StatusPort
	told := false
	for _, id := range ids {
		told = told || id.Endpoint != decision.DashboardEndpoint
	}
	if outlet.Port == 0 || !told {
		return outlet, true, nil
	}
	outlet.Bind, outlet.Ingress, err = client.Addresses(ctx, statusBinding)
	if refused := (*juju.Error)(nil); errors.As(err, &refused) {
		s.ObserverFaults = append(s.ObserverFaults, err.Error())
		return outlet, true, nil
	}
	return outlet, true, err
}

func readObserver(ctx context.Context, client *juju.Client, s decision.Snapshot, id juju.RelationID) (decision.Observer, error) {
	observer := decision.Observer{ID: id}
	var err error
	if id.Endpoint != decision.DashboardEndpoint {
		if observer.OwnUnitBag, err = client.ReadUnitBag(ctx, id, s.Event.Unit); err != nil {
			return decision.Observer{}, err
		}
	}
	if s.Leader && id.Endpoint != decision.AgentEndpoint {
		if observer.OwnApplicationBag, err = client.ReadApplicationBag(ctx, id, s.Event.Unit.Application()); err != nil {
			return decision.Observer{}, err
		}
	}
	return observer, nil
}

// readLogTargets reads where the units of all related Lokis take in logs. One
// that says nothing of use is left out.
func readLogTargets(ctx context.Context, client *juju.Client, s decision.Snapshot) (decision.Snapshot, error) {
	if !s.ReadsLogTargets() {
		return s, nil
	}
	ids, err := client.Relations(ctx, decision.LoggingEndpoint)
	if err != nil {
		return s, fmt.Errorf("cannot list relations: %w", err)
	}
	s.LogTargetsRead = true
	for _, id := range ids {
		if s.Event.Kind == juju.RelationBroken && id == s.Event.Relation {
			continue
		}
		targets, faults, err := readLoki(ctx, client, id)
		if refused := (*juju.Error)(nil); errors.As(err, &refused) {
			faults = append(faults, err.Error())
		} else if err != nil {
			return s, err
		}
		s.LogTargets = append(s.LogTargets, targets...)
		s.ObserverFaults = append(s.ObserverFaults, faults...)
	}
	return s, nil
}

func readLoki(ctx context.Context, client *juju.Client, id juju.RelationID) (targets []decision.LogTarget, faults []string, err error) {
	units, err := client.RemoteUnits(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	for _, unit := range units {
		bag, err := client.ReadUnitBag(ctx, id, unit)
		if err != nil {
			return targets, faults, err
		}
		text := bag[observe.KeyLokiEndpoint]
		if text == "" {
			continue // it has only just joined
		}
		url, err := observe.ParseLokiEndpoint(text)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s of relation %s: %v", unit, id, err))
			continue
		}
		name := fmt.Sprintf("%s-%d-%s", id.Endpoint, id.Number, strings.ReplaceAll(string(unit), "/", "-"))
		targets = append(targets, decision.LogTarget{Name: name, URL: url})
	}
	return targets, faults, nil
}
