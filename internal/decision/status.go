// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"fmt"
	"strings"

	"tls-authority/internal/juju"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// maxStatus keeps a status message within what a terminal shows of it.
const maxStatus = 240

// configStatus names every option that cannot be used. What has been issued
// stays; nothing new is issued until the options are mended, because it might
// say what the operator did not mean.
func configStatus(s Snapshot) juju.Status {
	message := strings.Join(s.ConfigProblems, "; ") + ": mend with juju config"
	return juju.Status{Name: juju.Blocked, Message: message}
}

// standbyStatus is that of a unit that does not lead.
func standbyStatus(s Snapshot) juju.Status {
	if s.Record().CA == nil {
		return juju.Status{Name: juju.Waiting, Message: "waiting for the leader to make the CA"}
	}
	return juju.Status{Name: juju.Active, Message: "standby"}
}

// authorityStatus is the leader's line: what the CA is, what it does, and the
// first request that it refuses.
func authorityStatus(s Snapshot, a authority, r record.Record) juju.Status {
	certificates, applications := tally(r)
	parts := []string{
		"root " + policy.SpellDuration(a.validity.NotAfter.Sub(s.Now)),
		count(certificates, "certificate"),
		count(applications, "application"),
	}
	if denied := denials(r); len(denied) > 0 {
		first := denied[0]
		parts = append(parts, fmt.Sprintf("%d denied: %s %q %s", len(denied), first.Requester, first.Subject, first.Reason))
	}
	message := strings.Join(parts, " · ")
	return juju.Status{Name: juju.Active, Message: record.Cut(message, maxStatus)}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// tally counts the certificates that requirers asked for, and the remote
// applications that have one. The global client certificate is nobody's.
func tally(r record.Record) (certificates, applications int) {
	served := map[string]bool{}
	for _, number := range r.Relations() {
		before := certificates
		application := ""
		if legacy := r.Legacy[number]; legacy != nil {
			application = legacy.Application
			certificates += legacy.Count()
		}
		if requests := r.CSR[number]; requests != nil {
			application = requests.Application
			certificates += len(requests.Certificates)
		}
		if certificates > before {
			served[application] = true
		}
	}
	return certificates, len(served)
}

// denials are the refused requests of all relations, by relation.
func denials(r record.Record) []record.Problem {
	var denied []record.Problem
	add := func(problems []record.Problem) {
		for _, p := range problems {
			if p.Code != 0 {
				denied = append(denied, p)
			}
		}
	}
	for _, number := range r.Relations() {
		if legacy := r.Legacy[number]; legacy != nil {
			add(legacy.Problems)
		}
		if requests := r.CSR[number]; requests != nil {
			add(requests.Problems)
		}
	}
	return denied
}
