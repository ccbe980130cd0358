// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// prediction holds a size against the line through the two smallest relations:
// what the controller keeps and carries grows by a constant for each
// certificate, so that fleets can be reckoned with that no machine here holds.
type prediction struct {
	Dialect   string  `json:"dialect"`
	Key       string  `json:"key-type,omitempty"`
	What      string  `json:"what"`
	Base      float64 `json:"base"`
	Each      float64 `json:"each-certificate"`
	Relations int     `json:"relations"`
	Issued    int     `json:"issued"` // in each relation
	Predicted float64 `json:"predicted"`
	Measured  float64 `json:"measured"`
}

// sizeFigure is a size that depends on what was issued.
type sizeFigure struct {
	name string
	of   func(requestCost) int64
	// grows says with what: with the certificates of the relation, of all
	// relations, or of both, which no line can tell where there are several.
	grows growth
}

type growth int

const (
	withRelation growth = iota
	withModel
	withBoth
)

// The sizes that a fleet is reckoned with too.
const (
	sizeRead    = "read by the hook"
	sizeWritten = "written by the hook"
)

var sizeFigures = []sizeFigure{
	{"application bag", func(r requestCost) int64 { return r.ApplicationBag }, withRelation},
	{"unit bag", func(r requestCost) int64 { return r.UnitBag }, withRelation},
	{"peer bag", func(r requestCost) int64 { return r.PeerBag }, withModel},
	{sizeRead, func(r requestCost) int64 { return r.Read }, withBoth},
	{sizeWritten, func(r requestCost) int64 { return r.Written }, withBoth},
}

// entrySize is what one answer to a CSR takes in the list of certificates, in
// bytes of JSON text: the parts that the interface demands, the CA twice and
// the certificate twice, and what holds them together.
type entrySize struct {
	CSR         int `json:"csr"`
	Certificate int `json:"certificate"`
	CA          int `json:"ca"`
	Chain       int `json:"chain"`
	Rest        int `json:"rest"`
}

func (e entrySize) total() int { return e.CSR + e.Certificate + e.CA + e.Chain + e.Rest }

// newEntrySize measures the first entry of a list.
func newEntrySize(list string) (entrySize, error) {
	var entries []json.RawMessage
	err := json.Unmarshal([]byte(list), &entries)
	if err != nil {
		return entrySize{}, fmt.Errorf("cannot read the list: %w", err)
	}
	if len(entries) == 0 {
		return entrySize{}, errors.New("cannot measure an entry of an empty list")
	}
	var parts map[string]json.RawMessage
	err = json.Unmarshal(entries[0], &parts)
	if err != nil {
		return entrySize{}, fmt.Errorf("cannot read an entry of the list: %w", err)
	}
	e := entrySize{
		CSR: len(parts["certificate_signing_request"]), Certificate: len(parts["certificate"]),
		CA: len(parts["ca"]), Chain: len(parts["chain"]),
	}
	e.Rest = len(entries[0]) + len(",") - e.total()
	return e, nil
}

// predictAll fits each size in each kind of relation, and adds up what the
// hooks of a joining fleet move.
func predictAll(r report) []prediction {
	var all []prediction
	for i, first := range r.Requests {
		same := func(c requestCost) bool { return c.Dialect == first.Dialect && c.Key == first.Key }
		if slices.ContainsFunc(r.Requests[:i], same) {
			continue
		}
		kind := slices.DeleteFunc(slices.Clone(r.Requests[i:]), func(c requestCost) bool { return !same(c) })
		for _, figure := range sizeFigures {
			all = append(all, predict(figure, kind)...)
		}
	}
	for _, f := range r.Fleet {
		all = append(all, predictFleet(all, f, sizeRead, f.Read)...)
		all = append(all, predictFleet(all, f, sizeWritten, f.Written)...)
	}
	return all
}

// predict takes the line from the first two rows, which are of one relation
// and of different size, and holds the others against it.
func predict(figure sizeFigure, rows []requestCost) []prediction {
	if len(rows) < 3 {
		return nil
	}
	x0, y0 := float64(rows[0].Issued), float64(figure.of(rows[0]))
	x1, y1 := float64(rows[1].Issued), float64(figure.of(rows[1]))
	each := divide(y1-y0, x1-x0)
	base := y0 - each*x0
	if each < 1 {
		return nil // it does not grow
	}
	var predictions []prediction
	for _, row := range rows[2:] {
		x := float64(row.Issued)
		switch {
		case row.Relations == 1:
		case figure.grows == withBoth:
			continue
		case figure.grows == withModel:
			x *= float64(row.Relations)
		}
		predictions = append(predictions, prediction{
			Dialect: row.Dialect, Key: row.Key, What: figure.name, Base: base, Each: each,
			Relations: row.Relations, Issued: row.Issued, Predicted: base + each*x, Measured: float64(figure.of(row)),
		})
	}
	return predictions
}

// predictFleet adds up the hooks that issue: the one that finds n issued moves
// base + n × each. What the fleet moved beyond that, other hooks moved.
func predictFleet(lines []prediction, f fleetCost, what string, measured int64) []prediction {
	i := slices.IndexFunc(lines, func(p prediction) bool { return p.Dialect == "csr" && p.What == what })
	if i < 0 {
		return nil
	}
	p := lines[i]
	n := float64(f.Units)
	p.What, p.Relations, p.Issued = fmt.Sprintf("%s, whole fleet", what), 1, f.Units
	p.Predicted, p.Measured = n*p.Base+n*(n-1)/2*p.Each, float64(measured)
	return []prediction{p}
}
