package supervise

import (
	"errors"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"vigil/internal/process"
)

// upgradeEnv is the variable in which a supervise leaves its open descriptors to its new binary, so
// that no lock is free and no client sees ok away: their numbers, in the order of inherit. A
// version may add numbers at the end; one that is missing or -1 is opened anew. The second service's
// is followed by _2, and so on.
const upgradeEnv = "SV_UPGRADE"

// upgradeLeft is the variable with the FIFO that says who has left.
const upgradeLeft = upgradeEnv + "_LEFT"

// upgradeVariable is that of a service, by its place.
func upgradeVariable(i int) string {
	if i == 0 {
		return upgradeEnv
	}
	return upgradeEnv + "_" + strconv.Itoa(i+1)
}

// inherit takes over what the supervise before an upgrade has left, if there was one.
func (g *group) inherit() (failed error) {
	for i, s := range g.services {
		upgraded, err := s.inherit(upgradeVariable(i))
		failed = errors.Join(failed, err)
		g.upgraded = g.upgraded || upgraded
	}
	if !g.upgraded {
		return failed
	}
	_, err := process.Inherit(upgradeLeft, &g.left) // also where the others have left meanwhile
	return errors.Join(failed, err)
}

func (g *group) isUpgrading() bool {
	return slices.ContainsFunc(g.services, func(s *service) bool { return s.upgrading && !s.done })
}

// isQuiet reports that the records on the disk say all that the new binary must know.
func (g *group) isQuiet() bool {
	return len(g.starting) == 0 && g.leaving == 0 &&
		!slices.ContainsFunc(g.services, func(s *service) bool { return s.done || !s.isQuiet() })
}

// upgrade replaces this process by the binary that is at its path now. It comes back only if that
// fails; else the new one finds the records of the services, and adopts them.
func (g *group) upgrade() {
	// From here on they end supervise, which is not missed, as one that is forgotten would be.
	first := g.services[0]
	first.check("signals", g.signals.Release(g.told()...))
	defer func() { first.check("signals", g.signals.Catch(g.told()...)) }()
	if g.takeSignals(); !g.isUpgrading() || !g.isQuiet() {
		return
	}
	var told []*service
	for _, s := range g.services {
		if s.upgrading {
			s.upgrading = false
			delete(s.problems, upgradeFailed) // of the last one
			told = append(told, s)
		}
	}
	err := g.replace()
	for _, s := range told {
		s.problem(upgradeFailed, err)
		s.stepQueued()
	}
}

// replace executes the new binary.
func (g *group) replace() error {
	argv := slices.Clone(os.Args[:len(os.Args)-g.size])
	var legacies []process.Legacy
	for i, s := range g.services {
		if err := s.isRecorded(); err != nil {
			return err
		}
		s.followRename() // of the others, nobody may have told yet
		argv = append(argv, s.Dir)
		held, record := s.keepEvents(), s.handRecord()
		defer func() {
			for _, fd := range []int{held, record} {
				if fd >= 0 {
					_ = unix.Close(fd) // what is in it is still here
				}
			}
		}()
		legacies = append(legacies, process.Legacy{Variable: upgradeVariable(i), Files: []int{
			s.dir, s.own, s.lock, s.control, s.ok, s.input, s.output, s.events.fd, held, s.notifyFD, record,
		}})
	}
	if !g.isAlone {
		legacies = append(legacies, process.Legacy{Variable: upgradeLeft, Files: []int{g.left}})
	}
	return process.Replace(g.binary, argv, legacies...)
}
