// SPDX-License-Identifier: GPL-3.0-only

package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Start makes the service do what the plan says, and waits until it does. It
// changes nothing that is right already. When the service does not come up,
// nothing of it is left running: a daemon of an older plan would tell at an
// address that nobody knows any more.
func (s Site) Start(ctx context.Context, p Plan) error {
	ctx, cancel := context.WithTimeout(ctx, s.startWithin())
	defer cancel()
	return s.sentence("cannot start the status service", s.start(ctx, p))
}

// Restart does what the last Start did, with what it was told.
func (s Site) Restart(ctx context.Context) error {
	k, err := s.readKept()
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("it has never been started")
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, s.startWithin())
		defer cancel()
		err = s.start(ctx, k.Plan)
	}
	return s.sentence("cannot restart the status service", err)
}

// Check tells why the service does not run; nil when it does.
func (s Site) Check(ctx context.Context) error {
	if !s.Exists() {
		return errors.New("the status service has not been started")
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	p, err := s.dial(ctx)
	if err == nil {
		err = p.checkService()
	}
	return s.sentence("the status service is down", err)
}

// Stop takes the service away, and everything that Start made but the user.
func (s Site) Stop(ctx context.Context) error {
	err := s.takeDown(ctx)
	if err == nil && s.hasSystemd() {
		err = s.removeUnit(ctx)
	}
	if err == nil {
		err = s.removeSocket()
	}
	if err == nil {
		err = os.RemoveAll(s.state)
	}
	return s.sentence("cannot stop the status service", err)
}

func (s Site) start(ctx context.Context, p Plan) error {
	if err := p.check(); err != nil {
		return err
	}
	k, _ := s.readKept() // none, or none that can be read: Pebble is started anew
	stamp, err := stampOf(s.pebbleProgram())
	if err != nil {
		return err
	}
	wanted, err := s.layer(p)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	running, err := s.dial(ctx)
	if err == nil && k.Pebble == stamp && s.hasUnit(p) {
		err = s.change(running, kept{p, stamp}, wanted)
	} else {
		err = s.startPebble(ctx, p, wanted)
	}
	if err == nil {
		err = awaitLive(ctx, p.live())
	}
	if err != nil {
		// Its own time: what ended may be the time to start.
		if down := s.takeDown(context.WithoutCancel(ctx)); down != nil {
			return fmt.Errorf("%v, nor stop it: %v", err, down)
		}
		if barred := s.barred(); barred != nil {
			return barred // only now: who may enter by other rules is not kept from trying
		}
		return explain(err, p)
	}
	return s.writeKept(kept{Plan: p, Pebble: stamp})
}

// prepare makes all that has to be there before Pebble runs.
func (s Site) prepare(ctx context.Context) error {
	if s.hasSystemd() {
		if err := s.makeAccount(ctx); err != nil {
			return err
		}
	}
	for _, path := range []string{s.state, s.spool(), s.pebble(), filepath.Dir(s.layerPath())} {
		if err := s.makeDirectory(path); err != nil {
			return fmt.Errorf("cannot make its directory: %w", err)
		}
	}
	if s.hasSystemd() {
		return nil
	}
	return s.makeSocketFolder()
}

// makeDirectory makes one that hooks write, and that the group of the daemon
// reads where that is another user. Nothing in it is ever the daemon's: what
// serves the network cannot lead a hook, which may be root, elsewhere.
func (s Site) makeDirectory(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if !s.hasSystemd() {
		return os.Chmod(path, 0o700)
	}
	owner, err := s.owner()
	if err == nil {
		err = os.Chown(path, -1, owner.GID)
	}
	if err == nil {
		err = os.Chmod(path, 0o750)
	}
	return err
}

// writeLayer keeps a layer where Pebble finds it when it starts.
func (s Site) writeLayer(l layer) error {
	text, err := l.encode()
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(s.layerPath()); err == nil && string(old) == string(text) {
		return nil
	}
	mode := fs.FileMode(0o600)
	if s.hasSystemd() {
		mode = 0o640
	}
	if err := replace(s.layerPath(), text, mode); err != nil || !s.hasSystemd() {
		return err
	}
	owner, err := s.owner()
	if err == nil {
		err = os.Chown(s.layerPath(), -1, owner.GID)
	}
	return err
}

// startPebble starts Pebble, or starts it anew, and waits until it has started
// what the layer says.
func (s Site) startPebble(ctx context.Context, p Plan, wanted layer) error {
	// Without the stamp of a Pebble: this hook may be killed before it runs.
	if err := s.writeKept(kept{Plan: p}); err != nil {
		return err
	}
	if err := s.writeLayer(wanted); err != nil {
		return err
	}
	hasEnded := func() error { return nil } // systemd starts it again
	if s.hasSystemd() {
		if err := s.startUnit(ctx, p); err != nil {
			return err
		}
	} else {
		if err := s.takeDown(ctx); err != nil {
			return err
		}
		pid, err := s.spawn()
		if err != nil {
			return err
		}
		hasEnded = func() error { return s.ended(pid) }
	}
	var started pebble
	err := poll(ctx, "pebble does not answer", func() (bool, error) {
		var err error
		if started, err = s.dial(ctx); err == nil {
			return true, nil
		}
		return false, hasEnded()
	})
	if err != nil {
		return err
	}
	return started.awaitAutostart()
}

// change gives a running Pebble the layer that is wanted.
func (s Site) change(running pebble, k kept, wanted layer) error {
	text, err := wanted.withoutThoseOf(s.readLayer()).encode()
	if err == nil {
		err = s.writeKept(k)
	}
	if err == nil {
		err = running.replan(text)
	}
	if err == nil {
		err = s.writeLayer(wanted) // last: until then what to silence is known
	}
	return err
}

// takeDown ends Pebble and the daemon, however they are.
func (s Site) takeDown(ctx context.Context) error {
	if s.hasSystemd() {
		return s.stopUnit(ctx)
	}
	return s.killAll(ctx)
}
