// SPDX-License-Identifier: GPL-3.0-only

package spool

import (
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"tls-authority/internal/pki"
)

// SchemaVersion is the version of the spool that this code writes and reads.
// During an upgrade of the charm a daemon may find one of another version: it
// goes on with what it knows until it is started anew.
const SchemaVersion = 1

// maxSpoolSize bounds the spool, in bytes. The records of a charm end at 16 MiB
// of certificates, of which the spool has a tenth.
const maxSpoolSize = 32 << 20

// maxSerialBits is what the 20 octets of RFC 5280 section 4.1.2.2 hold.
const maxSerialBits = 20*8 - 1

// Status is all that the daemon tells: the content of the spool. Certificates
// and revocation lists are DER.
type Status struct {
	Schema int `json:"schema"` // set by Encode
	// ThisUpdate is when it was written. After NextUpdate the daemon refuses to
	// answer from it: no hook has run, and nobody knows what has been revoked.
	ThisUpdate  time.Time    `json:"this-update"`
	NextUpdate  time.Time    `json:"next-update"`
	Generations []Generation `json:"generations"`
	Metrics     Metrics      `json:"metrics"`
}

// Generation is one CA that has certificates which somebody may ask about.
type Generation struct {
	ID int `json:"id"`
	// Active is true for the one that signs now: its certificate is served.
	Active      bool   `json:"active,omitempty"`
	Certificate []byte `json:"certificate"`
	// Chain is what stands above the certificate, its issuer first.
	Chain [][]byte `json:"chain,omitempty"`
	// CRL is its latest revocation list; where there is none, NoCRL is the
	// reason, for whoever asks for the list.
	CRL   []byte `json:"crl,omitempty"`
	NoCRL string `json:"no-crl,omitempty"`
	// Responder is the certificate of this unit as its OCSP responder; where
	// there is none, NoResponder is the reason.
	Responder   []byte   `json:"responder,omitempty"`
	NoResponder string   `json:"no-responder,omitempty"`
	Issued      []Issued `json:"issued,omitempty"`
}

// Issued is a certificate that the generation signed and that may be asked
// about: at least until it expires.
type Issued struct {
	Serial   string    `json:"serial"` // in hexadecimal, as big.Int writes it
	NotAfter time.Time `json:"not-after"`
	// Revoked is nil as long as the certificate is good.
	Revoked *Revoked `json:"revoked,omitempty"`
}

// Revoked tells when and why a certificate was revoked.
type Revoked struct {
	At     time.Time            `json:"at"`
	Reason pki.RevocationReason `json:"reason"`
}

// Metrics are what only hooks know. What follows from the rest of the status
// is not among them.
type Metrics struct {
	Leaves  []Leaves `json:"leaves,omitempty"`
	Expired int      `json:"expired,omitempty"` // certificates
	Pending int      `json:"pending,omitempty"` // relations with requests that wait
	// Denied are requests that were refused, by the code of the refusal.
	Denied map[int]int `json:"denied,omitempty"`
	// Stage is that of the rotation, "" outside one. StageSince is when it was
	// entered, StageDue when its hold ends; zero while our own writes for the
	// stage are not done.
	Stage      string    `json:"stage,omitempty"`
	StageSince time.Time `json:"stage-since,omitzero"`
	StageDue   time.Time `json:"stage-due,omitzero"`
	// Hook is the last one that ran to its end.
	Hook Hook `json:"hook,omitzero"`
	// Backup is when the last one was made, zero when none was.
	Backup time.Time `json:"backup,omitzero"`
}

// Leaves counts the certificates that one unit, or an application as a whole,
// has now.
type Leaves struct {
	Application string `json:"application"`
	Unit        string `json:"unit,omitempty"`
	Count       int    `json:"count"`
	// NotAfter is when the first of them expires, zero when there is none.
	NotAfter time.Time `json:"not-after,omitzero"`
	// Renewal is when the first of them is due to be replaced, zero when there
	// is none.
	Renewal time.Time `json:"renewal,omitzero"`
}

// Hook is what a hook cost.
type Hook struct {
	Duration time.Duration `json:"duration"` // in nanoseconds
	Calls    int           `json:"calls"`    // of hook tools
}

// Encode is the text of the spool. It refuses what Parse would refuse.
func Encode(s Status) ([]byte, error) {
	s.Schema = SchemaVersion
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("cannot encode status: %w", err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("cannot encode status: %w", err)
	}
	if len(text) > maxSpoolSize {
		return nil, fmt.Errorf("cannot encode status: longer than %d bytes", maxSpoolSize)
	}
	return text, nil
}

// Parse is the inverse of Encode. It does not look into certificates and
// revocation lists.
func Parse(text []byte) (Status, error) {
	if len(text) > maxSpoolSize {
		return Status{}, fmt.Errorf("cannot read status: longer than %d bytes", maxSpoolSize)
	}
	// The version first: of another one, the rest may have another form.
	var version struct {
		Schema int `json:"schema"`
	}
	err := json.Unmarshal(text, &version)
	if err == nil && version.Schema != SchemaVersion {
		err = fmt.Errorf("it has schema %d, this program knows %d", version.Schema, SchemaVersion)
	}
	var s Status
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return Status{}, fmt.Errorf("cannot read status: %w", err)
	}
	return s, nil
}

// check finds a status that could not be answered from in one way only.
func (s Status) check() error {
	if !s.ThisUpdate.Before(s.NextUpdate) || s.ThisUpdate.Year() < 1950 || s.NextUpdate.Year() > 9999 {
		return fmt.Errorf("its validity ends before it begins, or is beyond the years of X.509")
	}
	known, active := map[int]bool{}, 0
	for _, g := range s.Generations {
		if g.ID < 1 || known[g.ID] {
			return fmt.Errorf("generation %d is no number, or is there twice", g.ID)
		}
		known[g.ID] = true
		if g.Active {
			active++
		}
		if err := g.check(); err != nil {
			return fmt.Errorf("generation %d: %w", g.ID, err)
		}
	}
	if active > 1 {
		return fmt.Errorf("%d generations are active", active)
	}
	return nil
}

func (g Generation) check() error {
	if (len(g.CRL) > 0) == (g.NoCRL != "") {
		return fmt.Errorf("neither a revocation list nor a reason why there is none, or both")
	}
	if (len(g.Responder) > 0) == (g.NoResponder != "") {
		return fmt.Errorf("neither a responder nor a reason why there is none, or both")
	}
	known := make(map[string]bool, len(g.Issued))
	for _, issued := range g.Issued {
		serial, ok := new(big.Int).SetString(issued.Serial, 16)
		if !ok || serial.Sign() <= 0 || serial.BitLen() > maxSerialBits || serial.Text(16) != issued.Serial {
			return fmt.Errorf("%.80q is no serial number", issued.Serial)
		}
		if known[issued.Serial] {
			return fmt.Errorf("serial number %s is there twice", issued.Serial)
		}
		known[issued.Serial] = true
	}
	return nil
}
