// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"fmt"
	"slices"
	"strings"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// renewReply marks certificates for renewal. The record that it writes wakes
// this unit, which renews them, those of the legacy dialect in waves.
func renewReply(s Snapshot, d *Decision) {
	texts, err := parameters(s, "application", "unit")
	if err != nil {
		d.Reply = fail("%v", err)
		return
	}
	all, err := parameter[bool](s, "all")
	switch {
	case err != nil:
		d.Reply = fail("%v", err)
		return
	case !all && texts[0] == "" && texts[1] == "":
		d.Reply = fail("name an application or a unit, or say all=true")
		return
	}
	d.Record = d.Record.Clone()
	marked := 0
	for number, legacy := range d.Record.Legacy {
		d.Record.Legacy[number] = askLegacy(legacy, texts[0], texts[1], &marked)
	}
	for number, requests := range d.Record.CSR {
		d.Record.CSR[number] = askRequests(requests, texts[0], texts[1], &marked)
	}
	if client := d.Record.Client; all && client != nil {
		asked := *client
		asked.Asked = true
		d.Record.Client = &asked
		marked++
	}
	d.Reply = &Reply{Results: map[string]string{
		"message": count(marked, "certificate") + " will be renewed by the next hooks, those of the legacy dialect in waves",
		"count":   fmt.Sprint(marked),
	}}
}

// askLegacy is a relation's record with the pairs marked that an operator
// named. A pair that all units share goes with any of them.
func askLegacy(l *record.Legacy, application, unit string, marked *int) *record.Legacy {
	asked := *l
	asked.Units = slices.Clone(l.Units)
	for i := range asked.Units {
		u := &asked.Units[i]
		if !matches(u.Unit, application, unit) {
			continue
		}
		u.Pairs = slices.Clone(u.Pairs)
		for j := range u.Pairs {
			u.Pairs[j].Asked = true
			*marked++
		}
		if u.Shares && l.Shared != nil && !asked.Shared.Asked {
			shared := *l.Shared
			shared.Asked = true
			asked.Shared = &shared
			*marked++
		}
	}
	return &asked
}

func askRequests(r *record.Requests, application, unit string, marked *int) *record.Requests {
	asked := *r
	asked.Certificates = slices.Clone(r.Certificates)
	for i := range asked.Certificates {
		c := &asked.Certificates[i]
		if slices.ContainsFunc(c.Requesters, func(name string) bool { return matches(name, application, unit) }) {
			c.Asked = true
			*marked++
		}
	}
	return &asked
}

// maxByAction bounds the list of certificates that actions issued; the oldest
// are forgotten first. They stay valid: only the list loses them.
const maxByAction = 1000

// issueReply orders a key and a certificate for an operator.
func issueReply(s Snapshot, a authority, d *Decision) {
	texts, err := parameters(s, "common-name", "sans", "usage")
	if err != nil {
		d.Reply = fail("%v", err)
		return
	}
	names, problems := pki.ParseNames(strings.Fields(texts[1]))
	if len(problems) > 0 {
		d.Reply = fail("the name %q %s", problems[0].Name, problems[0].Reason)
		return
	}
	profile := pki.Server
	switch texts[2] {
	case "", "server":
		if host, ok := pki.HostName(texts[0]); ok {
			names = names.Union(host)
		}
	case "client":
		profile = pki.Client
	default:
		d.Reply = fail("the usage %q is neither server nor client", texts[2])
		return
	}
	template, err := a.legacyTemplate(s, profile, texts[0], names)
	if err != nil {
		d.Reply = fail("%v", err)
		return
	}
	d.orderByAction(s, texts[0], &record.Order{Reason: "an operator asked", Template: template, KeyType: s.Config.KeyType})
}

// signReply orders a certificate for a CSR that an operator brings. The
// operator's own policy does not bind the operator; what no CA may sign is
// refused all the same.
func signReply(s Snapshot, a authority, d *Decision) {
	csr, err := parameter[string](s, "csr")
	if err != nil {
		d.Reply = fail("%v", err)
		return
	}
	request, err := pki.ParseCertificateRequest(csr)
	if err != nil {
		d.Reply = fail("%v", err)
		return
	}
	template := pki.Template{Profile: pki.Leaf, Subject: request.Subject, Names: request.Names, Usage: request.Usage}
	if template.Validity, err = a.validity.Clip(s.Now, s.Config.CertificateValidity); err == nil {
		err = a.check(template)
	}
	if err != nil {
		d.Reply = fail("%v", err)
		return
	}
	d.orderByAction(s, displayName(request), &record.Order{Reason: "an operator asked", Template: template, PublicKey: request.PublicKey})
}

// orderByAction orders a certificate and keeps room for it in the list.
func (d *Decision) orderByAction(s Snapshot, name string, order *record.Order) {
	d.Record = d.Record.Clone()
	live := slices.DeleteFunc(slices.Clone(d.Record.ByAction), func(c record.Certificate) bool { return !s.Now.Before(c.NotAfter) })
	if len(live) >= maxByAction {
		live = live[len(live)-maxByAction+1:]
	}
	d.Record.ByAction = append(live, record.Certificate{Requesters: []string{"the operator"}, Name: record.Shorten(name)})
	d.Reply = &Reply{Results: map[string]string{"message": "issued " + record.Shorten(name)}, Order: order}
}
