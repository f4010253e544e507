#include "textflag.h"

// func syscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) int64
TEXT ·syscall6(SB), NOSPLIT, $0-64
	MOVQ	trap+0(FP), AX
	MOVQ	a1+8(FP), DI
	MOVQ	a2+16(FP), SI
	MOVQ	a3+24(FP), DX
	MOVQ	a4+32(FP), R10
	MOVQ	a5+40(FP), R8
	MOVQ	a6+48(FP), R9
	SYSCALL
	MOVQ	AX, ret+56(FP)
	RET

// func move(op, fd, p, n, flags uintptr) int64
TEXT ·move(SB), NOSPLIT, $0-48
	MOVQ	p+16(FP), SI
	MOVQ	n+24(FP), DX
	MOVQ	flags+32(FP), R10
	XORL	R8, R8
	XORL	R9, R9
again:
	MOVQ	op+0(FP), AX
	MOVQ	fd+8(FP), DI
	SYSCALL
	TESTQ	AX, AX
	JLE	failed
	ADDQ	AX, SI
	SUBQ	AX, DX
	JNZ	again
	MOVQ	AX, ret+40(FP)
	RET
failed:
	CMPQ	AX, $-4	// EINTR
	JEQ	again
	MOVQ	AX, ret+40(FP)
	RET
