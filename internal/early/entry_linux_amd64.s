#include "textflag.h"

#define SYS_arch_prctl 158
#define ARCH_SET_FS 0x1002

// What Go's code asks for: a goroutine whose stack has no end, and the thread's variable that says which it is.
GLOBL ·goroutine(SB),NOPTR,$512
GLOBL ·thread(SB),NOPTR,$16

// BEGIN calls start(argc, argv) on the stack as the kernel has made it, and goes on to the runtime from there.
#define BEGIN(start) \
	MOVQ	SP, BX \
	LEAQ	·goroutine(SB), AX \
	MOVQ	AX, ·thread(SB) \
	LEAQ	·thread+8(SB), SI \
	MOVQ	$ARCH_SET_FS, DI \
	MOVQ	$SYS_arch_prctl, AX \
	SYSCALL \
	SUBQ	$32, SP \
	ANDQ	$~15, SP \
	MOVQ	BX, 16(SP) \
	MOVQ	0(BX), AX \
	MOVQ	AX, 0(SP) \
	LEAQ	8(BX), AX \
	MOVQ	AX, 8(SP) \
	CALL	start(SB) \
	MOVQ	16(SP), SP \
	JMP	_rt0_amd64_linux(SB)

TEXT ·svstat(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	BEGIN(·startSvstat)

TEXT ·svc(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	BEGIN(·startSvc)
