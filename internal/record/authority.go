// SPDX-License-Identifier: GPL-3.0-only

package record

import (
	"fmt"
	"slices"
	"time"
)

// Source says where the certificate of a CA comes from.
type Source string

// The sources of the option ca-source.
const (
	// SelfSigned is a root that the charm makes.
	SelfSigned Source = "self-signed"
	// Imported is a CA that the operator brings with its key.
	Imported Source = "imported"
	// Upstream is an intermediate that a CA signs over the relation upstream.
	Upstream Source = "upstream"
	// Offline is one that the operator has signed elsewhere.
	Offline Source = "offline"
)

// Authority is the public state of the CA.
type Authority struct {
	Schema int `json:"schema"`
	// Epoch counts the steps of all rotations and never falls.
	Epoch int `json:"epoch,omitempty"`
	// Active is the generation that signs leaves.
	Active int `json:"active"`
	// Generations are those that are published or signed what still is, and
	// those whose certificates have not run out; by number.
	Generations []Generation `json:"generations"`
	// Last is the highest number that a generation ever had.
	Last int `json:"last,omitempty"`
	// Rotation is nil while the CA is at rest.
	Rotation *Rotation `json:"rotation,omitempty"`
	// Pending tells, for the status, in what the active CA differs from the
	// one that the options ask for; an action carries it out.
	Pending string `json:"pending,omitempty"`
	// Trouble is why the answer of the CA above cannot be used.
	Trouble string `json:"trouble,omitempty"`
	// Backup is when the last backup was made.
	Backup *time.Time `json:"backup,omitempty"`
}

// Generation is one CA certificate; its key is in the secret labelled
// ca-<KeyID>.
type Generation struct {
	ID          int    `json:"id"`
	Certificate []byte `json:"certificate"`
	// Chain are the certificates above, the self-signed root last. A root of
	// our own has none.
	Chain [][]byte `json:"chain,omitempty"`
	// Source is empty for self-signed.
	Source Source `json:"source,omitempty"`
	// Key is the generation whose key this one has, where it is not its own:
	// the upstream gave the same key another root.
	Key int `json:"key,omitempty"`
	// Destroyed tells that the key exists no more: nothing can be signed or
	// revoked.
	Destroyed bool `json:"destroyed,omitempty"`
}

// FirstGeneration is the number of the first CA of a model.
const FirstGeneration = 1

// NewAuthority is the state of a model with its first CA.
func NewAuthority(first Generation) *Authority {
	return &Authority{Schema: SchemaVersion, Active: first.ID, Last: first.ID, Generations: []Generation{first}}
}

// Root is the certificate to trust: the self-signed end of the chain.
func (g *Generation) Root() []byte {
	if len(g.Chain) == 0 {
		return g.Certificate
	}
	return g.Chain[len(g.Chain)-1]
}

// Path is the certificate with those above it.
func (g *Generation) Path() [][]byte {
	return append([][]byte{g.Certificate}, g.Chain...)
}

// IsRoot tells whether the generation signs with the root itself.
func (g *Generation) IsRoot() bool { return len(g.Chain) == 0 }

// Intermediates stand between a leaf and the root, the leaf's side first.
func (g *Generation) Intermediates() [][]byte {
	if g.IsRoot() {
		return nil
	}
	return append([][]byte{g.Certificate}, g.Chain[:len(g.Chain)-1]...)
}

// KeyID is the generation in whose secret the key is.
func (g *Generation) KeyID() int {
	if g.Key != 0 {
		return g.Key
	}
	return g.ID
}

// Origin is the source, spelled.
func (g *Generation) Origin() Source {
	if g.Source == "" {
		return SelfSigned
	}
	return g.Source
}

// SecretLabel is the label of the secret with one generation's key.
func SecretLabel(generation int) string {
	return fmt.Sprintf("ca-%d", generation)
}

// Generation returns one generation; nil when it is not listed.
func (a *Authority) Generation(id int) *Generation {
	for i := range a.Generations {
		if a.Generations[i].ID == id {
			return &a.Generations[i]
		}
	}
	return nil
}

// ActiveGeneration is the generation that signs; nil when the record contradicts itself.
func (a *Authority) ActiveGeneration() *Generation { return a.Generation(a.Active) }

// Next is the number of the generation that has yet to be made. None is ever
// given twice: it names a secret and the subject of a CA.
func (r Record) Next() int {
	last := FirstGeneration - 1
	if r.Request != nil {
		last = r.Request.Generation
	}
	for _, doomed := range r.Doomed {
		last = max(last, doomed)
	}
	if r.CA != nil {
		last = max(last, r.CA.Last)
		for _, g := range r.CA.Generations {
			last = max(last, g.ID)
		}
	}
	return last + 1
}

// Sought is the request of a source for a CA that is not there yet; nil when
// there is none.
func (r Record) Sought(source Source) *Request {
	request := r.Request
	if request == nil || request.Source != source || r.CA != nil && r.CA.Generation(request.Generation) != nil {
		return nil
	}
	return request
}

// Clone copies what a decision changes.
func (a *Authority) Clone() *Authority {
	c := *a
	c.Generations = slices.Clone(a.Generations)
	if a.Rotation != nil {
		r := *a.Rotation
		r.Reached = slices.Clone(r.Reached)
		c.Rotation = &r
	}
	return &c
}

// Renewed is the authority with another certificate, and chain, for the key
// of its active generation.
func (a *Authority) Renewed(certificate []byte, chain [][]byte) *Authority {
	renewed := a.Clone()
	g := renewed.ActiveGeneration()
	g.Certificate, g.Chain = certificate, chain
	return renewed
}

// Added is the authority with one more generation, which does not sign yet.
func (a *Authority) Added(g Generation) *Authority {
	added := a.Clone()
	added.Generations = append(added.Generations, g)
	added.Last = max(added.Last, g.ID)
	return added
}

// Request is a certificate signing request of ours, for a CA above.
type Request struct {
	// Generation is the one whose key asks: the active one for a renewal,
	// else the next.
	Generation int       `json:"generation"`
	Source     Source    `json:"source"`
	CSR        string    `json:"csr"`
	Made       time.Time `json:"made"`
	// Revoked tells that it is to replace a certificate that the CA above took
	// back.
	Revoked bool `json:"revoked,omitempty"`
	// Certificate and Chain are the answer, once there is one that verifies:
	// the generation that a rotation will go to.
	Certificate []byte   `json:"certificate,omitempty"`
	Chain       [][]byte `json:"chain,omitempty"`
}

// Answered tells whether the request has its certificate.
func (r *Request) Answered() bool { return r != nil && len(r.Certificate) > 0 }

// NewGeneration is the generation that an answered request gives.
func (r *Request) NewGeneration() Generation {
	return Generation{ID: r.Generation, Certificate: r.Certificate, Chain: r.Chain, Source: r.Source}
}

// HasKey tells whether the key of a generation exists.
func (r Record) HasKey(g *Generation) bool { return slices.Contains(r.Keys(), g.KeyID()) }

// Keys are the generations whose keys exist, each in its secret; sorted.
func (r Record) Keys() []int {
	var ids []int
	if r.CA != nil {
		for _, g := range r.CA.Generations {
			if !g.Destroyed {
				ids = append(ids, g.KeyID())
			}
		}
	}
	if r.Request != nil {
		ids = append(ids, r.Request.Generation)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
