// SPDX-License-Identifier: GPL-3.0-only

package action

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// rotateCA begins the way to another CA, or tells what it would be.
func (k *desk) rotateCA() *decision.Reply {
	mode, err := decision.Parameter[string](k.s, "mode")
	if err != nil {
		return fail("%v", err)
	}
	flags, err := parameters[bool](k.s, "dry-run", "force")
	if err != nil {
		return fail("%v", err)
	}
	switch mode {
	case "", "staged", "emergency":
	default:
		return fail("the mode %q is neither staged nor emergency", mode)
	}
	emergency := mode == "emergency"
	if k.d.Record.CA.Rotation != nil {
		return k.hurry(emergency, flags[0])
	}
	next, err := k.nextAuthority()
	if err != nil {
		return fail("%v", err)
	}
	next.emergency = emergency
	if flags[0] {
		return k.plan(next)
	}
	if next.breaks && !emergency && !flags[1] {
		return fail("the CA of today cannot cross-sign the next one (%s): %s. They would refuse new certificates until they have been given the new root: say force=true to accept that", next.why, breakage(k.d.Record))
	}
	return k.begin(next)
}

// successor is the CA that a rotation would go to.
type successor struct {
	source     record.Source
	generation int
	// path is empty while its certificate does not exist.
	path     []*x509.Certificate
	sameRoot bool
	// breaks tells that there can be no bridge, and why.
	breaks    bool
	why       string
	emergency bool
}

// nextAuthority finds what the options ask for, and why it cannot be had.
func (k *desk) nextAuthority() (successor, error) {
	r := k.d.Record
	source := k.s.Config.CASource
	next := successor{source: source, generation: r.Next()}
	active := r.CA.ActiveGeneration()
	sought := r.Sought(source)
	var to *record.Generation
	switch source {
	case record.Imported:
		c := k.s.Candidate
		switch {
		case c == nil:
			return next, errors.New("ca-secret was not read")
		case len(c.Faults) > 0:
			return next, errors.New(c.Fault())
		case decision.CandidateIs(*c, active):
			return next, fmt.Errorf("ca-secret holds the CA that signs already: put another into it with juju update-secret")
		}
		to = &record.Generation{Certificate: c.Certificate, Chain: c.Chain}
	case record.Upstream:
		if k.s.Upstream == nil {
			return next, fmt.Errorf("there is no relation upstream: %s", k.s.UpstreamRemedy())
		}
		if sought == nil && active.Origin() == record.Upstream {
			next.sameRoot = true // as long as the CA above keeps its own
		}
	case record.Offline:
		if !sought.Answered() {
			return next, fmt.Errorf("no certificate was uploaded for the next CA: run get-csr, have the request signed, then run upload-ca-certificate")
		}
	}
	if sought != nil {
		next.generation = sought.Generation
		if sought.Answered() {
			g := sought.NewGeneration()
			to = &g
		}
	}
	return next, k.judge(&next, active, to)
}

// judge finds out whether the CA of today can lead to the next one.
func (k *desk) judge(next *successor, active, to *record.Generation) error {
	from, err := decision.Path(active)
	if err != nil {
		return err
	}
	if to == nil {
		if next.breaks = !next.sameRoot && !pki.AllowsBelow(from, 1); next.breaks {
			next.why = pki.ErrPathLength.Error()
		}
		return nil
	}
	if next.path, err = decision.Path(to); err != nil {
		return err
	}
	next.sameRoot = decision.SameRoot(from, next.path)
	if !next.sameRoot {
		if err := decision.CheckBridge(from, next.path, k.s.Now); err != nil {
			next.breaks, next.why = true, err.Error()
		}
	}
	return nil
}

// breakage names those who cannot follow a rotation without a bridge.
func breakage(r record.Record) string {
	var names []string
	for _, number := range r.Relations() {
		if requests := r.CSR[number]; requests != nil && !slices.Contains(names, requests.Application) {
			names = append(names, requests.Application)
		}
	}
	if len(names) == 0 {
		return "no application of the newer dialect is related now, but any that will be"
	}
	return strings.Join(names, ", ")
}

// begin records the rotation; the hook that the record wakes carries on.
func (k *desk) begin(next successor) *decision.Reply {
	ca := k.d.Record.CA.Clone()
	ca.Epoch++
	ca.Last = max(ca.Last, next.generation)
	ca.Pending = ""
	ca.Rotation = &record.Rotation{
		From: ca.Active, To: next.generation, Stage: record.Preparing, Since: k.s.Now,
		Source: next.source, Forced: next.breaks, Emergency: next.emergency,
	}
	k.d.Record.CA = ca
	reply := k.plan(next)
	reply.Results["message"] = fmt.Sprintf("rotating the CA from generation %d to %d: follow it with rotation-status", ca.Active, next.generation)
	return reply
}

// plan tells the stages of a rotation and what it touches.
func (k *desk) plan(next successor) *decision.Reply {
	hold := policy.SpellDuration(k.s.Config.RotationHold)
	var steps []string
	add := func(format string, args ...any) {
		steps = append(steps, fmt.Sprintf("%d. ", len(steps)+1)+fmt.Sprintf(format, args...))
	}
	add("preparing: make generation %d (%s)", next.generation, next.source)
	switch {
	case next.emergency:
		add("replacing: take the old root out of all trust and issue every certificate anew, at once and without a hold")
	case next.sameRoot:
		add("issuing: issue every certificate anew, a relation at a time; hold %s", hold)
		add("retiring: hold %s", hold)
	default:
		add("distributing: hand out the new root beside the old one; hold %s", hold)
		if next.breaks {
			add("issuing: issue every certificate anew, a relation at a time; hold %s", hold)
		} else {
			add("issuing: issue every certificate anew, a relation at a time, with the cross-certificate; hold %s", hold)
			add("flipping: make the new root the first, or the only one where one is told; hold %s", hold)
		}
		add("retiring: take the old root out of all trust; hold %s", hold)
	}
	add("destroying: destroy the key of generation %d", k.d.Record.CA.Active)
	certificates, applications := decision.Tally(k.d.Record)
	results := map[string]string{
		"message":      fmt.Sprintf("%s of %s would be issued anew; nothing has been changed", decision.Count(certificates, "certificate"), decision.Count(applications, "application")),
		"plan":         strings.Join(steps, "\n"),
		"certificates": strconv.Itoa(certificates),
		"applications": strconv.Itoa(applications),
	}
	if n := len(k.d.Record.ByAction); n > 0 {
		results["not-reissued"] = decision.Count(n, "certificate") + " issued by actions: replace them by hand before the old root is retired"
	}
	if next.breaks && !next.emergency {
		results["message"] += "; it would need force=true: the CA of today cannot cross-sign the next one (" + next.why + ")"
		results["breaks"] = breakage(k.d.Record)
	}
	if len(next.path) > 0 {
		results["next-subject"] = next.path[0].Subject.String()
		results["next-not-after"] = next.path[0].NotAfter.UTC().Format(time.RFC3339)
	}
	return &decision.Reply{Results: results}
}

// hurry turns the rotation that is under way into an emergency.
func (k *desk) hurry(emergency, dryRun bool) *decision.Reply {
	rotation := k.d.Record.CA.Rotation
	switch {
	case !emergency:
		return fail("a rotation is under way: %s", decision.Progress(k.s, k.d.Record))
	case rotation.Stage == record.Aborting || rotation.Stage == record.Destroying:
		return fail("the rotation is about to end: try again when rotation-status says that there is none")
	case dryRun:
		return &decision.Reply{Results: map[string]string{"message": "the rotation would end its holds, take the old root out of all trust and issue every certificate anew at once"}}
	}
	k.d.Record.CA = k.d.Record.CA.Clone()
	k.d.Record.CA.Rotation.Emergency = true
	return &decision.Reply{Results: map[string]string{"message": "the rotation goes on as an emergency: follow it with rotation-status"}}
}

// rotationStatus tells how far a rotation is.
func (k *desk) rotationStatus() *decision.Reply {
	ca := k.d.Record.CA
	results := map[string]string{
		"epoch":             strconv.Itoa(ca.Epoch),
		"active-generation": strconv.Itoa(ca.Active),
	}
	if ca.Pending != "" {
		results["pending"] = ca.Pending
	}
	r := ca.Rotation
	if r == nil {
		results["message"] = "no rotation is under way"
		results["stage"] = "none"
		return &decision.Reply{Results: results}
	}
	waiting := decision.Waiting(k.d.Record)
	results["message"] = decision.Progress(k.s, k.d.Record)
	results["stage"] = string(r.Stage)
	results["from-generation"], results["to-generation"] = strconv.Itoa(r.From), strconv.Itoa(r.To)
	results["since"] = r.Since.Format(time.RFC3339)
	results["waiting-relations"] = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(waiting)), ","), "[]")
	results["hold-left"] = policy.SpellDuration(decision.HoldLeft(k.s, r))
	results["complete"] = strconv.FormatBool(r.Complete != nil)
	return &decision.Reply{Results: results}
}

// advanceRotation ends the hold of the present stage. With force it also gives
// up what the stage waits for.
func (k *desk) advanceRotation() *decision.Reply {
	force, err := decision.Parameter[bool](k.s, "force")
	if err != nil {
		return fail("%v", err)
	}
	if k.d.Record.CA.Rotation == nil {
		return fail("no rotation is under way")
	}
	ca := k.d.Record.CA.Clone()
	r := ca.Rotation
	switch {
	case force && r.Stage == record.Preparing:
		r.Forced = true
	case r.Stage == record.Preparing:
		return fail("the next CA is not ready: %s", decision.Progress(k.s, k.d.Record))
	case force:
		r.Asked, r.Skipped = true, true
	case r.Complete == nil:
		return fail("our own writes for this stage are not done: %s; say force=true to go on without them", decision.Progress(k.s, k.d.Record))
	default:
		r.Asked = true
	}
	k.d.Record.CA = ca
	return &decision.Reply{Results: map[string]string{"message": "the stage " + string(r.Stage) + " ends with the next hook"}}
}

// abortRotation takes a rotation back as long as the new CA has signed nothing
// that is published.
func (k *desk) abortRotation() *decision.Reply {
	if k.d.Record.CA.Rotation == nil {
		return fail("no rotation is under way")
	}
	ca := k.d.Record.CA.Clone()
	if ca.Rotation.FollowsUpstream(ca) {
		return fail("the root above us changed: that cannot be taken back here")
	}
	ca.Rotation.Emergency = false
	switch ca.Rotation.Stage {
	case record.Preparing:
		ca.Enter(record.Destroying, k.s.Now)
	case record.Distributing:
		ca.Enter(record.Aborting, k.s.Now)
	default:
		return fail("the new CA signs already (%s): go on, and rotate again if you must", ca.Rotation.Stage)
	}
	k.d.Record.CA = ca
	return &decision.Reply{Results: map[string]string{"message": fmt.Sprintf("the rotation is taken back: generation %d goes on", ca.Active)}}
}
