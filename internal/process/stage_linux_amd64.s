#include "textflag.h"
#include "go_asm.h"
#include "stage_linux_amd64.h"

// CLONE_VM, CLONE_CHILD_CLEARTID and SIGCHLD.
#define CLONE_FLAGS 0x200111
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define SIG_SETMASK $2
#define SIG_IGN $1
#define SIGSET_SIZE $8
#define F_DUPFD_CLOEXEC $1030
#define PR_SET_NAME 15
#define EINTR 4
#define RLIMIT_NOFILE $7

// func forkStage(w *stageWork) (pid int)
//
// The child has our memory until it is its program, as one of vfork has, but we go on. So it uses w alone,
// calls nothing, and takes no signal as long as it could end up in a handler of ours.
TEXT ·forkStage(SB),NOSPLIT,$0-16
	MOVQ	w+0(FP), BX
	MOVQ	SIG_SETMASK, DI
	LEAQ	stageWork_blocked(BX), SI
	LEAQ	stageWork_mask(BX), DX
	MOVQ	SIGSET_SIZE, R10
	MOVQ	$SYS_rt_sigprocmask, AX
	SYSCALL
	MOVL	$1, stageWork_busy(BX)
	MOVQ	$CLONE_FLAGS, DI
	LEAQ	stageWork_stackEnd(BX), SI
	XORL	DX, DX
	LEAQ	stageWork_busy(BX), R10	// the kernel clears it if the child dies before
	XORL	R8, R8
	MOVQ	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	MOVQ	AX, pid+8(FP)
	MOVQ	SIG_SETMASK, DI
	LEAQ	stageWork_mask(BX), SI
	XORL	DX, DX
	MOVQ	SIGSET_SIZE, R10
	MOVQ	$SYS_rt_sigprocmask, AX
	SYSCALL
	MOVQ	pid+8(FP), AX
	TESTQ	AX, AX
	JLT	placed
wait:					// until it has let go of our descriptors, the lock's above all
	CMPL	stageWork_busy(BX), $0
	JEQ	placed
	LEAQ	stageWork_busy(BX), DI
	MOVQ	$FUTEX_WAIT, SI
	MOVQ	$1, DX
	XORL	R10, R10
	MOVQ	$SYS_futex, AX
	SYSCALL
	JMP	wait
placed:
	RET

child:
	MOVQ	$SYS_setsid, AX
	SYSCALL
	MOVQ	stageWork_gateEnd(BX), DI	// or there would never be an end of file; first, before its number is another's
	MOVQ	$SYS_close, AX
	SYSCALL
	MOVQ	stageWork_result(BX), R13	// where a failure is told
	LEAQ	stageWork_moves(BX), R12	// first out of each other's way
aside:
	MOVLQSX	stageMove_from(R12), DI
	TESTQ	DI, DI
	JLT	there
	MOVQ	F_DUPFD_CLOEXEC, SI
	MOVQ	stageWork_above(BX), DX
	MOVQ	$SYS_fcntl, AX
	SYSCALL
	TESTQ	AX, AX
	JLT	failed
	MOVL	AX, stageMove_from(R12)
	ADDQ	$stageMove__size, R12
	JMP	aside
there:
	LEAQ	stageWork_moves(BX), R12	// then in place
	MOVLQSX	(stageMove__size+stageMove_from)(R12), R13 // the second is the result
move:
	MOVLQSX	stageMove_from(R12), DI
	TESTQ	DI, DI
	JLT	moved
	MOVLQSX	stageMove_to(R12), SI
	MOVLQSX	stageMove_flags(R12), DX
	MOVQ	$SYS_dup3, AX
	SYSCALL
	TESTQ	AX, AX
	JLT	failed
	ADDQ	$stageMove__size, R12
	JMP	move
moved:
	LEAQ	stageWork_moves(BX), R12
	MOVLQSX	stageMove_to(R12), R14
	MOVLQSX	(stageMove__size+stageMove_to)(R12), R13
	LEAQ	stageWork_gaps(BX), R12
gap:
	MOVL	stageGap_first(R12), DI
	MOVL	stageGap_last(R12), SI
	TESTL	SI, SI
	JEQ	let
	XORL	DX, DX
	MOVQ	$SYS_close_range, AX	// Linux 5.9; without it, they are closed on exec
	SYSCALL
	ADDQ	$stageGap__size, R12
	JMP	gap

let:
	MOVL	$0, stageWork_busy(BX)
	LEAQ	stageWork_busy(BX), DI
	MOVQ	$FUTEX_WAKE, SI
	MOVQ	$1, DX
	MOVQ	$SYS_futex, AX
	SYSCALL
	MOVQ	$PR_SET_NAME, DI
	LEAQ	·stageComm(SB), SI
	MOVQ	$SYS_prctl, AX
	SYSCALL
	MOVQ	$PR_GET_TIMERSLACK, DI	// the program has the default again
	MOVQ	$SYS_prctl, AX
	SYSCALL
	CMPQ	AX, SLACK_OURS
	JNE	handlers
	MOVQ	$PR_SET_TIMERSLACK, DI
	MOVQ	SLACK_DEFAULT, SI
	MOVQ	$SYS_prctl, AX
	SYSCALL

handlers:				// what is caught gets its default; what is ignored stays ignored, as by execve
	MOVQ	$64, R12
handler:
	MOVQ	R12, DI
	XORL	SI, SI
	LEAQ	stageWork_action(BX), DX
	MOVQ	SIGSET_SIZE, R10
	MOVQ	$SYS_rt_sigaction, AX
	SYSCALL
	CMPQ	stageWork_action(BX), SIG_IGN
	JLS	handled
	MOVQ	R12, DI
	LEAQ	stageWork_fallback(BX), SI
	XORL	DX, DX
	MOVQ	SIGSET_SIZE, R10
	MOVQ	$SYS_rt_sigaction, AX
	SYSCALL
handled:
	DECQ	R12
	JNE	handler

again:
	MOVQ	R14, DI			// the word
	LEAQ	stageWork_word(BX), SI
	MOVQ	$1, DX
	MOVQ	$SYS_read, AX
	SYSCALL
	CMPQ	AX, $-EINTR
	JEQ	again
	CMPQ	AX, $1
	JNE	unreleased
	MOVQ	stageWork_dir(BX), DI
	MOVQ	$SYS_fchdir, AX
	SYSCALL
	TESTQ	AX, AX
	JNE	failed
	CMPQ	(stageWork_limit+8)(BX), $0
	JEQ	exec
	XORL	DI, DI
	MOVQ	RLIMIT_NOFILE, SI
	LEAQ	stageWork_limit(BX), DX
	XORL	R10, R10
	MOVQ	$SYS_prlimit64, AX
	SYSCALL
exec:
	MOVQ	SIG_SETMASK, DI
	LEAQ	stageWork_mask(BX), SI
	XORL	DX, DX
	MOVQ	SIGSET_SIZE, R10
	MOVQ	$SYS_rt_sigprocmask, AX
	SYSCALL
	MOVQ	stageWork_path(BX), DI
	MOVQ	stageWork_argv(BX), SI
	MOVQ	stageWork_envp(BX), DX
	MOVQ	$SYS_execve, AX
	SYSCALL
failed:
	NEGQ	AX
	MOVL	AX, stageWork_errno(BX)
	MOVQ	SIG_SETMASK, DI		// nobody may be left to read it: the exit status has to say it, not SIGPIPE
	LEAQ	stageWork_blocked(BX), SI
	XORL	DX, DX
	MOVQ	SIGSET_SIZE, R10
	MOVQ	$SYS_rt_sigprocmask, AX
	SYSCALL
	MOVQ	R13, DI
	LEAQ	stageWork_errno(BX), SI
	MOVQ	$4, DX
	MOVQ	$SYS_write, AX
	SYSCALL
unreleased:
	MOVQ	$const_statusNoExec, DI
	MOVQ	$SYS_exit_group, AX
	SYSCALL
	INT	$3

// stageComm, as C has it.
DATA	·stageComm+0(SB)/8, $"supervis"
DATA	·stageComm+8(SB)/8, $"e stage\x00"
GLOBL	·stageComm(SB), RODATA|NOPTR, $16
