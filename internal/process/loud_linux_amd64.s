//go:build !quiet

#include "textflag.h"

TEXT ·quietEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	JMP	_rt0_amd64_linux(SB)
