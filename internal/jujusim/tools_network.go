// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

type networkAddress struct {
	Hostname string `json:"hostname" yaml:"hostname"`
	Value    string `json:"value" yaml:"value"`
	CIDR     string `json:"cidr" yaml:"cidr"`
	Address  string `json:"-" yaml:"address"` // old spelling, YAML only
}

type networkInterface struct {
	MAC       string           `json:"mac-address" yaml:"mac-address"`
	Name      string           `json:"interface-name" yaml:"interface-name"`
	Addresses []networkAddress `json:"addresses" yaml:"addresses"`
	OldMAC    string           `json:"-" yaml:"macaddress"`
	OldName   string           `json:"-" yaml:"interfacename"`
}

type networkDisplay struct {
	Bind    []networkInterface `json:"bind-addresses,omitempty" yaml:"bind-addresses,omitempty"`
	Egress  []string           `json:"egress-subnets,omitempty" yaml:"egress-subnets,omitempty"`
	Ingress []string           `json:"ingress-addresses,omitempty" yaml:"ingress-addresses,omitempty"`
}

// network returns what every binding of a unit has: one address.
func (u *unit) network() networkDisplay {
	mac := fmt.Sprintf("00:16:3e:00:%02x:%02x", u.machine/256, u.machine%256)
	return networkDisplay{
		Bind: []networkInterface{{
			MAC: mac, OldMAC: mac, Name: "eth0", OldName: "eth0",
			Addresses: []networkAddress{{Value: u.address(), Address: u.address(), CIDR: u.subnet + ".0.0/16"}},
		}},
		Egress:  []string{u.address() + "/32"},
		Ingress: []string{u.address()},
	}
}

func networkGet(i *invocation) (func() error, error) {
	var primary, bind, ingress, egress bool
	out := i.smartOutput()
	i.relationFlag()
	i.flags.boolean(&primary, "primary-address")
	i.flags.boolean(&bind, "bind-address")
	i.flags.boolean(&ingress, "ingress-address")
	i.flags.boolean(&egress, "egress-subnets")
	args, err := i.arguments()
	switch {
	case err != nil:
		return nil, err
	case len(args) == 0:
		return nil, errors.New("no arguments specified")
	case args[0] == "":
		return nil, errors.New("no binding name specified")
	}
	return func() error {
		if !i.unit.application.binds(args[0]) {
			return fmt.Errorf("no network config found for binding %q", args[0])
		}
		network, address := i.unit.network(), i.unit.address()
		chosen := map[string]any{}
		if bind {
			chosen["bind-address"] = address
		}
		if ingress {
			chosen["ingress-address"] = address
		}
		if egress {
			chosen["egress-subnets"] = network.Egress
		}
		switch {
		case primary && len(chosen) > 0:
			return errors.New("--primary-address must be the only flag specified")
		case primary:
			return out.print(address)
		case len(chosen) == 0:
			return out.print(network)
		case len(chosen) == 1:
			for _, value := range chosen {
				return out.print(value)
			}
		}
		return out.print(chosen)
	}, noMore(args[1:])
}

// binds: the charm declares the endpoint or extra binding, or it is the one
// that every charm has.
func (a *application) binds(name string) bool {
	_, isRelation := a.charm.Meta().CombinedRelations()[name]
	_, isExtra := a.charm.Meta().ExtraBindings[name]
	return isRelation || isExtra || name == "juju-info"
}

func unitGet(i *invocation) (func() error, error) {
	out := i.smartOutput()
	args, err := i.arguments()
	switch {
	case err != nil:
		return nil, err
	case len(args) == 0:
		return nil, errors.New("no setting specified")
	case args[0] != "private-address" && args[0] != "public-address":
		return nil, fmt.Errorf("unknown setting %q", args[0])
	}
	return func() error { return out.print(i.unit.address()) }, noMore(args[1:])
}

// portRange is an opened range; -1 stands for icmp, which has no ports.
type portRange struct {
	from, to int
	protocol string
}

// portSet holds opened ranges by endpoint; "" is every endpoint.
type portSet map[string][]portRange

// portChanges are the buffered open-port and close-port calls, in order.
type portChanges struct{ opened, closed []portChange }

type portChange struct {
	endpoint string
	ports    portRange
}

func (p portRange) String() string {
	switch {
	case p.protocol == "icmp":
		return "icmp"
	case p.from == p.to:
		return fmt.Sprintf("%d/%s", p.from, p.protocol)
	}
	return fmt.Sprintf("%d-%d/%s", p.from, p.to, p.protocol)
}

func (p portRange) conflicts(other portRange) bool {
	return p.protocol == other.protocol && p.from <= other.to && other.from <= p.to
}

func parsePorts(text string) (portRange, error) {
	text, protocol, found := strings.Cut(strings.ToLower(text), "/")
	if !found {
		protocol = "tcp"
	}
	if text == "icmp" {
		return portRange{-1, -1, "icmp"}, nil
	}
	parts := strings.Split(text, "-")
	if len(parts) > 2 {
		return portRange{}, fmt.Errorf("invalid port range %q", text)
	}
	var bounds []int
	for _, part := range parts {
		port, err := strconv.Atoi(part)
		if err != nil {
			return portRange{}, fmt.Errorf("invalid port %q: %w", part, err)
		}
		bounds = append(bounds, port)
	}
	p := portRange{bounds[0], bounds[len(bounds)-1], protocol}
	switch {
	case protocol == "icmp":
		return p, fmt.Errorf(`protocol "icmp" doesn't support any ports; got "%d"`, p.from)
	case protocol != "tcp" && protocol != "udp":
		return p, fmt.Errorf(`invalid protocol %q, expected "tcp", "udp", or "icmp"`, protocol)
	case p.from > p.to:
		return p, fmt.Errorf("invalid port range %s", p)
	case p.from < 0 || p.to > 65535:
		return p, fmt.Errorf("port range bounds must be between 0 and 65535, got %d-%d", p.from, p.to)
	}
	return p, nil
}

func openPort(i *invocation) (func() error, error)  { return changePort(i, true) }
func closePort(i *invocation) (func() error, error) { return changePort(i, false) }

func changePort(i *invocation, open bool) (func() error, error) {
	format, endpoints := "", ""
	i.flags.text(&format, "format")
	i.flags.text(&endpoints, "endpoints")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, errors.New("no port or range specified")
	}
	ports, err := parsePorts(args[0])
	if err != nil {
		return nil, err
	}
	return func() error {
		i.noteFormat(format)
		for _, endpoint := range strings.Split(endpoints, ",") {
			err := i.changePorts(strings.TrimSpace(endpoint), ports, open)
			if err != nil {
				return err
			}
		}
		return nil
	}, noMore(args[1:])
}

// changePorts buffers a change; ranges of one unit may be equal or apart, but
// not overlap.
func (i *invocation) changePorts(endpoint string, ports portRange, open bool) error {
	verb := "close"
	if open {
		verb = "open"
	}
	for _, ranges := range i.ports.apply(i.unit.ports) {
		for _, other := range ranges {
			if other != ports && other.conflicts(ports) {
				return fmt.Errorf("cannot %s %s (unit %q): port range conflicts with %s (unit %q)", verb, ports, i.unit.name, other, i.unit.name)
			}
		}
	}
	change := portChange{endpoint, ports}
	same := func(other portChange) bool { return other == change }
	i.ports.opened = slices.DeleteFunc(i.ports.opened, same)
	i.ports.closed = slices.DeleteFunc(i.ports.closed, same)
	if open {
		i.ports.opened = append(i.ports.opened, change)
	} else {
		i.ports.closed = append(i.ports.closed, change)
	}
	return nil
}

// apply returns a set with the changes.
func (c portChanges) apply(set portSet) portSet {
	result := portSet{}
	for endpoint, ranges := range set {
		result[endpoint] = slices.Clone(ranges)
	}
	for _, change := range c.opened {
		if !slices.Contains(result[change.endpoint], change.ports) {
			result[change.endpoint] = append(result[change.endpoint], change.ports)
		}
	}
	for _, change := range c.closed {
		result[change.endpoint] = slices.DeleteFunc(result[change.endpoint], func(p portRange) bool { return p == change.ports })
	}
	return result
}

// lines returns the ranges as opened-ports lists them.
func (s portSet) lines(withEndpoints bool) []string {
	byRange := map[portRange][]string{}
	for endpoint, ranges := range s {
		for _, ports := range ranges {
			byRange[ports] = append(byRange[ports], endpoint)
		}
	}
	sorted := slices.SortedFunc(maps.Keys(byRange), func(a, b portRange) int {
		if a.protocol != b.protocol {
			return strings.Compare(a.protocol, b.protocol)
		}
		return a.from - b.from
	})
	lines := []string{}
	for _, ports := range sorted {
		text := ports.String()
		endpoints := byRange[ports]
		slices.Sort(endpoints)
		switch {
		case withEndpoints && endpoints[0] == "":
			text += " (*)"
		case withEndpoints:
			text += " (" + strings.Join(endpoints, ", ") + ")"
		}
		lines = append(lines, text)
	}
	return lines
}

func openedPorts(i *invocation) (func() error, error) {
	out, withEndpoints := i.smartOutput(), false
	i.flags.boolean(&withEndpoints, "endpoints")
	args, err := i.arguments()
	if err != nil {
		return nil, err
	}
	return func() error { return out.print(i.ports.apply(i.unit.ports).lines(withEndpoints)) }, noMore(args)
}
