// SPDX-License-Identifier: GPL-2.0-or-later
/* Seccomp filters that are run here, beside what the kernel does with them. */
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* For what is static there. */
#include "lib/kernel/seccomp.c"
#include "tests/unit.h"

#define NR_PROGRAMS 300
#define MAX_STEPS 40
/* A call that takes no arguments: those of the test go through it. */
#define CALL SYS_getppid

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* Words of struct seccomp_data that both sides know: the arguments. */
static uint32_t an_offset(void)
{
	return (uint32_t)offsetof(struct seccomp_data, args) + 4 * draw(12);
}

static struct sock_filter a_step(uint16_t left)
{
	static const uint16_t ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_OR, BPF_AND, BPF_XOR, BPF_DIV, BPF_LSH, BPF_RSH };
	static const uint16_t jumps[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET };
	static const uint16_t plain[] = { BPF_MISC | BPF_TAX, BPF_MISC | BPF_TXA, BPF_ALU | BPF_NEG,
					  BPF_LD | BPF_W | BPF_LEN, BPF_LDX | BPF_W | BPF_LEN };
	uint16_t op = ops[draw(9)], src = draw(2) ? BPF_X : BPF_K;
	uint8_t far = (uint8_t)MIN(left, 3);

	switch (draw(8)) {
	case 0:
		return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, an_offset());
	case 1:
		return (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, draw(1000));
	case 2:
		return (struct sock_filter)BPF_STMT((draw(2) ? BPF_ST : BPF_STX), draw(4));
	case 3:
		return (struct sock_filter)BPF_STMT((draw(2) ? BPF_LD : BPF_LDX) | BPF_MEM, draw(4));
	case 4:
		return (struct sock_filter)BPF_STMT(plain[draw(5)], 0);
	case 5:
		return (struct sock_filter)BPF_JUMP(BPF_JMP | jumps[draw(4)] | src, draw(100), draw(far + 1u),
						    draw(far + 1u));
	default:
		/* Division by X would often be one by 0, which kills. A constant 0, or a shift by 32, the kernel refuses. */
		return (struct sock_filter)BPF_STMT(BPF_ALU | op | (op == BPF_DIV ? BPF_K : src), 1 + draw(30));
	}
}

/* Memory is written before it is read; at the end A becomes an errno. */
static size_t a_program(struct sock_filter *code)
{
	size_t n = 0;

	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALL, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	for (uint32_t i = 0; i < 4; i++)
		code[n++] = (struct sock_filter)BPF_STMT(i & 1 ? BPF_ST : BPF_STX, i);
	for (uint16_t left = MAX_STEPS; left; left--)
		code[n++] = a_step(left - 1);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7ff);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	return n;
}

/* The errno that the kernel returns; 4096: the filter can't be installed. */
static int ask_kernel(struct sock_filter *code, size_t len, const uint64_t args[6])
{
	struct sock_fprog prog = { .len = (unsigned short)len, .filter = code };
	int fds[2], answer = -1;
	pid_t child;

	if (pipe(fds))
		return -1;
	child = fork();
	if (child == 0) {
		long r = 4096;

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
			r = syscall(CALL, args[0], args[1], args[2], args[3], args[4], args[5]) < 0 ? errno : 0;
		answer = (int)r;
		_exit(write(fds[1], &answer, sizeof(answer)) != sizeof(answer));
	}
	close(fds[1]);
	if (read(fds[0], &answer, sizeof(answer)) != sizeof(answer))
		answer = -1;
	close(fds[0]);
	waitpid(child, NULL, 0);
	return answer;
}

TEST("seccomp-as-the-kernel")
{
	int nr_asked = 0;

	for (int i = 0; i < NR_PROGRAMS; i++) {
		/* The first instruction's A is the number of the call. */
		struct sock_filter code[MAX_STEPS + 20] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0) };
		uint64_t args[6];
		size_t len = 1 + a_program(code + 1);
		struct seccomp_program p = { code, len };
		struct seccomp_data data = { .nr = CALL, .arch = OUR_ARCH };
		int kernel;

		for (int k = 0; k < 6; k++)
			args[k] = (uint64_t)draw(1u << 24) << 32 | draw(draw(2) ? 1u << 24 : 8);
		memcpy(data.args, args, sizeof(args));
		kernel = ask_kernel(code, len, args);
		if (kernel == 4096)
			continue;
		nr_asked++;
		NUM(run_filter(&p, &data) & SECCOMP_RET_DATA, (uint32_t)kernel);
	}
	OK(nr_asked > NR_PROGRAMS / 2);
}

static enum seccomp_answer ask(uint32_t first, uint32_t second)
{
	struct sock_filter one[] = { BPF_STMT(BPF_RET | BPF_K, first) },
			   other[] = { BPF_STMT(BPF_RET | BPF_K, second) };
	struct seccomp_program programs[] = { { one, 1 }, { other, 1 } };
	struct seccomp_filters f = { .programs = programs, .nr = 2 };
	const uint64_t args[6] = {};

	return seccomp_ask(&f, CALL, 0, args);
}

TEST("seccomp-answers")
{
	NUM(ask(SECCOMP_RET_ALLOW, SECCOMP_RET_LOG), SECCOMP_PASSES);
	NUM(ask(SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | 1), SECCOMP_FAILS);
	NUM(ask(SECCOMP_RET_TRACE, SECCOMP_RET_ALLOW), SECCOMP_FAILS);
	NUM(ask(SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO), SECCOMP_HARMS);
	NUM(ask(SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS), SECCOMP_HARMS);
	NUM(ask(SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_THREAD), SECCOMP_HARMS);
	NUM(ask(SECCOMP_RET_USER_NOTIF, SECCOMP_RET_ALLOW), SECCOMP_HARMS);
	NUM(ask(SECCOMP_RET_ALLOW, 0x12340000), SECCOMP_HARMS);
}
