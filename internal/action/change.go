// SPDX-License-Identifier: GPL-3.0-only

package action

import (
	"fmt"
	"slices"
	"strings"

	"tls-authority/internal/decision"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// renewCertificates marks certificates for renewal. The record that it writes wakes
// this unit, which renews them, those of the legacy dialect in waves.
func (k *desk) renewCertificates() *decision.Reply {
	s, d := k.s, &k.d
	texts, err := parameters[string](s, "application", "unit")
	if err != nil {
		return fail("%v", err)
	}
	all, err := decision.Parameter[bool](s, "all")
	switch {
	case err != nil:
		return fail("%v", err)
	case !all && texts[0] == "" && texts[1] == "":
		return fail("name an application or a unit, or say all=true")
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
	return &decision.Reply{Results: map[string]string{
		"message": decision.Count(marked, "certificate") + " will be renewed by the next hooks, those of the legacy dialect in waves",
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
		if u.Share != nil && l.Shared != nil && !asked.Shared.Asked {
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

// issueCertificate orders a key and a certificate for an operator.
func (k *desk) issueCertificate() *decision.Reply {
	s, a := k.s, k.a
	texts, err := parameters[string](s, "common-name", "sans", "usage")
	if err != nil {
		return fail("%v", err)
	}
	names, problems := pki.ParseNames(strings.Fields(texts[1]))
	if len(problems) > 0 {
		return fail("the name %q %s", problems[0].Name, problems[0].Reason)
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
		return fail("the usage %q is neither server nor client", texts[2])
	}
	template, err := a.LegacyTemplate(s, profile, texts[0], names)
	if err != nil {
		return fail("%v", err)
	}
	return k.orderByAction(texts[0], &record.Order{Reason: "an operator asked", Template: template, KeyType: s.Config.KeyType})
}

// signCSR orders a certificate for a CSR that an operator brings. The
// operator's own policy does not bind the operator; what no CA may sign is
// refused all the same.
func (k *desk) signCSR() *decision.Reply {
	s, a := k.s, k.a
	csr, err := decision.Parameter[string](s, "csr")
	if err != nil {
		return fail("%v", err)
	}
	request, err := pki.ParseCertificateRequest(csr)
	if err != nil {
		return fail("%v", err)
	}
	template := pki.Template{Profile: pki.Leaf, Subject: request.Subject, Names: request.Names, Usage: request.Usage, Links: a.Links(s.Config)}
	if k.d.Record.IsCompromised(request.PublicKey) {
		return fail("a certificate for the key of the request was revoked because the key is compromised")
	}
	if template.Validity, err = a.Clip(s.Now, s.Config.CertificateValidity); err == nil {
		err = a.Check(template)
	}
	if err != nil {
		return fail("%v", err)
	}
	return k.orderByAction(decision.DisplayName(request), &record.Order{Reason: "an operator asked", Template: template, PublicKey: request.PublicKey})
}

// orderByAction orders a certificate and keeps room for it in the list.
func (k *desk) orderByAction(name string, order *record.Order) *decision.Reply {
	d := &k.d
	d.Record = d.Record.Clone()
	live := slices.DeleteFunc(slices.Clone(d.Record.ByAction), func(c record.Certificate) bool { return !k.s.Now.Before(c.NotAfter) })
	if len(live) >= maxByAction {
		live = live[len(live)-maxByAction+1:]
	}
	d.Record.ByAction = append(live, record.Certificate{Requesters: []string{"the operator"}, Name: record.Shorten(name)})
	return &decision.Reply{Results: map[string]string{"message": "issued " + record.Shorten(name)}, Order: order}
}
