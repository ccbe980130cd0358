// SPDX-License-Identifier: GPL-3.0-only

package juju

import "context"

// Goal is what Juju aims at: which of our units and which related units shall
// be there, whether or not this unit has met them yet.
type Goal struct {
	// Units are those of our application with their status; "dying" is one
	// that Juju is about to remove.
	Units map[UnitName]GoalStatus `json:"units"`
	// Relations are by the local endpoint. An entry is the name of a remote
	// unit or of a remote application. What is related from another model is
	// not shown to the side that offers.
	Relations map[string]map[string]GoalStatus `json:"relations"`
}

// GoalStatus is Juju's word on one unit or relation.
type GoalStatus struct {
	Status string `json:"status"`
}

// Goal asks for the goal state (worker/uniter/runner/jujuc/goal-state.go).
func (c *Client) Goal(ctx context.Context) (Goal, error) {
	return query[Goal](ctx, c, "goal-state")
}
