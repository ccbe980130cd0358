// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import "fmt"

// Limits of what is read from one remote databag. They bound the work of a hook
// whoever writes the bag, and lie far above what any known charm sends.
const (
	// maxValueSize, in bytes, is the most that a document of Juju's store holds.
	maxValueSize = 16 << 20
	// maxRequests counts the entries of all keys of one bag, good and bad.
	maxRequests = 10_000
	// maxMembers counts the fields of one entry, which has two at most. Fields behind
	// them are not looked at, as if they were unknown.
	maxMembers = 100
	// maxNames counts the names of one request: more than a certificate may carry, so
	// that too many are still seen as too many.
	maxNames = 1000
	// maxNameSize, in bytes, is above every name that X.509 or DNS allows.
	maxNameSize = 1024
)

// UnitRequests is what the databag of one remote unit asks for.
type UnitRequests struct {
	// Legacy is nil when the unit shows no sign of the legacy dialect. It may be
	// without requests: many charms only want the CA and the client certificate.
	Legacy    *LegacyRequests
	SpeaksCSR bool // KeyCSRs is present, even if it is malformed
	CSR       []CSRRequest
	Problems  []Problem
}

// ParseUnitBag reads the databag of a remote unit. Its keys alone tell the dialects
// apart; those that Juju itself writes into every unit databag are no sign of either.
func ParseUnitBag(bag Bag) UnitRequests {
	r := bagReader{bag: bag, left: maxRequests}
	legacy := r.legacyRequests()
	csr := r.csrRequests()
	return UnitRequests{Legacy: legacy, SpeaksCSR: r.has(KeyCSRs), CSR: csr, Problems: r.problems}
}

// ApplicationRequests is what the databag of a remote application asks for.
type ApplicationRequests struct {
	SpeaksCSR bool // KeyCSRs is present, even if it is malformed
	CSR       []CSRRequest
	Problems  []Problem
}

// ParseApplicationBag reads the databag of a remote application. It ignores keys of
// the legacy dialect: no requirer writes them there.
func ParseApplicationBag(bag Bag) ApplicationRequests {
	r := bagReader{bag: bag, left: maxRequests}
	csr := r.csrRequests()
	return ApplicationRequests{SpeaksCSR: r.has(KeyCSRs), CSR: csr, Problems: r.problems}
}

// bagReader reads one remote databag: it notes what is wrong with it and how many
// more requests may be read from it.
type bagReader struct {
	bag      Bag
	problems []Problem
	left     int
}

func (r *bagReader) has(key string) bool { return r.bag[key] != "" }

// value returns the value of key; "" when there is none or it is too long.
func (r *bagReader) value(key string) string {
	text := r.bag[key]
	if len(text) > maxValueSize {
		r.reportIncomplete(key, fmt.Sprintf("is longer than %d bytes", maxValueSize))
		return ""
	}
	return text
}

// document returns the value of key with its documentKind, 0 when none can be read.
func (r *bagReader) document(key string) (text string, kind byte) {
	text = r.value(key)
	kind = documentKind(text)
	if text != "" && kind == 0 {
		r.reportIncomplete(key, "is not JSON")
	}
	return text, kind
}

// eachRequest calls visit as eachValue does, with as many as may still be read.
func (r *bagReader) eachRequest(key, document string, visit func(name, entry string)) {
	read, more := eachValue(document, r.left, visit)
	r.left -= read
	if more {
		r.reportIncomplete(key, fmt.Sprintf("the databag has more than %d requests: the rest is not read", maxRequests))
	}
}

func (r *bagReader) report(key, reason string) {
	r.problems = append(r.problems, Problem{Key: key, Reason: reason})
}

// reportIncomplete notes that a key could not be read, or not to its end.
func (r *bagReader) reportIncomplete(key, reason string) {
	r.problems = append(r.problems, Problem{Key: key, Reason: reason, Incomplete: true})
}
