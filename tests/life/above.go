// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// Upper is the name under which the charm is deployed a second time, as the CA
// above the other.
const Upper = "upper"

// Above puts a second CA above ours, whose root lasts as long as validity
// says, and begins to rotate ours to an intermediate.
func (l *Life) Above(validity string) error {
	return errors.Join(
		l.Model.Deploy(l.charm, Upper, 1),
		l.Model.Configure(Upper, map[string]any{"allow-ca-requests": true, "ca-validity": validity, "status-port": 0}),
		l.Model.Settle(),
		l.relateUpper(),
		l.Model.Settle(),
		l.SetOption("ca-source", "upstream"),
		l.Model.Settle(),
		l.Rotate("staged"),
	)
}

// RotateUpper begins a rotation of the CA above ours.
func (l *Life) RotateUpper() error {
	l.note("rotate the CA above")
	result, err := l.Model.RunAction(l.Model.Leader(Upper), "rotate-ca", nil)
	if err == nil && result.Status != "completed" {
		err = errors.New(result.Message)
	}
	return err
}

// Intermediate is our CA certificate with its root; an error while it is a
// root itself.
func (l *Life) Intermediate() (ca, root *x509.Certificate, err error) {
	result, err := l.Act("get-ca-certificate", nil)
	if err != nil {
		return nil, nil, err
	}
	chain, _ := result.Results["ca-chain"].(string)
	if ca, err = parseOne(chain); err != nil {
		return nil, nil, err
	}
	text, _ := result.Results["ca-certificate"].(string)
	root, err = parseOne(text)
	return ca, root, err
}

func (l *Life) relateUpper() error {
	_, err := l.Model.Relate(Upper+":certificates", Application+":upstream")
	return err
}

// UpperRotates tells whether the CA above ours is being rotated.
func (l *Life) UpperRotates() bool {
	_, message := l.Model.Status(l.Model.Leader(Upper))
	return strings.Contains(message, "rotating")
}

// maxDays is how long a rotation may take: each of its stages is held a day.
const maxDays = 12

// EndRotation lets days pass until the rotation is over.
func (l *Life) EndRotation(p *Probe) error {
	for range maxDays {
		rotates, err := l.Rotates()
		if err != nil || !rotates {
			l.authority = nil // the key is another from here on
			return err
		}
		if err := p.Days(1); err != nil {
			return l.tell(err)
		}
	}
	return l.tell(fmt.Errorf("the rotation takes more than %d days: %s", maxDays, l.Status()))
}
