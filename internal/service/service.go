// SPDX-License-Identifier: GPL-3.0-only

// Package service keeps the status service of a unit running: a Pebble
// (https://github.com/canonical/pebble) that runs the daemon, starts it anew
// when it ends or falls silent, and forwards its log.
//
// Where systemd runs, one unit of it runs that Pebble as a user of its own.
// Elsewhere, as in the container of a Kubernetes charm, the hook starts it. What
// the daemon tells is not the business of this package.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tls-authority/internal/responder"
)

// Site is where the status service of one unit lives. Make one with At.
type Site struct {
	charm string // the folder of the charm
	unit  string // Juju's name
	state string // the folder of the service
	// root is prepended to the paths of systemd; empty but in tests.
	root string
	// period is how often Pebble looks whether the daemon answers.
	period time.Duration
}

// Plan is how the service is to run.
type Plan struct {
	Address string // an IP address to listen on
	Port    int
	Logs    []LogTarget
}

// LogTarget is a Loki that the log of the daemon is sent to. URL is where it
// takes in logs.
type LogTarget struct {
	Name, URL string
	Labels    map[string]string
}

const (
	// checkPeriod is short enough for relying parties that ask again.
	checkPeriod = 10 * time.Second
	// patience is how long a hook waits until a daemon that it started answers.
	patience = 10 * time.Second
)

// At is the site of a unit whose charm is in a folder. Its state is beside that
// folder: it outlives an upgrade of the charm and goes with the unit.
func At(charmDirectory, unit string) Site {
	charm := filepath.Clean(charmDirectory)
	return Site{charm: charm, unit: unit, state: filepath.Join(filepath.Dir(charm), "status"), period: checkPeriod}
}

// Exists tells whether the service was set up here.
func (s Site) Exists() bool {
	_, err := os.Stat(s.planFile())
	return err == nil
}

// Spool is the folder through which hooks tell the daemon what it serves.
func (s Site) Spool() responder.Spool {
	return responder.Spool{Directory: filepath.Join(s.state, "spool"), Owner: s.owner()}
}

func (s Site) planFile() string    { return filepath.Join(s.state, "plan.json") }
func (s Site) troubleFile() string { return s.state + ".trouble" }
func (s Site) pebbleDir() string   { return filepath.Join(s.state, "pebble") }
func (s Site) pebble() string      { return filepath.Join(s.charm, "bin", "pebble") }
func (s Site) program() string     { return filepath.Join(s.charm, "bin", "tls-authority") }

// Start makes the service run by a plan, and returns when it answers. A service
// that runs so already is left alone; one with a new plan or a new program is
// started anew. An error fits into a status; what was started in vain is
// stopped.
func (s Site) Start(ctx context.Context, p Plan) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, program := range []string{s.pebble(), s.program()} {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("the charm has no %s", filepath.Base(program))
		}
	}
	before, _ := s.readPlan()
	if err := s.prepare(p); err != nil {
		return err
	}
	layer, err := s.layer(p, before.Logs)
	if err != nil {
		return err
	}
	err = s.run(ctx, p, layer)
	if err == nil {
		err = s.awaitDaemon(ctx, p)
	}
	if err != nil {
		return errors.Join(err, s.halt(context.WithoutCancel(ctx)))
	}
	return nil
}

// run brings Pebble up, or gives it the layer.
func (s Site) run(ctx context.Context, p Plan, layer []byte) error {
	if s.reaches(ctx) {
		return s.replan(ctx, layer)
	}
	if s.hasSystemd() {
		return s.startUnit(ctx)
	}
	if err := s.halt(ctx); err != nil {
		return err
	}
	if err := checkPort(p); err != nil {
		return err
	}
	return s.startPebble(ctx)
}

// checkPort finds out whether somebody else listens there, which Pebble would
// only show as a daemon that keeps ending.
func checkPort(p Plan) error {
	listener, err := net.Listen("tcp", p.listen())
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", p.listen(), errors.Unwrap(err))
	}
	return listener.Close()
}

func (p Plan) listen() string { return net.JoinHostPort(p.Address, strconv.Itoa(p.Port)) }

// awaitDaemon returns when the daemon of the plan answers.
func (s Site) awaitDaemon(ctx context.Context, p Plan) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := askLive(ctx, p)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if cause := s.Check(context.WithoutCancel(ctx)); cause != nil {
				return cause
			}
			return fmt.Errorf("the daemon does not answer: %w", err)
		case <-ticker.C:
		}
	}
}

func askLive(ctx context.Context, p Plan) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.listen()+"/live", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", response.Status)
	}
	return nil
}

// Restart brings back what Check found down, by the plan of the last Start.
func (s Site) Restart(ctx context.Context) error {
	p, err := s.readPlan()
	if err != nil {
		return err
	}
	return s.Start(ctx, p)
}

// Stop takes the service down and everything of it away; nil when there is
// none.
func (s Site) Stop(ctx context.Context) error {
	err := s.halt(ctx)
	if err == nil {
		err = s.removeUnit(ctx)
	}
	if short, linkErr := os.Readlink(s.socketLink()); err == nil && linkErr == nil {
		err = os.RemoveAll(short)
	}
	if err == nil {
		err = os.RemoveAll(s.state)
	}
	if err != nil {
		return fmt.Errorf("cannot stop the status service: %w", err)
	}
	return s.SetTrouble("")
}

// Trouble is what SetTrouble kept last; "" for nothing.
func (s Site) Trouble() string {
	text, err := os.ReadFile(s.troubleFile())
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// SetTrouble keeps why the service does not run, for the hooks that do not look
// after it; "" ends it.
func (s Site) SetTrouble(text string) error {
	err := os.Remove(s.troubleFile())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil && text != "" {
		err = os.WriteFile(s.troubleFile(), []byte(text+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot note the trouble of the status service: %w", err)
	}
	return nil
}

func (s Site) readPlan() (Plan, error) {
	text, err := os.ReadFile(s.planFile())
	var p Plan
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return Plan{}, fmt.Errorf("cannot read the plan of the status service: %w", err)
	}
	return p, nil
}
