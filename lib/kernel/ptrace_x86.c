// SPDX-License-Identifier: LGPL-2.1-or-later
/* The registers of a stopped thread on x86-64. */
#ifdef __x86_64__
#include <asm/unistd.h>
#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ucontext.h>
#include <sys/user.h>

#include "lib/cleanup.h"
#include "lib/kernel/ptrace.h"
#include "lib/kernel/ptrace_regs.h"
#include "lib/util.h"

/* include/uapi/linux/elf.h; the header of that name belongs to elfutils, too. */
#define NT_PRSTATUS 1
#define NT_X86_XSTATE 0x202
#define NT_X86_SHSTK 0x204 /* Linux 6.6 */

#define USER_CS 0x33 /* of 64-bit code */
#define X32_CALL (1u << 30)
#define RED_ZONE 128 /* leaf functions use it below their stack pointer */

/* include/linux/errno.h: a program never sees these. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

bool regs_supported(void)
{
	return true;
}

static struct user_regs_struct *user(struct regs *regs)
{
	return (struct user_regs_struct *)regs->words;
}

static const struct user_regs_struct *user_of(const struct regs *regs)
{
	return (const struct user_regs_struct *)regs->words;
}

int regs_get(pid_t tid, struct regs *ret)
{
	*ret = (struct regs){ .len = sizeof(ret->words) };
	return trace_get_regs(tid, NT_PRSTATUS, ret->words, &ret->len);
}

int regs_set(pid_t tid, const struct regs *regs)
{
	return trace_set_regs(tid, NT_PRSTATUS, regs->words, regs->len);
}

uint64_t regs_ip(const struct regs *regs)
{
	return user_of(regs)->rip;
}

uint64_t regs_sp(const struct regs *regs)
{
	return user_of(regs)->rsp;
}

const char *regs_objection(pid_t tid, const struct regs *regs)
{
	uint64_t ssp;
	size_t len = sizeof(ssp);

	if (regs->len != sizeof(struct user_regs_struct) || user_of(regs)->cs != USER_CS)
		return "it runs 32-bit code, in which no system call can be run for us";
	if ((int64_t)user_of(regs)->orig_rax > 0 && user_of(regs)->orig_rax & X32_CALL)
		return "it runs code of the x32 ABI, in which no system call can be run for us";
	if (trace_get_regs(tid, NT_X86_SHSTK, &ssp, &len) == 0)
		return "it has a shadow stack, which would not fit the changed registers";
	return NULL;
}

int64_t regs_syscall(const struct regs *regs)
{
	return (int64_t)user_of(regs)->orig_rax;
}

uint64_t regs_arg(const struct regs *regs, unsigned int i)
{
	const struct user_regs_struct *u = user_of(regs);
	const uint64_t args[] = { u->rdi, u->rsi, u->rdx, u->r10, u->r8, u->r9 };

	return args[i];
}

int64_t regs_result(const struct regs *regs)
{
	return (int64_t)user_of(regs)->rax;
}

void regs_restart(struct regs *regs)
{
	user(regs)->rax = (uint64_t)-ERESTARTNOHAND;
}

/* ---- instructions ---- */

static const unsigned char call_text[] = { 0x0f, 0x05, 0xc3 };				     /* syscall; ret */
static const unsigned char restore_text[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 }; /* mov $15, %rax; syscall */
static const unsigned char load_text[] = { 0x58, 0xc3 };				     /* pop %rax; ret */
_Static_assert(sizeof(restore_text) == GADGET_BYTES, "the longest");

static uint64_t find(const void *text, size_t len, uint64_t addr, const void *wanted, size_t wanted_len)
{
	const char *at = memmem(text, len, wanted, wanted_len);

	return at ? addr + (uint64_t)(at - (const char *)text) : 0;
}

bool gadgets_find(struct gadgets *g, const void *text, size_t len, uint64_t addr)
{
	g->call = g->call ?: find(text, len, addr, call_text, sizeof(call_text));
	g->restore = g->restore ?: find(text, len, addr, restore_text, sizeof(restore_text));
	g->load = g->load ?: find(text, len, addr, load_text, sizeof(load_text));
	return g->call && g->restore;
}

uint64_t regs_find_call(const void *text, size_t len, uint64_t addr)
{
	return find(text, len, addr, call_text, sizeof(call_text) - 1);
}

bool gadgets_suffice(const struct gadgets *g)
{
	return g->call && (g->restore || g->load);
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
	return !memcmp(text, load_text, sizeof(load_text));
}

uint64_t regs_call_ip(const struct gadgets *g)
{
	return g->call + 2;
}

/* ---- the way back ---- */

/* arch/x86/include/uapi/asm/sigcontext.h, which glibc's headers exclude. */
#define XSTATE_MAGIC1 0x46505853u
#define XSTATE_MAGIC2 0x46505845u
#define XSTATE_SOFTWARE 464 /* the kernel describes here what follows */
#define XSTATE_HEADER 512
#define XSTATE_MIN (XSTATE_HEADER + 64)
#define XFEATURE_TILE_DATA 18
#define MAX_XSTATE (64 << 10)

struct xstate_software {
	uint32_t magic1;
	uint32_t extended_size;
	uint64_t features;
	uint32_t xstate_size;
	uint32_t padding[7];
};
_Static_assert(XSTATE_SOFTWARE + sizeof(struct xstate_software) == XSTATE_HEADER, "struct _fpx_sw_bytes");

/* arch/x86/include/uapi/asm/ucontext.h */
#define UC_FP_XSTATE 0x1
#define UC_SIGCONTEXT_SS 0x2
#define UC_STRICT_RESTORE_SS 0x4
/* The kernel reads no more of it. */
#define UCONTEXT_BYTES (offsetof(ucontext_t, uc_sigmask) + sizeof(uint64_t))
/* It takes none of these for an alternate stack: the thread keeps the one that it has, which nobody can ask for. */
#define SS_INVALID 0x1000

/*
 * What `ret` behind a system call comes to, and then rt_sigreturn(2), with the stack pointer at the ucontext, which
 * follows. With the C library's instructions for it, only the last word is used.
 */
struct chain {
	uint64_t load, nr, last;
};

/*
 * What of the registers is restored: the state of AMX tiles only where it is in use, since the kernel gives a thread
 * room for it on demand, and takes no frame that is larger than the thread's own.
 */
static uint64_t features_of(const char *xstate)
{
	uint64_t has, used;

	memcpy(&has, xstate + XSTATE_SOFTWARE, sizeof(has));
	memcpy(&used, xstate + XSTATE_HEADER, sizeof(used));
	return used >> XFEATURE_TILE_DATA & 1 ? has : has & ~(UINT64_C(1) << XFEATURE_TILE_DATA);
}

static size_t size_of(uint64_t features)
{
	unsigned int size, offset, c, d;
	size_t end = XSTATE_MIN;

	for (unsigned int i = 2; i < 63; i++)
		if (features >> i & 1 && __get_cpuid_count(0xd, i, &size, &offset, &c, &d))
			end = MAX(end, (size_t)offset + size);
	return end;
}

static int read_xstate(pid_t tid, char *buf, size_t *ret_size)
{
	struct xstate_software sw = { .magic1 = XSTATE_MAGIC1 };
	const uint32_t magic2 = XSTATE_MAGIC2;
	size_t len = MAX_XSTATE;
	int r = trace_get_regs(tid, NT_X86_XSTATE, buf, &len);

	if (r < 0 || len < XSTATE_MIN)
		return r == -ESRCH ? r : -ENOTSUP;
	sw.features = features_of(buf);
	sw.xstate_size = size_of(sw.features);
	sw.extended_size = sw.xstate_size + sizeof(magic2);
	if (sw.xstate_size > len)
		return -ENOTSUP;
	memcpy(buf + XSTATE_SOFTWARE, &sw, sizeof(sw));
	memcpy(buf + sw.xstate_size, &magic2, sizeof(magic2));
	*ret_size = sw.extended_size;
	return 0;
}

/*
 * As the kernel itself would restart an interrupted call. It can't do that for those which it restarts by
 * restart_syscall(2): rt_sigreturn(2) has them fail with EINTR, as after a signal handler.
 */
static void resume_call(uint64_t orig_rax, greg_t *gregs)
{
	if ((int64_t)orig_rax < 0)
		return;
	switch (-gregs[REG_RAX]) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
		gregs[REG_RAX] = (greg_t)orig_rax;
		break;
	case ERESTART_RESTARTBLOCK:
		gregs[REG_RAX] = __NR_restart_syscall;
		break;
	default:
		return;
	}
	gregs[REG_RIP] -= 2;
}

static void fill_ucontext(const struct user_regs_struct *u, uint64_t mask, uint64_t xstate, ucontext_t *uc)
{
	const greg_t gregs[] = {
		[REG_R8] = (greg_t)u->r8,
		[REG_R9] = (greg_t)u->r9,
		[REG_R10] = (greg_t)u->r10,
		[REG_R11] = (greg_t)u->r11,
		[REG_R12] = (greg_t)u->r12,
		[REG_R13] = (greg_t)u->r13,
		[REG_R14] = (greg_t)u->r14,
		[REG_R15] = (greg_t)u->r15,
		[REG_RDI] = (greg_t)u->rdi,
		[REG_RSI] = (greg_t)u->rsi,
		[REG_RBP] = (greg_t)u->rbp,
		[REG_RBX] = (greg_t)u->rbx,
		[REG_RDX] = (greg_t)u->rdx,
		[REG_RAX] = (greg_t)u->rax,
		[REG_RCX] = (greg_t)u->rcx,
		[REG_RSP] = (greg_t)u->rsp,
		[REG_RIP] = (greg_t)u->rip,
		[REG_EFL] = (greg_t)u->eflags,
		[REG_CSGSFS] = (greg_t)(u->cs | u->gs << 16 | u->fs << 32 | u->ss << 48),
	};

	uc->uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	uc->uc_stack.ss_flags = SS_INVALID;
	memcpy(uc->uc_mcontext.gregs, gregs, sizeof(gregs));
	resume_call(u->orig_rax, uc->uc_mcontext.gregs);
	memcpy(&uc->uc_mcontext.fpregs, &xstate, sizeof(xstate));
	memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
}

int way_back_make(pid_t tid, const struct regs *regs, uint64_t mask, const struct gadgets *g, struct way_back *ret)
{
	_cleanup_free_ char *xstate = calloc(1, MAX_XSTATE + sizeof(uint32_t));
	const struct chain chain = { g->load, __NR_rt_sigreturn, g->restore ?: g->call };
	ucontext_t uc = {};
	uint64_t at;
	size_t size;
	char *bytes;
	int r = xstate ? read_xstate(tid, xstate, &size) : -ENOMEM;

	if (r < 0)
		return r;
	/* XRSTOR wants 64. */
	at = round_down(regs_sp(regs) - RED_ZONE - size, 64);
	ret->addr = round_down(at - sizeof(chain) - UCONTEXT_BYTES, 16);
	ret->len = at + size - ret->addr;
	fill_ucontext(user_of(regs), mask, at, &uc);
	bytes = calloc(1, ret->len);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, &chain, sizeof(chain));
	memcpy(bytes + sizeof(chain), &uc, UCONTEXT_BYTES);
	memcpy(bytes + (at - ret->addr), xstate, size);
	ret->bytes = bytes;
	return 0;
}

void regs_go_back(const struct regs *old, const struct gadgets *g, const struct way_back *back, struct regs *ret)
{
	*ret = *old;
	user(ret)->orig_rax = (uint64_t)-1;
	user(ret)->rip = g->restore ?: g->load;
	user(ret)->rsp = back->addr + (g->restore ? sizeof(struct chain) : offsetof(struct chain, nr));
}

void regs_call(const struct regs *old, const struct gadgets *g, const struct way_back *back, long nr,
	       const uint64_t args[6], struct regs *ret)
{
	struct user_regs_struct *u = user(ret);

	*ret = *old;
	u->orig_rax = (uint64_t)-1;
	u->rip = g->call;
	u->rsp = back->addr + (g->restore ? offsetof(struct chain, last) : 0);
	u->rax = (uint64_t)nr;
	u->rdi = args[0];
	u->rsi = args[1];
	u->rdx = args[2];
	u->r10 = args[3];
	u->r8 = args[4];
	u->r9 = args[5];
}
#endif
