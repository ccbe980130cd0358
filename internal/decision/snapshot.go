// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"tls-authority/internal/juju"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// Endpoints in metadata.yaml: that of those who want certificates, that of
// those who want to trust them, and that of the CA above ours.
const (
	CertificatesEndpoint = "certificates"
	TransferEndpoint     = "send-ca-cert"
	UpstreamEndpoint     = "upstream"
)

// Snapshot is everything that a decision may depend on, and nothing else. It
// holds no private key of a CA.
type Snapshot struct {
	Now    time.Time
	Event  juju.Event
	Leader bool
	Status juju.Status
	// Dying tells that Juju is removing this unit. It is looked up on the
	// leader, and only where it matters: when a requirer seems to be gone.
	Dying bool

	// Parameters are those of an action.
	Parameters map[string]json.RawMessage

	// Daemon is the status service of this unit.
	Daemon Daemon
	// PeerKeys are the keys with which others of our units answer OCSP, where
	// the event asked to read them.
	PeerKeys map[juju.UnitName][]byte
	// OwnUnits are the units that Juju means our application to have; nil where
	// it was not asked.
	OwnUnits []string

	// Config is read on the leader, and for actions. It is of use only when
	// ConfigProblems is empty.
	Config         policy.Config
	ConfigProblems []string

	// Peer is the peer relation, nil before Juju has made it.
	Peer *PeerRelation

	// Found is what a secret holds whose generation the peer databag does not
	// know: a hook died between the two commits of Juju 3. Its certificate is
	// empty where the key still waits for one.
	Found *record.Generation
	// Candidate is the CA of the user secret ca-secret, where it was read.
	Candidate *Candidate
	// Upstream is the relation to the CA above ours, nil when there is none
	// or the event does not ask to look at it.
	Upstream *UpstreamRelation

	// Restored is what the file of a restore holds, nil where it cannot be
	// used because of RestoreProblem.
	Restored       *Restored
	RestoreProblem string
	// Free is the first of enough generations for which no secret exists, for
	// those that are restored.
	Free int

	// Sweep tells that the event looks at everything, not at one relation.
	Sweep bool
	// Live are the numbers of all relations of the certificates endpoint,
	// where Listed says that they were asked for.
	Live   []int
	Listed bool
	// Relations are those of Live that this event asks to look at, by number.
	Relations []Relation
	// Unread are relations that could not be read, with the reasons; nothing
	// changes there.
	Unread map[int]string
	// Transfers are the relations of the send-ca-cert endpoint that this
	// event asks to look at.
	Transfers []Transfer

	// Observers are the relations of the observability stack that this event
	// asks to look at, and Outlet what they are told of; without any it is not
	// read.
	Observers []Observer
	Outlet    Outlet
	// LogTargets are all that the stack offers, where LogTargetsRead says that
	// the event asked for them.
	LogTargets     []LogTarget
	LogTargetsRead bool
	// ObserverFaults are what of it could not be read, with the reasons.
	ObserverFaults []string
}

// Candidate is a CA that the operator brings. Its key is not here.
type Candidate struct {
	Certificate []byte
	Chain       [][]byte
	// Faults are the reasons why it cannot be used.
	Faults []string
}

// Restored is a CA from a backup, or from another charm's, without its keys.
type Restored struct {
	// Origin says in words what the file is.
	Origin string
	Record record.Record
	// Keys are the generations whose keys are in the file.
	Keys []int
	// Left are the parts that were left out, each with the reason.
	Left []string
}

// Fault tells all faults in one line.
func (c Candidate) Fault() string { return "ca-secret: " + strings.Join(c.Faults, "; ") }

// UpstreamRelation is what the CA above ours published for us. It is read on
// the leader; our databag is every unit's own.
type UpstreamRelation struct {
	ID         juju.RelationID
	OwnUnitBag map[string]string
	Answers    []tlscertificates.CertificateAnswer
	Errors     []tlscertificates.RequestError
	// Problem is why its databag cannot be read.
	Problem string
}

// Transfer is one relation over which the CA certificate is handed out.
type Transfer struct {
	ID         juju.RelationID
	OwnUnitBag map[string]string
	// OwnApplicationBag is read on the leader only.
	OwnApplicationBag map[string]string
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
	// Owner is set where one databag of the other side was read alone: that
	// of the unit or application whose event this is.
	Owner string
	// OwnUnitBag is this unit's databag.
	OwnUnitBag map[string]string

	// What follows is read on the leader only.

	// OwnApplicationBag is our application's databag; nil where an Owner was
	// read and nothing that we publish there can change.
	OwnApplicationBag map[string]string
	// Requests are those of the remote application's databag.
	Requests tlscertificates.ApplicationRequests
	// Units are the remote units that this unit has met and that are there,
	// by application and number.
	Units []RemoteUnit
	// Unmet are those with answers that were not read and have not left
	// either: the others where an Owner was read, or units that a new leader
	// meets one by one. What they were given stays.
	Unmet []string
}

// RemoteUnit is one unit of the other side and what its databag asks for.
type RemoteUnit struct {
	Name     juju.UnitName
	Requests tlscertificates.UnitRequests
}

// UpstreamRemedy is what an operator does where the CA above is missing.
func (s Snapshot) UpstreamRemedy() string {
	return "run juju integrate " + s.Event.Unit.Application() + ":" + UpstreamEndpoint + " with the application of the CA above"
}

// Parameter reads one parameter of an action; an absent one is the zero value.
func Parameter[T any](s Snapshot, name string) (T, error) {
	var value T
	raw, given := s.Parameters[name]
	if !given || string(raw) == "null" {
		return value, nil
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		return value, fmt.Errorf("the parameter %s has another type than actions.yaml says", name)
	}
	return value, nil
}

// Record is the peer databag's content; empty before there is a peer relation.
func (s Snapshot) Record() record.Record {
	if s.Peer == nil {
		return record.Record{}
	}
	return s.Peer.Record
}

// Missing are those who have answers in a relation and were not read: units
// that are not among its Units, and where an Owner was read, all others. Of the
// units the application itself, which may ask for certificates too, is none.
func (r Relation) Missing(known record.Record) []string {
	noted := map[string]bool{r.Owner: true}
	if r.Owner == "" {
		noted[r.Application] = true
		for _, unit := range r.Units {
			noted[string(unit.Name)] = true
		}
	}
	var missing []string
	note := func(names ...string) {
		for _, name := range names {
			if !noted[name] {
				noted[name] = true
				missing = append(missing, name)
			}
		}
	}
	if legacy := known.Legacy[r.ID.Number]; legacy != nil {
		for _, unit := range legacy.Units {
			note(unit.Unit)
		}
		r.noteProblems(legacy.Problems, note)
	}
	if requests := known.CSR[r.ID.Number]; requests != nil {
		for _, c := range requests.Certificates {
			note(c.Requesters...)
		}
		for _, refused := range requests.Refused {
			note(refused.Requesters...)
		}
		r.noteProblems(requests.Problems, note)
	}
	return missing
}

// noteProblems counts those who have nothing but a refusal, too, where an
// Owner was read.
func (r Relation) noteProblems(problems []record.Problem, note func(names ...string)) {
	for _, p := range problems {
		if r.Owner != "" {
			note(p.Requester)
		}
	}
}

// Gone tells whether the record knows a relation that Juju lists no more.
func (s Snapshot) Gone() bool {
	return slices.ContainsFunc(s.Record().Relations(), func(number int) bool { return !slices.Contains(s.Live, number) })
}

// SoughtKey is the generation whose key is to be made next. It might be there
// already, left by a hook that died, and a second one must not be made.
func (s Snapshot) SoughtKey() (generation int, sought bool) {
	r := s.Record()
	switch {
	case r.CA == nil:
		return r.Next(), r.Sought(s.Config.CASource) == nil
	case r.CA.Rotation != nil:
		rotation := r.CA.Rotation
		missing := rotation.Stage == record.Preparing && r.CA.Generation(rotation.To) == nil
		return rotation.To, missing && r.Sought(rotation.Source) == nil
	case s.Event.Kind == juju.Action:
		return r.Next(), s.Event.Name == "get-csr" && r.Sought(record.Offline) == nil
	}
	return r.Next(), s.wantsUpstream() && r.Sought(record.Upstream) == nil
}

// wantsUpstream tells whether the option asks for an upstream CA that is not
// the active one: its certificate is asked for ahead of the rotation.
func (s Snapshot) wantsUpstream() bool {
	ca := s.Record().CA
	return len(s.ConfigProblems) == 0 && s.Config.CASource == record.Upstream && s.Upstream != nil &&
		ca != nil && ca.Rotation == nil && ca.ActiveGeneration().Origin() != record.Upstream
}
