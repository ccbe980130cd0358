// SPDX-License-Identifier: GPL-3.0-only

// Package control is the status service of a unit as hooks know it: where it
// is, whether it runs, and how to have it started and stopped, which another
// program does (package service).
//
// It is a package of its own since every hook links it: it does without
// Pebble's client and without net/http. A service that does not run is no
// reason to fail: every error is a sentence for a status line.
package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tls-authority/internal/spool"
)

// accountName is the user and the group that the daemon has for itself where
// systemd runs.
const accountName = "tls-authority"

// ServiceName is that of the daemon within Pebble.
const ServiceName = "status"

// Site is where the status service of one unit lives. Make one with At.
type Site struct {
	// Charm is the directory of the charm, State that of the service. It is
	// beside it: it outlives an upgrade of the charm, and goes when Juju removes
	// the unit.
	Charm, State string
	Unit         string
	// Root is where the file system of the machine begins, Superuser tells
	// whether hooks may install for the whole machine, and Account is the user
	// of the daemon where systemd runs.
	Root      string
	Superuser bool
	Account   string
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

// At is the site of a unit.
func At(charmDirectory, unit string) Site {
	charm := filepath.Clean(charmDirectory)
	return Site{
		Charm: charm, State: filepath.Join(filepath.Dir(charm), "status"), Unit: unit,
		Root: "/", Superuser: os.Geteuid() == 0, Account: accountName,
	}
}

// Exists tells whether Start has set the service up here, and Stop has not
// taken it away since.
func (s Site) Exists() bool {
	return isDirectory(s.SpoolPath())
}

// Spool is the directory that hooks write and the daemon reads. Start makes it.
func (s Site) Spool() spool.Folder {
	folder := spool.Folder{Path: s.SpoolPath()}
	if s.HasSystemd() {
		folder.Owner, _ = s.Owner() // nil before Start: there is no directory either
	}
	return folder
}

// SpoolPath is that of the spool, whoever owns it.
func (s Site) SpoolPath() string { return filepath.Join(s.State, "spool") }

// Program is the charm's own, which starts the service and is the daemon.
func (s Site) Program() string { return filepath.Join(s.Charm, "bin", "tls-authority") }

// PebbleProgram is the service manager.
func (s Site) PebbleProgram() string { return filepath.Join(s.Charm, "bin", "pebble") }

// PebbleDirectory is where Pebble finds what to run.
func (s Site) PebbleDirectory() string { return filepath.Join(s.State, "pebble") }

func (s Site) troublePath() string { return filepath.Join(s.State, "trouble") }

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
	} else if err = os.MkdirAll(s.State, 0o700); err == nil {
		err = Replace(s.troublePath(), []byte(strings.Join(strings.Fields(text), " ")), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the trouble of the status service: %w", err)
	}
	return nil
}

// Replace puts a new file in the place of the old one: what is read is whole.
func Replace(path string, content []byte, mode fs.FileMode) error {
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

// Sentence makes an error one short line, without the paths of the unit, which
// would fill it. What it wraps is not passed on: nobody branches on why a
// machine cannot run the service.
func (s Site) Sentence(doing string, err error) error {
	if err == nil {
		return nil
	}
	cause := strings.NewReplacer(s.Charm+"/", "", s.State+"/", "").Replace(err.Error())
	return errors.New(line(doing + ": " + cause))
}

func line(text string) string {
	short := []rune(strings.Join(strings.Fields(text), " "))
	if len(short) > maxSentence {
		short = append(short[:maxSentence-1], '…')
	}
	return string(short)
}
