// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// advance takes the rotation one step further, if its stage is over. A stage
// is over when our own writes for it are done and it was held long enough, or
// an operator ended it: requirers acknowledge nothing, so their events count
// for nothing.
func advance(s Snapshot, d *Decision) {
	ca := d.Record.CA
	r := ca.Rotation
	if r != nil && r.Complete != nil && early(s.Now, *r.Complete) {
		now := s.Now // or the clock would have to reach that time first
		r.Complete = &now
	}
	switch {
	case r == nil:
	case r.Emergency && hurries(r.Stage):
		d.enter(s, record.Replacing)
	case r.Stage == record.Preparing:
		prepare(s, d)
	case r.Complete == nil || HoldLeft(s, r) > 0:
	case r.Stage == record.Destroying:
		conclude(s, d)
	default:
		if next := nextStage(r); next != record.Retiring || len(stragglers(s, d.Record)) == 0 {
			d.enter(s, next)
		}
	}
}

// hurries tells the stages that an emergency ends.
func hurries(stage record.Stage) bool {
	switch stage {
	case record.Distributing, record.Issuing, record.Flipping, record.Retiring:
		return true
	}
	return false
}

// HoldLeft is how long a complete stage is still held.
func HoldLeft(s Snapshot, r *record.Rotation) time.Duration {
	switch {
	case r.Complete == nil, r.Asked:
		return 0
	case r.Stage == record.Replacing, r.Stage == record.Aborting, r.Stage == record.Destroying:
		return 0
	}
	return max(0, s.Config.RotationHold-s.Now.Sub(*r.Complete))
}

// nextStage is the order of the stages. Without a bridge there is no state in
// which the old root leads to new leaves, and so nothing to flip.
func nextStage(r *record.Rotation) record.Stage {
	switch r.Stage {
	case record.Distributing:
		return record.Issuing
	case record.Issuing:
		if len(r.Bridge) > 0 {
			return record.Flipping
		}
		return record.Retiring
	case record.Flipping:
		return record.Retiring
	}
	return record.Destroying
}

// enter begins a stage. The new CA signs from Issuing or Replacing on.
func (d *Decision) enter(s Snapshot, stage record.Stage) {
	ca := d.Record.CA
	ca.Enter(stage, s.Now)
	switch stage {
	case record.Issuing:
		ca.Active = ca.Rotation.To
		ca.Rotation.Client = d.Record.Client
	case record.Replacing:
		ca.Active = ca.Rotation.To
	}
	d.Log = append(d.Log, info("rotation of the CA from generation %d to %d: %s", ca.Rotation.From, ca.Rotation.To, stage))
}

// prepare makes the new CA, its bridge, and the proof that it can sign. Only
// then is anything published.
func prepare(s Snapshot, d *Decision) {
	ca := d.Record.CA
	r := ca.Rotation
	from, to := ca.Generation(r.From), ca.Generation(r.To)
	if to == nil {
		makeNext(s, d)
		return
	}
	fromPath, err := Path(from)
	if err == nil {
		var toPath []*x509.Certificate
		if toPath, err = Path(to); err == nil {
			r.SameRoot = SameRoot(fromPath, toPath)
			d.proveOrEnter(s, CheckBridge(fromPath, toPath, s.Now))
			return
		}
	}
	r.Obstacle = record.Cut(err.Error(), maxStatus)
}

// proveOrEnter orders the proof, with the bridge where one is needed, and
// begins the first stage when all is there. A bridge that cannot be is given
// up only if an operator says so.
func (d *Decision) proveOrEnter(s Snapshot, unbridgeable error) {
	r := d.Record.CA.Rotation
	needsBridge := !r.Emergency && !r.SameRoot && len(r.Bridge) == 0
	switch {
	case needsBridge && unbridgeable == nil && !(r.Forced && r.Obstacle != ""):
		d.Prove, d.Bridge = true, true
	case needsBridge && !r.Forced:
		r.Obstacle = record.Cut("the CA of today cannot cross-sign the next one: "+unbridgeable.Error(), maxStatus)
	case !r.Proved:
		d.Prove = true
	case r.Emergency:
		d.enter(s, record.Replacing)
	case r.SameRoot:
		d.enter(s, record.Issuing)
	default:
		d.enter(s, record.Distributing)
	}
}

// CheckBridge is the reason why the CA of one path cannot cross-sign the root
// of another. Path lengths, those above too, must leave room for the bridge
// and for what stands between that root and its leaves.
func CheckBridge(from, to []*x509.Certificate, now time.Time) error {
	if !pki.AllowsBelow(from, len(to)) {
		return pki.ErrPathLength
	}
	return pki.CheckCross(from[0], to[len(to)-1], now)
}

// makeNext asks for the CA that the rotation goes to.
func makeNext(s Snapshot, d *Decision) {
	ca := d.Record.CA
	r := ca.Rotation
	request := d.Record.Request
	switch {
	case s.Found != nil && s.Found.ID == r.To && len(s.Found.Certificate) > 0:
		d.Record.CA = ca.Added(*s.Found)
		d.Log = append(d.Log, info("adopting generation %d of the CA, whose secret was left by an unfinished hook", r.To))
	case (r.Source == record.SelfSigned || r.Source == record.Imported) && d.orphaned(s):
	case r.Source == record.SelfSigned:
		d.Making = newMaking(s, r.To, r.Source, "the CA is rotated")
	case r.Source == record.Imported:
		if _, ready := candidateStatus(s); ready {
			d.Making = newMaking(s, r.To, r.Source, "the CA is rotated")
		}
	case request == nil || request.Generation != r.To:
		d.Ask(NewRequest(s, r.To, r.Source, "the CA is rotated"))
	case request.Answered():
		d.Record.CA = ca.Added(request.NewGeneration())
		forgetRequest(d)
	}
}

// orphaned ends a key without a certificate, left by a request that was never
// recorded, where the next CA has a key of its own.
func (d *Decision) orphaned(s Snapshot) bool {
	if s.Found == nil || len(s.Found.Certificate) > 0 {
		return false
	}
	if !slices.Contains(d.Destroy, s.Found.ID) {
		d.Doom(s.Found.ID)
	}
	return true
}

// forgetRequest ends a request that was answered for good. One over the
// relation stays: the CA above withdraws what is asked for no more.
func forgetRequest(d *Decision) {
	if d.Record.Request.Source != record.Upstream {
		d.Record.Request = nil
	}
}

// changes tells whether a stage changes what a relation is told: the CSR
// dialect says one root alone, which neither Distributing nor Retiring moves.
func changes(stage record.Stage, r record.Record, relation int) bool {
	switch stage {
	case record.Issuing, record.Flipping, record.Replacing:
		return r.Legacy[relation] != nil || r.CSR[relation] != nil
	case record.Distributing, record.Retiring, record.Aborting:
		return r.Legacy[relation] != nil
	}
	return false
}

// turn tells whether a relation may be served, and gives it the stage of the
// rotation if it is its turn: one relation a hook, all of it at once. A
// relation that waits is left as it is, so that no old key signs for it.
func (d *Decision) turn(relation Relation) bool {
	r := d.Record.CA.Rotation
	number := relation.ID.Number
	switch {
	case r == nil || r.HasReached(number):
		return true
	case !changes(r.Stage, d.Record, number) || r.Stage == record.Replacing:
	case d.turned:
		return false
	default:
		d.turned = true
	}
	r.Reach(number)
	return true
}

// Waiting are the relations that the stage has not reached yet.
func Waiting(r record.Record) []int {
	rotation := r.CA.Rotation
	var waiting []int
	for _, number := range r.Relations() {
		if !rotation.HasReached(number) && changes(rotation.Stage, r, number) {
			waiting = append(waiting, number)
		}
	}
	return waiting
}

// complete notes that our own writes for a stage are done.
func complete(s Snapshot, d *Decision) {
	r := d.Record.CA.Rotation
	if r == nil || r.Complete != nil || r.Stage == record.Preparing || !s.Sweep {
		return // certificate_transfer is written by sweeps
	}
	if len(Waiting(d.Record)) > 0 && !r.Skipped {
		return
	}
	now := s.Now
	r.Complete, r.Client = &now, nil
}

// stragglers are the certificates that need the old root and are still
// published: while there is one, it stays trusted.
func stragglers(s Snapshot, r record.Record) []string {
	rotation := r.CA.Rotation
	if rotation.Skipped {
		return nil
	}
	var found []string
	revocations := r.Revocations()
	for c := range r.Served() {
		if revocations.Forbid(c.Issued) {
			continue // whoever shows it is to be refused
		}
		if c.Generation == rotation.From && s.Now.Before(c.NotAfter) {
			found = append(found, fmt.Sprintf("%s of %s", c.CommonName, c.Requester))
		}
	}
	return found
}

// conclude ends the rotation and the key that signs no more. The certificate
// of a CA that was in service stays on record.
func conclude(s Snapshot, d *Decision) {
	ca := d.Record.CA
	r := ca.Rotation
	gone := r.From
	if ca.Active == r.From {
		gone = r.To
	}
	key := gone
	if g := ca.Generation(gone); g != nil {
		key = g.KeyID()
	}
	if request := d.Record.Request; request != nil && request.Generation == key && ca.ActiveGeneration().KeyID() != key {
		d.Record.Request = nil // nobody is left to be certified
	}
	if gone == r.To {
		ca.Generations = slices.DeleteFunc(ca.Generations, func(g record.Generation) bool { return g.ID == gone })
	} else if ca.ActiveGeneration().KeyID() != key {
		d.endKey(s, key)
	}
	ca.Rotation = nil
	ca.Epoch++
	d.Doom(key)
	d.Log = append(d.Log, info("the rotation of the CA is over: generation %d signs, generation %d is over", ca.Active, gone))
}

// endKey signs the last lists of all generations that have a key, which is
// destroyed next. Where only the root above changed there are several.
func (d *Decision) endKey(s Snapshot, key int) {
	for i := range d.Record.CA.Generations {
		if g := &d.Record.CA.Generations[i]; g.KeyID() == key && !g.Destroyed {
			d.finalList(s, g)
			g.Destroyed = true
		}
	}
}
