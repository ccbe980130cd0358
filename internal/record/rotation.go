// SPDX-License-Identifier: GPL-3.0-only

package record

import (
	"slices"
	"time"
)

// Stage is a published state of a rotation. What relations are told in each
// is Outlook.
type Stage string

const (
	// Preparing makes the new CA; nothing that is published changes.
	Preparing Stage = "preparing"
	// Distributing hands out the new root beside the old one.
	Distributing Stage = "distributing"
	// Issuing replaces all leaves by those of the new CA, with the bridge to
	// the old root.
	Issuing Stage = "issuing"
	// Flipping makes the new root the one that comes first, or alone where
	// only one can be told.
	Flipping Stage = "flipping"
	// Retiring takes the old root out of what is trusted.
	Retiring Stage = "retiring"
	// Replacing is the emergency: new leaves under the new root, the old root
	// out, all at once.
	Replacing Stage = "replacing"
	// Aborting takes the new root back.
	Aborting Stage = "aborting"
	// Destroying ends the key that no longer signs.
	Destroying Stage = "destroying"
)

// Rotation is the way from one generation to another.
type Rotation struct {
	From  int   `json:"from"`
	To    int   `json:"to"`
	Stage Stage `json:"stage"`
	// Before is the stage that relations have which are not in Reached.
	Before Stage `json:"before,omitempty"`
	// Since is when the stage was entered.
	Since time.Time `json:"since"`
	// Complete is when our own writes for the stage were done: from then on
	// it is held.
	Complete *time.Time `json:"complete,omitempty"`
	// Reached are the relations that have been given the stage.
	Reached []int `json:"reached,omitempty"`
	// Source is where the new CA comes from.
	Source Source `json:"source"`
	// SameRoot tells that both generations are below one root.
	SameRoot bool `json:"same-root,omitempty"`
	// Bridge leads from the new root to the old one: the cross-certificate,
	// then what stood above the old CA. Without it those who know the old
	// root alone refuse new leaves.
	Bridge [][]byte `json:"bridge,omitempty"`
	// Proved tells that the key of the new CA was read and is its own.
	Proved bool `json:"proved,omitempty"`
	// Obstacle is why the new CA cannot be put into service.
	Obstacle string `json:"obstacle,omitempty"`
	// Forced tells that the operator accepted that there is no bridge.
	Forced bool `json:"forced,omitempty"`
	// Emergency tells that the old key is in wrong hands.
	Emergency bool `json:"emergency,omitempty"`
	// Asked tells that an operator ended the hold of this stage.
	Asked bool `json:"asked,omitempty"`
	// Skipped tells that an operator gave up the relations not reached.
	Skipped bool `json:"skipped,omitempty"`
	// Client is the global client certificate of relations that still have
	// the old CA's; nil when they have the current one.
	Client *Pair `json:"client,omitempty"`
}

// FollowsUpstream tells that the CA above has another root: the key stays, and
// the old state cannot be had back here.
func (r *Rotation) FollowsUpstream(ca *Authority) bool {
	to := ca.Generation(r.To)
	return r.Source == Upstream && to != nil && to.Key != 0
}

// HasReached tells whether a relation was given the present stage.
func (r *Rotation) HasReached(relation int) bool {
	_, found := slices.BinarySearch(r.Reached, relation)
	return found
}

// Reach notes that a relation was given the present stage.
func (r *Rotation) Reach(relation int) {
	i, found := slices.BinarySearch(r.Reached, relation)
	if !found {
		r.Reached = slices.Insert(r.Reached, i, relation)
	}
}

// Enter begins a stage.
func (a *Authority) Enter(stage Stage, now time.Time) {
	r := a.Rotation
	a.Epoch++
	r.Before, r.Stage, r.Since = r.Stage, stage, now
	r.Complete, r.Reached, r.Asked, r.Skipped, r.Client = nil, nil, false, false, nil
}

// stageOf is the stage that a relation has been given.
func (a *Authority) stageOf(relation int) Stage {
	switch {
	case a.Rotation == nil:
		return ""
	case a.Rotation.HasReached(relation):
		return a.Rotation.Stage
	}
	return a.Rotation.Before
}
