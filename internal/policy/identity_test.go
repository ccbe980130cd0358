// SPDX-License-Identifier: GPL-3.0-only

package policy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/policy"
	"tls-authority/internal/tlscertificates"
)

func TestCheckIdentity(t *testing.T) {
	t.Parallel()
	named := asked{}.name(tagDNS, "a.example")
	tests := map[string]struct {
		asked  asked
		denied bool
	}{
		"a denied organization":                                 {named.attribute(oidOrganization, "system:masters"), true},
		"a denied organization in capitals":                     {named.attribute(oidOrganization, "SYSTEM:Masters"), true},
		"a denied organization among white space":               {named.attribute(oidOrganization, "  system:masters\u00a0 "), true},
		"a denied organization with a long s":                   {named.attribute(oidOrganization, "system:ma\u017fter\u017f"), true},
		"a denied organization in wide letters":                 {named.attribute(oidOrganization, "ｓｙｓｔｅｍ：masters"), true},
		"a denied organization in mathematical letters":         {named.attribute(oidOrganization, "system:\U0001d426asters"), true},
		"a denied organization around what does not show":       {named.attribute(oidOrganization, "sys\u200btem:mas\u00adters\ufe0f"), true},
		"a denied organization after another":                   {named.attribute(oidOrganization, "Team").attribute(oidOrganization, "system:masters"), true},
		"a denied organization beside another in one RDN":       {named.attribute(oidOrganization, "Team", "system:masters"), true},
		"a denied common name":                                  {named.attribute(oidCommonName, "system:admin"), true},
		"a denied common name after another":                    {named.attribute(oidCommonName, "a.example").attribute(oidCommonName, "Client"), true},
		"a denied common name with a kelvin sign":               {named.attribute(oidCommonName, "system:\u212aube-scheduler"), true},
		"a denied common name with a final dot":                 {named.attribute(oidCommonName, "client."), true},
		"a denied common name as DNS name":                      {named.name(tagDNS, "CLIENT."), true},
		"an organization that is not denied":                    {named.attribute(oidOrganization, "system:nodes"), false},
		"an organization that begins like a denied one":         {named.attribute(oidOrganization, "system:masters2"), false},
		"a common name that is denied as organization":          {named.attribute(oidCommonName, "system:masters"), false},
		"an organization that is denied as common name":         {named.attribute(oidOrganization, "client"), false},
		"a common name below a denied one":                      {named.attribute(oidCommonName, "client.example"), false},
		"a request without a subject, as requirers may make it": {named, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := tc.asked.parse(t)
			require.NoError(t, err)
			r := policy.CheckIdentity(options(t, nil), request)
			if !tc.denied {
				require.Nil(t, r)
				return
			}
			require.NotNil(t, r)
			require.Equal(t, tlscertificates.DomainNotAllowed, r.Code)
			unlisted := options(t, map[string]any{"denied-organizations": "", "denied-common-names": ""})
			require.Nil(t, policy.CheckIdentity(unlisted, request), "the operator may empty the options")
		})
	}
}
