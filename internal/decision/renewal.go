// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"strconv"
	"time"

	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// Points of a certificate's life, as fractions, at which it is issued anew.
// Nobody renews a pair of the legacy dialect but us, so there is time for it
// to happen in waves. In the CSR dialect the requirer leads, at 0.9 by
// default; what it leaves until 0.93 is re-signed for it.
const (
	legacyDue     = 2.0 / 3
	legacySpread  = 1.0 / 12
	legacyOverdue = 0.9
	requestDue    = 0.93
	authorityDue  = 2.0 / 3
)

// waveShare is the part of a relation's pairs that one hook may renew. A
// renewed pair restarts a service, and a cluster survives only so many
// restarts at once.
const waveShare = 10

// passed tells whether a fraction of a certificate's life is over.
func passed(now time.Time, issued record.Issued, fraction float64) bool {
	life := issued.NotAfter.Sub(issued.NotBefore)
	return now.Sub(issued.NotBefore) >= time.Duration(float64(life)*fraction)
}

// patience is how far the clocks of two units that lead in turn may differ
// before it matters: what begins sooner than that is not worth the restart of a
// service.
const patience = time.Hour

// early tells whether a certificate begins to be valid, or something happened,
// well after now: a clock was ahead then, or this one is behind.
func early(now, begin time.Time) bool { return begin.Sub(now) > patience }

// gains tells whether a certificate that would be issued now is better than
// the one there is: it ends later, or is valid now where that one is not yet.
// What is issued for that begins earlier each time, so that it ends.
func gains(now time.Time, validity pki.Validity, issued record.Issued) bool {
	if early(now, issued.NotBefore) {
		return !validity.NotBefore.After(now)
	}
	return validity.NotAfter.After(issued.NotAfter)
}

// RenewalTime is when a certificate should have been replaced: in the CSR
// dialect we do what the requirer has left undone, in the legacy one the last
// wave is over.
func RenewalTime(c record.Served) time.Time {
	fraction := legacyDue + legacySpread
	if c.Kind == record.KindCSR {
		fraction = requestDue
	}
	return c.NotBefore.Add(time.Duration(float64(c.NotAfter.Sub(c.NotBefore)) * fraction))
}

// spread is where in the time between due and due plus legacySpread a pair is
// renewed: from 0 to 1, by its serial number, so that a fleet that was issued
// in one hour is not renewed in one.
func spread(issued record.Issued) float64 {
	const digits = 4
	tail := issued.Serial
	if len(tail) > digits {
		tail = tail[len(tail)-digits:]
	}
	n, err := strconv.ParseUint(tail, 16, 32)
	if err != nil {
		return 0
	}
	return float64(n) / (1 << (4 * digits))
}

// wave is what one hook may renew of one relation.
type wave struct {
	now  time.Time
	left int
	// echo tells that the hook is the answer to our own write of the record:
	// waves would follow each other without a pause.
	echo bool
	// waits tells that the CA is not valid yet: nothing that it issues would
	// be of more use than what there is.
	waits bool
}

func newWave(s Snapshot, pairs int) *wave {
	echo := s.Peer != nil && s.Event.Kind == juju.RelationChanged && s.Event.Relation == s.Peer.ID
	return &wave{now: s.Now, left: max(1, pairs/waveShare), echo: echo}
}

// of is the wave of a CA.
func (w *wave) of(a Authority) *wave {
	w.waits = a.Validity.NotBefore.After(w.now)
	return w
}

// due tells whether a pair should be renewed. One that an operator asked for
// does not wait for its age, but for its wave.
func (w *wave) due(pair record.Pair) bool {
	return w.overdue(pair) || pair.Asked || !w.echo && passed(w.now, pair.Issued, legacyDue+legacySpread*spread(pair.Issued))
}

// overdue tells whether a pair cannot wait for its wave: it is near its end, or
// cannot be used yet.
func (w *wave) overdue(pair record.Pair) bool {
	return passed(w.now, pair.Issued, legacyOverdue) || !w.waits && early(w.now, pair.NotBefore)
}

// takes tells whether a pair that is due is renewed in this hook, and counts
// it. It is asked last, when the renewal is certain: what cannot be renewed
// must not stand in the way of the others.
func (w *wave) takes(pair record.Pair) bool {
	if w.overdue(pair) {
		return true
	}
	if w.left == 0 {
		return false
	}
	w.left--
	return true
}

// renewAuthority sees to the CA's own certificate in time. A rotation comes
// first; it may be the renewal.
func renewAuthority(s Snapshot, a Authority, d *Decision) {
	if d.Record.CA.Rotation != nil {
		return
	}
	if a.Outlook.Issuer.Origin() == record.Upstream {
		askUpstream(s, a, d)
		return
	}
	if d.Renew = renewRoot(s, a, d.Record); d.Renew != nil {
		d.Log = append(d.Log, info("renewing the root CA with the same key: %s", d.Renew.Reason))
	}
}

// askUpstream asks the CA above for a new certificate once, when ours has
// come of age.
func askUpstream(s Snapshot, a Authority, d *Decision) {
	validity := pki.ValidityOf(a.Certificate)
	own := record.Issued{NotBefore: validity.NotBefore, NotAfter: validity.NotAfter}
	request := d.Record.Request
	switch {
	case !passed(s.Now, own, authorityDue):
		return
	case request != nil && request.Source != record.Upstream:
		d.Record.CA.Trouble = "our certificate from upstream comes of age, but a request of get-csr waits: finish it, or set ca-source"
		return
	case request != nil && passed(request.Made, own, authorityDue):
		return
	}
	d.Making = NewRequest(s, a.Outlook.Issuer.KeyID(), record.Upstream, "our certificate from upstream comes of age")
	d.Log = append(d.Log, info("asking the CA above for a new certificate: ours ends %s", validity.NotAfter.Format(time.DateOnly)))
}

// renewRoot orders the renewal of the root: the same name and the same key
// with a later end, so that it is invisible to leaves and to those who trust
// it. The beginning stays: by a clock that is ahead, a new one would make a CA
// that nobody can use once the clock is put right. It is due when a third of a
// life is left, or when a leaf would get less than half of the life it should
// have; and only when it gains a third of a life, so that no choice of options
// makes it come again at once. Leaves that name the root by its serial number
// would not survive it.
func renewRoot(s Snapshot, a Authority, r record.Record) *record.Order {
	if !a.Outlook.Issuer.IsRoot() || pki.CheckRenewable(a.Certificate) != nil || r.Pinned(s.Now) {
		return nil
	}
	validity := pki.NewValidity(s.Now, s.Config.CAValidity)
	validity.NotBefore = a.Validity.NotBefore
	gain := validity.NotAfter.Sub(a.Validity.NotAfter)
	if gain < s.Config.CAValidity/3 {
		return nil
	}
	left := a.Validity.NotAfter.Sub(s.Now)
	life := min(a.Validity.NotAfter.Sub(a.Validity.NotBefore), s.Config.CAValidity)
	aged := left <= time.Duration(float64(life)*(1-authorityDue))
	clips := left < max(s.Config.CertificateValidity, s.Config.LegacyValidity)/2
	if !aged && !clips {
		return nil
	}
	return &record.Order{
		Reason:   "the root has " + policy.SpellDuration(max(left, 0)) + " left",
		Template: pki.Template{Profile: pki.Root, Validity: validity},
	}
}
