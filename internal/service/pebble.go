// SPDX-License-Identifier: GPL-3.0-only

package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/canonical/pebble/client"

	"tls-authority/internal/control"
)

const (
	// answerWithin bounds one question to Pebble when nothing has to start.
	answerWithin = 3 * time.Second
	// pollEvery is how often a hook looks for what it waits for.
	pollEvery = 20 * time.Millisecond
)

// pebble is a Pebble that runs. Its client does not know contexts: every
// connection ends at the deadline of the one with which it was found.
type pebble struct {
	ctx    context.Context
	client *client.Client
}

// dial finds a Pebble that runs. It asks nothing: the client would ask a
// Pebble that is not there again for five seconds.
func (s Keeper) dial(ctx context.Context) (pebble, error) {
	socket, err := s.site.Socket()
	if err != nil {
		return pebble{}, err
	}
	connection, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return pebble{}, errors.New("pebble does not run")
	}
	_ = connection.Close()
	c, err := client.New(&client.Config{Socket: socket, DisableKeepAlive: true})
	if err != nil {
		return pebble{}, err
	}
	c.Requester().Transport().DialContext = func(context.Context, string, string) (net.Conn, error) {
		connection, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if deadline, ok := ctx.Deadline(); ok && err == nil {
			err = connection.SetDeadline(deadline)
		}
		return connection, err
	}
	return pebble{ctx, c}, nil
}

// replan gives Pebble a layer, and has it start what is new or not running. It
// waits until that is done.
func (p pebble) replan(text []byte) error {
	if err := p.awaitQuiet(); err != nil {
		return err
	}
	err := p.client.AddLayer(&client.AddLayerOptions{Combine: true, Label: layerLabel, LayerData: text})
	if err != nil {
		return fmt.Errorf("pebble refuses its layer: %w", err)
	}
	id, err := p.client.Replan(&client.ServiceOptions{})
	if err != nil {
		return fmt.Errorf("pebble refuses to replan: %w", err)
	}
	return poll(p.ctx, "pebble is not done", func() (bool, error) {
		change, err := p.client.Change(id)
		if err != nil {
			return false, fmt.Errorf("pebble does not answer: %w", err)
		}
		return isDone(change)
	})
}

// starts are the changes that start services. There are others, of checks,
// which last as long as the check.
func (p pebble) starts() ([]*client.Change, error) {
	all, err := p.client.Changes(&client.ChangesOptions{Selector: client.ChangesAll})
	if err != nil {
		return nil, fmt.Errorf("pebble does not answer: %w", err)
	}
	return slices.DeleteFunc(all, func(c *client.Change) bool { return c.Kind != "autostart" && c.Kind != "replan" }), nil
}

// awaitQuiet waits until nothing is being started, well or not: Pebble cannot
// start what it is starting.
func (p pebble) awaitQuiet() error {
	return poll(p.ctx, "pebble is not done", func() (bool, error) {
		starts, err := p.starts()
		return !slices.ContainsFunc(starts, func(c *client.Change) bool { return !c.Ready }), err
	})
}

// awaitAutostart waits until a Pebble that has just started, and keeps nothing
// of its past, has started the service.
func (p pebble) awaitAutostart() error {
	return poll(p.ctx, "pebble does not start it", func() (bool, error) {
		starts, err := p.starts()
		if err != nil || len(starts) == 0 {
			return false, err
		}
		return isDone(starts[0])
	})
}

// isDone tells whether a change is over. That it failed is an error, in the
// words of the daemon if it said any.
func isDone(change *client.Change) (bool, error) {
	if change.Err != "" {
		return false, errors.New(lastWords(change))
	}
	return change.Ready, nil
}

// lastWords is why a change failed: the last line that the daemon wrote, if
// Pebble has one, which is indented in what it says; else what Pebble puts
// into parentheses after the name of the task.
func lastWords(change *client.Change) string {
	var words string
	for _, task := range change.Tasks {
		for _, entry := range task.Log {
			_, output, found := strings.Cut(entry, "Most recent service output:\n")
			if lines := strings.Split(strings.TrimSpace(output), "\n"); found && lines[len(lines)-1] != "" {
				words = strings.TrimSpace(lines[len(lines)-1])
			}
		}
	}
	if words != "" {
		return words
	}
	_, cause, found := strings.Cut(change.Err, "(")
	if end := strings.LastIndex(cause, ")"); found && end >= 0 {
		return cause[:end]
	}
	return change.Err
}

// explain puts what most often goes wrong into a few words.
func explain(err error, p control.Plan) error {
	switch text := err.Error(); {
	case strings.Contains(text, "address already in use"):
		return fmt.Errorf("port %d is taken", p.Port)
	case strings.Contains(text, "cannot assign requested address"):
		return fmt.Errorf("%s is not an address of this machine", p.Address)
	}
	return err
}

// awaitLive waits until the daemon answers.
func awaitLive(ctx context.Context, address string) error {
	// No proxy: the environment of a hook may name one.
	asking := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: answerWithin}
	return poll(ctx, "the daemon does not answer", func() (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return false, err
		}
		response, err := asking.Do(request)
		if err != nil {
			return false, nil
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK, nil
	})
}

// poll asks until it is told yes, or an error, or the time is over.
func poll(ctx context.Context, complaint string, ask func() (bool, error)) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		done, err := ask()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New(complaint)
		case <-ticker.C:
		}
	}
}
