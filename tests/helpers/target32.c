// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A 32-bit process, without a C library: registers memory for missing faults and prints its first and last
 * address; after a byte on standard input it prints the sum of its bytes. Behind them lie as many bytes of shared memory.
 */
#define NR_EXIT 1
#define NR_READ 3
#define NR_WRITE 4
#define NR_IOCTL 54
#define NR_MMAP 90 /* its arguments in memory */
#define NR_USERFAULTFD 374
#define O_CLOEXEC 02000000
#define SIZE 0x100000
#define UFFDIO_API 0xc018aa3f
#define UFFDIO_REGISTER 0xc020aa00

typedef unsigned int u32;
typedef unsigned long long u64;

static int call(int nr, long a, long b, long c)
{
	int ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
	return ret;
}

static void print(u32 value)
{
	char line[9];

	for (int i = 0; i < 8; i++)
		line[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
	line[8] = '\n';
	call(NR_WRITE, 1, (long)line, sizeof(line));
}

void _start(void)
{
	u32 args[] = { 0xf0000000, SIZE, 3 /* rw */, 0x32 /* private, fixed, anonymous */, -1u, 0 };
	u32 shared[] = { 0xf0000000 + SIZE, SIZE, 3, 0x31 /* shared, fixed, anonymous */, -1u, 0 };
	u64 api[] = { 0xaa, 0, 0 }, reg[] = { args[0], SIZE, 1 /* missing */, 0 };
	int uffd = call(NR_USERFAULTFD, O_CLOEXEC, 0, 0);
	volatile unsigned char *memory = (void *)args[0];
	u32 sum = 0;
	char byte;

	if (uffd < 0 || call(NR_IOCTL, uffd, UFFDIO_API, (long)api) ||
	    call(NR_MMAP, (long)args, 0, 0) != (int)args[0] || call(NR_IOCTL, uffd, UFFDIO_REGISTER, (long)reg) ||
	    call(NR_MMAP, (long)shared, 0, 0) != (int)shared[0])
		call(NR_EXIT, 1, 0, 0);
	print(args[0]);
	print(args[0] + SIZE);
	if (call(NR_READ, 0, (long)&byte, 1) == 1) {
		for (u32 i = 0; i < SIZE; i++)
			sum += memory[i];
		print(sum);
	}
	call(NR_EXIT, 0, 0, 0);
}
