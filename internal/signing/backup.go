// SPDX-License-Identifier: GPL-3.0-only

package signing

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

// File is a file to be written on this unit.
type File struct {
	Directory string
	Name      string
	// Stem is how much of the name is common to its kind; the rest tells when
	// it was made.
	Stem    int
	Content []byte
	// Keep is how many files of its kind stay; 0 keeps all.
	Keep int
}

// backUp seals the record and the keys of all generations that have one.
func (w *signer) backUp(changes *Changes, desired *record.Record, s decision.Snapshot, reply decision.Reply) error {
	lock, err := w.keys.Lock(reply.Backup.Secret)
	if err != nil {
		return err
	}
	now := w.now
	desired.CA = desired.CA.Clone()
	desired.CA.Backup = &now
	content := backup.Content{Application: s.Event.Unit.Application(), Model: s.Event.Model, Created: now, Keys: map[int]pki.PrivateKey{}}
	if content.Record, err = record.Encode(*desired); err != nil {
		return err
	}
	for _, id := range desired.Keys() {
		if content.Keys[id], err = w.keys.Stored(id); err != nil {
			return err
		}
	}
	var sealed bytes.Buffer
	if err := backup.Seal(&sealed, content, lock); err != nil {
		return err
	}
	changes.File = &File{
		Directory: reply.Backup.Directory,
		Name:      content.Application + "-" + now.Format("20060102T150405Z") + ".age",
		Stem:      len(content.Application) + 1,
		Content:   sealed.Bytes(),
		Keep:      reply.Backup.Keep,
	}
	changes.Reply = &decision.Reply{Results: maps.Clone(reply.Results)}
	return nil
}

// ReadRestored reads a file that a restore action names: a backup of this
// charm, or an archive of the easyrsa charm. The lock is asked for only where
// the file is locked.
func ReadRestored(file io.Reader, lock func() (backup.Lock, error)) (decision.Restored, map[int]pki.PrivateKey, error) {
	const enough = 64
	buffered := bufio.NewReader(file)
	head, err := buffered.Peek(enough)
	if err != nil && !errors.Is(err, io.EOF) {
		return decision.Restored{}, nil, fmt.Errorf("cannot read the file: %w", err)
	}
	switch {
	case backup.IsBackup(head):
		key, err := lock()
		if err != nil {
			return decision.Restored{}, nil, err
		}
		return openBackup(buffered, key)
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
