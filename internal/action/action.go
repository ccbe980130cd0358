// SPDX-License-Identifier: GPL-3.0-only

// Package action decides the actions that operators run: what each tells, and
// what it changes. Like package decision it is pure; what has to be signed or
// made it orders.
package action

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/policy"
)

// desk answers one action.
type desk struct {
	s decision.Snapshot
	d decision.Decision
	a decision.Authority
}

// Answer decides an action. What it only tells is in the peer databag, so that
// any unit can; what it changes is the leader's.
func Answer(s decision.Snapshot) decision.Decision {
	k := &desk{s: s, d: decision.Decision{Record: s.Record(), Status: s.Status}}
	k.d.Reply = k.answer()
	if k.d.Reply.Failure != "" {
		return decision.Decision{Record: s.Record(), Status: s.Status, Reply: k.d.Reply}
	}
	if changes()[s.Event.Name].followed && !reflect.DeepEqual(k.d.Record, s.Record()) {
		k.d.Record.Agenda.Everything = true
	}
	return k.d
}

// change is an action that changes what the leader keeps.
type change struct {
	run func(*desk) *decision.Reply
	// early tells that it is of use before there is a CA.
	early bool
	// followed tells that what it changed in the record is carried out by the
	// hook that the change wakes.
	followed bool
}

func changes() map[string]change {
	return map[string]change{
		"renew-certificates":    {run: (*desk).renewCertificates, followed: true},
		"revoke-certificate":    {run: (*desk).revokeCertificate},
		"issue-certificate":     {run: (*desk).issueCertificate},
		"sign-csr":              {run: (*desk).signCSR},
		"rotate-ca":             {run: (*desk).rotateCA, followed: true},
		"advance-rotation":      {run: (*desk).advanceRotation, followed: true},
		"abort-rotation":        {run: (*desk).abortRotation, followed: true},
		"get-csr":               {run: (*desk).getCSR, early: true, followed: true},
		"upload-ca-certificate": {run: (*desk).uploadCertificate, early: true, followed: true},
		"backup":                {run: (*desk).backup},
		"restore":               {run: (*desk).restore, early: true, followed: true},
	}
}

func (k *desk) answer() *decision.Reply {
	change, changing := changes()[k.s.Event.Name]
	switch {
	case changing && !k.s.Leader:
		return fail("this unit does not lead: run the action on %s/leader", k.s.Event.Unit.Application())
	case changing && len(k.s.ConfigProblems) > 0:
		return fail("%s", decision.ConfigStatus(k.s).Message)
	case changing && k.s.Peer == nil:
		return fail("there is no peer relation yet: wait until the unit is active")
	case k.d.Record.CA == nil && !change.early && k.s.Event.Name != "health-check":
		return fail("there is no CA yet: wait until the leader unit is active")
	}
	if ca := k.d.Record.CA; ca != nil {
		var err error
		if k.a, err = decision.NewAuthority(ca.Target()); err != nil {
			return fail("%v", err)
		}
	}
	switch {
	case changing:
		return change.run(k)
	case k.s.Event.Name == "get-ca-certificate":
		return k.getCACertificate()
	case k.s.Event.Name == "list-certificates":
		return listReply(k.s, k.d.Record)
	case k.s.Event.Name == "get-revocation-list":
		return k.getRevocationList()
	case k.s.Event.Name == "rotation-status":
		return k.rotationStatus()
	case k.s.Event.Name == "health-check":
		return k.healthCheck()
	}
	return fail("the action %q is not known to this charm", k.s.Event.Name)
}

func fail(format string, args ...any) *decision.Reply {
	return &decision.Reply{Failure: fmt.Sprintf(format, args...)}
}

// getCACertificate tells what to trust, the old root too while a rotation is
// under way, and what stands between it and the leaves.
func (k *desk) getCACertificate() *decision.Reply {
	c := k.a.Certificate
	fingerprint := sha256.Sum256(c.Raw)
	kind := "root"
	if !k.a.Outlook.Issuer.IsRoot() {
		kind = "intermediate"
	}
	results := map[string]string{
		"message":            fmt.Sprintf("%s CA %s, valid for another %s", kind, c.Subject, policy.SpellDuration(k.a.Validity.NotAfter.Sub(k.s.Now))),
		"ca-certificate":     k.a.Outlook.LegacyCA(),
		"subject":            c.Subject.String(),
		"serial-number":      c.SerialNumber.Text(16),
		"not-before":         k.a.Validity.NotBefore.Format(time.RFC3339),
		"not-after":          k.a.Validity.NotAfter.Format(time.RFC3339),
		"sha256-fingerprint": fmt.Sprintf("%x", fingerprint),
	}
	if chain := k.a.Outlook.LegacyChain(); chain != "" {
		results["ca-chain"] = chain
	}
	return &decision.Reply{Results: results}
}

// parameters reads several parameters of one type, in order.
func parameters[T any](s decision.Snapshot, names ...string) ([]T, error) {
	values := make([]T, len(names))
	for i, name := range names {
		value, err := decision.Parameter[T](s, name)
		if err != nil {
			return nil, err
		}
		values[i] = value
	}
	return values, nil
}

// unitOf is the application of a unit's name, or the name itself.
func unitOf(requester string) string { return juju.UnitName(requester).Application() }
