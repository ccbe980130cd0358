// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"fmt"
	"strings"
	"time"

	"tls-authority/internal/juju"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// maxStatus keeps a status message within what a terminal shows of it.
const maxStatus = 240

// ConfigStatus names every option that cannot be used. What has been issued
// stays; nothing new is issued until the options are mended, because it might
// say what the operator did not mean.
func ConfigStatus(s Snapshot) juju.Status {
	message := strings.Join(s.ConfigProblems, "; ") + ": mend with juju config"
	return juju.Status{Name: juju.Blocked, Message: message}
}

// standbyStatus is that of a unit that does not lead.
func standbyStatus(s Snapshot) juju.Status {
	if s.Record().CA == nil {
		return juju.Status{Name: juju.Waiting, Message: "waiting for the leader to make the CA"}
	}
	message := strings.Join(append([]string{"standby"}, daemonTrouble(s)...), " · ")
	return juju.Status{Name: juju.Active, Message: record.Cut(message, maxStatus)}
}

// authorityStatus is the leader's line: what the CA is, what it does, and the
// first request that it refuses.
func authorityStatus(s Snapshot, a Authority, d Decision) juju.Status {
	if early(s.Now, a.Validity.NotBefore) {
		return juju.Status{Name: juju.Blocked, Message: fmt.Sprintf(
			"by the clock of this unit the CA is not valid before %s: set the clock; if it is right, run rotate-ca mode=emergency",
			a.Validity.NotBefore.Format(time.DateOnly))}
	}
	certificates, applications := Tally(d.Record)
	kind := "intermediate "
	if a.Outlook.Issuer.IsRoot() {
		kind = "root "
	}
	parts := []string{
		kind + policy.SpellDuration(max(0, a.Validity.NotAfter.Sub(s.Now))),
		Count(certificates, "certificate"),
		Count(applications, "application"),
	}
	if d.Record.CA.Rotation != nil {
		parts = append(parts, Progress(s, d.Record))
	}
	if pending := d.Record.CA.Pending; pending != "" {
		parts = append(parts, "pending: "+pending)
	}
	if trouble := d.Record.CA.Trouble; trouble != "" {
		parts = append(parts, trouble)
	}
	parts = append(parts, daemonTrouble(s)...)
	if denied := Denials(d.Record); len(denied) > 0 {
		first := denied[0]
		parts = append(parts, fmt.Sprintf("%d denied: %s %q %s", len(denied), first.Requester, first.Subject, first.Reason))
	}
	message := strings.Join(parts, " · ")
	return juju.Status{Name: juju.Active, Message: record.Cut(message, maxStatus)}
}

// daemonTrouble says why this unit's status service does not run.
func daemonTrouble(s Snapshot) []string {
	if s.Daemon.Trouble == "" {
		return nil
	}
	return []string{"status service off: " + s.Daemon.Trouble}
}

// Progress says in a few words how far a rotation is and what it waits for.
func Progress(s Snapshot, r record.Record) string {
	rotation := r.CA.Rotation
	stage := "rotating: " + string(rotation.Stage)
	if rotation.Emergency {
		stage = "emergency " + stage
	}
	if rotation.Stage == record.Preparing {
		return stage + preparation(r)
	}
	if rotation.Complete == nil {
		waiting := Waiting(r)
		if len(waiting) == 0 {
			return stage
		}
		total := len(waiting) + len(rotation.Reached)
		return fmt.Sprintf("%s %d/%d applications, next %s", stage, len(rotation.Reached), total, applicationOf(r, waiting[0]))
	}
	if left := HoldLeft(s, rotation); left > 0 {
		return fmt.Sprintf("%s done; %s of hold left", stage, policy.SpellDuration(left))
	}
	if old := stragglers(s, r); nextStage(rotation) == record.Retiring && len(old) > 0 {
		return fmt.Sprintf("%s done; waiting for %s of the old CA, first %s", stage, Count(len(old), "certificate"), record.Shorten(old[0]))
	}
	return stage + " done"
}

// preparation says what a rotation that has not begun waits for.
func preparation(r record.Record) string {
	rotation := r.CA.Rotation
	switch {
	case rotation.Obstacle != "" && rotation.FollowsUpstream(r.CA):
		return "; " + rotation.Obstacle + ": run advance-rotation force=true"
	case rotation.Obstacle != "":
		return "; " + rotation.Obstacle + ": run advance-rotation force=true or abort-rotation"
	case r.CA.Generation(rotation.To) != nil:
		return ""
	case rotation.Source == record.Upstream:
		return "; waiting for the CA above"
	case rotation.Source == record.Imported:
		return "; waiting for a CA in ca-secret that can be used"
	}
	return ""
}

// applicationOf is the remote application of a relation.
func applicationOf(r record.Record, number int) string {
	if legacy := r.Legacy[number]; legacy != nil {
		return legacy.Application
	}
	if requests := r.CSR[number]; requests != nil {
		return requests.Application
	}
	return fmt.Sprintf("relation %d", number)
}

// Count spells a number of things.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Tally counts the certificates that requirers asked for, and the remote
// applications that have one. The global client certificate is nobody's.
func Tally(r record.Record) (certificates, applications int) {
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

// Denials are the refused requests of all relations, by relation.
func Denials(r record.Record) []record.Problem {
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
