// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The registers of a stopped thread on arm64.
 *
 * Before a thread stops, the kernel here puts the registers of an interrupted call back to where it is made, and does
 * not say why (do_signal() of arch/arm64/kernel/signal.c): whether it is restarted after a signal handler, or goes on
 * with what is left of its time, is known to it alone. So the thread is let into the call again and interrupted there,
 * where it stops at its end, before that is decided. Where it was is put back at the end of a call, too, which had the
 * same first argument: the kernel keeps a copy of that, and decides as if nothing had been in between.
 */
#ifdef __aarch64__
#include <asm/ptrace.h>
#include <asm/sigcontext.h>
#include <asm/unistd.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ucontext.h>

#include "lib/kernel/ptrace.h"
#include "lib/kernel/ptrace_regs.h"
#include "lib/util.h"

/* include/uapi/linux/elf.h; the header of that name belongs to elfutils, too. */
#define NT_PRSTATUS 1
#define NT_PRFPREG 2
#define NT_ARM_SYSTEM_CALL 0x404
#define NT_ARM_SVE 0x405
#define NT_ARM_SSVE 0x40b /* Linux 5.19 */
#define NT_ARM_ZA 0x40c
#define NT_ARM_GCS 0x410 /* Linux 6.13 */

/* include/linux/errno.h: a program never sees these. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

#define BRANCH_TYPE (UINT64_C(3) << 10) /* PSTATE.BTYPE: how it came to the next instruction */
#define INSTRUCTION 4

struct state {
	struct user_pt_regs user;
	uint64_t call;	/* the number of the system call that it is in; UINT64_MAX: none */
	uint64_t first; /* the first argument of that, if it has to be restarted */
};
_Static_assert(sizeof(struct state) <= sizeof(((struct regs *)NULL)->words), "room for it");

bool regs_supported(void)
{
	return true;
}

static struct state *state(struct regs *regs)
{
	return (struct state *)regs->words;
}

static const struct state *state_of(const struct regs *regs)
{
	return (const struct state *)regs->words;
}

int regs_get(pid_t tid, struct regs *ret)
{
	int32_t nr = -1;
	size_t len = sizeof(nr);
	int r;

	*ret = (struct regs){ .len = sizeof(struct user_pt_regs) };
	r = trace_get_regs(tid, NT_PRSTATUS, ret->words, &ret->len);
	if (r >= 0)
		r = trace_get_regs(tid, NT_ARM_SYSTEM_CALL, &nr, &len);
	state(ret)->call = nr < 0 ? UINT64_MAX : (uint64_t)nr;
	return r;
}

/* The number first: by itself it changes nothing as long as the result is none that is restarted. */
int regs_set(pid_t tid, const struct regs *regs)
{
	int32_t nr = (int32_t)state_of(regs)->call;
	int r = trace_set_regs(tid, NT_ARM_SYSTEM_CALL, &nr, sizeof(nr));

	return r < 0 ? r : trace_set_regs(tid, NT_PRSTATUS, regs->words, regs->len);
}

uint64_t regs_ip(const struct regs *regs)
{
	return state_of(regs)->user.pc;
}

uint64_t regs_sp(const struct regs *regs)
{
	return state_of(regs)->user.sp;
}

/* Does the thread use these registers? The head of the set says so: arch/arm64/include/uapi/asm/ptrace.h */
static bool uses(pid_t tid, unsigned int type, bool (*is_in_use)(const struct user_sve_header *head))
{
	struct user_sve_header head = {};
	size_t len = sizeof(head);

	return trace_get_regs(tid, type, &head, &len) == 0 && is_in_use(&head);
}

static bool is_sve(const struct user_sve_header *head)
{
	return (head->flags & SVE_PT_REGS_MASK) == SVE_PT_REGS_SVE;
}

static bool is_larger(const struct user_sve_header *head)
{
	return head->size > sizeof(*head);
}

const char *regs_objection(pid_t tid, const struct regs *regs)
{
	uint64_t gcs[3] = {};
	size_t len = sizeof(gcs);

	if (regs->len != sizeof(struct user_pt_regs))
		return "it runs 32-bit code, in which no system call can be run for us";
	if (trace_get_regs(tid, NT_ARM_GCS, gcs, &len) == 0 && gcs[0] & 1)
		return "it has a guarded control stack, which would not fit the changed registers";
	return NULL;
}

int64_t regs_syscall(const struct regs *regs)
{
	return (int64_t)state_of(regs)->call;
}

uint64_t regs_arg(const struct regs *regs, unsigned int i)
{
	return i ? state_of(regs)->user.regs[i] : state_of(regs)->first;
}

int64_t regs_result(const struct regs *regs)
{
	return (int64_t)state_of(regs)->user.regs[0];
}

/* Where a call has ended with -EINTR, its first argument is lost. */
void regs_restart(struct regs *regs)
{
	(void)regs;
}

/* ---- instructions ---- */

static const uint32_t call_text[] = { 0xd4000001, 0xd65f03c0 };	   /* svc #0; ret */
static const uint32_t restore_text[] = { 0xd2801168, 0xd4000001 }; /* mov x8, #139; svc #0 */
_Static_assert(sizeof(restore_text) <= GADGET_BYTES && sizeof(call_text) <= GADGET_BYTES, "the longest");

static uint64_t find(const void *text, size_t len, uint64_t addr, const uint32_t *wanted, size_t wanted_len)
{
	for (size_t i = 0; i + wanted_len <= len; i += INSTRUCTION)
		if (!memcmp((const char *)text + i, wanted, wanted_len))
			return addr + i;
	return 0;
}

bool gadgets_find(struct gadgets *g, const void *text, size_t len, uint64_t addr)
{
	g->call = g->call ?: find(text, len, addr, call_text, sizeof(call_text));
	g->restore = g->restore ?: find(text, len, addr, restore_text, sizeof(restore_text));
	return gadgets_suffice(g);
}

uint64_t regs_find_call(const void *text, size_t len, uint64_t addr)
{
	return find(text, len, addr, call_text, INSTRUCTION);
}

/* The vDSO has them. */
bool gadgets_suffice(const struct gadgets *g)
{
	return g->call && g->restore;
}

bool gadget_is_call(const void *text)
{
	return !memcmp(text, call_text, sizeof(call_text));
}

bool gadget_is_restore(const void *text)
{
	return !memcmp(text, restore_text, sizeof(restore_text));
}

bool gadget_is_load(const void *text)
{
	(void)text;
	return false;
}

uint64_t regs_call_ip(const struct gadgets *g)
{
	return g->call + INSTRUCTION;
}

/* ---- calls that are restarted ---- */

bool regs_hide_call(const struct regs *regs, const void *text)
{
	(void)regs;
	return !memcmp(text, call_text, INSTRUCTION);
}

/* New threads and programs are not waited for. */
bool regs_enter_call(const struct regs *regs)
{
	switch (regs_syscall(regs)) {
	case __NR_clone:
	case __NR_clone3:
	case __NR_execve:
	case __NR_execveat:
	case __NR_exit:
	case __NR_exit_group:
		return false;
	default:
		return true;
	}
}

/* At a stop at a call, the kernel says in the eighth register whether it is its beginning or its end. */
void regs_leave_call(const struct regs *before, struct regs *regs)
{
	state(regs)->first = state_of(before)->user.regs[0];
	state(regs)->user.regs[7] = state_of(before)->user.regs[7];
}

bool regs_are_restarted(const struct regs *regs)
{
	if (state_of(regs)->call == UINT64_MAX)
		return false;
	switch (-regs_result(regs)) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
	case ERESTART_RESTARTBLOCK:
		return true;
	default:
		return false;
	}
}

/* ---- the way back ---- */

/* arch/arm64/kernel/signal.c: struct rt_sigframe */
struct frame {
	char siginfo[128];
	ucontext_t uc;
};
_Static_assert(offsetof(struct frame, uc) == 128, "struct rt_sigframe");

#define BELOW 128 /* where nobody has to have anything, but hand-written code may */
/* As in ptrace_x86.c: the thread keeps its alternate stack. */
#define SS_INVALID 0x1000
/* The kernel reads no more of it: the vectors, and the head of nothing. */
#define FRAME_BYTES                                                                          \
	(offsetof(struct frame, uc.uc_mcontext.__reserved) + sizeof(struct fpsimd_context) + \
	 sizeof(struct _aarch64_ctx))

/* As the kernel would restart it; see resume_call() of ptrace_x86.c. */
static void resume_call(const struct regs *regs, mcontext_t *mc)
{
	if (!regs_are_restarted(regs))
		return;
	if (regs_result(regs) == -ERESTART_RESTARTBLOCK)
		mc->regs[8] = __NR_restart_syscall;
	mc->regs[0] = state_of(regs)->first;
	mc->pc -= INSTRUCTION;
}

/*
 * A system call clears what is wider than 128 bits, and the matrices, of a thread that uses them. One that is in a
 * call has none.
 */
static int read_vectors(pid_t tid, struct fpsimd_context *ret)
{
	struct user_fpsimd_state fp;
	size_t len = sizeof(fp);

	if (uses(tid, NT_ARM_SVE, is_sve) || uses(tid, NT_ARM_SSVE, is_sve) || uses(tid, NT_ARM_ZA, is_larger))
		return -EBUSY;
	if (trace_get_regs(tid, NT_PRFPREG, &fp, &len) < 0 || len < offsetof(struct user_fpsimd_state, __reserved))
		return -ENOTSUP;
	*ret = (struct fpsimd_context){ .head = { FPSIMD_MAGIC, sizeof(*ret) }, .fpsr = fp.fpsr, .fpcr = fp.fpcr };
	memcpy(ret->vregs, fp.vregs, sizeof(ret->vregs));
	return 0;
}

int way_back_make(pid_t tid, const struct regs *regs, uint64_t mask, const struct gadgets *g, struct way_back *ret)
{
	const struct user_pt_regs *u = &state_of(regs)->user;
	struct frame *frame = calloc(1, sizeof(*frame));
	struct fpsimd_context vectors;
	int r = frame ? read_vectors(tid, &vectors) : -ENOMEM;

	(void)g;
	if (r < 0) {
		free(frame);
		return r;
	}
	memcpy(frame->uc.uc_mcontext.regs, u->regs, sizeof(u->regs));
	frame->uc.uc_stack.ss_flags = SS_INVALID;
	frame->uc.uc_mcontext.sp = u->sp;
	frame->uc.uc_mcontext.pc = u->pc;
	frame->uc.uc_mcontext.pstate = u->pstate;
	resume_call(regs, &frame->uc.uc_mcontext);
	memcpy(frame->uc.uc_mcontext.__reserved, &vectors, sizeof(vectors));
	memcpy(&frame->uc.uc_sigmask, &mask, sizeof(mask));
	*ret = (struct way_back){ round_down(u->sp - BELOW - FRAME_BYTES, 16), frame, FRAME_BYTES };
	return 0;
}

static void begin_elsewhere(struct state *s, uint64_t pc, const struct way_back *back)
{
	s->call = UINT64_MAX;
	s->user.pc = pc;
	s->user.sp = back->addr;
	s->user.pstate &= ~BRANCH_TYPE;
}

void regs_go_back(const struct regs *old, const struct gadgets *g, const struct way_back *back, struct regs *ret)
{
	*ret = *old;
	/* No number that the kernel would restart something for. */
	state(ret)->user.regs[0] = 0;
	begin_elsewhere(state(ret), g->restore, back);
}

void regs_call(const struct regs *old, const struct gadgets *g, const struct way_back *back, long nr,
	       const uint64_t args[6], struct regs *ret)
{
	*ret = *old;
	memcpy(state(ret)->user.regs, args, 6 * sizeof(*args));
	state(ret)->user.regs[8] = (uint64_t)nr;
	/* Where it returns to. */
	state(ret)->user.regs[30] = g->restore;
	begin_elsewhere(state(ret), g->call, back);
}
#endif
