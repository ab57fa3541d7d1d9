#include "textflag.h"

// System calls of Linux on amd64, and the descriptors and statuses of stage.go.
#define SYS_read 0
#define SYS_write 1
#define SYS_close 3
#define SYS_execve 59
#define SYS_fcntl 72
#define SYS_fchdir 81
#define SYS_prctl 157
#define SYS_exit_group 231
#define F_SETFD 2
#define EINTR 4
#define PR_SET_TIMERSLACK 29
#define PR_GET_TIMERSLACK 30
#define fdGate $3
#define fdResult $4
#define fdDir $5
#define statusNoExec $111

// Timer slacks, in nanoseconds: the kernel's default, and ours. Go's runtime has a thread that looks after
// the others every 20 microseconds while a program starts, which costs a tenth of all that a start of
// supervise does; with the second, it looks every two milliseconds. It is an odd number, to be known
// again: what was set before supervise, and what a service gets, stays as it is.
#define SLACK_DEFAULT $50000
#define SLACK_OURS $2000001

// stageEntry is where supervise begins when it is linked with -E: a stage is what RunStage is, done
// before Go's runtime has started, which would take longer than all else of a restart. Anything
// but a stage goes on to the runtime.
//
// The stack has argc, argv, 0, envp, 0. argv of a stage is its name, the path, and the program's own.
TEXT ·stageEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ	0(SP), R12		// argc
	CMPQ	R12, $3
	JLT	runtime
	MOVQ	8(SP), SI		// argv[0]
	LEAQ	·stageArg(SB), DI
compare:
	MOVB	(DI), AX
	CMPB	AX, (SI)
	JNE	runtime
	INCQ	SI
	INCQ	DI
	TESTB	AX, AX
	JNE	compare

	MOVQ	$PR_GET_TIMERSLACK, DI	// the program has the default again
	MOVQ	$SYS_prctl, AX
	SYSCALL
	CMPQ	AX, SLACK_OURS
	JNE	mark
	MOVQ	$PR_SET_TIMERSLACK, DI
	MOVQ	SLACK_DEFAULT, SI
	MOVQ	$SYS_prctl, AX
	SYSCALL
mark:
	MOVQ	fdResult, DI
	MOVQ	$F_SETFD, SI
	MOVQ	$1, DX			// FD_CLOEXEC
	MOVQ	$SYS_fcntl, AX
	SYSCALL
again:
	MOVQ	fdGate, DI		// the word, into the red zone
	LEAQ	-8(SP), SI
	MOVQ	$1, DX
	MOVQ	$SYS_read, AX
	SYSCALL
	CMPQ	AX, $-EINTR
	JEQ	again
	CMPQ	AX, $1
	JNE	unreleased
	MOVQ	fdGate, DI
	MOVQ	$SYS_close, AX
	SYSCALL
	MOVQ	fdDir, DI
	MOVQ	$SYS_fchdir, AX
	SYSCALL
	TESTQ	AX, AX
	JNE	failed
	MOVQ	fdDir, DI
	MOVQ	$SYS_close, AX
	SYSCALL
	MOVQ	16(SP), DI		// the path
	LEAQ	24(SP), SI		// the program's argv
	LEAQ	16(SP)(R12*8), DX	// envp
	MOVQ	$SYS_execve, AX
	SYSCALL
failed:
	NEGQ	AX
	MOVL	AX, -8(SP)
	MOVQ	fdResult, DI
	LEAQ	-8(SP), SI
	MOVQ	$4, DX
	MOVQ	$SYS_write, AX
	SYSCALL
unreleased:
	MOVQ	statusNoExec, DI
	MOVQ	$SYS_exit_group, AX
	SYSCALL
	INT	$3
runtime:
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
	JMP	_rt0_amd64_linux(SB)

// stageName, as C has it.
DATA	·stageArg+0(SB)/8, $"supervis"
DATA	·stageArg+8(SB)/8, $"e: stage"
DATA	·stageArg+16(SB)/8, $"\x00\x00\x00\x00\x00\x00\x00\x00"
GLOBL	·stageArg(SB), RODATA|NOPTR, $24
