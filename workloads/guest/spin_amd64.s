#include "textflag.h"

#define NOP8 BYTE $0x90; BYTE $0x90; BYTE $0x90; BYTE $0x90; BYTE $0x90; BYTE $0x90; BYTE $0x90; BYTE $0x90
#define NOP64 NOP8; NOP8; NOP8; NOP8; NOP8; NOP8; NOP8; NOP8

// func spin()
//
// QEMU translates nothing for a nop but its count, and up to 512 instructions
// at once: guest time passes some fifty times faster here than in other code.
TEXT ·spin(SB), NOSPLIT, $0-0
loop:
	NOP64
	NOP64
	NOP64
	NOP64
	NOP64
	NOP64
	NOP64
	JMP	loop
