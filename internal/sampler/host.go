package sampler

import (
	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
)

// A Host is the machine. The zero value has read nothing.
type Host struct{ last *cpu.TimesStat }

// Get returns a figure of the host: cpu, mem and swap in percent, load1, load5 or load15. It reports
// false for what is not known.
func (h *Host) Get(name string) (float64, bool) {
	switch name {
	case "cpu":
		return h.cpu()
	case "mem":
		v, err := mem.VirtualMemory()
		if err != nil {
			return 0, false
		}
		return v.UsedPercent, true
	case "swap":
		v, err := mem.SwapMemory()
		if err != nil {
			return 0, false
		}
		return v.UsedPercent, true
	}
	avg, err := load.Avg()
	if err != nil {
		return 0, false
	}
	n, ok := map[string]float64{"load1": avg.Load1, "load5": avg.Load5, "load15": avg.Load15}[name]
	return n, ok
}

// cpu is how busy all processors were since it was asked last: 100 % is all of them.
func (h *Host) cpu() (float64, bool) {
	times, err := cpu.Times(false)
	if err != nil || len(times) != 1 {
		return 0, false
	}
	now, last := &times[0], h.last
	h.last = now
	if last == nil {
		return 0, false
	}
	return busy(last, now)
}

// busy is how busy all processors were between two readings.
func busy(last, now *cpu.TimesStat) (percent float64, known bool) {
	used := spent(now) - spent(last)
	// The time that the kernel says it waited may also shrink. What has not changed must be 0, and not almost.
	idle := max(0, now.Idle-last.Idle) + max(0, now.Iowait-last.Iowait)
	if total := used + idle; used >= 0 && total > 0 {
		return 100 * used / total, true
	}
	return 0, false
}

// spent is the time that processors had something to do. That of guests is in user and nice.
func spent(t *cpu.TimesStat) float64 {
	return t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal
}

// A Disk is how full a file system is.
type Disk struct {
	Used, Percent             float64 // bytes
	InodesUsed, InodesPercent float64
	HasSize, HasInodes        bool // it counts these
}

// DiskOf returns how full the file system of a path is.
func DiskOf(path string) (Disk, error) {
	u, err := disk.Usage(path)
	if err != nil {
		return Disk{}, err
	}
	d := Disk{Used: float64(u.Used), Percent: u.UsedPercent, HasSize: u.Total > 0}
	d.InodesUsed, d.InodesPercent, d.HasInodes = float64(u.InodesUsed), u.InodesUsedPercent, u.InodesTotal > 0
	return d, nil
}
