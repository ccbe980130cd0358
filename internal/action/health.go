// SPDX-License-Identifier: GPL-3.0-only

package action

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// severity is how much a finding matters.
type severity string

const (
	critical severity = "critical" // something does not work, or will not soon
	advice   severity = "warning"  // something will not work one day, or is weak
	notice   severity = "info"     // something is worth knowing
)

// finding is one entry of the result `findings`, in JSON.
type finding struct {
	Severity severity `json:"severity"`
	Finding  string   `json:"finding"`
	Remedy   string   `json:"remedy"`
}

// Bounds of health-check.
const (
	soon       = 30 * 24 * time.Hour
	later      = 180 * 24 * time.Hour
	stuckHolds = 3 // a stage that takes as many holds is stuck
	leastStuck = 24 * time.Hour
	backupAge  = 90 * 24 * time.Hour
)

// healthCheck looks for what an operator should know, worst first.
func (k *desk) healthCheck() *decision.Reply {
	var findings []finding
	add := func(s severity, remedy, format string, args ...any) {
		findings = append(findings, finding{Severity: s, Finding: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	for _, problem := range k.s.ConfigProblems {
		add(critical, "mend the option with juju config", "%s", problem)
	}
	if k.d.Record.CA == nil {
		add(critical, "see the status of the leader unit", "there is no CA")
	} else {
		k.checkCertificates(add)
		k.checkRotation(add)
		k.checkBackup(add)
	}
	k.checkRequests(add)
	return healthReply(findings)
}

type adder func(s severity, remedy, format string, args ...any)

// healthReply orders the findings and counts them.
func healthReply(findings []finding) *decision.Reply {
	ordered := []finding{}
	counts := map[severity]int{}
	for _, s := range []severity{critical, advice, notice} {
		for _, f := range findings {
			if f.Severity == s {
				ordered = append(ordered, f)
				counts[s]++
			}
		}
	}
	text, err := json.Marshal(ordered)
	if err != nil {
		return fail("cannot encode the findings: %v", err)
	}
	message := "healthy"
	switch {
	case counts[critical] > 0:
		message = decision.Count(counts[critical], "critical finding")
	case counts[advice] > 0:
		message = decision.Count(counts[advice], "warning")
	}
	return &decision.Reply{Results: map[string]string{
		"message":  message,
		"findings": string(text),
		"critical": strconv.Itoa(counts[critical]),
		"warnings": strconv.Itoa(counts[advice]),
	}}
}

// checkCertificates looks at the CA and everything above it.
func (k *desk) checkCertificates(add adder) {
	path, err := decision.Path(k.a.Outlook.Issuer)
	if err != nil {
		add(critical, "restore the CA from a backup", "%v", err)
		return
	}
	for i, c := range path {
		what := "the CA certificate"
		if i > 0 {
			what = "the certificate above, " + c.Subject.String() + ","
		}
		left := c.NotAfter.Sub(k.s.Now)
		remedy := renewalRemedy(k.a.Outlook.Issuer.Origin(), i > 0, pki.CheckRenewable(path[0]) == nil)
		switch {
		case left <= 0:
			add(critical, remedy, "%s has expired", what)
		case left < soon:
			add(critical, remedy, "%s ends in %s", what, policy.SpellDuration(left))
		case left < later:
			add(advice, remedy, "%s ends in %s", what, policy.SpellDuration(left))
		}
		if key, isRSA := c.PublicKey.(*rsa.PublicKey); isRSA && key.N.BitLen() < 2048 {
			add(advice, "rotate to a CA with a longer key", "%s has a weak key: RSA of %d bits", what, key.N.BitLen())
		}
	}
	if trouble := k.s.Daemon.Trouble; trouble != "" {
		add(critical, "mend the cause, or set status-port=0 if the service is not wanted", "the status service of %s is off: %s", k.s.Event.Unit, trouble)
	}
	for generation, list := range k.d.Record.Lists {
		if k.d.Record.CA.Generation(generation) != nil && len(list.CRL) > 0 && !k.s.Now.Before(list.NextUpdate) {
			add(critical, "see the status of the leader unit: it should have signed another", "the revocation list of generation %d was good until %s", generation, list.NextUpdate.Format(time.RFC3339))
		}
	}
	if n := len(k.d.Record.Revoked); n > 0 {
		add(notice, "none: see get-revocation-list", "%s revoked", decision.Count(n, "certificate"))
	}
	if path[0].KeyUsage&x509.KeyUsageCRLSign == 0 {
		add(notice, "rotate to a CA with key usage cRLSign if revocation is wanted", "the CA may not sign revocation lists")
	}
	if k.d.Record.Pinned(k.s.Now) {
		add(notice, "none: it ends by itself as they are renewed", "certificates in service name the CA by its serial number: it is not renewed as long")
	}
}

func renewalRemedy(origin record.Source, above, renewable bool) string {
	switch {
	case origin == record.SelfSigned, renewable:
		return "none if the leader unit runs: the root renews itself at two thirds of its life; see ca-validity"
	case origin == record.Upstream:
		return "see the application of the CA above: our request for a new certificate is on the relation"
	case above:
		return "have the CA above renewed, then have our certificate signed again"
	case origin == record.Offline:
		return "run get-csr, have it signed, run upload-ca-certificate"
	}
	return "put a renewed certificate into ca-secret with juju update-secret"
}

// checkRotation looks for a rotation that does not move, and for options that
// wait to be carried out.
func (k *desk) checkRotation(add adder) {
	ca := k.d.Record.CA
	if ca.Pending != "" {
		add(advice, "carry it out, or take the option back", "pending: %s", ca.Pending)
	}
	if k.s.Config.CASource == record.Upstream && k.s.Upstream == nil && k.s.Event.Name == "health-check" && len(k.s.ConfigProblems) == 0 {
		add(critical, k.s.UpstreamRemedy(), "ca-source is upstream, but there is no relation")
	}
	r := ca.Rotation
	if r == nil {
		return
	}
	patience := max(leastStuck, stuckHolds*k.s.Config.RotationHold)
	if age := k.s.Now.Sub(r.Since); age > patience {
		add(critical, "see rotation-status; advance-rotation force=true goes on without what it waits for", "the rotation is in stage %s for %s: %s", r.Stage, policy.SpellDuration(age), decision.Progress(k.s, k.d.Record))
		return
	}
	add(notice, "none: follow it with rotation-status", "%s", decision.Progress(k.s, k.d.Record))
}

func (k *desk) checkBackup(add adder) {
	backup := k.d.Record.CA.Backup
	switch {
	case backup == nil:
		add(notice, "run backup", "no backup was made")
	case k.s.Now.Sub(*backup) > backupAge:
		add(advice, "run backup", "the last backup is %s old", policy.SpellDuration(k.s.Now.Sub(*backup)))
	}
}

// maxDenied bounds the refused requests that are told one by one.
const maxDenied = 20

func (k *desk) checkRequests(add adder) {
	denied := decision.Denials(k.d.Record)
	for i, p := range denied {
		if i == maxDenied {
			add(advice, "see the status and the log", "%d more requests are refused", len(denied)-maxDenied)
			return
		}
		add(advice, "change the option that denies it, or the requirer's request", "the request of %s for %q is refused: %s", p.Requester, p.Subject, p.Reason)
	}
}
