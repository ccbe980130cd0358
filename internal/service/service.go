// SPDX-License-Identifier: GPL-3.0-only

// Package service keeps the status service of a unit running: a daemon of the
// program that links this, under Pebble (https://documentation.ubuntu.com/pebble),
// which starts it, looks whether it is alive, starts it again and forwards its
// log. Where systemd runs it runs Pebble, as a user of its own; elsewhere the
// charm starts Pebble itself.
//
// It knows nothing of certificates or of what the daemon tells. Hooks have it
// called (package control). A machine that can run none of this is no reason to
// fail: every error is a sentence for a status line, and the charm goes on
// issuing.
package service

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"tls-authority/internal/control"
)

// startWithin bounds what a hook waits for. Pebble itself waits a second before
// it calls a service started; systemd takes two or three to read its units
// anew, and several times as long on a machine that does much else.
func (s Keeper) startWithin() time.Duration {
	if s.site.HasSystemd() {
		return 30 * time.Second
	}
	return 10 * time.Second
}

// Keeper keeps the service of one site running. Make one with New.
type Keeper struct {
	site control.Site
	pace pace
}

// pace is how often Pebble looks, in its own notation of durations.
type pace struct {
	period, timeout string
	threshold       int
}

// New makes the keeper of a site.
func New(site control.Site) Keeper {
	return Keeper{site, pace{"10s", "3s", 3}}
}

func (s Keeper) layerPath() string {
	return filepath.Join(s.site.PebbleDirectory(), "layers", "001-status.yaml")
}
func (s Keeper) logPath() string  { return filepath.Join(s.site.State, "pebble.log") }
func (s Keeper) keptPath() string { return filepath.Join(s.site.State, "plan.json") }

// kept is what a later hook needs to know of the last Start.
type kept struct {
	Plan   control.Plan `json:"plan"`
	Pebble string       `json:"pebble,omitempty"` // stamp of the program that runs
}

func (s Keeper) readKept() (kept, error) {
	text, err := os.ReadFile(s.keptPath())
	if err != nil {
		return kept{}, err
	}
	var k kept
	return k, json.Unmarshal(text, &k)
}

func (s Keeper) writeKept(k kept) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(s.keptPath()); err == nil && string(old) == string(text) {
		return nil
	}
	return control.Replace(s.keptPath(), text, 0o600)
}
