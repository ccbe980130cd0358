// SPDX-License-Identifier: GPL-3.0-only

// Package service keeps the status service of a unit running: a daemon of the
// charm's own program, under Pebble (https://documentation.ubuntu.com/pebble),
// which starts it, looks whether it is alive, starts it again and forwards its
// log. Where systemd runs it runs Pebble, as a user of its own; elsewhere the
// charm starts Pebble itself.
//
// It knows nothing of certificates or of what the daemon tells. A machine that
// can run none of this is no reason to fail: every error is a sentence for a
// status line, and the charm goes on issuing.
package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tls-authority/internal/spool"
)

// accountName is the user and the group that the daemon has for itself where
// systemd runs.
const accountName = "tls-authority"

// startWithin bounds what a hook waits for. Pebble itself waits a second before
// it calls a service started; systemd takes two or three to read its units
// anew, and several times as long on a machine that does much else.
func (s Site) startWithin() time.Duration {
	if s.hasSystemd() {
		return 30 * time.Second
	}
	return 10 * time.Second
}

// Site is where the status service of one unit lives. Make one with At.
type Site struct {
	charm, state string // directories
	unit         string
	pace         pace
	host         host
}

// pace is how often Pebble looks, in its own notation of durations.
type pace struct {
	period, timeout string
	threshold       int
}

// host is what differs between machines.
type host struct {
	root      string // where the file system begins
	superuser bool   // may install for the whole machine
	account   string // of the daemon where systemd runs
}

// Plan is what the status service is to do.
type Plan struct {
	Address string      `json:"address"` // an IP address to listen on
	Port    int         `json:"port"`
	Logs    []LogTarget `json:"logs,omitempty"`
}

// LogTarget is a Loki that gets the log of the daemon.
type LogTarget struct {
	Name   string            `json:"name"` // unlike that of any other
	URL    string            `json:"url"`  // of the push API
	Labels map[string]string `json:"labels,omitempty"`
}

// At is the site of a unit. Its state is beside the directory of the charm: it
// outlives an upgrade of the charm, and goes when Juju removes the unit.
func At(charmDirectory, unit string) Site {
	charm := filepath.Clean(charmDirectory)
	return Site{
		charm: charm, state: filepath.Join(filepath.Dir(charm), "status"), unit: unit,
		pace: pace{"10s", "3s", 3},
		host: host{root: "/", superuser: os.Geteuid() == 0, account: accountName},
	}
}

// Exists tells whether Start has set the service up here, and Stop has not
// taken it away since.
func (s Site) Exists() bool {
	return isDirectory(s.spool())
}

// Spool is the directory that hooks write and the daemon reads. Start makes it.
func (s Site) Spool() spool.Folder {
	spool := spool.Folder{Path: s.spool()}
	if s.hasSystemd() {
		spool.Owner, _ = s.owner() // nil before Start: there is no directory either
	}
	return spool
}

func (s Site) spool() string          { return filepath.Join(s.state, "spool") }
func (s Site) program() string        { return filepath.Join(s.charm, "bin", "tls-authority") }
func (s Site) pebbleProgram() string  { return filepath.Join(s.charm, "bin", "pebble") }
func (s Site) pebble() string         { return filepath.Join(s.state, "pebble") }
func (s Site) layerPath() string      { return filepath.Join(s.pebble(), "layers", "001-status.yaml") }
func (s Site) logPath() string        { return filepath.Join(s.state, "pebble.log") }
func (s Site) keptPath() string       { return filepath.Join(s.state, "plan.json") }
func (s Site) troublePath() string    { return filepath.Join(s.state, "trouble") }
func (s Site) socketNotePath() string { return filepath.Join(s.state, "socket") }

// Trouble is what SetTrouble kept last; "" when nothing.
func (s Site) Trouble() string {
	text, err := os.ReadFile(s.troublePath())
	if err != nil {
		return ""
	}
	return string(text)
}

// SetTrouble keeps a line for later hooks, "" removes it.
func (s Site) SetTrouble(text string) error {
	var err error
	if text == "" {
		if err = os.Remove(s.troublePath()); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else if err = os.MkdirAll(s.state, 0o700); err == nil {
		err = replace(s.troublePath(), []byte(strings.Join(strings.Fields(text), " ")), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the trouble of the status service: %w", err)
	}
	return nil
}

// kept is what a later hook needs to know of the last Start.
type kept struct {
	Plan   Plan   `json:"plan"`
	Pebble string `json:"pebble,omitempty"` // stamp of the program that runs
}

func (s Site) readKept() (kept, error) {
	text, err := os.ReadFile(s.keptPath())
	if err != nil {
		return kept{}, err
	}
	var k kept
	return k, json.Unmarshal(text, &k)
}

func (s Site) writeKept(k kept) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(s.keptPath()); err == nil && string(old) == string(text) {
		return nil
	}
	return replace(s.keptPath(), text, 0o600)
}

// replace puts a new file in the place of the old one: what is read is whole.
func replace(path string, content []byte, mode fs.FileMode) error {
	fresh := path + ".new" // the same each time, so that none pile up
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := os.WriteFile(fresh, content, mode)
	if err == nil {
		err = os.Chmod(fresh, mode) // not narrowed by the umask of the hook
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh) // a part of it, as on a full disk
	}
	return err
}

func isDirectory(path string) bool {
	state, err := os.Stat(path)
	return err == nil && state.IsDir()
}

// maxSentence is what fits a status line beside the rest of it.
const maxSentence = 120

// sentence makes an error one short line, without the paths of the unit, which
// would fill it. What it wraps is not passed on: nobody branches on why a
// machine cannot run the service.
func (s Site) sentence(doing string, err error) error {
	if err == nil {
		return nil
	}
	cause := strings.NewReplacer(s.charm+"/", "", s.state+"/", "").Replace(err.Error())
	text := []rune(strings.Join(strings.Fields(doing+": "+cause), " "))
	if len(text) > maxSentence {
		text = append(text[:maxSentence-1], '…')
	}
	return errors.New(string(text))
}
