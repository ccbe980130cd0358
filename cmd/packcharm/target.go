// SPDX-License-Identifier: GPL-3.0-only

package main

import "fmt"

// target is an architecture that the charm is built for.
type target struct {
	name   string // Juju's name, as in manifest.yaml
	goarch string // Go's name
	level  string // the least processor of that architecture, which the environment of a builder must not raise
}

// targets lists every architecture that the charm is built for.
var targets = []target{
	{"amd64", "amd64", "GOAMD64=v1"},
	{"arm64", "arm64", "GOARM64=v8.0"},
	{"ppc64el", "ppc64le", "GOPPC64=power8"},
	{"s390x", "s390x", ""},
}

// parseTargets returns the targets with the given names, or the one that runs
// on the given Go architecture when there are none.
func parseTargets(names []string, goarch string) ([]target, error) {
	if len(names) == 0 {
		t, ok := findTarget(func(t target) bool { return t.goarch == goarch })
		if !ok {
			return nil, fmt.Errorf("cannot build for this machine: the charm knows no architecture %q", goarch)
		}
		return []target{t}, nil
	}
	var found []target
	for _, name := range names {
		t, ok := findTarget(func(t target) bool { return t.name == name })
		if !ok {
			return nil, fmt.Errorf("cannot build for %q: not one of amd64, arm64, ppc64el and s390x", name)
		}
		found = append(found, t)
	}
	return found, nil
}

func findTarget(wanted func(target) bool) (target, bool) {
	for _, t := range targets {
		if wanted(t) {
			return t, true
		}
	}
	return target{}, false
}

// manifest is the text of manifest.yaml. It names the one architecture that
// the program was built for: Juju picks the machine by it.
func (t target) manifest() string {
	return fmt.Sprintf(`bases:
  - name: ubuntu
    channel: "22.04"
    architectures: [%[1]s]
  - name: ubuntu
    channel: "24.04"
    architectures: [%[1]s]
`, t.name)
}
