// SPDX-License-Identifier: LGPL-2.1-or-later
/* What each command needs, and whether that is there. */
#include <errno.h>
#include <string.h>

#include "lib/inspect/doctor_need.h"

#define ON_TARGET (CHECK(PROC) | CHECK(PTRACE_READ))
#define ON_UFFD (ON_TARGET | CHECK(PIDFD_GETFD))
#define BACKENDS (CHECK(WATCH_TRACEPOINT) | CHECK(WATCH_FENTRY) | CHECK(WATCH_KPROBE) | CHECK(WATCH_SCHED))

#define LESS_UFFD "which userfaultfd governs the memory, and owns a range, is found out by trying, or not known"

static const struct need needs[] = {
	{ .command = "list",
	  .any = CHECK(PROC) | CHECK(BPF_ITERATORS),
	  .better = CHECK(BPF_ITERATORS) | CHECK(OTHER_USERS) | CHECK(KCMP),
	  .less = "processes of others, owners or registered bytes are not known" },
	{ .command = "pending",
	  .any = CHECK(PROC) | CHECK(BPF_ITERATORS),
	  .better = CHECK(BPF_ITERATORS) | CHECK(OTHER_USERS),
	  .less = "waiters of others, or what a thread waits for, are not known" },
	{ .command = "smaps",
	  .all = ON_TARGET,
	  .better = CHECK(BPF_ITERATORS) | CHECK(PROCMAP_QUERY),
	  .less = "owners are not known, or it takes longer" },
	{ .command = "pages",
	  .all = ON_TARGET | CHECK(PAGEMAP),
	  .better = CHECK(PAGEMAP_SCAN) | CHECK(PROCMAP_QUERY) | CHECK(CACHESTAT) | CHECK(MAP_FILES),
	  .less = "more pages of files are unknown, or it takes longer" },
	{ .command = "peek",
	  .all = ON_TARGET | CHECK(PAGEMAP),
	  .better = CHECK(PAGEMAP_SCAN) | CHECK(PROCMAP_QUERY) | CHECK(CACHESTAT) | CHECK(MAP_FILES),
	  .less = "fewer files behind mappings can be read" },
	{ .command = "register",
	  .all = ON_UFFD,
	  .better = CHECK(BPF_ITERATORS) | CHECK(UFFD_FEATURES),
	  .flags = NEED_MEMORY | NEED_ATTACH | NEED_REGISTERS | NEED_INJECTS,
	  .less = LESS_UFFD },
	{ .command = "unregister",
	  .all = ON_UFFD,
	  .better = CHECK(BPF_ITERATORS),
	  .flags = NEED_ATTACH,
	  .less = LESS_UFFD },
	{ .command = "continue",
	  .all = ON_UFFD,
	  .better = CHECK(UFFD_FEATURES) | CHECK(PAGEMAP) | CHECK(PROCESS_VM) | CHECK(BPF_ITERATORS) |
		    CHECK(PAGEMAP_SCAN) | CHECK(OWN_PAGEMAP) | CHECK(PROCMAP_QUERY) | CHECK(MAP_FILES),
	  .flags = NEED_MEMORY | NEED_HUGEPAGES | NEED_ATTACH,
	  .modes = UFFDCTL_MODE_MINOR,
	  .marks = UFFDCTL_MODE_WP | UFFDCTL_MODE_RWP,
	  .less = "--from works for fewer mappings, only with --force, or not at all" },
	{ .command = "copy",
	  .all = ON_UFFD,
	  .better = CHECK(BPF_ITERATORS) | CHECK(PAGEMAP) | CHECK(PAGEMAP_SCAN),
	  .flags = NEED_MEMORY | NEED_HUGEPAGES | NEED_ATTACH,
	  .modes = UFFDCTL_MODE_MISSING,
	  .marks = UFFDCTL_MODE_RWP,
	  .less = LESS_UFFD },
	{ .command = "zeropage",
	  .all = ON_UFFD,
	  .better = CHECK(BPF_ITERATORS),
	  .flags = NEED_MEMORY | NEED_ATTACH,
	  .modes = UFFDCTL_MODE_MISSING,
	  .marks = UFFDCTL_MODE_RWP,
	  .less = LESS_UFFD },
	{ .command = "poison",
	  .all = ON_UFFD,
	  .better = CHECK(BPF_ITERATORS),
	  .flags = NEED_MEMORY | NEED_ATTACH,
	  .modes = UFFDCTL_MODE_MISSING | UFFDCTL_MODE_MINOR,
	  .ioctl = UFFDIO_POISON,
	  .less = LESS_UFFD },
	{ .command = "writeprotect",
	  .all = ON_UFFD,
	  .better = CHECK(BPF_ITERATORS),
	  .flags = NEED_MEMORY | NEED_ATTACH,
	  .modes = UFFDCTL_MODE_WP,
	  .ioctl = UFFDIO_WRITEPROTECT,
	  .less = LESS_UFFD },
	{ .command = "rwprotect",
	  .all = ON_UFFD,
	  .better = CHECK(BPF_ITERATORS),
	  .flags = NEED_MEMORY | NEED_ATTACH,
	  .modes = UFFDCTL_MODE_RWP,
	  .ioctl = UFFDIO_RWPROTECT,
	  .less = LESS_UFFD },
	{ .command = "wake", .all = ON_UFFD, .better = CHECK(BPF_ITERATORS), .flags = NEED_ATTACH, .less = LESS_UFFD },
	{ .command = "zap",
	  .all = ON_TARGET | CHECK(PTRACE),
	  .better = CHECK(BPF_ITERATORS) | CHECK(PAGEMAP) | CHECK(PAGEMAP_SCAN),
	  .flags = NEED_ZAPS,
	  .less = "memory without BPF is refused, or it is not known how much was mapped" },
	{ .command = "serve",
	  .all = ON_UFFD,
	  .better = CHECK(UFFD_FEATURES) | CHECK(PAGEMAP) | CHECK(PROCESS_VM) | CHECK(BPF_ITERATORS) |
		    CHECK(PAGEMAP_SCAN) | CHECK(OWN_PAGEMAP) | CHECK(PROCMAP_QUERY) | CHECK(MAP_FILES),
	  .flags = NEED_MEMORY | NEED_HUGEPAGES | NEED_ATTACH | NEED_INJECTS,
	  .blind = "only with --force: without bpf-iterators it is not known who reads the messages",
	  .less = "it works for fewer mappings, or not with contents" },
	{ .command = "watch", .all = CHECK(BPF_MAP) | CHECK(BPF_PROGRAM) | CHECK(BPF_ITERATORS), .any = BACKENDS },
	{ .command = "report" },
	{ .command = "set" },
	{ .command = "doctor" },
};

const struct need *need_of(const char *command)
{
	for (size_t i = 0; command && i < ARRAY_SIZE(needs); i++)
		if (!strcmp(needs[i].command, command))
			return &needs[i];
	return NULL;
}

UFFDCTL_EXPORT const char *uffdctl_doctor_command(unsigned int i)
{
	return i < ARRAY_SIZE(needs) ? needs[i].command : NULL;
}

uint64_t need_checks(const struct need *n)
{
	/* The ways to a userfaultfd explain why there are no features. */
	uint64_t ways = CHECK(UFFD_DEVICE) | CHECK(UFFD_SYSCALL) | CHECK(UFFD_USER_MODE),
		 ids = n->all | n->any | n->better;

	return ids | (ids & (CHECK(UFFD_FEATURES) | CHECK(BPF_ITERATORS)) || n->flags & NEED_MEMORY ? ways : 0);
}

/* ---- the verdict ---- */

/* The first one of these that is not there: false, or true if it is only not known; NULL: all are there. */
static const struct finding *lacking(const struct uffdctl_doctor *d, uint64_t ids, uint64_t ok, const char **ret_name)
{
	for (enum check_id id = 0; id < NR_CHECKS; id++)
		if (ids >> id & 1 && d->found[id].ok == ok) {
			*ret_name = doctor_check_name(id);
			return &d->found[id];
		}
	return NULL;
}

static bool has_one(const struct uffdctl_doctor *d, uint64_t ids)
{
	for (enum check_id id = 0; id < NR_CHECKS; id++)
		if (ids >> id & 1 && d->found[id].ok == 1)
			return true;
	return !ids;
}

static struct finding refused(struct uffdctl_doctor *d, const struct finding *f, const char *name)
{
	return (struct finding){ .ok = f->ok,
				 .layers = f->layers,
				 .detail = doctor_text(d, "%s (%s)", f->detail, name),
				 .remedy = f->remedy };
}

struct finding need_no_ioctl(struct uffdctl_doctor *d)
{
	return found_no(UFFDCTL_LAYER_KERNEL,
			doctor_text(d, "userfaultfd of this kernel has no ioctl %s",
				    uffdctl_ioctl_name(_IOC_NR(d->need->ioctl))),
			NULL);
}

/* @works: "it works", with what must be said of the process */
static struct finding accepted(struct uffdctl_doctor *d, const struct need *n, const char *works)
{
	const struct finding *f;
	const char *name, *all = NULL;
	struct finding ret = found_yes(works);

	if (n->blind && d->found[CHECK_BPF_ITERATORS].ok != 1)
		ret.detail = works = doctor_text(d, "%s, %s", works, n->blind);
	for (enum check_id id = 0; id < NR_CHECKS; id++)
		if (n->better >> id & 1 && d->found[id].ok != 1 && !(n->blind && id == CHECK_BPF_ITERATORS))
			all = all ? doctor_text(d, "%s, %s", all, doctor_check_name(id)) : doctor_check_name(id);
	f = lacking(d, n->better, 0, &name);
	ret.remedy = f ? f->remedy : NULL;
	if (all)
		ret.detail = doctor_text(d, "%s; without %s, %s", works, all, n->less);
	return ret;
}

static struct finding judge(struct uffdctl_doctor *d, const struct need *n, const struct finding *target)
{
	/* What a process of ours permits does not matter where that process itself was asked. */
	uint64_t all = d->pid ? n->all & ~(CHECK(PTRACE_READ) | CHECK(PIDFD_GETFD) | CHECK(PTRACE)) : n->all;
	_cleanup_close_ int uffd = -1;
	const struct finding *f;
	const char *name;

	if ((f = lacking(d, all, 0, &name)))
		return refused(d, f, name);
	if (!target->ok)
		return *target;
	if (!d->pid && n->ioctl && doctor_uffd(d, 0, &uffd) == 0 && !uffd_has_ioctl(uffd, n->ioctl))
		return need_no_ioctl(d);
	if (!has_one(d, n->any) && (f = lacking(d, n->any, 0, &name)))
		return refused(d, f, name);
	if ((f = lacking(d, all, UFFDCTL_UNKNOWN, &name)))
		return refused(d, f, name);
	return target->ok == 1 ? accepted(d, n, target->detail) : *target;
}

void need_judge(struct uffdctl_doctor *d, const struct finding *target)
{
	struct finding f = judge(d, d->need, target);
	struct uffdctl_check last;

	doctor_add(d, "verdict", d->need->command, &f);
	d->verdict = f.ok;
	if (!d->nr_checks)
		return;
	/* The answer comes first. */
	last = d->checks[d->nr_checks - 1];
	last.remedy = f.remedy;
	memmove(d->checks + 1, d->checks, (d->nr_checks - 1) * sizeof(*d->checks));
	d->checks[0] = last;
}
