// SPDX-License-Identifier: GPL-3.0-only

package signing

import (
	"maps"

	"tls-authority/internal/decision"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
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
	now := w.now
	desired.CA = desired.CA.Clone()
	desired.CA.Backup = &now
	state, err := record.Encode(*desired)
	if err != nil {
		return err
	}
	keys := map[int]pki.PrivateKey{}
	for _, id := range desired.Keys() {
		if keys[id], err = w.keys.Stored(id); err != nil {
			return err
		}
	}
	sealed, err := w.keys.Seal(reply.Backup.Secret, state, keys)
	if err != nil {
		return err
	}
	application := s.Event.Unit.Application()
	changes.File = &File{
		Directory: reply.Backup.Directory,
		Name:      application + "-" + now.Format("20060102T150405Z") + ".age",
		Stem:      len(application) + 1,
		Content:   sealed,
		Keep:      reply.Backup.Keep,
	}
	changes.Reply = &decision.Reply{Results: maps.Clone(reply.Results)}
	return nil
}
