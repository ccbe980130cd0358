// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"crypto/x509"
	"time"

	"tls-authority/internal/juju"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// CertificatesEndpoint is the endpoint of the requirers, in metadata.yaml.
const CertificatesEndpoint = "certificates"

// Snapshot is everything that a decision may depend on, and nothing else. It
// holds no private key of a CA.
type Snapshot struct {
	Now    time.Time
	Event  juju.Event
	Leader bool
	Status juju.Status

	// Config is of use only when ConfigProblems is empty.
	Config         policy.Config
	ConfigProblems []string

	// Peer is the peer relation, nil before Juju has made it.
	Peer *PeerRelation

	// Found is the certificate of a CA whose secret exists although the
	// peer databag is silent: a hook died between the two commits of Juju 3.
	Found *x509.Certificate

	// Live are the numbers of all relations of the certificates endpoint.
	Live []int
	// Relations are those of Live that this event asks to look at, by number.
	Relations []Relation
}

// PeerRelation is the peer relation with its application databag, as it is
// and as it reads.
type PeerRelation struct {
	ID     juju.RelationID
	Bag    map[string]string
	Record record.Record
}

// Relation is one relation of the certificates endpoint.
type Relation struct {
	ID          juju.RelationID
	Application string
	// OwnUnitBag is this unit's databag.
	OwnUnitBag map[string]string

	// What follows is read on the leader only.

	// OwnApplicationBag is our application's databag.
	OwnApplicationBag map[string]string
	// Requests are those of the remote application's databag.
	Requests tlscertificates.ApplicationRequests
	// Units are the remote units, by application and number.
	Units []RemoteUnit
}

// RemoteUnit is one unit of the other side and what its databag asks for.
type RemoteUnit struct {
	Name     juju.UnitName
	Requests tlscertificates.UnitRequests
}

// Record is the peer databag's content; empty before there is a peer relation.
func (s Snapshot) Record() record.Record {
	if s.Peer == nil {
		return record.Record{}
	}
	return s.Peer.Record
}
