// SPDX-License-Identifier: GPL-3.0-only

package juju

import "context"

// StatusName is the state of a unit's workload.
type StatusName string

// The states that a charm may set. Juju itself also shows "unknown", "error"
// and "terminated".
const (
	Active      StatusName = "active"
	Blocked     StatusName = "blocked"
	Waiting     StatusName = "waiting"
	Maintenance StatusName = "maintenance"
)

// Status is the state of a unit's workload and the line beside it.
type Status struct {
	Name    StatusName `json:"status"`
	Message string     `json:"message"`
}

// Status returns the unit's status as it was when the hook first asked: Juju
// does not show SetStatus of the same hook.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return query[Status](ctx, c, "status-get", "--include-data")
}

// SetStatus sets the unit's status, at once: it stays when the hook fails. A
// message of more than 4,000 bytes is cut.
func (c *Client) SetStatus(ctx context.Context, s Status) error {
	return c.run(ctx, "status-set", "--", string(s.Name), message(s.Message))
}
