// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/observe"
	"tls-authority/internal/signing"
)

// writeObservers writes our databags in the relations of the observability
// stack that were looked at.
func writeObservers(ctx context.Context, client *juju.Client, c signing.Changes) error {
	for _, o := range c.Observers {
		unit := bag{before: o.Observer.OwnUnitBag, after: o.Unit}
		application := bag{before: o.Observer.OwnApplicationBag, after: o.Application}
		switch o.Observer.ID.Endpoint {
		case decision.MetricsEndpoint:
			unit.owns, application.owns = observe.IsScrapeUnitKey, observe.IsScrapeApplicationKey
		case decision.AgentEndpoint:
			unit.owns = observe.IsAgentKey
		case decision.DashboardEndpoint:
			application.owns = observe.IsDashboardsKey
		}
		if err := writeBags(ctx, client, o.Observer.ID, application, unit); err != nil {
			return err
		}
	}
	return nil
}
