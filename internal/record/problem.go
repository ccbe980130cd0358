// SPDX-License-Identifier: GPL-3.0-only

package record

import "slices"

// Problem is a request, or a part of one, that was refused: the status and
// the log tell it, once.
type Problem struct {
	Requester string `json:"requester"`
	Subject   string `json:"subject"`
	Reason    string `json:"reason"`
	// Code is the error of the CSR dialect; 0 where only a part was left
	// out and the request was served.
	Code int `json:"code,omitempty"`
}

const (
	// maxProblems bounds what is kept of a relation's refusals. More would
	// let one requirer fill the databag that all units depend on.
	maxProblems = 20
	// maxProblemText bounds the foreign text that a problem quotes, in bytes.
	maxProblemText = 200
)

// AddProblem appends a problem unless it is there already or the list is
// full. The foreign text that it quotes is cut.
func AddProblem(problems []Problem, p Problem) []Problem {
	p.Subject, p.Reason = Shorten(p.Subject), Shorten(p.Reason)
	if len(problems) >= maxProblems || slices.Contains(problems, p) {
		return problems
	}
	return append(problems, p)
}

// Shorten cuts foreign text to what a status or a log line may quote.
func Shorten(text string) string {
	return Cut(text, maxProblemText)
}

// Cut ends a text that is longer than limit bytes at a rune boundary and shows
// that it did.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && text[limit]&0xC0 == 0x80 {
		limit--
	}
	return text[:limit] + "…"
}
