// SPDX-License-Identifier: GPL-3.0-only

package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tls-authority/internal/control"
)

// Start makes the service do what the plan says, and waits until it does. It
// changes nothing that is right already. When the service does not come up,
// nothing of it is left running: a daemon of an older plan would tell at an
// address that nobody knows any more.
func (s Keeper) Start(ctx context.Context, p control.Plan) error {
	ctx, cancel := context.WithTimeout(ctx, s.startWithin())
	defer cancel()
	return s.site.Sentence("cannot start the status service", s.start(ctx, p))
}

// Restart does what the last Start did, with what it was told.
func (s Keeper) Restart(ctx context.Context) error {
	k, err := s.readKept()
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("it has never been started")
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, s.startWithin())
		defer cancel()
		err = s.start(ctx, k.Plan)
	}
	return s.site.Sentence("cannot restart the status service", err)
}

// Stop takes the service away, and everything that Start made but the user.
func (s Keeper) Stop(ctx context.Context) error {
	err := s.takeDown(ctx)
	if err == nil && s.site.HasSystemd() {
		err = s.removeUnit(ctx)
	}
	if err == nil {
		err = s.removeSocket()
	}
	if err == nil {
		err = os.RemoveAll(s.site.State)
	}
	return s.site.Sentence("cannot stop the status service", err)
}

func (s Keeper) start(ctx context.Context, p control.Plan) error {
	if err := checkPlan(p); err != nil {
		return err
	}
	k, _ := s.readKept() // none, or none that can be read: Pebble is started anew
	stamp, err := stampOf(s.site.PebbleProgram())
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
		err = awaitLive(ctx, live(p))
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
func (s Keeper) prepare(ctx context.Context) error {
	if s.site.HasSystemd() {
		if err := s.makeAccount(ctx); err != nil {
			return err
		}
	}
	for _, path := range []string{s.site.State, s.site.SpoolPath(), s.site.PebbleDirectory(), filepath.Dir(s.layerPath())} {
		if err := s.makeDirectory(path); err != nil {
			return fmt.Errorf("cannot make its directory: %w", err)
		}
	}
	if s.site.HasSystemd() {
		return nil
	}
	return s.makeSocketFolder()
}

// makeDirectory makes one that hooks write, and that the group of the daemon
// reads where that is another user. Nothing in it is ever the daemon's: what
// serves the network cannot lead a hook, which may be root, elsewhere.
func (s Keeper) makeDirectory(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if !s.site.HasSystemd() {
		return os.Chmod(path, 0o700)
	}
	owner, err := s.site.Owner()
	if err == nil {
		err = os.Chown(path, -1, owner.GID)
	}
	if err == nil {
		err = os.Chmod(path, 0o750)
	}
	return err
}

// writeLayer keeps a layer where Pebble finds it when it starts.
func (s Keeper) writeLayer(l layer) error {
	text, err := l.encode()
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(s.layerPath()); err == nil && string(old) == string(text) {
		return nil
	}
	mode := fs.FileMode(0o600)
	if s.site.HasSystemd() {
		mode = 0o640
	}
	if err := control.Replace(s.layerPath(), text, mode); err != nil || !s.site.HasSystemd() {
		return err
	}
	owner, err := s.site.Owner()
	if err == nil {
		err = os.Chown(s.layerPath(), -1, owner.GID)
	}
	return err
}

// startPebble starts Pebble, or starts it anew, and waits until it has started
// what the layer says.
func (s Keeper) startPebble(ctx context.Context, p control.Plan, wanted layer) error {
	// Without the stamp of a Pebble: this hook may be killed before it runs.
	if err := s.writeKept(kept{Plan: p}); err != nil {
		return err
	}
	if err := s.writeLayer(wanted); err != nil {
		return err
	}
	hasEnded := func() error { return nil } // systemd starts it again
	if s.site.HasSystemd() {
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
func (s Keeper) change(running pebble, k kept, wanted layer) error {
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
func (s Keeper) takeDown(ctx context.Context) error {
	if s.site.HasSystemd() {
		return s.stopUnit(ctx)
	}
	return s.killAll(ctx)
}
