// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// legacyDesk decides the legacy dialect of one relation.
type legacyDesk struct {
	s        Snapshot
	a        Authority
	relation Relation
	d        *Decision
	before   *record.Legacy
	after    *record.Legacy
	wave     *wave
	room     *room
	// unmet are the units whose databags are not read.
	unmet map[string]bool
	// keys is how many more keys this hook makes for the relation.
	keys int
	// short tells that a request waits for its key.
	short bool
}

// serveLegacy records what a relation gets in the legacy dialect: a pair for
// each request of each unit, and one for those that share. A relation in which
// no unit speaks the dialect has no record, and so gets no client key.
func serveLegacy(s Snapshot, a Authority, relation Relation, d *Decision) {
	desk := legacyDesk{s: s, a: a, relation: relation, d: d, before: d.Record.Legacy[relation.ID.Number]}
	if desk.before == nil {
		desk.before = &record.Legacy{}
	}
	desk.after = &record.Legacy{Application: relation.Application}
	desk.unmet = map[string]bool{}
	for _, unit := range relation.Unmet {
		desk.unmet[unit] = true
	}
	desk.room = d.newLegacyRoom(desk.before)
	desk.keys = d.keys
	if len(s.Relations) > 1 {
		desk.keys = (d.keys + 1) / 2 // keys for requests that come to nothing must not starve the others
	}
	desk.retainProblems()
	desk.switchCA()
	desk.wave = newWave(s, desk.before.Count()).of(a)
	desk.retainUnmet()
	for _, unit := range speakers(relation) {
		desk.serveUnit(unit)
	}
	slices.SortFunc(desk.after.Units, func(a, b record.Unit) int { return compareUnits(a.Unit, b.Unit) })
	desk.nameUnits()
	desk.share()
	desk.plan()
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
	for _, unit := range desk.after.Units {
		claims = append(claims, tlscertificates.Claim{Unit: unit.Unit, UnitName: unit.Claim})
	}
	names, problems := tlscertificates.ResolveUnitNames(claims)
	for i := range desk.after.Units {
		unit := &desk.after.Units[i]
		unit.Name = names[unit.Unit]
		if reason, refused := problems[unit.Unit]; refused {
			desk.problem(unit.Unit, claimSubject, reason, 0)
		}
	}
}

func (desk *legacyDesk) serveUnit(unit RemoteUnit) {
	entry := record.Unit{Unit: string(unit.Name), Claim: unit.Requests.Legacy.UnitName}
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
			entry.Ask(request.CommonName, desk.names(entry.Unit, request))
		default:
			desk.serveRequest(&entry, request, pki.SubCA, pki.Names{})
		}
	}
	desk.retainIncomplete(&entry, unit.Requests.Problems)
	desk.after.Units = append(desk.after.Units, entry)
}

// retainUnmet leaves in place what units have that this leader has not met
// yet.
func (desk *legacyDesk) retainUnmet() {
	for _, unit := range desk.before.Units {
		if desk.unmet[unit.Unit] {
			desk.after.Units = append(desk.after.Units, unit)
		}
	}
}

// retainIncomplete leaves in place what a unit has of the kinds whose requests
// cannot be read at present.
func (desk *legacyDesk) retainIncomplete(entry *record.Unit, problems []tlscertificates.Problem) {
	i := slices.IndexFunc(desk.before.Units, func(u record.Unit) bool { return u.Unit == entry.Unit })
	if i < 0 {
		return
	}
	before := desk.before.Units[i]
	for _, pair := range before.Pairs {
		asked := slices.ContainsFunc(entry.Pairs, func(p record.Answer) bool { return p.Kind == pair.Kind && p.CommonName == pair.CommonName })
		if !asked && !pair.TopLevel && incomplete(problems, pair.Kind.ListKey()) {
			entry.Pairs = append(entry.Pairs, pair)
		}
	}
	if incomplete(problems, tlscertificates.Application.ListKey()) && before.Share != nil {
		entry.Share = before.Share
	}
}

// incomplete tells whether a key of a databag could not be read to its end.
func incomplete(problems []tlscertificates.Problem, key string) bool {
	return slices.ContainsFunc(problems, func(p tlscertificates.Problem) bool { return p.Key == key && p.Incomplete })
}

// compareUnits orders the names of units by application and number.
func compareUnits(a, b string) int {
	applicationA, numberA, _ := strings.Cut(a, "/")
	applicationB, numberB, _ := strings.Cut(b, "/")
	return cmp.Or(cmp.Compare(applicationA, applicationB), cmp.Compare(len(numberA), len(numberB)), cmp.Compare(numberA, numberB))
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
	signed, err := desk.pair(request.Kind, before, profile, request.CommonName, names)
	if err != nil {
		desk.problem(entry.Unit, request.CommonName, err.Error(), codeOf(err))
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

// pair keeps the pair of an unchanged request while it is young and orders one
// for any other. A change of names re-signs the key that the pair has: no
// moment exists in which certificate and key differ, and no fleet waits for
// RSA keys. A renewal by age makes a new key. With an error the pair before, if
// any, is returned.
func (desk *legacyDesk) pair(kind tlscertificates.Kind, before *record.Answer, profile pki.Profile, commonName string, names pki.Names) (*record.Pair, error) {
	if before != nil && desk.d.isRevoked(before.Issued) {
		return desk.replaceRevoked(before, profile, commonName, names)
	}
	switched := before != nil && before.Order != nil
	current := switched || before != nil && desk.a.current(desk.s.Now, before.Issued)
	valid := current || before != nil && desk.s.Now.Before(before.NotAfter)
	unchanged := current && before.CommonName == commonName && slices.Equal(before.Names, names.Texts())
	renewed := current && !switched && desk.wave.due(before.Pair)
	if unchanged && !renewed {
		return &before.Pair, nil
	}
	template, err := desk.template(profile, commonName, names)
	if err == nil && before == nil {
		err = desk.checkLimit(names)
	}
	switch {
	case err != nil && valid:
		return &before.Pair, err
	case err != nil:
		return nil, err
	case unchanged && !before.Asked && !gains(desk.s.Now, template.Validity, before.Issued):
		// The CA's own end clips it: a new pair would end no later.
		return &before.Pair, nil
	case unchanged && !desk.wave.takes(before.Pair):
		return &before.Pair, nil
	case unchanged && !desk.takeKey():
		return &before.Pair, nil
	case renewed && (unchanged || desk.takeKey()):
		return replacing(before, desk.order("renewal", template)), nil
	case current:
		order := desk.order("names changed", template)
		order.KeepKey = true
		return replacing(before, order), nil
	}
	if spare := takeSpare(desk.s, desk.a, desk.d, record.Spare{Kind: kind, CommonName: commonName, Names: names.Texts()}); spare != nil {
		return spare, nil
	}
	if !desk.takeKey() {
		return nil, nil
	}
	return &record.Pair{Order: desk.order("new request", template)}, nil
}

// replaceRevoked orders a pair with another key in the place of a revoked one,
// which is not kept where no other can be issued.
func (desk *legacyDesk) replaceRevoked(before *record.Answer, profile pki.Profile, commonName string, names pki.Names) (*record.Pair, error) {
	template, err := desk.template(profile, commonName, names)
	if err != nil {
		return nil, err
	}
	if !desk.takeKey() {
		return &before.Pair, nil // until the next hook
	}
	return &record.Pair{Order: desk.order("the certificate was revoked", template)}, nil
}

// replacing is a pair with an order for another one in its place.
func replacing(before *record.Answer, order *record.Order) *record.Pair {
	pair := before.Pair
	order.Replaced = &record.Replaced{CommonName: before.CommonName, Names: before.Names}
	if pair.Order != nil {
		order.Replaced = pair.Order.Replaced
	}
	pair.Order = order
	return &pair
}

// template is what a request asks for, if the CA and the operator's options
// allow it.
func (desk *legacyDesk) template(profile pki.Profile, commonName string, names pki.Names) (pki.Template, error) {
	config := desk.s.Config
	if profile == pki.SubCA && !config.AllowCARequests {
		return pki.Template{}, errors.New("certificates of CAs are not issued: the option allow-ca-requests is off")
	}
	template, err := desk.a.LegacyTemplate(desk.s, profile, commonName, names)
	if err != nil {
		return pki.Template{}, err
	}
	if r := config.CheckNames(template); r != nil {
		return pki.Template{}, errors.New(r.Reason)
	}
	return template, nil
}

func (desk *legacyDesk) checkLimit(names pki.Names) error {
	if limit := desk.s.Config.CertificateLimit; limit >= 0 && desk.after.Count() >= limit {
		return fmt.Errorf("the relation has %d certificates, which is the option certificate-limit", limit)
	}
	size := pairSize + namesSize(names)
	return desk.room.take(size, size)
}

func (desk *legacyDesk) order(reason string, template pki.Template) *record.Order {
	return &record.Order{Reason: reason, Template: template, KeyType: desk.s.Config.KeyType}
}

// share decides the application certificate: one pair for all units that ask,
// with the names of all of them.
func (desk *legacyDesk) share() {
	var commonName string
	var names pki.Names
	for _, unit := range desk.after.Units {
		if unit.Share == nil {
			continue
		}
		if commonName == "" {
			commonName = unit.Share.CommonName
		}
		if known, err := pki.NamesFromTexts(unit.Share.Names); err == nil {
			names = desk.serverNames(unit.Share.CommonName, names.Union(known))
		}
	}
	if commonName == "" {
		return
	}
	before := desk.before.Shared
	signed, err := desk.pair(tlscertificates.Application, before, pki.Server, commonName, names)
	if err != nil {
		desk.problem(desk.relation.Application, commonName, err.Error(), codeOf(err))
	}
	if signed == nil {
		return
	}
	shared := record.Answer{Kind: tlscertificates.Application, CommonName: commonName, Names: names.Texts(), Pair: *signed}
	if err != nil {
		shared.CommonName, shared.Names = before.CommonName, before.Names
	}
	desk.after.Shared = &shared
}

// retainProblems keeps what is told of units that are not read. The names that
// they claim are judged anew, and so is what they share.
func (desk *legacyDesk) retainProblems() {
	for _, p := range desk.before.Problems {
		if desk.unmet[p.Requester] && p.Requester != desk.relation.Application && p.Subject != claimSubject {
			desk.after.Problems = record.AddProblem(desk.after.Problems, p)
		}
	}
}

// claimSubject is the subject of a problem with the name that a unit claims.
const claimSubject = "unit_name"

func (desk *legacyDesk) problem(requester, subject, reason string, code tlscertificates.ErrorCode) {
	desk.after.Problems = record.AddProblem(desk.after.Problems, record.Problem{Requester: requester, Subject: subject, Reason: reason, Code: int(code)})
}
