// SPDX-License-Identifier: GPL-3.0-only

package action

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// pageSize is how many certificates one call of list-certificates tells: a
// result must fit into an argument of a hook tool, 128 KiB on Linux, whatever
// the names are.
const pageSize = 100

// listedCertificate is one entry of the result `certificates`, in JSON.
type listedCertificate struct {
	// Relation is left out for the global client certificate, which all
	// legacy relations share, and for those that an action issued.
	Relation     *int   `json:"relation,omitempty"`
	Requester    string `json:"requester"`
	Kind         string `json:"kind"`
	CommonName   string `json:"common-name"`
	SerialNumber string `json:"serial-number"`
	NotBefore    string `json:"not-before"`
	NotAfter     string `json:"not-after"`
	Revoked      string `json:"revoked,omitempty"` // the reason

	notAfter time.Time
}

func listReply(s decision.Snapshot, r record.Record) *decision.Reply {
	texts, err := parameters[string](s, "application", "unit", "expiring-within")
	if err != nil {
		return fail("%v", err)
	}
	page, err := decision.Parameter[float64](s, "page")
	if err != nil {
		return fail("%v", err)
	}
	list := listCertificates(r)
	if texts[2] != "" {
		within, err := policy.ParseDuration(texts[2])
		if err != nil {
			return fail("expiring-within: %v", err)
		}
		list = slices.DeleteFunc(list, func(c listedCertificate) bool { return c.notAfter.After(s.Now.Add(within)) })
	}
	list = slices.DeleteFunc(list, func(c listedCertificate) bool { return !matches(c.Requester, texts[0], texts[1]) })
	return pageReply(list, max(int(page), 1))
}

// pageReply tells one page of a list.
func pageReply(list []listedCertificate, page int) *decision.Reply {
	pages := max((len(list)+pageSize-1)/pageSize, 1)
	if page > pages {
		return fail("there is no page %d: the last one is %d", page, pages)
	}
	shown := list[(page-1)*pageSize : min(page*pageSize, len(list))]
	text, err := json.Marshal(shown)
	if err != nil {
		return fail("cannot encode the list: %v", err)
	}
	return &decision.Reply{Results: map[string]string{
		"message":      fmt.Sprintf("%s, page %d of %d", decision.Count(len(list), "certificate"), page, pages),
		"count":        fmt.Sprint(len(list)),
		"page":         fmt.Sprint(page),
		"pages":        fmt.Sprint(pages),
		"certificates": string(text),
	}}
}

// matches tells whether a requester is the unit, or of the application, that
// an operator named; no name matches all.
func matches(requester, application, unit string) bool {
	return (application == "" || unitOf(requester) == application) && (unit == "" || requester == unit)
}

// listCertificates are the certificates in service, the global client
// certificate and those that actions issued first, then by relation.
func listCertificates(r record.Record) []listedCertificate {
	list := []listedCertificate{}
	revocations := r.Revocations()
	add := func(relation *int, requester, kind, commonName string, issued record.Issued) {
		list = append(list, listedCertificate{
			Relation:     relation,
			Requester:    requester,
			Kind:         kind,
			CommonName:   record.Shorten(commonName),
			SerialNumber: issued.Serial,
			NotBefore:    issued.NotBefore.Format(time.RFC3339),
			NotAfter:     issued.NotAfter.Format(time.RFC3339),
			notAfter:     issued.NotAfter,
		})
		if revoked, found := revocations.Find(issued); found {
			list[len(list)-1].Revoked = revoked.Reason.String()
		}
	}
	if r.Client != nil {
		add(nil, "every unit of the legacy dialect", "client", decision.GlobalClientName, r.Client.Issued)
	}
	for _, c := range r.ByAction {
		add(nil, c.Requesters[0], "action", c.Name, c.Issued)
	}
	for c := range r.Served() {
		add(&c.Relation, c.Requester, c.Kind, c.CommonName, c.Issued)
	}
	return list
}
