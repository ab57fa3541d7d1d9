package supervise

import "time"

// A turn is what one service may do before the others have theirs.
const turnTime = 100 * time.Microsecond

// A moment is on the monotonic clock; 0 never comes.
type moment time.Duration

func (m moment) isOver() bool { return m != 0 && now().Mono >= time.Duration(m) }

// turnEnd returns when a turn ends that begins now.
func (g *group) turnEnd() moment {
	if g.isAlone {
		return 0
	}
	return moment(now().Mono + turnTime)
}
