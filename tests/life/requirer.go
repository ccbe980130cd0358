// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// requirer is one related application and what its databags ask for.
type requirer struct {
	application string
	relation    int
	legacy      bool
	// units are those that are joined, with what each asks for; the CSR
	// dialect also has the application itself.
	wants map[string]*want
}

// want is what one databag asks for.
type want struct {
	server map[string]string // sans by common name; "top" is the first of them
	client []string
	shared string // common name of the application certificate
	top    string
	csrs   map[string]crypto.PublicKey
	keys   map[string]crypto.PrivateKey // by CSR
}

const maxRequirers = 4

// join relates a new application of either dialect.
func (l *Life) join() error {
	if len(l.requirers) >= maxRequirers {
		return l.change()
	}
	l.created++
	r := &requirer{application: fmt.Sprintf("app%c", 'a'+l.created%26), legacy: l.random.IntN(2) == 0, wants: map[string]*want{}}
	if l.created >= 26 {
		return nil
	}
	units := 1 + l.random.IntN(3)
	l.note("join %s with %d units, legacy %t", r.application, units, r.legacy)
	if err := l.Model.AddStandIn(r.application, units); err != nil {
		return err
	}
	var err error
	if r.relation, err = l.Model.Relate(Application+":certificates", r.application+":certificates"); err != nil {
		return err
	}
	l.requirers = append(l.requirers, r)
	for i := range units {
		if err := l.ask(r, fmt.Sprintf("%s/%d", r.application, i)); err != nil {
			return err
		}
	}
	return nil
}

// change lets one databag ask for something else, or for nothing.
func (l *Life) change() error {
	r := l.pick()
	if r == nil {
		return nil
	}
	owners := slices.Sorted(maps.Keys(r.wants))
	if !r.legacy {
		owners = append(owners, r.application)
	}
	if len(owners) == 0 {
		return nil
	}
	return l.ask(r, owners[l.random.IntN(len(owners))])
}

func (l *Life) addRemoteUnit() error {
	r := l.pick()
	if r == nil {
		return nil
	}
	unit, err := l.Model.AddUnit(r.application)
	if err != nil {
		return err
	}
	l.note("add unit %s", unit)
	return l.ask(r, unit)
}

func (l *Life) loseRemoteUnit() error {
	r := l.pick()
	if r == nil {
		return nil
	}
	for unit := range r.wants {
		if unit == r.application {
			continue
		}
		l.note("lose unit %s", unit)
		delete(r.wants, unit)
		return l.Model.RemoveUnit(unit)
	}
	return nil
}

// ask writes a new set of requests into one databag.
func (l *Life) ask(r *requirer, owner string) error {
	w := &want{server: map[string]string{}, csrs: map[string]crypto.PublicKey{}, keys: map[string]crypto.PrivateKey{}}
	bag := map[string]string{}
	if r.legacy {
		l.askLegacy(w, bag, owner)
	} else if err := newCSRs(w, bag, owner, l.random.IntN(3)); err != nil {
		return err
	}
	r.wants[owner] = w
	l.note("%s asks for %v %v %q and %d CSRs", owner, w.server, w.client, w.shared, len(w.csrs))
	for key := range l.Model.Bag(r.relation, owner) {
		if _, kept := bag[key]; !kept && key != "ingress-address" && key != "private-address" && key != "egress-subnets" {
			bag[key] = ""
		}
	}
	return l.Model.SetBag(r.relation, owner, bag)
}

func (l *Life) askLegacy(w *want, bag map[string]string, owner string) {
	name := strings.ReplaceAll(owner, "/", "-")
	bag["unit_name"] = strings.ReplaceAll(owner, "/", "_")
	sans := fmt.Sprintf(`["alt%d.example.com", "10.1.%d.1"]`, l.random.IntN(5), l.random.IntN(5))
	if l.random.IntN(4) > 0 {
		w.top = name + ".example.com"
		w.server[w.top] = sans
		bag["common_name"], bag["sans"] = w.top, sans
	}
	if l.random.IntN(3) == 0 {
		other := "other-" + name + ".example.com"
		w.server[other] = sans
		bag["cert_requests"] = fmt.Sprintf(`{%q: {"sans": %s}}`, other, sans)
	}
	if l.random.IntN(3) == 0 {
		w.client = []string{"system:" + name}
		bag["client_cert_requests"] = fmt.Sprintf(`{%q: {"sans": null}}`, w.client[0])
	}
	if l.random.IntN(4) == 0 {
		w.shared = "vip-" + name + ".example.com"
		bag["application_cert_requests"] = fmt.Sprintf(`{%q: {"sans": []}}`, w.shared)
	}
}

// newCSRs puts a number of new CSRs into a databag.
func newCSRs(w *want, bag map[string]string, owner string, number int) error {
	var requests []string
	for range number {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		csr, err := newCSR(owner, key)
		if err != nil {
			return err
		}
		w.csrs[csr], w.keys[csr] = key.Public(), key
		requests = append(requests, csr)
	}
	shown, err := csrBag(requests...)
	maps.Copy(bag, shown)
	return err
}

func newCSR(owner string, key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: strings.ReplaceAll(owner, "/", "-") + ".example.com"},
	}, key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), err
}

// csrBag is a databag that shows CSRs.
func csrBag(requests ...string) (map[string]string, error) {
	type entry struct {
		CSR string `json:"certificate_signing_request"`
		CA  bool   `json:"ca"`
	}
	entries := []entry{}
	for _, csr := range requests {
		entries = append(entries, entry{CSR: csr})
	}
	text, err := json.Marshal(entries)
	return map[string]string{"certificate_signing_requests": string(text)}, err
}

// Fleet relates one application with a number of units, each with one request:
// a server certificate in the legacy dialect, or a CSR.
func (l *Life) Fleet(legacy bool, units int) error {
	l.created++
	r := &requirer{application: fmt.Sprintf("fleet%c", 'a'+l.created), legacy: legacy, wants: map[string]*want{}}
	l.note("fleet %s of %d units, legacy %t", r.application, units, legacy)
	if err := l.Model.AddStandIn(r.application, units); err != nil {
		return err
	}
	var err error
	if r.relation, err = l.Model.Relate(Application+":certificates", r.application+":certificates"); err != nil {
		return err
	}
	l.requirers = append(l.requirers, r)
	for i := range units {
		owner := fmt.Sprintf("%s/%d", r.application, i)
		w, bag := &want{server: map[string]string{}, csrs: map[string]crypto.PublicKey{}, keys: map[string]crypto.PrivateKey{}}, map[string]string{}
		if legacy {
			w.top = fmt.Sprintf("%s-%d.example.com", r.application, i)
			w.server[w.top] = "[]"
			bag = map[string]string{"unit_name": strings.ReplaceAll(owner, "/", "_"), "common_name": w.top, "sans": "[]"}
		} else if err := newCSRs(w, bag, owner, 1); err != nil {
			return err
		}
		r.wants[owner] = w
		if err := l.Model.SetBag(r.relation, owner, bag); err != nil {
			return err
		}
	}
	return nil
}

// Serials are the serial numbers of the legacy server certificates that our
// first unit publishes, by the key of the databag.
func (l *Life) Serials() map[string]string {
	serials := map[string]string{}
	for _, r := range l.requirers {
		for key, text := range l.Model.Bag(r.relation, l.units()[0]) {
			if !strings.HasSuffix(key, ".server.cert") {
				continue
			}
			if leaf, err := parseOne(text); err == nil {
				serials[key] = leaf.SerialNumber.String()
			}
		}
	}
	return serials
}

// Published are the serial numbers of all answers: the legacy server
// certificates that the record of the peer relation holds, by requester, and
// the answers to CSRs, by CSR.
func (l *Life) Published() map[string]string {
	serials := map[string]string{}
	for _, r := range l.requirers {
		var recorded struct {
			Units []struct {
				Unit  string
				Pairs []struct{ Serial string }
			}
		}
		if json.Unmarshal([]byte(l.peer()[fmt.Sprintf("legacy-%d", r.relation)]), &recorded) == nil {
			for _, unit := range recorded.Units {
				for i, pair := range unit.Pairs {
					serials[fmt.Sprintf("%s %d", unit.Unit, i)] = pair.Serial
				}
			}
		}
		var answers []struct {
			CSR         string `json:"certificate_signing_request"`
			Certificate string `json:"certificate"`
		}
		if json.Unmarshal([]byte(l.Model.Bag(r.relation, Application)["certificates"]), &answers) == nil {
			for _, answer := range answers {
				serials[answer.CSR] = answer.Certificate
			}
		}
	}
	return serials
}

// Bags are the databags of ours, of the peer relation and of those with
// requirers, by relation and owner.
func (l *Life) Bags() map[string]map[string]string {
	bags, relations := map[string]map[string]string{}, []int{0}
	for _, r := range l.requirers {
		relations = append(relations, r.relation)
	}
	for _, id := range relations {
		for _, owner := range append(l.units(), Application) {
			bags[fmt.Sprintf("%d %s", id, owner)] = l.Model.Bag(id, owner)
		}
	}
	return bags
}

// peer is the application databag of the peer relation, the first of a model.
func (l *Life) peer() map[string]string { return l.Model.Bag(0, Application) }

// LastHook names the hook that ran last.
func (l *Life) LastHook() string {
	hooks := l.Model.Hooks()
	last := hooks[len(hooks)-1]
	return last.Unit + " " + last.Hook + " " + last.RemoteUnit
}
