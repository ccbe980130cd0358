// SPDX-License-Identifier: GPL-3.0-only

package signing

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// carryOutAuthority carries out what a decision asks for the CA itself: keys,
// certificates of roots, requests, the bridge of a rotation, the end of a key.
func (w *signer) carryOutAuthority(d decision.Decision, desired *record.Record, changes *Changes) error {
	if d.Making != nil {
		if err := w.make(*d.Making, desired, changes); err != nil {
			return fmt.Errorf("cannot make the CA: %w", err)
		}
	}
	if d.Prove {
		desired.CA = w.prove(desired.CA, d.Bridge)
	}
	if d.Renew != nil {
		authority, err := w.renewRoot(desired.CA, *d.Renew)
		if err != nil {
			return fmt.Errorf("cannot renew the CA: %w", err)
		}
		desired.CA = authority
	}
	if len(d.Restore) > 0 {
		if err := w.restore(d.Restore, *desired.CA, changes); err != nil {
			return fmt.Errorf("cannot restore the CA: %w", err)
		}
	}
	for _, generation := range d.Destroy {
		label := record.SecretLabel(generation)
		made := slices.ContainsFunc(changes.Secrets, func(s juju.Secret) bool { return s.Label == label })
		used := d.Making != nil && d.Making.Generation == generation
		if !made && !used { // else it is needed again, or gone and made anew
			changes.Removed = append(changes.Removed, label)
		}
	}
	return nil
}

// restore puts the keys of a file into secrets under their new numbers.
func (w *signer) restore(numbers map[int]int, ca record.Authority, changes *Changes) error {
	keys, err := w.keys.Restored()
	if err != nil {
		return err
	}
	for _, generation := range slices.Sorted(maps.Keys(numbers)) {
		key, there := keys[numbers[generation]]
		if !there {
			return fmt.Errorf("the key of generation %d is not in the file", numbers[generation])
		}
		g := ca.Generation(generation)
		if g == nil {
			g = &record.Generation{ID: generation}
		} else if err := checkKey(*g, key); err != nil {
			return err
		}
		changes.Secrets = append(changes.Secrets, newSecret(*g, key))
	}
	return nil
}

// make makes the key of a CA, unless it is there, and its certificate or a
// request for one.
func (w *signer) make(m decision.Making, desired *record.Record, changes *Changes) error {
	key, err := w.key(m)
	if err != nil {
		return err
	}
	g := record.Generation{ID: m.Generation}
	switch m.Source {
	case record.SelfSigned:
		certificate, err := pki.CreateSelfSigned(m.Template, key)
		if err != nil {
			return err
		}
		g.Certificate = certificate.Raw
	case record.Imported:
		g.Source, g.Certificate, g.Chain = m.Source, m.Candidate.Certificate, m.Candidate.Chain
		if err := checkKey(g, key); err != nil {
			return err
		}
	default:
		csr, err := pki.NewRequest(m.Template.Subject, key, m.Previous)
		if err != nil {
			return err
		}
		desired.Request = &record.Request{Generation: m.Generation, Source: m.Source, CSR: csr, Made: w.now, Revoked: m.Revoked}
	}
	if !m.Stored {
		changes.Secrets = append(changes.Secrets, newSecret(g, key))
	}
	switch {
	case len(g.Certificate) == 0:
	case desired.CA == nil:
		desired.CA = record.NewAuthority(g)
	default:
		desired.CA = desired.CA.Added(g)
	}
	return nil
}

// key is the key that a CA is made with.
func (w *signer) key(m decision.Making) (pki.PrivateKey, error) {
	switch {
	case m.Stored:
		return w.keys.Stored(m.Generation)
	case m.Source == record.Imported:
		return w.keys.Imported()
	}
	return pki.GenerateKey(m.KeyType)
}

func checkKey(g record.Generation, key pki.PrivateKey) error {
	certificate, err := pki.ParseCertificateDER(g.Certificate)
	if err != nil {
		return err
	}
	if !pki.KeyMatches(certificate, key) {
		return errors.New("the private key is not that of the certificate")
	}
	return nil
}

// newSecret keeps a CA. Its certificates are there for whoever finds the
// secret without the peer databag; each value stays under the 8 KiB that
// agents up to Juju 3.6.8 allow.
func newSecret(g record.Generation, key pki.PrivateKey) juju.Secret {
	secret := juju.Secret{
		Label:       record.SecretLabel(g.ID),
		Description: "key of the certificate authority; removing it ends the authority",
		Content:     map[string][]byte{SecretKey: key.EncodePEM()},
	}
	if len(g.Certificate) > 0 {
		secret.Content[SecretCertificate] = []byte(pki.EncodeCertificatePEM(g.Certificate))
	}
	var chain strings.Builder
	for _, certificate := range g.Chain {
		chain.WriteString(pki.EncodeCertificatePEM(certificate))
	}
	if chain.Len() > 0 {
		secret.Content[SecretChain] = []byte(chain.String())
	}
	return secret
}

// prove reads the key of the next CA and has the old one sign its root, if a
// bridge is wanted. What goes wrong keeps the rotation from beginning and stops
// nothing else.
func (w *signer) prove(authority *record.Authority, bridged bool) *record.Authority {
	proved := authority.Clone()
	rotation := proved.Rotation
	_, err := w.keys.issuer(proved.Generation(rotation.To))
	if err == nil && bridged {
		rotation.Bridge, err = w.bridge(proved)
	}
	rotation.Proved, rotation.Obstacle = err == nil, ""
	if err != nil {
		rotation.Obstacle = err.Error()
	}
	return proved
}

// bridge has the old CA sign the root of the new one. Whoever knows the old
// root alone gets from there to the new leaves.
func (w *signer) bridge(authority *record.Authority) ([][]byte, error) {
	from, to := authority.Generation(authority.Rotation.From), authority.Generation(authority.Rotation.To)
	issuer, err := w.keys.issuer(from)
	if err != nil {
		return nil, err
	}
	root, err := pki.ParseCertificateDER(to.Root())
	if err != nil {
		return nil, err
	}
	cross, err := issuer.CrossSign(root, w.now)
	if err != nil {
		return nil, err
	}
	return slices.Concat([][]byte{cross.Raw}, from.Intermediates()), nil
}

// renewRoot gives the active generation a new certificate for its key.
func (w *signer) renewRoot(authority *record.Authority, order record.Order) (*record.Authority, error) {
	issuer, err := w.keys.issuer(authority.ActiveGeneration())
	if err != nil {
		return nil, err
	}
	certificate, err := issuer.Renew(order.Template.Validity)
	if err != nil {
		return nil, err
	}
	return authority.Renewed(certificate.Raw, nil), nil
}
