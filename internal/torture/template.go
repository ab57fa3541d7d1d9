//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"vigil/internal/svdir"
)

const (
	// models is how many templates there are, maxInstances how many instances each of them has at most.
	models       = 2
	maxInstances = 4
)

// A model is a template, the instances of which are services like others.
type model struct {
	name      string
	record    string
	want      int
	instances map[int]*service // all that there have been
}

// instance is the character of all instances.
var instance = character{kind: "steady", restful: true}

// addModel makes a template.
func (t *torture) addModel(i int) error {
	id := fmt.Sprintf("t%02d", i)
	m := &model{name: id + "@", record: filepath.Join(t.records(), id), instances: map[int]*service{}}
	dir := filepath.Join(t.disk, "new", m.name)
	err := writeAll(dir, map[string]string{svdir.Run: t.program(instance.kind, m.record)}, 0o700)
	if err == nil {
		err = writeAll(dir, map[string]string{svdir.Instances: strconv.Itoa(maxInstances / 2)}, 0o600)
	}
	if err == nil {
		err = os.Rename(dir, filepath.Join(t.scan, m.name))
	}
	if err != nil {
		return err
	}
	t.models = append(t.models, m)
	t.grow(m, maxInstances/2)
	return nil
}

// scale asks for another number of instances of a template.
func (t *torture) scale(d draw) string {
	m := t.models[d.slot%len(t.models)]
	want := d.what % (maxInstances + 1)
	did := fmt.Sprintf("scale %s from %d to %d", m.name, m.want, want)
	draft := filepath.Join(t.disk, "new", svdir.Instances)
	for n := range maxInstances { // before anybody can tell of it
		t.ears.removed(svdir.InstanceName(m.name, n+1))
	}
	err := writeAll(filepath.Dir(draft), map[string]string{svdir.Instances: strconv.Itoa(want)}, 0o600)
	if err == nil {
		err = os.Rename(draft, filepath.Join(t.scan, m.name, svdir.Instances))
	}
	if err == nil {
		t.count.scales++
		t.shrink(m, want)
		t.grow(m, want)
	}
	return said(did, err)
}

// grow notes the instances that are wanted now; one that was there before comes again.
func (t *torture) grow(m *model, want int) {
	for m.want < want {
		m.want++
		s := m.instances[m.want]
		if s == nil {
			name := svdir.InstanceName(m.name, m.want)
			s = &service{
				character: &instance, model: m, slot: -1, name: name, names: []string{name},
				path: filepath.Join(t.scan, name), record: fmt.Sprintf("%s-%d", m.record, m.want),
			}
			m.instances[m.want] = s
		}
		kept := t.removed[:0:0]
		for _, x := range t.removed {
			if x != s {
				kept = append(kept, x)
			}
		}
		t.removed, s.removed = kept, false
		t.slots = append(t.slots, s)
	}
}

// shrink notes those that are not wanted any more.
func (t *torture) shrink(m *model, want int) {
	for ; m.want > want; m.want-- {
		t.retire(m.instances[m.want])
	}
}
