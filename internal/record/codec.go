// SPDX-License-Identifier: GPL-3.0-only

package record

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// SchemaVersion is the version of the peer databag that this code writes. A
// databag with a higher one was written by a newer charm: reading it with old
// eyes could lose what it says. One with a lower one is read, and written anew
// by the next hook of the leader. Version 2 writes Certificates in less space.
const SchemaVersion = 2

// Keys of the peer application databag. The number of the relation follows
// the prefixes.
const (
	authorityKey     = "ca"
	clientKey        = "client"
	requestKey       = "request"
	byActionKey      = "by-action"
	spareKey         = "spare"
	doomedKey        = "doomed"
	agendaKey        = "agenda"
	withdrawnKey     = "withdrawn"
	revokedKey       = "revoked"
	compromisedKey   = "compromised"
	respondersKey    = "responders"
	listKeyPrefix    = "list-"
	legacyKeyPrefix  = "legacy-"
	requestKeyPrefix = "csr-"
)

// Parse reads the peer application databag. Any key of ours that cannot
// be read is an error: to take it for absent would make a second CA, or new
// keys for every requirer.
func Parse(bag map[string]string) (Record, error) {
	r := Record{Legacy: map[int]*Legacy{}, CSR: map[int]*Requests{}}
	for key, text := range bag {
		if err := r.parseEntry(key, text); err != nil {
			return Record{}, fmt.Errorf("cannot read key %q of the peer databag: %w", key, err)
		}
	}
	if r.CA == nil && (r.Client != nil || len(r.ByAction)+len(r.Spare)+len(r.Relations()) > 0) {
		return Record{}, fmt.Errorf("cannot read the peer databag: it has certificates but no key %q to tell which CA issued them", authorityKey)
	}
	if r.CA != nil && r.CA.Schema > SchemaVersion {
		return Record{}, fmt.Errorf("cannot read the peer databag: it has schema %d, this charm knows %d: refresh to the newer charm", r.CA.Schema, SchemaVersion)
	}
	return r, nil
}

func (r *Record) parseEntry(key, text string) error {
	switch {
	case key == authorityKey:
		r.CA = &Authority{}
		if err := json.Unmarshal([]byte(text), r.CA); err != nil {
			return err
		}
		return r.CA.check()
	case key == clientKey:
		r.Client = &Pair{}
		return json.Unmarshal([]byte(text), r.Client)
	case key == requestKey:
		r.Request = &Request{}
		return json.Unmarshal([]byte(text), r.Request)
	case key == byActionKey:
		return json.Unmarshal([]byte(text), &r.ByAction)
	case key == spareKey:
		return json.Unmarshal([]byte(text), &r.Spare)
	case key == doomedKey:
		return json.Unmarshal([]byte(text), &r.Doomed)
	case key == agendaKey:
		return json.Unmarshal([]byte(text), &r.Agenda)
	case key == withdrawnKey:
		return json.Unmarshal([]byte(text), &r.Withdrawn)
	case key == revokedKey:
		return json.Unmarshal([]byte(text), &r.Revoked)
	case key == compromisedKey:
		return json.Unmarshal([]byte(text), &r.Compromised)
	case key == respondersKey:
		return json.Unmarshal([]byte(text), &r.Responders)
	case strings.HasPrefix(key, listKeyPrefix):
		if r.Lists == nil {
			r.Lists = map[int]*List{}
		}
		return parseNumbered(key, listKeyPrefix, text, r.Lists)
	case strings.HasPrefix(key, legacyKeyPrefix):
		return parseNumbered(key, legacyKeyPrefix, text, r.Legacy)
	case strings.HasPrefix(key, requestKeyPrefix):
		return parseNumbered(key, requestKeyPrefix, text, r.CSR)
	}
	return nil
}

func parseNumbered[T any](key, prefix, text string, into map[int]*T) error {
	number, err := strconv.Atoi(strings.TrimPrefix(key, prefix))
	if err != nil {
		return err
	}
	value := new(T)
	if err := json.Unmarshal([]byte(text), value); err != nil {
		return err
	}
	into[number] = value
	return nil
}

// Encode is the inverse of Parse, in the present schema. Equal records give
// equal bytes.
func Encode(r Record) (map[string]string, error) {
	bag := map[string]string{}
	if r.CA != nil {
		ca := *r.CA
		ca.Schema = SchemaVersion
		r.CA = &ca
	}
	put := func(key string, value any) error {
		text, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("cannot encode key %q of the peer databag: %w", key, err)
		}
		bag[key] = string(text)
		return nil
	}
	for _, entry := range []struct {
		key   string
		value any
		there bool
	}{
		{authorityKey, r.CA, r.CA != nil},
		{clientKey, r.Client, r.Client != nil},
		{requestKey, r.Request, r.Request != nil},
		{byActionKey, r.ByAction, len(r.ByAction) > 0},
		{spareKey, r.Spare, len(r.Spare) > 0},
		{doomedKey, r.Doomed, len(r.Doomed) > 0},
		{agendaKey, r.Agenda, !r.Agenda.Empty()},
		{withdrawnKey, r.Withdrawn, len(r.Withdrawn) > 0},
		{revokedKey, r.Revoked, len(r.Revoked) > 0},
		{compromisedKey, r.Compromised, len(r.Compromised) > 0},
		{respondersKey, r.Responders, len(r.Responders) > 0},
	} {
		if !entry.there {
			continue
		}
		if err := put(entry.key, entry.value); err != nil {
			return nil, err
		}
	}
	for generation, list := range r.Lists {
		if err := put(listKeyPrefix+strconv.Itoa(generation), list); err != nil {
			return nil, err
		}
	}
	for number, legacy := range r.Legacy {
		if err := put(legacyKeyPrefix+strconv.Itoa(number), legacy); err != nil {
			return nil, err
		}
	}
	for number, requests := range r.CSR {
		if err := put(requestKeyPrefix+strconv.Itoa(number), requests); err != nil {
			return nil, err
		}
	}
	return bag, nil
}

// OwnsKey tells the keys of the peer databag that Encode owns.
func OwnsKey(key string) bool {
	switch key {
	case authorityKey, clientKey, requestKey, byActionKey, spareKey, doomedKey, agendaKey,
		withdrawnKey, revokedKey, compromisedKey, respondersKey:
		return true
	}
	return strings.HasPrefix(key, listKeyPrefix) || strings.HasPrefix(key, legacyKeyPrefix) || strings.HasPrefix(key, requestKeyPrefix)
}

// check finds contradictions, which only a foreign hand could have written.
func (a *Authority) check() error {
	if a.ActiveGeneration() == nil {
		return fmt.Errorf("the active generation %d is not listed", a.Active)
	}
	r := a.Rotation
	if r == nil {
		return nil
	}
	if a.Generation(r.From) == nil {
		return fmt.Errorf("the rotation comes from generation %d, which is not listed", r.From)
	}
	made := r.Stage != Preparing && (r.Stage != Destroying || a.Active == r.To)
	if made && a.Generation(r.To) == nil {
		return fmt.Errorf("the rotation goes to generation %d, which is not listed", r.To)
	}
	return nil
}
