// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"fmt"
	"slices"

	"tls-authority/internal/juju"
	"tls-authority/internal/record"
)

// newProblems are log lines for what was not refused before: a request that
// stays bad is told once, not in every hook.
func newProblems(relation Relation, before, after []record.Problem) []LogLine {
	var lines []LogLine
	for _, p := range after {
		if slices.Contains(before, p) {
			continue
		}
		verb := "refused"
		if p.Code == 0 {
			verb = "did not serve in full"
		}
		lines = append(lines, warning("%s a request of %s in relation %s: %q: %s", verb, p.Requester, relation.ID, p.Subject, p.Reason))
	}
	return lines
}

func info(format string, args ...any) LogLine {
	return LogLine{Level: juju.Info, Message: fmt.Sprintf(format, args...)}
}

func warning(format string, args ...any) LogLine {
	return LogLine{Level: juju.Warning, Message: fmt.Sprintf(format, args...)}
}

func failure(format string, args ...any) LogLine {
	return LogLine{Level: juju.ErrorLevel, Message: fmt.Sprintf(format, args...)}
}
