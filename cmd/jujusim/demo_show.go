// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"tls-authority/internal/jujusim"
)

// Colours of a terminal; empty where the output is piped.
type palette struct{ bold, dim, green, red, plain string }

// show tells the demo as it goes, for people or for machines.
type show struct {
	out    io.Writer
	json   bool
	quiet  bool // hooks are counted, not shown
	colour palette
	report report
}

// report is what --json prints. It holds no key.
type report struct {
	Events       []eventLine       `json:"events"`
	Status       string            `json:"status"`
	Authority    string            `json:"ca-certificate"`
	Certificates []certificateLine `json:"certificates"`
	Handshakes   []handshake       `json:"handshakes"`
	Revocation   revocation        `json:"revocation"`
	Rotation     rotation          `json:"rotation"`
}

type eventLine struct {
	Unit         string  `json:"unit"`
	Event        string  `json:"event"`
	Remote       string  `json:"remote,omitempty"`
	Milliseconds float64 `json:"milliseconds"`
	Calls        int     `json:"hook-tool-calls"`
	Writes       int     `json:"writes"`
}

type certificateLine struct {
	Application string   `json:"application"`
	Owner       string   `json:"owner"`
	Dialect     string   `json:"dialect"`
	Kind        string   `json:"kind"`
	CommonName  string   `json:"common-name"`
	Names       []string `json:"names"`
	NotAfter    string   `json:"not-after"`
	Certificate string   `json:"certificate"`
}

func newShow(asJSON bool, out io.Writer) *show {
	s := &show{out: out, json: asJSON}
	if isTerminal(out) {
		s.colour = palette{bold: "\x1b[1m", dim: "\x1b[2m", green: "\x1b[32m", red: "\x1b[31m", plain: "\x1b[0m"}
	}
	return s
}

func (s *show) heading(format string, args ...any) {
	if s.json {
		return
	}
	fmt.Fprintf(s.out, "\n%s$ %s%s\n", s.colour.bold, fmt.Sprintf(format, args...), s.colour.plain)
}

// event tells one hook: how long its process ran and what it asked of Juju.
func (s *show) event(run jujusim.HookRun) {
	remote := run.RemoteUnit
	if remote == "" {
		remote = run.RemoteApplication
	}
	line := eventLine{
		Unit:         run.Unit,
		Event:        run.Hook,
		Remote:       remote,
		Milliseconds: float64(run.Duration) / float64(time.Millisecond),
		Calls:        len(run.Calls),
		Writes:       run.Writes,
	}
	s.report.Events = append(s.report.Events, line)
	if s.json || s.quiet {
		return
	}
	fmt.Fprintf(s.out, "  %s%7.1f ms%s  %2d calls  writes: %d  %-32s %s%s%s\n",
		s.colour.dim, line.Milliseconds, s.colour.plain, line.Calls, line.Writes, line.Event, s.colour.dim, line.Remote, s.colour.plain)
}

func (s *show) status(name, message string) {
	s.report.Status = name + ": " + message
	s.heading("juju status %s", authorityApplication)
	if !s.json {
		fmt.Fprintf(s.out, "  %s/0  %s%s%s  %s\n", authorityApplication, s.colour.green, name, s.colour.plain, message)
	}
}

// authority runs the action that gives the CA certificate.
func (s *show) authority(model *jujusim.Model) error {
	s.heading("juju run %s/leader get-ca-certificate", authorityApplication)
	result, err := model.RunAction(authorityApplication+"/0", "get-ca-certificate", nil)
	if err != nil {
		return err
	}
	if result.Status != "completed" {
		return fmt.Errorf("cannot get the CA certificate: %s", result.Message)
	}
	s.report.Authority = fmt.Sprint(result.Results["ca-certificate"])
	if !s.json {
		fmt.Fprintf(s.out, "  %v\n  sha256 %v\n", result.Results["message"], result.Results["sha256-fingerprint"])
	}
	return nil
}

func (s *show) certificates(issued []certificate) {
	s.heading("what the requirers got")
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, c := range issued {
		line := newCertificateLine(c)
		s.report.Certificates = append(s.report.Certificates, line)
		if !s.json {
			fmt.Fprintf(table, "  %s\t%s\t%s\t%s\tuntil %s\n", c.Owner, line.CommonName, line.Kind, shortList(line.Names), line.NotAfter[:10])
		}
	}
	table.Flush()
}

func newCertificateLine(c certificate) certificateLine {
	line := certificateLine{
		Application: c.Application,
		Owner:       c.Owner,
		Dialect:     c.Dialect,
		Kind:        c.Kind,
		CommonName:  c.leaf.Subject.CommonName,
		Names:       alternativeNames(c.leaf),
		NotAfter:    c.leaf.NotAfter.UTC().Format(time.RFC3339),
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.leaf.Raw})),
	}
	return line
}

func alternativeNames(leaf *x509.Certificate) []string {
	names := append([]string{}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// shortList keeps a line of the table on one line.
func shortList(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s and %d more names", strings.Join(names[:shown], " "), len(names)-shown)
}

func (s *show) handshakes(tried []handshake) {
	s.report.Handshakes = tried
	s.heading("mutual TLS over loopback: kube-apiserver and its client")
	if s.json {
		return
	}
	for _, h := range tried {
		verdict := "refused"
		if h.Accepted {
			verdict = "accepted"
		}
		colour := s.colour.green
		if h.Accepted == h.Wanted {
			verdict += ", as it should be"
		} else {
			colour, verdict = s.colour.red, verdict+", which is wrong"
		}
		fmt.Fprintf(s.out, "  %s%-23s%s  %s  %s%s%s\n", colour, verdict, s.colour.plain, h.Name, s.colour.dim, h.Detail, s.colour.plain)
	}
}

// lines prints text of several lines.
func (s *show) lines(text string) {
	if s.json {
		return
	}
	for line := range strings.Lines(text) {
		fmt.Fprintf(s.out, "  %s\n", strings.TrimSpace(line))
	}
}

// stage tells one stage of the rotation.
func (s *show) stage(stage rotationStage) {
	s.report.Rotation.Stages = append(s.report.Rotation.Stages, stage)
	if s.json {
		return
	}
	name := stage.Stage
	if name == "none" {
		name = "over"
	}
	fmt.Fprintf(s.out, "  %-13s  %2d hooks  %4d handshakes  %d failed\n", name, stage.Hooks, stage.Handshakes, stage.Failures)
}

// probed tells all that was counted.
func (s *show) probed(r rotation) {
	r.Stages = s.report.Rotation.Stages
	s.report.Rotation = r
	if s.json {
		return
	}
	colour := s.colour.green
	if r.Failures > 0 {
		colour = s.colour.red
	}
	fmt.Fprintf(s.out, "  %s%d handshakes while the CA was replaced, %d failed%s\n", colour, r.Handshakes, r.Failures, s.colour.plain)
}

// finish prints the JSON document and judges what was shown.
func (s *show) finish() error {
	if s.json {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(s.report); err != nil {
			return err
		}
	}
	if r := s.report.Rotation; r.Failures > 0 {
		return fmt.Errorf("%d of %d handshakes failed during the rotation of the CA, first: %s", r.Failures, r.Handshakes, r.Failure)
	}
	for _, h := range s.report.Handshakes {
		if h.Accepted != h.Wanted {
			return fmt.Errorf("handshake with %s: accepted is %t, wanted is %t: %s", h.Name, h.Accepted, h.Wanted, h.Detail)
		}
	}
	return nil
}
