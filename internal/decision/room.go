// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"errors"
	"slices"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// A databag holds at most 16 MiB: Juju 4 says so, and before it a document of
// the controller's database holds no more. A hook that writes more fails for
// everybody, so that a request for which there is no room is refused before.
const (
	bagLimit = 16 << 20
	// besides is the room for what else is in our application databag: the
	// errors above all.
	besides = maxErrorBytes + maxErrorBytes/4
	// peerReserve is the room in the peer databag for what is no certificate:
	// for what a rotation adds to those that are, and for as many that are
	// withdrawn or revoked as the record keeps.
	peerReserve = 5 << 20
)

// Sizes of what is written for one certificate, in bytes, as they are at most
// with the names of ordinary requests.
const (
	indexEntrySize      = 400
	certificateOverhead = 2048
	pairSize            = 8 << 10
	pairOverhead        = 512
)

// room is what is left, in bytes, in the databags that a relation's answers go
// to: its own, and the peer relation's, which all relations share.
type room struct {
	relation int
	peer     *int
}

// newRoom measures a relation's room for answers of the CSR dialect. Each of
// them grows while the CA is rotated, by what leads from the new root to the
// old one.
func (d *Decision) newRoom(a Authority, relation Relation, answers int) *room {
	published := len(relation.OwnApplicationBag[tlscertificates.KeyCertificates])
	return &room{relation: bagLimit - besides - published - answers*a.growth(), peer: &d.peerRoom}
}

// growth is what a rotation adds to one answer, in bytes.
func (a Authority) growth() int { return 2 * len(a.Certificate.Raw) * 3 / 2 }

// newLegacyRoom measures it for pairs of the legacy dialect, in the unit databag.
func (d *Decision) newLegacyRoom(before *record.Legacy) *room {
	r := &room{relation: bagLimit - besides, peer: &d.peerRoom}
	for _, unit := range before.Units {
		for _, answer := range unit.Pairs {
			r.relation -= (len(answer.Certificate)+len(answer.Key))*3/2 + pairOverhead
		}
	}
	return r
}

// measureRoom measures the room in the peer databag.
func (d *Decision) measureRoom(s Snapshot) {
	d.peerRoom = bagLimit - peerReserve
	if s.Peer == nil {
		return
	}
	for key, value := range s.Peer.Bag {
		d.peerRoom -= len(key) + len(value)
	}
}

var (
	errRelationFull = errors.New("the databag of the relation is full: split the application over several relations or models")
	errPeerFull     = errors.New("the databag in which the charm keeps its records is full: remove requirers or deploy a second CA")
)

// take takes room for one more certificate.
func (r *room) take(relation, peer int) error {
	switch {
	case r.relation < relation:
		return errRelationFull
	case *r.peer < peer:
		return errPeerFull
	}
	r.relation -= relation
	*r.peer -= peer
	return nil
}

// answerSize is what the answer to a CSR takes: itself, the certificate twice,
// which repeats what the CSR says, and the certificates above.
func (desk *requestDesk) answerSize(w *wanted) int {
	size := len(w.CSR) + 2*(len(w.CSR)+certificateOverhead)
	for _, above := range slices.Concat(desk.a.Outlook.Path(), [][]byte{desk.a.Outlook.Anchor().Root()}) {
		size += len(above) * 3 / 2
	}
	return size + desk.a.growth()
}

// namesSize is what the names of a pair add to pairSize: they are in the
// certificate, and in the record beside it.
func namesSize(names pki.Names) int {
	size := 0
	for _, text := range names.Texts() {
		size += 4 * len(text)
	}
	return size
}

// codeOf is the error of the CSR dialect for a request that is refused: one
// that finds no room, or a CA that is not valid long enough by the clock as it
// is, is looked at again.
func codeOf(err error) tlscertificates.ErrorCode {
	for _, passing := range []error{errRelationFull, errPeerFull, pki.ErrIssuerExpires, pki.ErrIssuerBegins} {
		if errors.Is(err, passing) {
			return tlscertificates.ServerNotAvailable
		}
	}
	return tlscertificates.Other
}
