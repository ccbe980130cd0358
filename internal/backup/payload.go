// SPDX-License-Identifier: GPL-3.0-only

package backup

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"tls-authority/internal/pki"
)

const (
	formatName    = "tls-authority-backup"
	formatVersion = 1

	// maxContent bounds the JSON: a databag has at most 16 MiB, and escaping
	// makes it longer.
	maxContent = 64 << 20
)

// errDamaged stands for the errors of decoders, which quote what they read.
var errDamaged = errors.New("the file is damaged")

// head is what every version has: it is read first.
type head struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

// payload is the JSON of a backup. Keys are PKCS#8.
type payload struct {
	head
	Application string            `json:"application"`
	Model       string            `json:"model"`
	Created     time.Time         `json:"created"`
	Record      map[string]string `json:"record"`
	Keys        map[int][]byte    `json:"keys"`
}

// encode refuses what decode would not return as it is: that would show only
// when the backup is needed.
func encode(c Content) ([]byte, error) {
	p := payload{
		head: head{formatName, formatVersion}, Application: c.Application, Model: c.Model,
		Created: c.Created.UTC(), Record: c.Record, Keys: map[int][]byte{},
	}
	for name, text := range c.Record {
		if !utf8.ValidString(name) || !utf8.ValidString(text) {
			return nil, fmt.Errorf("the text of %q in the record is not UTF-8", name)
		}
	}
	for generation, key := range c.Keys {
		p.Keys[generation] = key.EncodeDER()
		if p.Keys[generation] == nil {
			return nil, fmt.Errorf("the key of generation %d is missing", generation)
		}
	}
	text, err := json.Marshal(p)
	switch {
	case err != nil:
		return nil, errors.New("the content cannot be encoded")
	case len(text) > maxContent:
		return nil, fmt.Errorf("the content is longer than %d bytes", maxContent)
	}
	defer clear(text)
	return compress(text)
}

func compress(text []byte) ([]byte, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(text)
	if err != nil {
		return nil, err
	}
	err = w.Close()
	if err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// decode reads to the very end: age proves the last part of a file, and that
// it is the last, only there. The reader of gzip goes as far, because a file
// of gzip ends nowhere else (RFC 1952 section 2.2).
func decode(r io.Reader) (Content, error) {
	packed, err := gzip.NewReader(r)
	if err != nil {
		return Content{}, errDamaged
	}
	text, err := io.ReadAll(io.LimitReader(packed, maxContent+1))
	switch {
	case err != nil:
		return Content{}, errDamaged
	case len(text) > maxContent:
		return Content{}, fmt.Errorf("it holds more than %d bytes", maxContent)
	}
	defer clear(text)
	return parse(text)
}

func parse(text []byte) (Content, error) {
	var h head
	err := json.Unmarshal(text, &h)
	switch {
	case err != nil || h.Format != formatName:
		return Content{}, errors.New("it is not a backup of this charm")
	case h.Version > formatVersion:
		return Content{}, fmt.Errorf("it has version %d and this charm knows %d: refresh the charm first", h.Version, formatVersion)
	case h.Version != formatVersion:
		return Content{}, fmt.Errorf("it has version %d, which no charm wrote", h.Version)
	}
	var p payload
	err = json.Unmarshal(text, &p)
	if err != nil {
		return Content{}, errDamaged
	}
	c := Content{
		Application: p.Application, Model: p.Model, Created: p.Created.UTC(),
		Record: p.Record, Keys: map[int]pki.PrivateKey{},
	}
	for generation, der := range p.Keys {
		key, err := pki.ParsePrivateKeyDER(der)
		if err != nil {
			return Content{}, fmt.Errorf("the key of generation %d cannot be read", generation)
		}
		c.Keys[generation] = key
	}
	return c, nil
}
