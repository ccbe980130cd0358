// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"fmt"
	"strings"

	"tls-authority/internal/jujusim"
)

// rotation is what --json prints of the rotation of the CA.
type rotation struct {
	Stages     []rotationStage `json:"stages"`
	Handshakes int             `json:"handshakes"`
	Failures   int             `json:"failures"`
	// Failure is the first one.
	Failure string `json:"failure,omitempty"`
}

type rotationStage struct {
	Stage      string `json:"stage"`
	Hooks      int    `json:"hooks"`
	Handshakes int    `json:"handshakes"`
	Failures   int    `json:"failures"`
}

// maxStages is more than a rotation has.
const maxStages = 12

// rotate replaces the CA while the requirers talk to each other all the time.
// Each takes what its databags say at a moment of its own; the operator ends a
// stage when all have, which in a model is a matter of rotation-hold.
func rotate(model *jujusim.Model, requirers []*requirer, show *show) error {
	probe, err := newProbe(model, requirers)
	if err != nil {
		return err
	}
	probe.start()
	defer probe.stop()
	if err := begin(model, show); err != nil {
		return err
	}
	show.quiet = true
	defer func() { show.quiet = false }()
	for range maxStages {
		stage, err := playStage(model, probe)
		if err != nil {
			return err
		}
		show.stage(stage)
		if stage.Stage == "none" {
			show.probed(probe.stop())
			return nil
		}
		// Whoever has not yet taken what was published does so now.
		if err := probe.refresh(all); err != nil {
			return err
		}
		// A stage without a hold is over by itself.
		if _, err := runAction(model, "advance-rotation", nil); err != nil && !strings.Contains(err.Error(), "no rotation") {
			return err
		}
	}
	return fmt.Errorf("the rotation has more than %d stages", maxStages)
}

// begin shows the plan of the rotation and runs it.
func begin(model *jujusim.Model, show *show) error {
	show.heading("juju run %s/leader rotate-ca", authorityApplication)
	result, err := runAction(model, "rotate-ca", nil)
	if err != nil {
		return err
	}
	show.lines(fmt.Sprint(result.Results["plan"]))
	show.heading("juju run %s/leader advance-rotation   # after each stage, under continuous TLS", authorityApplication)
	return nil
}

// playStage runs hooks until the stage has nothing left to do but to wait.
func playStage(model *jujusim.Model, probe *probe) (rotationStage, error) {
	handshakes, failures := probe.counts()
	hooks := 0
	for {
		ran, err := model.Step()
		if err != nil {
			return rotationStage{}, err
		}
		if !ran {
			break
		}
		hooks++
		if err := probe.refresh(some); err != nil {
			return rotationStage{}, err
		}
	}
	probe.settle()
	result, err := runAction(model, "rotation-status", nil)
	if err != nil {
		return rotationStage{}, err
	}
	nowHandshakes, nowFailures := probe.counts()
	return rotationStage{
		Stage: fmt.Sprint(result.Results["stage"]), Hooks: hooks,
		Handshakes: nowHandshakes - handshakes, Failures: nowFailures - failures,
	}, nil
}

// runAction runs an action on the leader; one that fails is an error.
func runAction(model *jujusim.Model, name string, parameters map[string]any) (jujusim.ActionResult, error) {
	result, err := model.RunAction(model.Leader(authorityApplication), name, parameters)
	if err != nil {
		return result, err
	}
	if result.Status != "completed" {
		return result, fmt.Errorf("the action %s failed: %s", name, result.Message)
	}
	return result, nil
}
