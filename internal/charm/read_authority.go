// SPDX-License-Identifier: GPL-3.0-only

package charm

import (
	"context"
	"errors"
	"fmt"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/record"
	"tls-authority/internal/signing"
	"tls-authority/internal/tlscertificates"
)

// readAuthority reads what a decision on the CA itself depends on: the CA
// above, the one that the operator brings, the file that is restored, and a
// key that a hook left which died.
func readAuthority(ctx context.Context, ring *keyring, s decision.Snapshot) (decision.Snapshot, error) {
	var err error
	if s.Upstream, err = readUpstream(ctx, ring.client, s); err != nil {
		return decision.Snapshot{}, err
	}
	if !s.Leader || len(s.ConfigProblems) > 0 {
		return s, nil
	}
	if s.Config.CASource == record.Imported && looksAtAuthority(s) {
		if s.Candidate, err = ring.readCandidate(ctx, s); err != nil {
			return decision.Snapshot{}, err
		}
	}
	if s.Event.Kind == juju.Action && s.Event.Name == "restore" {
		s.Restored, s.RestoreProblem = ring.readRestored(ctx, s)
		if s.Restored != nil {
			if s.Free, err = freeGenerations(ctx, ring.client, s.Record().Next(), len(s.Restored.Record.CA.Generations)+2); err != nil {
				return decision.Snapshot{}, err
			}
		}
	}
	if generation, sought := s.SoughtKey(); sought {
		if s.Found, err = readFound(ctx, ring.client, generation); err != nil {
			return decision.Snapshot{}, err
		}
	}
	return s, nil
}

// looksAtAuthority tells the events in which it is looked at where the CA comes
// from; some actions are about it.
func looksAtAuthority(s decision.Snapshot) bool {
	if s.Event.Kind == juju.Action {
		switch s.Event.Name {
		case "rotate-ca", "rotation-status", "health-check":
			return true
		}
		return false
	}
	return s.ReviewsAuthority()
}

// readUpstream reads the relation to the CA above. Every unit shows it our
// request; only the leader needs its answer.
func readUpstream(ctx context.Context, client *juju.Client, s decision.Snapshot) (*decision.UpstreamRelation, error) {
	about := s.Event.Relation.Endpoint == decision.UpstreamEndpoint
	if s.Event.Kind == juju.RelationBroken && about {
		return nil, nil
	}
	request := s.Peer.Record.Request
	concerned := s.Config.CASource == record.Upstream || request != nil && request.Source == record.Upstream
	if !concerned && s.Event.Kind == juju.UpdateStatus || !about && !looksAtAuthority(s) {
		return nil, nil
	}
	ids, err := client.Relations(ctx, decision.UpstreamEndpoint)
	if err != nil {
		return nil, fmt.Errorf("cannot list relations: %w", err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	up := &decision.UpstreamRelation{ID: ids[0]}
	if up.OwnUnitBag, err = client.ReadUnitBag(ctx, up.ID, s.Event.Unit); err != nil {
		return nil, fmt.Errorf("cannot read relation %s: %w", up.ID, err)
	}
	if !s.Leader {
		return up, nil
	}
	application, err := client.RemoteApplication(ctx, up.ID)
	if err != nil {
		return nil, fmt.Errorf("cannot read relation %s: %w", up.ID, err)
	}
	bag, err := client.ReadApplicationBag(ctx, up.ID, application)
	if err != nil {
		return nil, fmt.Errorf("cannot read relation %s: %w", up.ID, err)
	}
	up.Answers, up.Errors, up.Problem = parseUpstream(bag)
	return up, nil
}

// parseUpstream reads what the CA above published.
func parseUpstream(bag map[string]string) ([]tlscertificates.CertificateAnswer, []tlscertificates.RequestError, string) {
	var answers []tlscertificates.CertificateAnswer
	var refused []tlscertificates.RequestError
	var err error
	if text := bag[tlscertificates.KeyCertificates]; text != "" {
		if answers, err = tlscertificates.ParseCertificates(text); err != nil {
			return nil, nil, err.Error()
		}
	}
	if text := bag[tlscertificates.KeyRequestErrors]; text != "" {
		if refused, err = tlscertificates.ParseRequestErrors(text); err != nil {
			return answers, nil, err.Error()
		}
	}
	return answers, refused, ""
}

// readFound asks whether the secret of a generation exists although no databag
// tells of it. Both tools must say "not found" before that counts: the content
// could be out of reach while the secret is there.
func readFound(ctx context.Context, client *juju.Client, generation int) (*record.Generation, error) {
	label := record.SecretLabel(generation)
	content, err := client.ReadSecret(ctx, label)
	switch {
	case err == nil:
		found, err := signing.ParseGeneration(generation, content)
		if err != nil {
			return nil, fmt.Errorf("cannot adopt the CA in secret %q: %w", label, err)
		}
		return &found, nil
	case !errors.Is(err, juju.ErrNotFound):
		return nil, fmt.Errorf("cannot read secret %q: %w", label, err)
	}
	_, err = client.SecretMetadata(ctx, label)
	switch {
	case err == nil:
		return nil, fmt.Errorf("cannot read secret %q: Juju lists it but does not give its content", label)
	case !errors.Is(err, juju.ErrNotFound):
		return nil, fmt.Errorf("cannot look for secret %q: %w", label, err)
	}
	return nil, nil
}

// freeGenerations is the first generation, from the given one on, that begins
// as many for which no secret exists: a restore that died may have left some.
func freeGenerations(ctx context.Context, client *juju.Client, from, count int) (int, error) {
	free := from
	for generation := from; generation < free+count; generation++ {
		label := record.SecretLabel(generation)
		_, err := client.SecretMetadata(ctx, label)
		switch {
		case err == nil:
			free = generation + 1
		case !errors.Is(err, juju.ErrNotFound):
			return 0, fmt.Errorf("cannot look for secret %q: %w", label, err)
		}
	}
	return free, nil
}
