package sample

// The kernel adds what a process has used to what its parent waited for, and of bytes to the parent's own. Of one that was
// there at the last reading this has been told already.

// A debt is by how much the counters of a process will grow for nothing, or have.
type debt [metrics]float64

// all is a counter of a process and of those that it has waited for.
func (r *Reading) all(m Metric) (float64, bool) {
	n, known := r.Get(m)
	if m == CPU {
		n += r.Waited
	}
	return n, known
}

// inherited is the counter that grows when the process waits for another.
func (r *Reading) inherited(m Metric) float64 {
	if m == CPU {
		return r.Waited
	}
	n, _ := r.Get(m) // 0 if it is not known
	return n
}

// bequeath notes what the processes that have gone since the last reading had: it comes with the next of their ancestors
// that is there, now or later, or never if nobody waits for them.
func (t *Tree) bequeath(readings []Reading) {
	gone := len(t.last)
	for i := range readings {
		if _, seen := t.last[readings[i].ID]; seen {
			gone--
		}
	}
	if gone == 0 {
		return
	}
	there := make(map[ID]bool, len(readings))
	for i := range readings {
		there[readings[i].ID] = true
	}
	pids := make(map[int]ID, len(t.last))
	for id := range t.last {
		pids[id.PID] = id
	}
	for id := range t.last {
		if there[id] {
			continue
		}
		last, owed := t.last[id], t.owed[id]
		delete(t.owed, id)
		heir, found := pids[last.Parent]
		for steps := 0; found && !there[heir] && steps < len(pids); steps++ {
			heir, found = pids[t.last[heir].Parent]
		}
		if !there[heir] {
			continue
		}
		sum := t.owed[heir]
		for _, m := range counters {
			n, _ := last.all(m) // 0 if it is not known
			sum[m] += n + owed[m]
		}
		t.owed[heir] = sum
	}
}

// settle returns by how much the counters of processes have grown for nothing since the last reading.
func (t *Tree) settle(readings []Reading) map[ID]debt {
	if t.bequeath(readings); len(t.owed) == 0 {
		return nil
	}
	paid := make(map[ID]debt, len(t.owed))
	for i := range readings {
		r := &readings[i]
		owed, owes := t.owed[r.ID]
		before, seen := t.last[r.ID]
		if !owes || !seen {
			continue
		}
		var sum debt
		for _, m := range counters {
			sum[m] = max(0, min(owed[m], r.inherited(m)-before.inherited(m)))
			owed[m] -= sum[m]
		}
		paid[r.ID] = sum
		if t.owed[r.ID] = owed; owed == (debt{}) {
			delete(t.owed, r.ID)
		}
	}
	return paid
}

// grew is by how much a counter has grown that was read before: that of the process alone as far as it is known, and with
// those that it has waited for, but for what was told already.
func grew(before, now *Reading, m Metric, paid debt) (alone, all float64, known bool) {
	inherited := max(0, now.inherited(m)-before.inherited(m)-paid[m])
	if m != CPU {
		_, known = since(&before.Figures, &now.Figures, m)
		return inherited, inherited, known
	}
	alone, known = since(&before.Figures, &now.Figures, m)
	return alone, alone + inherited, known
}
