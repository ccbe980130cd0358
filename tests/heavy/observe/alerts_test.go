// SPDX-License-Identifier: GPL-3.0-only

package observe

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// trial is a state of the world in which a rule fires, or does not.
type trial struct {
	change func(samples) samples
	// at is when it is looked at; zero is when the metrics were recorded.
	at time.Time
	// want are the summaries of the alerts that fire.
	want []string
}

func unchanged(s samples) samples { return s }

// trials are by the alert and the sentence of the case. Each alert has one in
// which it fires and one in which it nearly does.
var trials = map[string]map[string]trial{
	"TLSAuthorityCAExpiresSoon": {
		"a CA in its last months": {at: recorded.Add(3550 * day), change: unchanged,
			want: []string{"The CA of tls-authority expires on 2040-05-14 10:30:44 +0000 UTC."}},
		"a CA that has years": {at: recorded.Add(3000 * day), change: unchanged},
		"a short CA that is young": {change: func(s samples) samples {
			return s.with("tls_authority_ca_not_after_timestamp_seconds", unix(recorded.Add(100*day)))
		}},
		"a short CA past three quarters": {at: recorded.Add(80 * day), change: func(s samples) samples {
			return s.with("tls_authority_ca_not_after_timestamp_seconds", unix(recorded.Add(100*day)))
		}, want: []string{"The CA of tls-authority expires on 2030-08-25 10:30:45 +0000 UTC."}},
	},
	"TLSAuthorityCAExpiring": {
		"a CA in its last weeks": {at: recorded.Add(3630 * day), change: unchanged,
			want: []string{"The CA of tls-authority ends on 2040-05-14 10:30:44 +0000 UTC, and all it issued ends with it."}},
		"a CA that has expired": {at: recorded.Add(3651 * day), change: unchanged,
			want: []string{"The CA of tls-authority ends on 2040-05-14 10:30:44 +0000 UTC, and all it issued ends with it."}},
		"a CA in its last months": {at: recorded.Add(3600 * day), change: unchanged},
		"an old CA that signs no more": {change: func(s samples) samples {
			return s.and("tls_authority_ca_not_after_timestamp_seconds", unix(recorded), "generation", "0", "active", "false").
				and("tls_authority_ca_not_before_timestamp_seconds", unix(recorded.Add(-10*day)), "generation", "0", "active", "false")
		}},
	},
	"TLSAuthorityCertificateNotRenewed": {
		"a certificate long after it was due": {at: recorded.Add(88 * day), change: unchanged,
			want: []string{"A certificate of grafana  expires on 2030-08-15 10:30:45 +0000 UTC and has not been renewed."}},
		"a certificate that has just become due": {at: recorded.Add(85 * day), change: unchanged},
		"a yearly certificate that was due in spring": {at: recorded.Add(340 * day), change: func(s samples) samples {
			return s.without("", "tls_authority_certificate_renewal_timestamp_seconds").
				and("tls_authority_certificate_renewal_timestamp_seconds", unix(recorded.Add(243*day)), "application", "etcd", "unit", "etcd/0")
		}, want: []string{"A certificate of etcd etcd/0 expires on 2031-05-17 10:30:45 +0000 UTC and has not been renewed."}},
		"one that only a unit which fell silent knows of": {at: recorded.Add(88 * day), change: func(s samples) samples {
			for _, application := range []string{"etcd", "grafana"} {
				own := []string{"application", application}
				if application == "etcd" {
					own = append(own, "unit", "etcd/0")
				}
				s = s.and("tls_authority_certificate_not_after_timestamp_seconds", unix(recorded.Add(170*day)), own...).
					and("tls_authority_certificate_renewal_timestamp_seconds", unix(recorded.Add(160*day)), own...)
			}
			return s.without("tls-authority/1", "tls_authority_certificate_not_after_timestamp_seconds")
		}},
	},
	"TLSAuthorityCertificatesExpired": {
		"two certificates": {change: func(s samples) samples { return s.with("tls_authority_certificates_expired", 2) },
			want: []string{"tls-authority has 2 certificates in service that have expired."}},
	},
	"TLSAuthorityRequestsDenied": {
		"requests with two codes": {change: func(s samples) samples {
			return s.and("tls_authority_requests_denied", 3, "code", "102").and("tls_authority_requests_denied", 1, "code", "101")
		}, want: []string{
			"tls-authority refuses 1 requests for certificates with code 101.",
			"tls-authority refuses 3 requests for certificates with code 102.",
		}},
	},
	"TLSAuthorityRequestsPending": {
		"a request": {change: func(s samples) samples { return s.with("tls_authority_relations_waiting", 1) },
			want: []string{"1 relations of tls-authority have had requests without an answer for an hour."}},
	},
	"TLSAuthorityRotationStuck": {
		"a stage whose hold is over for two days": {at: recorded.Add(3 * day), change: unchanged,
			want: []string{"The rotation of tls-authority has been in the stage issuing for 3d 3h 0m 0s."}},
		"a stage in its hold": {at: recorded.Add(20 * time.Hour), change: unchanged},
		"a stage in a long hold": {at: recorded.Add(3 * day), change: func(s samples) samples {
			return s.with("tls_authority_rotation_stage_due_timestamp_seconds", unix(recorded.Add(7*day)))
		}},
		"a stage whose writes do not end": {at: recorded.Add(2 * day), change: func(s samples) samples {
			return s.without("", "tls_authority_rotation_stage_due_timestamp_seconds")
		}, want: []string{"The rotation of tls-authority has been in the stage issuing for 2d 3h 0m 0s."}},
		"no rotation": {at: recorded.Add(9 * day), change: func(s samples) samples {
			return s.without("", "tls_authority_rotation_stage_timestamp_seconds").without("", "tls_authority_rotation_stage_due_timestamp_seconds")
		}},
	},
	"TLSAuthorityCRLExpiresSoon": {
		"a list in its last quarter": {at: recorded.Add(3*day + 2*time.Hour), change: func(s samples) samples {
			return s.only("tls-authority/1", "tls_authority_crl_next_update_timestamp_seconds", unix(recorded.Add(9*day)))
		}, want: []string{"The revocation list 1 at tls-authority/0 is good until 2030-05-21 10:30:45 +0000 UTC only."}},
		"a list in its third quarter":                   {at: recorded.Add(2 * day), change: unchanged},
		"a list that has ended, which is another alert": {at: recorded.Add(5 * day), change: unchanged},
	},
	"TLSAuthorityCRLStale": {
		"a list that has ended": {at: recorded.Add(5 * day), change: func(s samples) samples {
			return s.only("tls-authority/1", "tls_authority_crl_next_update_timestamp_seconds", unix(recorded.Add(9*day)))
		}, want: []string{"The revocation list 1 at tls-authority/0 ended on 2030-05-21 10:30:45 +0000 UTC."}},
		"a list in its last quarter": {at: recorded.Add(3*day + 2*time.Hour), change: unchanged},
	},
	"TLSAuthorityOCSPResponderExpiresSoon": {
		"a responder on its last day": {at: recorded.Add(6*day + time.Hour), change: func(s samples) samples {
			return s.only("tls-authority/0", "tls_authority_responder_not_after_timestamp_seconds", unix(recorded.Add(20*day)))
		}, want: []string{"The OCSP responder of tls-authority/1 for generation 1 ends on 2030-05-24 10:25:44 +0000 UTC."}},
		"a responder with two days": {at: recorded.Add(5 * day), change: unchanged},
	},
	"TLSAuthorityHooksSilent": {
		"a unit that has said nothing for half its time": {at: recorded.Add(day + time.Hour), change: func(s samples) samples {
			return s.only("tls-authority/0", "tls_authority_status_update_timestamp_seconds", unix(recorded.Add(day))).
				only("tls-authority/0", "tls_authority_status_next_update_timestamp_seconds", unix(recorded.Add(3*day)))
		}, want: []string{"No hook has told the status service of tls-authority/1 anything for 1d 1h 15m 0s."}},
		"a unit that has said nothing for a while": {at: recorded.Add(20 * time.Hour), change: unchanged},
	},
	"TLSAuthorityServiceUnhealthy": {
		"one unit": {change: func(s samples) samples { return s.only("tls-authority/1", "tls_authority_healthy", 0) },
			want: []string{"The status service of tls-authority/1 has a fault."}},
		"a unit of another application": {change: func(s samples) samples { return s.only("another/0", "tls_authority_healthy", 0) }},
	},
	"TLSAuthorityServiceUnreachable": {
		"one unit":                      {change: func(s samples) samples { return s.only("tls-authority/0", "up", 0) }, want: []string{"The status service of tls-authority/0 does not answer."}},
		"a unit of another application": {change: func(s samples) samples { return s.only("another/0", "up", 0) }},
	},
	"TLSAuthorityServiceAbsent": {
		"no unit":  {change: func(s samples) samples { return samples{} }, want: []string{"Nothing is known of any unit of tls-authority."}},
		"one unit": {change: func(s samples) samples { return s.without("tls-authority/0", "tls_authority_healthy") }},
	},
	"TLSAuthorityBackupOld": {
		"a backup of last month": {at: recorded.Add(35 * day), change: unchanged,
			want: []string{"The CA of tls-authority has a backup that is 37d 0h 0m 0s old."}},
		"a backup of last week": {at: recorded.Add(7 * day), change: unchanged},
		"no backup": {change: func(s samples) samples { return s.without("", "tls_authority_backup_timestamp_seconds") },
			want: []string{"The CA of tls-authority has no backup."}},
		"no backup of another application": {change: func(s samples) samples { return s.without("another/0", "tls_authority_backup_timestamp_seconds") }},
		"no CA to back up": {change: func(s samples) samples {
			return s.without("", "tls_authority_backup_timestamp_seconds").without("", "tls_authority_ca_not_after_timestamp_seconds")
		}},
	},
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	for _, group := range groups(t) {
		for _, rule := range group.Rules {
			fires := false
			for _, c := range trials[rule.Alert] {
				fires = fires || len(c.want) > 0
			}
			require.True(t, fires, "no case in which %s fires", rule.Alert)
		}
	}
	for alert, cases := range trials {
		rule := find(t, alert)
		for name, c := range cases {
			t.Run(alert+" for "+name, func(t *testing.T) {
				t.Parallel()
				at := c.at
				if at.IsZero() {
					at = recorded
				}
				var summaries []string
				for _, fired := range fire(t, rule, c.change(record(t)), at) {
					summaries = append(summaries, fired.Annotations.Get("summary"))
					require.NotEmpty(t, fired.Labels.Get("severity"))
					require.Equal(t, topology.ModelUUID, fired.Labels.Get("juju_model_uuid"))
					require.Equal(t, "tls-authority", fired.Labels.Get("juju_application"))
					require.NotContains(t, fired.Annotations.Get("description"), "{{")
					require.NotContains(t, fired.Annotations.Get("description"), "error expanding")
				}
				require.ElementsMatch(t, c.want, summaries)
			})
		}
	}
}
