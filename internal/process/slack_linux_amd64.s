#include "textflag.h"
#include "stage_linux_amd64.h"

// textEntry is where supervise begins when it is linked with -E.
TEXT ·textEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ	$runtime·text(SB), DI
	MOVQ	$runtime·epclntab(SB), SI
	SUBQ	DI, SI
	MOVQ	MADV_POPULATE_READ, DX
	MOVQ	$SYS_madvise, AX
	SYSCALL			// before Linux 5.14 it does nothing
	JMP	·slackEntry(SB)

// slackEntry is where the hub begins.
TEXT ·slackEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ	$PR_GET_TIMERSLACK, DI
	MOVQ	$SYS_prctl, AX
	SYSCALL
	CMPQ	AX, SLACK_DEFAULT
	JNE	start
	MOVQ	$PR_SET_TIMERSLACK, DI
	MOVQ	SLACK_OURS, SI
	MOVQ	$SYS_prctl, AX
	SYSCALL
start:
	JMP	·quietEntry(SB)
