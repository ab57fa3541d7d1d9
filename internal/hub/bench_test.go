package hub

import (
	"strconv"
	"testing"
	"time"
)

// exitedLine is what supervise writes when a service has died.
func exitedLine(dst []byte, service string, n int) []byte {
	dst = append(dst, `{"v":1,"time":"2026-11-23T08:00:00.123456789Z","n":`...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	dst = append(append(dst, `,"service":"`...), service...)
	return append(dst, `","event":"exited","state":"backoff","ready":false,"pid":812,"exit":{"code":3},"why":"crash",`+
		`"lived":1.02,"next":2,"deaths":3}`+"\n"...)
}

func BenchmarkIntake(b *testing.B) {
	var text []byte
	in := intake{counts: map[string]count{}}
	var out batch
	n := 0
	for b.Loop() {
		text = text[:0]
		for range 100 {
			n++
			text = exitedLine(text, "web", n)
		}
		out.reset()
		in.lines(&out, text, time.Time{})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/line")
}
