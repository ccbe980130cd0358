// SPDX-License-Identifier: GPL-3.0-only

// Package charm is what the tls-authority charm does in one hook:
//
//	Juju event ─▶ read ─▶ Snapshot ─▶ decide ─▶ Decision ─▶ sign ─▶ Changes ─▶ write ─▶ Juju
//
// Read asks Juju for everything a decision may depend on and gathers it in
// plain values. Deciding is package decision, which is pure; signing is package
// signing, the only code that uses a private key. Write compares with what is
// there and changes only what differs.
//
// Every event runs this one line; the event only says which relation changed
// and which action wants an answer. Nothing outlives the hook but what Juju
// keeps: one secret per CA generation, the peer application databag (package
// record), and the databags of the relations (package tlscertificates).
//
// The package knows neither a file nor a process; hook tools are package juju,
// X.509 is package pki.
package charm

import (
	"context"
	"errors"
	"io"
	"time"

	"tls-authority/internal/control"
	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/signing"
)

// Program is a program that Juju runs.
type Program struct {
	Clock  func() time.Time
	Stderr io.Writer
	// Desk is nil in a program that runs hooks alone.
	Desk *Desk
}

// Desk is what answers actions. Package operator has it.
type Desk struct {
	// Answer decides an action.
	Answer func(decision.Snapshot) decision.Decision
	// Seal makes a backup of a record, as text, and of the keys of the CA. Lock
	// is the content of the user secret that opens it.
	Seal func(s decision.Snapshot, state map[string]string, keys map[int]pki.PrivateKey, lock map[string]string) ([]byte, error)
	// Restore reads a file that a restore action names. It asks for the lock
	// where the file is locked.
	Restore func(file io.Reader, lock func() (map[string]string, error)) (decision.Restored, map[int]pki.PrivateKey, error)
}

// errNoDesk is the answer of an action: dispatch runs another program for it.
var errNoDesk = errors.New("bin/tls-authority, which runs the actions of this charm, cannot be run: see the log of the unit")

// Run answers one event, at one time of the clock: only how long it took is
// asked of it again. An error means that nothing which
// Juju buffers may be committed: the caller exits non-zero and Juju calls
// again with the same event.
func (p Program) Run(ctx context.Context, client *juju.Client, event juju.Event) error {
	if event.Kind == juju.Action && p.Desk == nil {
		return errNoDesk
	}
	st := station{site: control.At(event.CharmDirectory, string(event.Unit)), client: client, started: p.Clock(), clock: p.Clock}
	if ignored(event) {
		if event.Kind == juju.Remove {
			st.tell(ctx, st.site.Stop(ctx))
		}
		return nil
	}
	ring := &keyring{client: client, application: event.Unit.Application(), desk: p.Desk}
	snapshot, err := read(ctx, ring, st.known(event), event, st.started)
	if err != nil {
		return err
	}
	snapshot.Daemon = st.attend(ctx, snapshot)
	decided := p.decide(snapshot)
	changes, err := signing.CarryOut(snapshot, decided, ring.keys(ctx, snapshot))
	if err != nil {
		return err
	}
	if changes.File != nil {
		if err := writeFile(changes); err != nil {
			return err
		}
	}
	if err := write(ctx, client, snapshot, changes); err != nil {
		return &writeError{err}
	}
	st.inform(ctx, snapshot, changes)
	return nil
}

// writeError tells that some of the changes may be buffered by Juju already,
// which must not commit them.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

// decide is what the charm makes of an event.
func (p Program) decide(s decision.Snapshot) decision.Decision {
	if s.Event.Kind == juju.Action {
		return p.Desk.Answer(s)
	}
	return decision.Make(s)
}

// ignored tells the events in which this unit is on its way out. Its view of
// the relations shrinks then, although no requirer has left: to conclude
// anything from it would withdraw certificates that are in use.
func ignored(event juju.Event) bool {
	switch event.Kind {
	case juju.Stop, juju.Remove:
		return true
	case juju.RelationDeparted:
		return event.DepartingUnit == event.Unit
	}
	return false
}
