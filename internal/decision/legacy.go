// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"fmt"
	"slices"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// legacyDesk decides the legacy dialect of one relation.
type legacyDesk struct {
	s        Snapshot
	a        authority
	relation Relation
	before   *record.Legacy
	after    *record.Legacy
}

// serveLegacy records what a relation gets in the legacy dialect: a pair for
// each request of each unit, and one for those that share. A relation in which
// no unit speaks the dialect has no record, and so gets no client key.
func serveLegacy(s Snapshot, a authority, relation Relation, d *Decision) {
	desk := legacyDesk{s: s, a: a, relation: relation, before: d.Record.Legacy[relation.ID.Number]}
	if desk.before == nil {
		desk.before = &record.Legacy{}
	}
	desk.after = &record.Legacy{Application: relation.Application}
	for _, unit := range speakers(relation) {
		desk.serveUnit(unit)
	}
	desk.nameUnits()
	desk.share()
	if len(desk.after.Units) == 0 {
		delete(d.Record.Legacy, relation.ID.Number)
	} else {
		d.Record.Legacy[relation.ID.Number] = desk.after
	}
	d.Log = append(d.Log, newProblems(relation, desk.before.Problems, desk.after.Problems)...)
}

// speakers are the units of the relation that show a mark of the dialect.
func speakers(relation Relation) []RemoteUnit {
	return slices.DeleteFunc(slices.Clone(relation.Units), func(u RemoteUnit) bool { return u.Requests.Legacy == nil })
}

// nameUnits finds the name under which each unit looks for its answers.
func (desk *legacyDesk) nameUnits() {
	var claims []tlscertificates.Claim
	for _, unit := range speakers(desk.relation) {
		claims = append(claims, tlscertificates.Claim{Unit: string(unit.Name), UnitName: unit.Requests.Legacy.UnitName})
	}
	names, problems := tlscertificates.ResolveUnitNames(claims)
	for i := range desk.after.Units {
		unit := &desk.after.Units[i]
		unit.Name = names[unit.Unit]
		if reason, refused := problems[unit.Unit]; refused {
			desk.problem(unit.Unit, "unit_name", reason, 0)
		}
	}
}

func (desk *legacyDesk) serveUnit(unit RemoteUnit) {
	entry := record.Unit{Unit: string(unit.Name)}
	for _, p := range unit.Requests.Problems {
		if p.Key != tlscertificates.KeyCSRs {
			desk.problem(entry.Unit, p.Key, p.Reason, tlscertificates.Other)
		}
	}
	for _, request := range unit.Requests.Legacy.Requests {
		switch request.Kind {
		case tlscertificates.Server:
			names := desk.names(entry.Unit, request)
			desk.serveRequest(&entry, request, pki.Server, desk.serverNames(request.CommonName, names))
		case tlscertificates.Client:
			desk.serveRequest(&entry, request, pki.Client, desk.names(entry.Unit, request))
		case tlscertificates.Application:
			entry.Shares = true
		default:
			desk.problem(entry.Unit, request.CommonName, "certificates of intermediate CAs are not issued", tlscertificates.Other)
		}
	}
	desk.after.Units = append(desk.after.Units, entry)
}

// names types the requested names; what is no name is left out and told.
func (desk *legacyDesk) names(requester string, request tlscertificates.LegacyRequest) pki.Names {
	names, problems := pki.ParseNames(request.Names)
	for _, p := range problems {
		desk.problem(requester, request.CommonName, fmt.Sprintf("the name %q is left out: it %s", p.Name, p.Reason), 0)
	}
	return names
}

// serverNames adds what every server certificate carries: the common name,
// where it is a host, because clients look at nothing but the names; and the
// operator's own.
func (desk *legacyDesk) serverNames(commonName string, names pki.Names) pki.Names {
	if host, ok := pki.HostName(commonName); ok {
		names = names.Union(host)
	}
	return names.Union(desk.s.Config.ExtraSANs)
}

func (desk *legacyDesk) serveRequest(entry *record.Unit, request tlscertificates.LegacyRequest, profile pki.Profile, names pki.Names) {
	answer := record.Answer{
		Kind:       request.Kind,
		CommonName: request.CommonName,
		TopLevel:   request.TopLevel,
		Listed:     request.Listed,
		Names:      names.Texts(),
	}
	before := desk.before.Find(entry.Unit, request.Kind, request.CommonName)
	signed, err := desk.pair(before, profile, request.CommonName, names)
	if err != nil {
		desk.problem(entry.Unit, request.CommonName, err.Error(), tlscertificates.Other)
	}
	if signed == nil {
		return
	}
	if err != nil {
		// What was issued before the request went wrong stays in service.
		answer.Names = before.Names
	}
	answer.Pair = *signed
	entry.Pairs = append(entry.Pairs, answer)
}

// pair keeps the pair of an unchanged request and orders one for any other. A
// change of names re-signs the key that the pair has: no moment exists in
// which certificate and key differ, and no fleet waits for RSA keys. With an
// error the pair before, if any, is returned.
func (desk *legacyDesk) pair(before *record.Answer, profile pki.Profile, commonName string, names pki.Names) (*record.Pair, error) {
	current := before != nil && desk.a.current(desk.s.Now, before.Issued)
	if current && slices.Equal(before.Names, names.Texts()) {
		return &before.Pair, nil
	}
	template, err := desk.a.legacyTemplate(desk.s, profile, commonName, names)
	if err != nil {
		if current {
			return &before.Pair, err
		}
		return nil, err
	}
	order := &record.Order{Reason: "new request", Template: template, KeyType: desk.s.Config.KeyType}
	if current {
		order.Reason, order.KeepKey = "names changed", true
		return &record.Pair{Key: before.Key, Order: order}, nil
	}
	return &record.Pair{Order: order}, nil
}

// share decides the application certificate: one pair for all units that ask,
// with the names of all of them.
func (desk *legacyDesk) share() {
	var commonName string
	var names pki.Names
	for _, unit := range speakers(desk.relation) {
		for _, request := range unit.Requests.Legacy.Requests {
			if request.Kind != tlscertificates.Application {
				continue
			}
			if commonName == "" {
				commonName = request.CommonName
			}
			names = desk.serverNames(request.CommonName, names.Union(desk.names(string(unit.Name), request)))
		}
	}
	if commonName == "" {
		return
	}
	before := desk.before.Shared
	if before != nil && before.CommonName != commonName {
		before = nil
	}
	signed, err := desk.pair(before, pki.Server, commonName, names)
	if err != nil {
		desk.problem(desk.relation.Application, commonName, err.Error(), tlscertificates.Other)
	}
	if signed == nil {
		return
	}
	texts := names.Texts()
	if err != nil {
		texts = before.Names
	}
	desk.after.Shared = &record.Answer{Kind: tlscertificates.Application, CommonName: commonName, Names: texts, Pair: *signed}
}

func (desk *legacyDesk) problem(requester, subject, reason string, code tlscertificates.ErrorCode) {
	desk.after.Problems = record.AddProblem(desk.after.Problems, record.Problem{Requester: requester, Subject: subject, Reason: reason, Code: int(code)})
}
