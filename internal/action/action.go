// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// Reply is the answer to an action: results, or why there are none. Keys of
// results are flat and kebab-case; a private key is never among the values.
type Reply struct {
	Results map[string]string
	Failure string
	// Order asks for a certificate whose text goes into the results. Where
	// it has no public key, a key is made, which goes into a secret whose id
	// is the result.
	Order *record.Order
}

// answer answers an action. What it only tells is in the peer databag, so that
// any unit can; what it changes is the leader's.
func answer(s Snapshot, d *Decision) {
	if d.Record.CA == nil {
		d.Reply = fail("there is no CA yet: wait until the leader unit is active")
		return
	}
	a, err := newAuthority(d.Record.CA)
	if err != nil {
		d.Reply = fail("%v", err)
		return
	}
	switch s.Event.Name {
	case "get-ca-certificate":
		d.Reply = authorityReply(s, a)
	case "list-certificates":
		d.Reply = listReply(s, d.Record)
	case "renew-certificates", "issue-certificate", "sign-csr":
		change(s, a, d)
	default:
		d.Reply = fail("the action %q is not known to this charm", s.Event.Name)
	}
}

// change answers the actions that change what is issued.
func change(s Snapshot, a authority, d *Decision) {
	switch {
	case !s.Leader:
		d.Reply = fail("this unit does not lead: run the action on %s/leader", s.Event.Unit.Application())
	case len(s.ConfigProblems) > 0:
		d.Reply = fail("%s", configStatus(s).Message)
	case s.Event.Name == "renew-certificates":
		renewReply(s, d)
	case s.Event.Name == "issue-certificate":
		issueReply(s, a, d)
	default:
		signReply(s, a, d)
	}
}

func fail(format string, args ...any) *Reply {
	return &Reply{Failure: fmt.Sprintf(format, args...)}
}

func authorityReply(s Snapshot, a authority) *Reply {
	fingerprint := sha256.Sum256(a.certificate.Raw)
	return &Reply{Results: map[string]string{
		"message":            fmt.Sprintf("root CA %s, valid for another %s", a.certificate.Subject, policy.SpellDuration(a.validity.NotAfter.Sub(s.Now))),
		"ca-certificate":     pki.EncodeCertificatePEM(a.certificate.Raw),
		"subject":            a.certificate.Subject.String(),
		"serial-number":      a.certificate.SerialNumber.Text(16),
		"not-before":         a.validity.NotBefore.Format(time.RFC3339),
		"not-after":          a.validity.NotAfter.Format(time.RFC3339),
		"sha256-fingerprint": fmt.Sprintf("%x", fingerprint),
	}}
}

// parameter reads one parameter of an action; an absent one is the zero value.
func parameter[T any](s Snapshot, name string) (T, error) {
	var value T
	raw, given := s.Parameters[name]
	if !given || string(raw) == "null" {
		return value, nil
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		return value, fmt.Errorf("the parameter %s has another type than actions.yaml says", name)
	}
	return value, nil
}

// parameters reads several text parameters, in order.
func parameters(s Snapshot, names ...string) ([]string, error) {
	values := make([]string, len(names))
	for i, name := range names {
		value, err := parameter[string](s, name)
		if err != nil {
			return nil, err
		}
		values[i] = value
	}
	return values, nil
}

// unitOf is the application of a unit's name, or the name itself.
func unitOf(requester string) string { return juju.UnitName(requester).Application() }
