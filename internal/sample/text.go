package sample

import "strconv"

// none stands for what is not known.
const none = "-"

// Text is a metric for people: bytes with a suffix, CPU with its percent sign.
func (f *Figures) Text(m Metric) string {
	n, known := f.Get(m)
	switch {
	case !known:
		return none
	case m == CPU:
		return strconv.FormatFloat(n, 'f', 1, 64) + "%"
	case m == FDs, m == FDLimit, m == Threads:
		return strconv.FormatFloat(n, 'f', 0, 64)
	}
	return Size(n)
}

// Size is a number of bytes for people, in the largest unit that leaves one before the point.
func Size(n float64) string {
	const suffixes = "BKMGTP"
	i := 0
	for ; n >= 1024 && i < len(suffixes)-1; i++ {
		n /= 1024
	}
	digits := 1
	if i == 0 || n >= 100 {
		digits = 0
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + suffixes[i:i+1]
}
