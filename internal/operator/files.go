// SPDX-License-Identifier: GPL-3.0-only

package operator

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"tls-authority/internal/backup"
	"tls-authority/internal/decision"
	"tls-authority/internal/easyrsa"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// seal makes the backup of a record and the keys of the CA.
func seal(s decision.Snapshot, state map[string]string, keys map[int]pki.PrivateKey, secret map[string]string) ([]byte, error) {
	lock, err := backup.ParseLock(secret)
	if err != nil {
		return nil, err
	}
	content := backup.Content{Application: s.Event.Unit.Application(), Model: s.Event.Model, Created: s.Now, Record: state, Keys: keys}
	var sealed bytes.Buffer
	if err := backup.Seal(&sealed, content, lock); err != nil {
		return nil, err
	}
	return sealed.Bytes(), nil
}

// restore reads a file that a restore action names: a backup of this charm, or
// an archive of the easyrsa charm.
func restore(file io.Reader, secret func() (map[string]string, error)) (decision.Restored, map[int]pki.PrivateKey, error) {
	const enough = 64
	buffered := bufio.NewReader(file)
	head, err := buffered.Peek(enough)
	if err != nil && !errors.Is(err, io.EOF) {
		return decision.Restored{}, nil, fmt.Errorf("cannot read the file: %w", err)
	}
	switch {
	case backup.IsBackup(head):
		content, err := secret()
		if err != nil {
			return decision.Restored{}, nil, err
		}
		lock, err := backup.ParseLock(content)
		if err != nil {
			return decision.Restored{}, nil, err
		}
		return openBackup(buffered, lock)
	case easyrsa.IsArchive(head):
		return readEasyRSA(buffered)
	}
	return decision.Restored{}, nil, errors.New("the file is neither a backup of this charm nor an archive of the easyrsa charm")
}

func openBackup(file io.Reader, lock backup.Lock) (decision.Restored, map[int]pki.PrivateKey, error) {
	content, err := backup.Open(file, lock)
	if err != nil {
		return decision.Restored{}, nil, err
	}
	r, err := record.Parse(content.Record)
	if err == nil && r.CA == nil {
		err = errors.New("it holds no CA")
	}
	if err != nil {
		return decision.Restored{}, nil, fmt.Errorf("cannot use the backup: %w", err)
	}
	restored := decision.Restored{
		Origin: fmt.Sprintf("backup of %s in model %s, made %s", content.Application, content.Model, content.Created.UTC().Format(time.RFC3339)),
		Record: r,
		Keys:   slices.Sorted(maps.Keys(content.Keys)),
	}
	for _, id := range r.Keys() {
		if !slices.Contains(restored.Keys, id) {
			return decision.Restored{}, nil, fmt.Errorf("cannot use the backup: the key of generation %d is missing", id)
		}
	}
	return restored, content.Keys, nil
}

// readEasyRSA makes a record of the CA and the pairs of an easyrsa charm. The
// pairs wait for requests with their names.
func readEasyRSA(file io.Reader) (decision.Restored, map[int]pki.PrivateKey, error) {
	p, err := easyrsa.ReadArchive(file)
	if err != nil {
		return decision.Restored{}, nil, err
	}
	if _, err := pki.NewIssuer(p.CA, p.Key); err != nil {
		return decision.Restored{}, nil, err
	}
	if _, err := pki.BuildChain(p.CA, nil, nil); err != nil {
		return decision.Restored{}, nil, err
	}
	ca := record.NewAuthority(record.Generation{ID: record.FirstGeneration, Source: record.Imported, Certificate: p.CA.Raw})
	restored := decision.Restored{
		Origin: "archive of an easyrsa charm",
		Record: record.Record{CA: ca},
		Keys:   []int{record.FirstGeneration},
		Left:   p.Left,
	}
	for _, leaf := range p.Leaves {
		restored.Record.Spare = append(restored.Record.Spare, spare(leaf.Certificate, leaf.Key))
	}
	return restored, map[int]pki.PrivateKey{record.FirstGeneration: p.Key}, nil
}

func spare(certificate *x509.Certificate, key pki.PrivateKey) record.Spare {
	kind := tlscertificates.Client
	if slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		kind = tlscertificates.Server
	}
	texts := slices.Clone(certificate.DNSNames)
	for _, address := range certificate.IPAddresses {
		texts = append(texts, address.String())
	}
	names, _ := pki.ParseNames(texts) // what is no name to us matches no request
	return record.Spare{
		Kind:       kind,
		CommonName: certificate.Subject.CommonName,
		Names:      names.Texts(),
		Pair: record.Pair{
			Issued:      record.NewIssued(record.FirstGeneration, certificate),
			Certificate: certificate.Raw,
			Key:         key.EncodeDER(),
			Pinned:      pki.PinsIssuer(certificate),
		},
	}
}
