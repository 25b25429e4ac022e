# SPDX-License-Identifier: GPL-2.0-or-later
# A guest without a kernel, for QEMU's -kernel: each CPU writes to every page of its own part of memory, for ever.
	.set	FIRST, 0x400000		# where the parts begin
	.set	PAGE, 4096
	.set	STEP, 37 * PAGE		# not the next page: a migration may send that one unasked
	.set	ICR, 0xfee00300		# of the local APIC: interrupts to other CPUs
	.set	INIT, 0xc4500		# to all but oneself
	.set	STARTUP, 0xc4600	# likewise, with the page to start at
	.set	ENTRY, 0x8000		# below 1 MiB, where a CPU can start
	.set	FW_CFG, 0x510		# QEMU's port
	.set	NB_CPUS, 5

	.code32
	.balign	4
	.long	0x1badb002, 2, -0x1badb004	# multiboot: 32-bit flat mode, and how much memory there is

	.globl	_start
_start:	movl	8(%ebx), %edi		# KiB from 1 MiB on
	shll	$10, %edi
	subl	$FIRST - 0x100000, %edi
	movw	$FW_CFG, %dx
	movw	$NB_CPUS, %ax
	outw	%ax, %dx
	incw	%dx
	xorl	%eax, %eax
	inb	%dx, %al
	movl	%eax, %ebp
	xchgl	%eax, %edi
	xorl	%edx, %edx
	divl	%edi
	andl	$-PAGE, %eax
	movl	%eax, size

	cld
	movl	$real, %esi
	movl	$ENTRY, %edi
	movl	$real_end - real, %ecx
	rep movsb
	movl	$INIT, ICR
1:	movl	$STARTUP + ENTRY / PAGE, ICR	# heard once by each; again, until all have started
	movl	$1000, %ecx
2:	pause
	loop	2b
	movl	started, %eax
	cmpl	%ebp, %eax
	jne	1b
	xorl	%eax, %eax		# CPU 0; the others have drawn 1 and up
	jmp	work

	.code16
real:	lgdtl	%cs:gdtr - real
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$8, $other
gdtr:	.word	gdt_end - gdt - 1
	.long	gdt
real_end:

	.code32
other:	movw	$16, %ax
	movw	%ax, %ds
	movl	$1, %eax
	lock xaddl %eax, started

work:	movl	size, %ecx
	mull	%ecx
	leal	FIRST(%eax), %ebx
	xorl	%eax, %eax
1:	incl	(%ebx, %eax)
	addl	$STEP, %eax
	cmpl	%ecx, %eax
	jb	1b
	subl	%ecx, %eax
	jmp	1b

	.data
size:	.long	0			# of a part; tests/machine.py reads it here
started: .long	1
	.balign	8
gdt:	.quad	0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_end:

	.section .note.GNU-stack, "", @progbits
