// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"fmt"
	"strings"
)

// fleet is an application that is related to the charm.
type fleet struct {
	*site
	application string
	relation    int
}

// relate adds an application without units and relates it.
func (s *site) relate(application string) (*fleet, error) {
	err := s.model.AddStandIn(application, 0)
	if err != nil {
		return nil, err
	}
	relation, err := s.model.Relate(authorityApplication+":certificates", application+":certificates")
	if err != nil {
		return nil, err
	}
	_, err = s.settle()
	return &fleet{site: s, application: application, relation: relation}, err
}

// join adds a unit that has written its bag by the time the charm sees it.
func (f *fleet) join(bag func(unit string) map[string]string) (string, error) {
	unit, err := f.model.AddUnit(f.application)
	if err != nil {
		return "", err
	}
	return unit, f.model.SetBag(f.relation, unit, bag(unit))
}

// sweep lets the charm look at everything, as after a refresh.
func (s *site) sweep() ([]hookCost, error) {
	err := s.model.Queue(authorityUnit, "upgrade-charm")
	if err != nil {
		return nil, err
	}
	return s.settle()
}

// pass lets all pending events go by without the charm.
func (s *site) pass() error {
	s.idle = true
	defer func() { s.idle = false }()
	_, err := s.settle()
	return err
}

// issuedCSR counts the answers to CSRs.
func (f *fleet) issuedCSR() int {
	return strings.Count(f.model.Bag(f.relation, authorityApplication)["certificates"], `"certificate_signing_request"`)
}

// issuedLegacy counts the server certificates of units.
func (f *fleet) issuedLegacy() int {
	count := 0
	for key := range f.model.Bag(f.relation, authorityUnit) {
		if strings.HasSuffix(key, ".server.cert") {
			count++
		}
	}
	return count
}

// expect fails when the charm did not do what it is measured at.
func expect(got, wanted int) error {
	if got != wanted {
		return fmt.Errorf("%d certificates were issued, not %d", got, wanted)
	}
	return nil
}

// growCSR brings the certificates of a fleet to a number in one sweep.
func (b *bench) growCSR(f *fleet, wanted int) error {
	err := b.joinAll(f, wanted)
	if err != nil {
		return err
	}
	err = f.passAndSweep()
	if err != nil {
		return err
	}
	return expect(f.issuedCSR(), wanted)
}

// growWide makes many relations, whose certificates one sweep issues, and
// returns the last.
func (b *bench) growWide(s *site) (*fleet, error) {
	var fleets []*fleet
	for i := range b.sizes.relations {
		f, err := s.relate(fmt.Sprintf("db-%c", 'a'+i))
		if err != nil {
			return nil, err
		}
		err = b.joinAll(f, b.sizes.perRelation)
		if err != nil {
			return nil, err
		}
		fleets = append(fleets, f)
		err = s.pass()
		if err != nil {
			return nil, err
		}
	}
	_, err := s.sweep()
	if err != nil {
		return nil, err
	}
	for _, f := range fleets {
		err = expect(f.issuedCSR(), b.sizes.perRelation)
		if err != nil {
			return nil, err
		}
	}
	return fleets[len(fleets)-1], nil
}

// joinAll adds units with a request each, up to a number of certificates.
func (b *bench) joinAll(f *fleet, wanted int) error {
	have := f.issuedCSR()
	b.say("  %s: from %d to %d certificates", f.application, have, wanted)
	requests, err := b.newRequests(f.application, have, wanted-have)
	if err != nil {
		return err
	}
	for _, request := range requests {
		_, err = f.join(func(string) map[string]string { return csrBag(request) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) growLegacy(f *fleet, wanted int) error {
	have := f.issuedLegacy()
	b.say("  %s: from %d to %d certificates", f.application, have, wanted)
	for range wanted - have {
		_, err := f.join(legacyBag)
		if err != nil {
			return err
		}
	}
	err := f.passAndSweep()
	if err != nil {
		return err
	}
	return expect(f.issuedLegacy(), wanted)
}

func (s *site) passAndSweep() error {
	err := s.pass()
	if err != nil {
		return err
	}
	_, err = s.sweep()
	return err
}
