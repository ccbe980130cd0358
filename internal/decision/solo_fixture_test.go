// SPDX-License-Identifier: GPL-3.0-only

package decision_test

import (
	"encoding/json"
	"slices"
	"testing"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/signing"
	"tls-authority/internal/tlscertificates"
)

// solo plays relation events of one relation as internal/charm reads them.
type solo struct {
	w    *world
	n    int
	app  string
	bags map[string]map[string]string
	own  map[string]string
	unit map[string]string
	last signing.Changes
}

func newSolo(t *testing.T, app string) *solo {
	w := newWorld(t)
	w.s.Live = []int{3}
	return &solo{w: w, n: 3, app: app, bags: map[string]map[string]string{}, own: map[string]string{}, unit: map[string]string{}}
}

func (z *solo) run() {
	z.last = z.w.write(decision.Make(z.w.s))
	r := z.w.s.Relations[0]
	z.own, z.unit = r.OwnApplicationBag, r.OwnUnitBag
}

// event has one owner change its databag; nil means that the unit has left.
func (z *solo) event(owner string, bag map[string]string) {
	kind := juju.RelationChanged
	if bag == nil {
		kind = juju.RelationDeparted
		delete(z.bags, owner)
	} else {
		z.bags[owner] = bag
	}
	id := juju.RelationID{Endpoint: decision.CertificatesEndpoint, Number: z.n}
	s := &z.w.s
	s.Sweep, s.Listed = false, false
	s.Event = juju.Event{Kind: kind, Name: "certificates-relation-changed", Unit: "tls-authority/0", Model: "k8s", Relation: id}
	if owner != z.app {
		s.Event.RemoteUnit = juju.UnitName(owner)
	}
	r := decision.Relation{ID: id, Application: z.app, Owner: owner, OwnUnitBag: s.Record().UnitBag(z.n)}
	if owner == z.app {
		r.Requests = tlscertificates.ParseApplicationBag(bag)
	} else if bag != nil {
		r.Units = []decision.RemoteUnit{{Name: juju.UnitName(owner), Requests: tlscertificates.ParseUnitBag(bag)}}
	}
	r.Unmet = r.Missing(s.Record())
	if s.Concerns(r) {
		r.OwnApplicationBag = z.own
	}
	own := z.own
	s.Relations = []decision.Relation{r}
	z.run()
	if z.last.Relations[0].Application == nil {
		z.own = own
	}
}

// whole looks at all of the relation, as in the given event.
func (z *solo) whole(event juju.Event, sweep bool) {
	s := &z.w.s
	s.Sweep, s.Listed, s.Event = sweep, true, event
	r := decision.Relation{ID: juju.RelationID{Endpoint: decision.CertificatesEndpoint, Number: z.n}, Application: z.app, OwnUnitBag: z.unit, OwnApplicationBag: z.own}
	r.Requests = tlscertificates.ParseApplicationBag(z.bags[z.app])
	var units []string
	for o := range z.bags {
		if o != z.app {
			units = append(units, o)
		}
	}
	slices.Sort(units)
	for _, u := range units {
		r.Units = append(r.Units, decision.RemoteUnit{Name: juju.UnitName(u), Requests: tlscertificates.ParseUnitBag(z.bags[u])})
	}
	r.Unmet = r.Missing(s.Record())
	s.Relations = []decision.Relation{r}
	z.run()
}

// Events in which a relation may be looked at as a whole.
var recordChanged = juju.Event{Kind: juju.RelationChanged, Name: "authority-relation-changed", Unit: "tls-authority/0", Model: "k8s", Relation: juju.RelationID{Endpoint: "authority", Number: 0}}
var updateStatus = juju.Event{Kind: juju.UpdateStatus, Name: "update-status", Unit: "tls-authority/0", Model: "k8s"}
var configChanged = juju.Event{Kind: juju.ConfigChanged, Name: "config-changed", Unit: "tls-authority/0", Model: "k8s"}

// idle lets peer-changed follow until the record rests, then one update-status,
// as internal/charm would; it tells how many hooks looked at the relation.
func (z *solo) idle() int {
	looked := 0
	for _, e := range []juju.Event{recordChanged, recordChanged, recordChanged, recordChanged, updateStatus, recordChanged, recordChanged, updateStatus} {
		z.w.s.Event, z.w.s.Sweep = e, false
		z.w.s.Sweep = z.w.s.Sweeps()
		if z.w.s.Sweep || slices.Contains(z.w.s.Due(), z.n) {
			looked++
			z.whole(e, z.w.s.Sweep)
		}
	}
	return looked
}

// legacyBag asks for server certificates.
func legacyBag(unit string, cns ...string) map[string]string {
	m := map[string]any{}
	for _, cn := range cns {
		m[cn] = map[string]any{"sans": []string{}}
	}
	b, _ := json.Marshal(m)
	return map[string]string{"unit_name": unit, "cert_requests": string(b)}
}

// answersTo tells whether a CSR has a certificate, and whether it has an error.
func answersTo(own map[string]string, csr string) (cert, refused bool) {
	as, _ := tlscertificates.ParseCertificates(own["certificates"])
	for _, a := range as {
		cert = cert || a.CSR == csr
	}
	es, _ := tlscertificates.ParseRequestErrors(own["request_errors"])
	for _, e := range es {
		refused = refused || e.CSR == csr
	}
	return
}
