// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

func pair(name string) tlscertificates.Pair {
	return tlscertificates.Pair{Certificate: "CERT " + name + "\n", Key: "KEY " + name + "\n"}
}

// Protocol 2.2: every key and every byte. MUST 5, 9.
func TestEncodeLegacyAnswers(t *testing.T) {
	t.Parallel()
	top, application := pair("top"), pair("app")
	bag := tlscertificates.EncodeLegacyAnswers(tlscertificates.LegacyAnswers{
		CA:     "CA one\nCA two\n",
		Chain:  "CHAIN\n",
		Client: pair("client"),
		Units: []tlscertificates.UnitAnswers{
			{
				Name:         "etcd_0",
				TopLevel:     &top,
				Server:       map[string]tlscertificates.Pair{"top": top, "<b>&\"\u00e9": pair("b"), "10.0.0.1": pair("ip"), "null": pair("null")},
				Client:       map[string]tlscertificates.Pair{"system:kubelet": pair("kubelet")},
				Application:  &application,
				Intermediate: map[string]tlscertificates.Pair{"sub": pair("sub")},
			},
			{
				Name:         "etcd_1",
				Application:  &application,
				Intermediate: map[string]tlscertificates.Pair{"sub": pair("sub"), "another": pair("another")},
			},
			{Name: "etcd_2", Server: map[string]tlscertificates.Pair{}},
		},
	})
	require.Equal(t, tlscertificates.Bag{
		"ca":                                     "CA one\nCA two\n",
		"chain":                                  "CHAIN\n",
		"client.cert":                            "CERT client\n",
		"client.key":                             "KEY client\n",
		"etcd_0.server.cert":                     "CERT top\n",
		"etcd_0.server.key":                      "KEY top\n",
		"etcd_0.processed_requests":              `{"10.0.0.1":{"cert":"CERT ip\n","key":"KEY ip\n"},"<b>&\"é":{"cert":"CERT b\n","key":"KEY b\n"},"null":{"cert":"CERT null\n","key":"KEY null\n"},"top":{"cert":"CERT top\n","key":"KEY top\n"}}`,
		"etcd_0.processed_client_requests":       `{"system:kubelet":{"cert":"CERT kubelet\n","key":"KEY kubelet\n"}}`,
		"etcd_0.processed_application_requests":  `{"app_data":{"cert":"CERT app\n","key":"KEY app\n"}}`,
		"etcd_0.processed_intermediate_requests": `{"app_data":{"cert":"CERT sub\n","key":"KEY sub\n"},"sub":{"cert":"CERT sub\n","key":"KEY sub\n"}}`,
		"etcd_1.processed_application_requests":  `{"app_data":{"cert":"CERT app\n","key":"KEY app\n"}}`,
		"etcd_1.processed_intermediate_requests": `{"another":{"cert":"CERT another\n","key":"KEY another\n"},"sub":{"cert":"CERT sub\n","key":"KEY sub\n"}}`,
	}, bag)
	for key := range bag {
		require.True(t, tlscertificates.IsLegacyAnswerKey(key), key)
	}
}

func TestEncodeLegacyAnswersLeavesTheRequestedNamesAlone(t *testing.T) {
	t.Parallel()
	intermediate := map[string]tlscertificates.Pair{"sub": pair("sub")}
	tlscertificates.EncodeLegacyAnswers(tlscertificates.LegacyAnswers{Units: []tlscertificates.UnitAnswers{{Name: "a_0", Intermediate: intermediate}}})
	require.Equal(t, map[string]tlscertificates.Pair{"sub": pair("sub")}, intermediate)
}

// MUST 2: a remote that only shows its name gets the base set, and no chain key when
// the root signs the leaves.
func TestEncodeLegacyBaseSet(t *testing.T) {
	t.Parallel()
	require.Equal(t, tlscertificates.Bag{
		"ca":          "CA\n",
		"client.cert": "CERT client\n",
		"client.key":  "KEY client\n",
	}, tlscertificates.EncodeLegacyAnswers(tlscertificates.LegacyAnswers{
		CA: "CA\n", Client: pair("client"), Units: []tlscertificates.UnitAnswers{{Name: "etcd_0"}},
	}))
}

func TestIsLegacyAnswerKey(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"ca":                                  true,
		"chain":                               true,
		"client.cert":                         true,
		"client.key":                          true,
		"etcd_0.server.cert":                  true,
		"etcd/0.server.key":                   true,
		"a_0.processed_requests":              true,
		"a_0.processed_client_requests":       true,
		"a_0.processed_application_requests":  true,
		"a_0.processed_intermediate_requests": true,
		"client.server.cert":                  true,
		"":                                    false,
		"client":                              false,
		"client.certs":                        false,
		"etcd_0.cert":                         false,
		".server.cert":                        false,
		"server.cert":                         false,
		".processed_requests":                 false,
		"a_0.processed_other_requests":        false,
		"ingress-address":                     false,
		"private-address":                     false,
		"egress-subnets":                      false,
		"certificates":                        false,
	} {
		require.Equal(t, want, tlscertificates.IsLegacyAnswerKey(key), key)
	}
}
