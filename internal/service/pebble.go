// SPDX-License-Identifier: GPL-3.0-only

package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/canonical/pebble/client"
)

// serviceName and layerName are names within Pebble, layerFile is where it finds
// the layer when it starts.
const (
	serviceName = "status"
	layerName   = "status"
	layerFile   = "001-" + layerName + ".yaml"
)

// maxSocketPath is what sockaddr_un holds on Linux with its zero.
const maxSocketPath = 107

// socket is Pebble's. Agents' folders can have long names; then it is in a
// folder of its own, which is found again by a link.
func (s Site) socket() string {
	path := filepath.Join(s.pebbleDir(), ".pebble.socket")
	if len(path) <= maxSocketPath {
		return path
	}
	short, err := os.Readlink(s.socketLink())
	if err != nil {
		return path // too long to be reached
	}
	return filepath.Join(short, "pebble.socket")
}

func (s Site) socketLink() string { return filepath.Join(s.state, "socket") }

// makeSocketFolder makes the folder of the socket where one is needed.
func (s Site) makeSocketFolder() error {
	if len(s.socket()) <= maxSocketPath {
		return nil
	}
	folder, err := os.MkdirTemp("", "pebble")
	if err != nil {
		return err
	}
	if owner := s.owner(); owner != nil {
		if err := os.Chown(folder, owner.UID, owner.GID); err != nil {
			return err
		}
	}
	return os.Symlink(folder, s.socketLink())
}

// layer is what Pebble is told, as JSON, which is YAML. It has no override of
// targets that are gone but to send them nothing more: layers are only added to.
func (s Site) layer(p Plan, before []LogTarget) ([]byte, error) {
	state, err := os.Stat(s.program())
	if err != nil {
		return nil, err
	}
	type object = map[string]any
	targets := object{}
	for _, target := range before {
		targets[target.Name] = object{"override": "replace", "type": "loki", "location": target.URL, "services": []string{}}
	}
	for _, target := range p.Logs {
		targets[target.Name] = object{
			"override": "replace", "type": "loki", "location": target.URL, "services": []string{serviceName}, "labels": target.Labels,
		}
	}
	return json.Marshal(object{
		"summary": "the status service of " + s.unit,
		"services": object{serviceName: object{
			"override": "replace",
			"summary":  "revocation lists, OCSP, CA certificates, metrics",
			"command":  fmt.Sprintf("%s serve --spool %s --listen %s", quote(s.program()), quote(s.Spool().Directory), p.listen()),
			"startup":  "enabled",
			// Another program in the same place is another service.
			"environment":      object{"PROGRAM": fmt.Sprintf("%d-%d", state.ModTime().UnixNano(), state.Size()), "GOTRACEBACK": "none"},
			"on-success":       "restart",
			"on-failure":       "restart",
			"on-check-failure": object{"up": "restart"},
			"backoff-delay":    "500ms",
			"backoff-limit":    "30s",
		}},
		"checks": object{"up": object{
			"override": "replace", "level": "alive", "period": s.period.String(), "timeout": (s.period / 3).String(), "threshold": 3,
			"http": object{"url": "http://" + p.listen() + "/live"},
		}},
		"log-targets": targets,
	})
}

// quote keeps a path one word of a command; Pebble splits as a shell does.
func quote(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

// prepare makes the folders, and writes what Pebble finds when it starts.
func (s Site) prepare(p Plan) error {
	if err := s.makeFolders(); err != nil {
		return fmt.Errorf("cannot make its folders: %w", err)
	}
	layer, err := s.layer(p, nil)
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(s.pebbleDir(), "layers", layerFile), layer, s.publicMode()); err != nil {
		return err
	}
	plan, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return replace(s.planFile(), plan, 0o600)
}

// replace writes a file that is there whole or as before.
func replace(path string, content []byte, mode fs.FileMode) error {
	if known, err := os.ReadFile(path); err == nil && bytes.Equal(known, content) {
		return nil
	}
	fresh := path + ".new"
	err := os.WriteFile(fresh, content, mode)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh)
		return fmt.Errorf("cannot write %s: %w", filepath.Base(path), err)
	}
	return nil
}

// connect is a client of a Pebble that listens; that of a dead one would try for
// seconds.
func (s Site) connect(ctx context.Context) (*client.Client, error) {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", s.socket())
	if err != nil {
		return nil, errors.New("Pebble does not answer")
	}
	connection.Close()
	return client.New(&client.Config{Socket: s.socket(), DisableKeepAlive: true})
}

// reaches tells whether Pebble answers.
func (s Site) reaches(ctx context.Context) bool {
	c, err := s.connect(ctx)
	if err != nil {
		return false
	}
	_, err = c.SysInfo()
	return err == nil
}

// Check is nil when Pebble and the daemon run, else it says what does not.
func (s Site) Check(ctx context.Context) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	services, err := c.Services(&client.ServicesOptions{Names: []string{serviceName}})
	switch {
	case err != nil:
		return errors.New("Pebble does not answer")
	case len(services) != 1:
		return errors.New("Pebble does not know the daemon")
	case services[0].Current != client.StatusActive:
		return fmt.Errorf("the daemon is in state %s", services[0].Current)
	}
	return nil
}

// replan gives a layer to a Pebble that runs. It starts the daemon anew if that
// changed, and starts it if it was down.
func (s Site) replan(ctx context.Context, layer []byte) error {
	c, err := s.connect(ctx)
	if err == nil {
		err = c.AddLayer(&client.AddLayerOptions{Combine: true, Label: layerName, LayerData: layer})
	}
	var change string
	if err == nil {
		change, err = c.Replan(&client.ServiceOptions{})
	}
	if err == nil {
		err = await(c, change)
	}
	if err == nil && s.Check(ctx) != nil {
		if change, err = c.Start(&client.ServiceOptions{Names: []string{serviceName}}); err == nil {
			err = await(c, change)
		}
	}
	if err != nil {
		return fmt.Errorf("Pebble does not run the daemon: %w", err)
	}
	return nil
}

func await(c *client.Client, id string) error {
	change, err := c.WaitChange(id, &client.WaitChangeOptions{Timeout: patience})
	if err == nil && change.Err != "" {
		err = errors.New(change.Err)
	}
	return err
}

// startPebble starts a Pebble that outlives the hook: in a session of its own,
// with nothing of the hook's environment and none of its files.
func (s Site) startPebble(ctx context.Context) error {
	if err := s.makeSocketFolder(); err != nil {
		return fmt.Errorf("cannot make the folder of the socket: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(s.state, "pebble.log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.pebble(), "run")
	cmd.Dir = s.state
	cmd.Env = s.environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start Pebble: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !s.reaches(ctx) {
		select {
		case err := <-ended:
			return fmt.Errorf("Pebble ended at once: %w", err)
		case <-ctx.Done():
			return errors.New("Pebble does not answer")
		case <-ticker.C:
		}
	}
	return nil
}

// environment is all that Pebble, and the daemon, get.
func (s Site) environment() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "PEBBLE=" + s.pebbleDir(), "PEBBLE_SOCKET=" + s.socket(), "PEBBLE_PERSIST=never"}
}
