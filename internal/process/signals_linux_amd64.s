#include "textflag.h"

// System calls of Linux on amd64.
#define SYS_write 1
#define SYS_rt_sigreturn 15

// signalEntry is the handler of every signal that is caught: it notes which one came, and wakes up who waits.
// The kernel calls it, on any thread, with the signal in DI; it puts all registers back afterwards.
TEXT ·signalEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ	DI, CX
	MOVQ	$1, AX
	SHLQ	CX, AX
	LOCK
	ORQ	AX, ·signalsCame(SB)
	MOVQ	·signalsFile(SB), DI
	LEAQ	·signalsOne(SB), SI
	MOVQ	$8, DX
	MOVQ	$SYS_write, AX		// it only fails when the file can count no further: then it has woken up
	SYSCALL
	RET

// signalReturn is where signalEntry returns to.
TEXT ·signalReturn(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ	$SYS_rt_sigreturn, AX
	SYSCALL
	INT	$3

// func signalCode() (entry, restorer uintptr)
TEXT ·signalCode(SB),NOSPLIT,$0-16
	LEAQ	·signalEntry(SB), AX
	MOVQ	AX, entry+0(FP)
	LEAQ	·signalReturn(SB), AX
	MOVQ	AX, restorer+8(FP)
	RET

// What is added to the eventfd.
DATA	·signalsOne+0(SB)/8, $1
GLOBL	·signalsOne(SB), RODATA|NOPTR, $8
