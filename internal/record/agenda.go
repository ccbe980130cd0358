// SPDX-License-Identifier: GPL-3.0-only

package record

import "slices"

// Agenda is what hooks left to do. A relation event looks at one requirer
// alone; whatever else has to be looked at is noted here. Writing it wakes the
// leader, as any change of the peer databag does.
type Agenda struct {
	// Everything tells that all relations are to be looked at: the CA changed,
	// or an operator ordered something.
	Everything bool `json:"everything,omitempty"`
	// Relations are those in which requests wait for their keys, which a hook
	// makes a bounded number of; sorted.
	Relations []int `json:"relations,omitempty"`
	// Later are the relations to be looked at when Juju next asks for the
	// status: some of their units have not been met, or they could not be
	// read; sorted.
	Later []int `json:"later,omitempty"`
}

// Empty tells that nothing is left to do.
func (a Agenda) Empty() bool { return !a.Everything && len(a.Relations) == 0 && len(a.Later) == 0 }

// Clone copies the lists.
func (a Agenda) Clone() Agenda {
	return Agenda{Everything: a.Everything, Relations: slices.Clone(a.Relations), Later: slices.Clone(a.Later)}
}

// Include adds a number to a sorted list, once.
func Include(numbers []int, number int) []int {
	i, found := slices.BinarySearch(numbers, number)
	if found {
		return numbers
	}
	return slices.Insert(numbers, i, number)
}

// Exclude takes a number out of a sorted list.
func Exclude(numbers []int, number int) []int {
	i, found := slices.BinarySearch(numbers, number)
	if !found {
		return numbers
	}
	return slices.Delete(numbers, i, i+1)
}
