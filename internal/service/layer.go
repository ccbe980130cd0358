// SPDX-License-Identifier: GPL-3.0-only

package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"

	"tls-authority/internal/control"
)

// Names within Pebble.
const (
	layerLabel = "status" // as in the name of the layer's file
	checkName  = "up"
)

// layer is a layer of Pebble's plan. It is written as JSON, which is YAML too.
type layer struct {
	Summary  string                  `json:"summary"`
	Services map[string]layerService `json:"services"`
	Checks   map[string]layerCheck   `json:"checks"`
	Logs     map[string]layerLog     `json:"log-targets,omitempty"`
}

type layerService struct {
	Override       string            `json:"override"`
	Summary        string            `json:"summary"`
	Description    string            `json:"description"`
	Command        string            `json:"command"`
	Startup        string            `json:"startup"`
	OnSuccess      string            `json:"on-success"`
	OnFailure      string            `json:"on-failure"`
	OnCheckFailure map[string]string `json:"on-check-failure"`
	BackoffDelay   string            `json:"backoff-delay"`
	BackoffLimit   string            `json:"backoff-limit"`
	KillDelay      string            `json:"kill-delay"`
}

type layerCheck struct {
	Override  string            `json:"override"`
	Level     string            `json:"level"`
	Period    string            `json:"period"`
	Timeout   string            `json:"timeout"`
	Threshold int               `json:"threshold"`
	HTTP      map[string]string `json:"http"`
}

type layerLog struct {
	Override string            `json:"override"`
	Type     string            `json:"type"`
	Location string            `json:"location"`
	Services []string          `json:"services"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// checkPlan finds a plan that Pebble or the daemon would refuse.
func checkPlan(p control.Plan) error {
	if _, err := netip.ParseAddr(p.Address); err != nil {
		return fmt.Errorf("%.60q is not an IP address", p.Address)
	}
	if p.Port < 1 || p.Port > 65535 {
		return fmt.Errorf("%d is not a port", p.Port)
	}
	known := map[string]bool{}
	for _, target := range p.Logs {
		location, err := url.Parse(target.URL)
		if err != nil || location.Host == "" {
			return fmt.Errorf("%.60q is not the address of a Loki", target.URL)
		}
		if target.Name == "" || known[target.Name] {
			return fmt.Errorf("the name %.40q of a Loki is empty, or there twice", target.Name)
		}
		for name, value := range target.Labels {
			if strings.Contains(value, "$") {
				return fmt.Errorf("the label %.40q of a Loki has a $, which Pebble takes for a variable", name)
			}
		}
		known[target.Name] = true
	}
	return nil
}

// listen is what the daemon listens on.
func listen(p control.Plan) string {
	return net.JoinHostPort(p.Address, strconv.Itoa(p.Port))
}

// live is the address at which the daemon tells that it runs. A daemon that
// listens everywhere is asked at the loopback address.
func live(p control.Plan) string {
	address := p.Address
	if ip, err := netip.ParseAddr(address); err == nil && ip.IsUnspecified() {
		address = map[bool]string{true: "127.0.0.1", false: "::1"}[ip.Is4()]
	}
	return "http://" + net.JoinHostPort(address, strconv.Itoa(p.Port)) + "/live"
}

// layer is what Pebble is told. The description names the file that the
// program is in: after an upgrade of the charm the service is another one, and
// a replan starts it anew.
func (s Keeper) layer(p control.Plan) (layer, error) {
	stamp, err := stampOf(s.site.Program())
	if err != nil {
		return layer{}, err
	}
	command := []string{quote(s.site.Program()), "serve", "--spool", quote(s.site.SpoolPath()), "--listen", listen(p)}
	l := layer{
		Summary: "the status service of " + s.site.Unit,
		Services: map[string]layerService{control.ServiceName: {
			Override: "replace", Summary: "tells what the authority of " + s.site.Unit + " has revoked", Description: "program " + stamp,
			Command: strings.Join(command, " "), Startup: "enabled",
			OnSuccess: "restart", OnFailure: "restart", OnCheckFailure: map[string]string{checkName: "restart"},
			BackoffDelay: "500ms", BackoffLimit: "10s",
			KillDelay: "6s", // the daemon gives requests five seconds
		}},
		Checks: map[string]layerCheck{checkName: {
			Override: "replace", Level: "alive", Period: s.pace.period, Timeout: s.pace.timeout, Threshold: s.pace.threshold,
			HTTP: map[string]string{"url": live(p)},
		}},
		Logs: map[string]layerLog{},
	}
	for _, target := range p.Logs {
		l.Logs[target.Name] = layerLog{"replace", "loki", target.URL, []string{control.ServiceName}, target.Labels}
	}
	return l, nil
}

// withoutThoseOf adds to a layer what silences the log targets that an older
// one has and this one has not: a layer can replace a target and cannot take
// one away.
func (l layer) withoutThoseOf(older layer) layer {
	logs := make(map[string]layerLog, len(l.Logs))
	for name, target := range older.Logs {
		target.Services = []string{}
		logs[name] = target
	}
	for name, target := range l.Logs {
		logs[name] = target
	}
	l.Logs = logs
	return l
}

func (l layer) encode() ([]byte, error) {
	text, err := json.MarshalIndent(l, "", "  ")
	return append(text, '\n'), err
}

// readLayer is the layer of the last Start; empty when there is none.
func (s Keeper) readLayer() layer {
	var l layer
	text, err := os.ReadFile(s.layerPath())
	if err != nil || json.Unmarshal(text, &l) != nil {
		return layer{}
	}
	return l
}

// quote makes a word of a command line, which Pebble splits as a shell would.
func quote(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// stampOf tells a file from the one that takes its place. The time of its last
// change is the kernel's, and cannot be kept by whoever unpacks an archive.
func stampOf(path string) (string, error) {
	state, err := os.Stat(path)
	if err != nil || !state.Mode().IsRegular() {
		return "", fmt.Errorf("there is no program %s", path)
	}
	system, ok := state.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New("this is not Linux")
	}
	return fmt.Sprintf("%d-%d-%d.%09d", system.Ino, system.Size, system.Ctim.Sec, system.Ctim.Nsec), nil
}
