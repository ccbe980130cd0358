// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"errors"
	"fmt"
)

// requestCost is the cost of one new request.
type requestCost struct {
	Dialect   string `json:"dialect"`
	CAKey     string `json:"ca-key-type"`
	Key       string `json:"key-type,omitempty"` // that the charm makes
	Relations int    `json:"relations"`
	Issued    int    `json:"issued"` // in each relation

	// The hook in which the certificate is issued.
	CPU     spread `json:"cpu"`
	Wall    spread `json:"wall"`
	Peak    int64  `json:"peak-memory"` // of all runs
	Calls   int    `json:"hook-tool-calls"`
	Read    int64  `json:"bytes-read"`
	Written int64  `json:"bytes-written"`

	// The hooks that the request and its answer cause, the one above included.
	Hooks  int    `json:"hooks"`
	AllCPU spread `json:"cpu-of-all-hooks"`

	// What the model stores.
	ApplicationBag int64 `json:"application-bag"`
	UnitBag        int64 `json:"unit-bag"`
	PeerBag        int64 `json:"peer-bag"`
}

// measureCSR asks for one certificate more in one relation that grows.
func (b *bench) measureCSR() error {
	s, err := newSite(b.options.charm, map[string]any{"certificate-limit": -1})
	if err != nil {
		return err
	}
	defer s.close()
	f, err := s.relate("db")
	if err != nil {
		return err
	}
	for _, issued := range b.sizes.csr {
		err = b.growCSR(f, issued)
		if err != nil {
			return err
		}
		row := requestCost{Dialect: "csr", CAKey: "ecdsa-p256", Relations: 1, Issued: issued}
		err = b.measureIdle(s, row.issued())
		if err != nil {
			return err
		}
		err = b.measureOne(f, row, b.sizes.runs)
		if err != nil {
			return err
		}
	}
	b.report.Entry, err = newEntrySize(f.model.Bag(f.relation, authorityApplication)["certificates"])
	return err
}

// measureWide asks for one certificate more in one of many relations.
func (b *bench) measureWide() error {
	s, err := newSite(b.options.charm, nil)
	if err != nil {
		return err
	}
	defer s.close()
	f, err := b.growWide(s)
	if err != nil {
		return err
	}
	row := requestCost{Dialect: "csr", CAKey: "ecdsa-p256", Relations: b.sizes.relations, Issued: b.sizes.perRelation}
	err = b.measureIdle(s, row.issued())
	if err != nil {
		return err
	}
	return b.measureOne(f, row, b.sizes.runs)
}

// measureLegacy lets the charm make key and certificate of one unit more:
// with keys that cost nothing in a relation that grows, and with RSA keys.
func (b *bench) measureLegacy() error {
	err := b.measureLegacyKeys("ecdsa-p256", b.sizes.legacy, b.sizes.runs)
	if err != nil {
		return err
	}
	return b.measureLegacyKeys("rsa-2048", b.sizes.legacy[:1], b.sizes.keyRuns)
}

func (b *bench) measureLegacyKeys(keyType string, sizes []int, runs int) error {
	s, err := newSite(b.options.charm, map[string]any{"certificate-limit": -1, "ca-key-type": keyType, "key-type": keyType})
	if err != nil {
		return err
	}
	defer s.close()
	f, err := s.relate("etcd")
	if err != nil {
		return err
	}
	for _, issued := range sizes {
		err = b.growLegacy(f, issued)
		if err != nil {
			return err
		}
		row := requestCost{Dialect: "legacy", CAKey: keyType, Key: keyType, Relations: 1, Issued: issued}
		err = b.measureOne(f, row, runs)
		if err != nil {
			return err
		}
	}
	return nil
}

// measureOne lets several units ask, one after the other. Each has joined
// before with nothing to ask, so that one event tells of one request.
func (b *bench) measureOne(f *fleet, row requestCost, runs int) error {
	row.ApplicationBag = f.bagSize(f.relation, authorityApplication)
	row.UnitBag = f.bagSize(f.relation, authorityUnit)
	row.PeerBag = f.bagSize(peerRelation, authorityApplication)
	var signing, all costList
	for i := range runs {
		hooks, err := b.ask(f, row)
		if err != nil {
			return err
		}
		signing, all = append(signing, hooks[0]), append(all, sumCosts(hooks))
		row.Hooks = len(hooks)
		issued := f.issuedLegacy() + f.issuedCSR()
		err = expect(issued, row.Issued+i+1)
		if err != nil {
			return err
		}
	}
	row.CPU, row.Wall, row.AllCPU = signing.cpu(), signing.wall(), all.cpu()
	row.Peak = signing.peak()
	if row.Peak == 0 {
		return errors.New("the kernel does not tell how much memory the charm used")
	}
	first := signing[0] // the others find more issued than the row says
	row.Calls, row.Read, row.Written = first.calls, first.read, first.written
	b.report.Requests = append(b.report.Requests, row)
	return nil
}

// ask adds a unit and, when that is over, its request.
func (b *bench) ask(f *fleet, row requestCost) ([]hookCost, error) {
	unit, err := f.join(func(string) map[string]string { return nil })
	if err != nil {
		return nil, err
	}
	_, err = f.settle()
	if err != nil {
		return nil, err
	}
	bag := legacyBag(unit)
	if row.Dialect == "csr" {
		request, err := newRequest("late-"+unit[len(f.application)+1:], b.keys[0])
		if err != nil {
			return nil, err
		}
		bag = csrBag(request)
	}
	err = f.model.SetBag(f.relation, unit, bag)
	if err != nil {
		return nil, err
	}
	hooks, err := f.settle()
	if err == nil && len(hooks) == 0 {
		err = fmt.Errorf("the request of %s caused no hook", unit)
	}
	return hooks, err
}
