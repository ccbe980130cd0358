// SPDX-License-Identifier: GPL-3.0-only

// Package decision is the behaviour of the charm: from a Snapshot of the model
// it makes a Decision, which says what shall be and why.
//
// It is pure. It reads no clock, draws no random number, does no I/O and sees
// no key of a CA; what it imports could not do so either. The same snapshot
// gives the same decision, so that the cases of its tests are the
// specification of the charm.
package decision

import (
	"tls-authority/internal/juju"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// Decision says what shall be and why. It carries exact times and names, and
// neither a CA's key nor anything random, so that tests compare it whole.
type Decision struct {
	// Create asks for the first CA. Nothing else is issued in that hook: the
	// peer databag it writes wakes this unit again.
	Create *record.Order
	// Renew asks for a new certificate of the root, with its own key. Nothing
	// else is decided in that hook.
	Renew *record.Order
	// Record is the peer databag as it shall be. Where a pair has an order,
	// the certificate is still to be signed.
	Record record.Record
	// Answers are those of the CSR dialect for the relations looked at; nil
	// on a unit that does not lead.
	Answers map[int]RelationAnswers
	Status  juju.Status
	Log     []LogLine
	// Reply answers an action.
	Reply *Reply
}

// LogLine is one message for the model's log.
type LogLine struct {
	Level   juju.LogLevel
	Message string
}

// RelationAnswers is the application databag of one relation as it shall be.
type RelationAnswers struct {
	Certificates []RequestAnswer
	Errors       []tlscertificates.RequestError
	Capabilities tlscertificates.Capabilities
}

// RequestAnswer is the answer to one CSR: the one that is published already,
// or one to be signed.
type RequestAnswer struct {
	tlscertificates.CertificateAnswer
	Order *record.Order
}
