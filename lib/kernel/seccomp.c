// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the seccomp filters of a traced thread would do about a system call: they are run here, as the kernel runs them.
 * Documentation/userspace-api/seccomp_filter.rst
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

#include "lib/kernel/seccomp.h"
#include "lib/util.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#define OUR_ARCH 0
#endif

/* ---- reading ---- */

static int read_program(pid_t tid, size_t i, struct seccomp_program *ret)
{
	long len = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, NULL);

	if (len < 0)
		return -errno;
	ret->code = calloc((size_t)len + 1, sizeof(*ret->code));
	if (!ret->code)
		return -ENOMEM;
	ret->len = (size_t)len;
	return ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, ret->code) == len ? 0 : -EIO;
}

int seccomp_read(pid_t tid, struct seccomp_filters *ret)
{
	int r = 0;

	*ret = (struct seccomp_filters){};
	while (r >= 0) {
		struct seccomp_program *p = vec_add(ret->programs, ret->nr, ret->alloc);

		if (!p)
			return -ENOMEM;
		*p = (struct seccomp_program){};
		r = read_program(tid, ret->nr - 1, p);
	}
	/* There are no more. */
	if (r == -ENOENT)
		ret->nr--;
	return r == -ENOENT ? 0 : r;
}

void seccomp_free(struct seccomp_filters *f)
{
	for (size_t i = 0; i < f->nr; i++)
		free(f->programs[i].code);
	free(f->programs);
	*f = (struct seccomp_filters){};
}

/* ---- running ---- */

struct machine {
	const struct seccomp_data *data;
	uint32_t a, x, mem[BPF_MEMWORDS];
};

static uint32_t load(const struct machine *m, const struct sock_filter *f)
{
	uint32_t word = 0;

	switch (BPF_MODE(f->code)) {
	case BPF_IMM:
		return f->k;
	case BPF_MEM:
		return m->mem[f->k % BPF_MEMWORDS];
	case BPF_LEN:
		return sizeof(*m->data);
	default:
		if (f->k <= sizeof(*m->data) - sizeof(word))
			memcpy(&word, (const char *)m->data + f->k, sizeof(word));
		return word;
	}
}

static uint32_t compute(uint16_t code, uint32_t a, uint32_t with)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		return a + with;
	case BPF_SUB:
		return a - with;
	case BPF_MUL:
		return a * with;
	case BPF_DIV:
		return with ? a / with : 0;
	case BPF_OR:
		return a | with;
	case BPF_AND:
		return a & with;
	case BPF_XOR:
		return a ^ with;
	case BPF_LSH:
		return a << (with & 31);
	case BPF_RSH:
		return a >> (with & 31);
	default: /* BPF_NEG */
		return -a;
	}
}

static size_t jump(const struct machine *m, const struct sock_filter *f)
{
	uint32_t with = BPF_SRC(f->code) == BPF_X ? m->x : f->k;
	bool is_true;

	switch (BPF_OP(f->code)) {
	case BPF_JA:
		return f->k;
	case BPF_JEQ:
		is_true = m->a == with;
		break;
	case BPF_JGT:
		is_true = m->a > with;
		break;
	case BPF_JGE:
		is_true = m->a >= with;
		break;
	default: /* BPF_JSET */
		is_true = m->a & with;
		break;
	}
	return is_true ? f->jt : f->jf;
}

/* All but jumps and returns. */
static void step(struct machine *m, const struct sock_filter *f)
{
	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
		m->a = load(m, f);
		break;
	case BPF_LDX:
		m->x = load(m, f);
		break;
	case BPF_ST:
		m->mem[f->k % BPF_MEMWORDS] = m->a;
		break;
	case BPF_STX:
		m->mem[f->k % BPF_MEMWORDS] = m->x;
		break;
	case BPF_ALU:
		m->a = compute(f->code, m->a, BPF_SRC(f->code) == BPF_X ? m->x : f->k);
		break;
	case BPF_MISC:
		if (BPF_MISCOP(f->code) == BPF_TAX)
			m->x = m->a;
		else
			m->a = m->x;
		break;
	}
}

static uint32_t run_filter(const struct seccomp_program *p, const struct seccomp_data *data)
{
	struct machine m = { .data = data };

	/* The kernel takes only programs that jump forward and end. */
	for (size_t at = 0; at < p->len; at++) {
		const struct sock_filter *f = &p->code[at];

		/* Division by zero ends it. */
		if (f->code == (BPF_ALU | BPF_DIV | BPF_X) && !m.x)
			return 0;
		if (BPF_CLASS(f->code) == BPF_RET)
			return BPF_RVAL(f->code) == BPF_A ? m.a : f->k;
		if (BPF_CLASS(f->code) == BPF_JMP)
			at += jump(&m, f);
		else
			step(&m, f);
	}
	return SECCOMP_RET_KILL_PROCESS;
}

static enum seccomp_answer answer_of(uint32_t action)
{
	switch (action & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
		return SECCOMP_PASSES;
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRACE: /* ENOSYS */
		return SECCOMP_FAILS;
	default:
		return SECCOMP_HARMS;
	}
}

enum seccomp_answer seccomp_ask(const struct seccomp_filters *f, long nr, uint64_t ip, const uint64_t args[6])
{
	struct seccomp_data data = { .nr = (int)nr, .arch = OUR_ARCH, .instruction_pointer = ip };
	enum seccomp_answer worst = SECCOMP_PASSES;

	memcpy(data.args, args, sizeof(data.args));
	for (size_t i = 0; i < f->nr; i++)
		worst = MAX(worst, answer_of(run_filter(&f->programs[i], &data)));
	return worst;
}
