// SPDX-License-Identifier: LGPL-2.1-or-later
/* The doctor: what this kernel and this user can do, found out by doing it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/inspect/doctor_need.h"
#include "lib/kernel/proc.h"
#include "lib/log.h"
#include "lib/opts.h"

/* ---- the heading ---- */

static void add_fact(struct uffdctl_doctor *d, const char *name, const char *value)
{
	struct uffdctl_fact *f = vec_add(d->facts, d->nr_facts, d->facts_alloc);

	if (f)
		*f = (struct uffdctl_fact){ name, value };
}

/* "cap_bpf,cap_perfmon": those that are set, or not set. */
static const char *caps_where(struct uffdctl_doctor *d, bool set, unsigned int *ret_nr)
{
	const char *text = "";

	*ret_nr = 0;
	for (unsigned int cap = 0; cap_name(cap); cap++)
		if ((d->own.caps >> cap & 1) == set)
			text = doctor_text(d, "%s%scap_%s", text, (*ret_nr)++ ? "," : "", cap_name(cap));
	return text;
}

static const char *caps_text(struct uffdctl_doctor *d)
{
	unsigned int has, lacks;
	const char *with = caps_where(d, true, &has), *without = caps_where(d, false, &lacks);

	if (!d->own.known)
		return "not known: /proc can't be read";
	if (!has || !lacks)
		return has ? "all" : "none";
	return has > lacks ? doctor_text(d, "all but %s", without) : with;
}

static const char *or_unknown(const char *text, bool known)
{
	return known ? *text ? text : "none" : "not known";
}

static const char *confined_text(struct uffdctl_doctor *d)
{
	static const char *const seccomp[] = { "none", "strict", "filter" };
	const struct confinement *c = &d->own;
	const struct settings *s = &d->settings;

	return doctor_text(d, "seccomp %s, user namespace %s, no_new_privs %s, lockdown %s, LSMs %s%s%s",
			   c->seccomp >= 0 && c->seccomp < 3 ? seccomp[c->seccomp] : "not known",
			   c->other_user_ns < 0 ? "not known"
			   : c->other_user_ns	? "its own"
						: "initial",
			   c->no_new_privs < 0 ? "not known"
			   : c->no_new_privs   ? "set"
					       : "not set",
			   or_unknown(s->lockdown, s->lockdown_known), or_unknown(s->lsms, s->lsms_known),
			   *c->label ? ", label " : "", c->label);
}

static void add_facts(struct uffdctl_doctor *d)
{
	struct utsname un;

	add_fact(d, "uffdctl", uffdctl_version());
	if (uname(&un) == 0)
		add_fact(d, "kernel", doctor_text(d, "%s %s %s, %s", un.sysname, un.release, un.machine, un.version));
	add_fact(d, "user", doctor_text(d, "%s (%u)", d->user, geteuid()));
	add_fact(d, "capabilities", caps_text(d));
	add_fact(d, "confinement", confined_text(d));
}

/* ---- the checks ---- */

#define WATCH_CHECK(id)                                            \
	static struct finding check_##id(struct uffdctl_doctor *d) \
	{                                                          \
		return check_watch(d, CHECK_##id);                 \
	}

WATCH_CHECK(WATCH_TRACEPOINT)
WATCH_CHECK(WATCH_FENTRY)
WATCH_CHECK(WATCH_KPROBE)
WATCH_CHECK(WATCH_SCHED)

static const struct {
	const char *group, *name;
	check_fn fn;
} defs[NR_CHECKS] = {
	[CHECK_UFFD_DEVICE] = { "userfaultfd", "userfaultfd-device", check_uffd_device },
	[CHECK_UFFD_SYSCALL] = { "userfaultfd", "userfaultfd-syscall", check_uffd_syscall },
	[CHECK_UFFD_USER_MODE] = { "userfaultfd", "userfaultfd-user-mode", check_uffd_user_mode },
	[CHECK_UFFD_FEATURES] = { "userfaultfd", "userfaultfd-features", check_uffd_features },
	[CHECK_PROC] = { "processes", "proc", check_proc },
	[CHECK_PTRACE_READ] = { "processes", "ptrace-read", check_ptrace_read },
	[CHECK_PIDFD_GETFD] = { "processes", "pidfd-getfd", check_pidfd_getfd },
	[CHECK_PTRACE] = { "processes", "ptrace-attach", check_ptrace },
	[CHECK_PROCESS_VM] = { "processes", "process-vm", check_process_vm },
	[CHECK_KCMP] = { "processes", "kcmp", check_kcmp },
	[CHECK_OTHER_USERS] = { "processes", "other-users", check_other_users },
	[CHECK_BPF_MAP] = { "bpf", "bpf-map", check_bpf_map },
	[CHECK_BPF_PROGRAM] = { "bpf", "bpf-program", check_bpf_program },
	[CHECK_BPF_ITERATORS] = { "bpf", "bpf-iterators", check_bpf_iterators },
	[CHECK_WATCH_TRACEPOINT] = { "bpf", "watch-tracepoint", check_WATCH_TRACEPOINT },
	[CHECK_WATCH_FENTRY] = { "bpf", "watch-fentry", check_WATCH_FENTRY },
	[CHECK_WATCH_KPROBE] = { "bpf", "watch-kprobe", check_WATCH_KPROBE },
	[CHECK_WATCH_SCHED] = { "bpf", "watch-sched", check_WATCH_SCHED },
	[CHECK_PAGEMAP] = { "pages", "pagemap", check_pagemap },
	[CHECK_PAGEMAP_SCAN] = { "pages", "pagemap-scan", check_pagemap_scan },
	[CHECK_OWN_PAGEMAP] = { "pages", "own-pagemap", check_own_pagemap },
	[CHECK_PROCMAP_QUERY] = { "pages", "procmap-query", check_procmap_query },
	[CHECK_CACHESTAT] = { "pages", "cachestat", check_cachestat },
	[CHECK_MAP_FILES] = { "pages", "map-files", check_map_files },
};

const char *doctor_check_name(enum check_id id)
{
	return defs[id].name;
}

static void run_checks(struct uffdctl_doctor *d, uint64_t ids, unsigned int flags)
{
	for (enum check_id id = 0; id < NR_CHECKS; id++) {
		/* The table of kinds belongs behind the userfaultfds. */
		if (id == CHECK_PROC && flags & NEED_MEMORY)
			check_memory(d);
		if (id == CHECK_PROC && flags & NEED_HUGEPAGES)
			check_hugepages(d);
		if (!(ids >> id & 1))
			continue;
		d->found[id] = defs[id].fn(d);
		d->done |= UINT64_C(1) << id;
		doctor_add(d, defs[id].group, defs[id].name, &d->found[id]);
	}
}

/* ---- who we are ---- */

static void find_user(struct uffdctl_doctor *d)
{
	struct passwd pw, *found = NULL;
	char buf[4096];

	if (getpwuid_r(geteuid(), &pw, buf, sizeof(buf), &found) == 0 && found)
		snprintf(d->user, sizeof(d->user), "%s", found->pw_name);
	else
		snprintf(d->user, sizeof(d->user), "%u", geteuid());
}

static void find_ourselves(struct uffdctl_doctor *d)
{
	_cleanup_close_ int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ssize_t n = readlink("/proc/self/exe", d->exe, sizeof(d->exe) - 1);

	if (n <= 0)
		snprintf(d->exe, sizeof(d->exe), "$(command -v uffdctl)");
	find_user(d);
	confine_process(self, &d->own);
	settings_read(&d->settings);
	for (enum reach_call call = 0; d->own.seccomp != 0 && call < REACH_NR_CALLS; call++) {
		d->reach[call] = reach_try(call);
		if (d->reach[call] == REACH_KILLED)
			d->avoid |= 1u << call;
	}
	/* They make both calls when they are loaded. */
	if (d->avoid & (1u << REACH_BPF | 1u << REACH_USERFAULTFD))
		d->u->iter_err = -EPERM;
}

/* ---- together ---- */

static void diagnose(struct uffdctl_doctor *d)
{
	uint64_t ids = d->need ? need_checks(d->need) : (UINT64_C(1) << NR_CHECKS) - 1;
	unsigned int flags = d->need ? d->need->flags : NEED_MEMORY | NEED_HUGEPAGES;
	struct finding target = found_yes("it works");

	find_ourselves(d);
	add_facts(d);
	uffd_prepare(d);
	if (ids & (CHECK(WATCH_TRACEPOINT) | CHECK(WATCH_FENTRY) | CHECK(WATCH_KPROBE) | CHECK(WATCH_SCHED)))
		bpf_begin(d);
	access_prepare(d);
	run_checks(d, ids, flags);
	bpf_end(d);
	if (d->pid)
		target = check_target(d);
	d->verdict = 1;
	if (d->need)
		need_judge(d, &target);
}

static int new_doctor(struct uffdctl *u, const struct uffdctl_doctor_opts *o, struct uffdctl_doctor **ret)
{
	struct uffdctl_doctor *d = calloc(1, sizeof(*d));

	if (!d || uffdctl_new(&d->u) < 0) {
		free(d);
		return log_oom(u);
	}
	d->need = need_of(o->command);
	d->pid = o->pid;
	diagnose(d);
	*ret = d;
	return 0;
}

OPTS_CHECK(uffdctl_doctor_opts, flags);

UFFDCTL_EXPORT int uffdctl_doctor(struct uffdctl *u, const struct uffdctl_doctor_opts *opts,
				  struct uffdctl_doctor **ret)
{
	struct uffdctl_doctor_opts o;
	int r = OPTS_GET(u, opts, &o);

	if (r < 0)
		return r;
	if (o.flags || o.pid < 0 || (o.pid && !o.command) || (o.command && !need_of(o.command)))
		return fail(u, -EINVAL, "uffdctl_doctor: unknown command or flags, or a PID without a command");
	return new_doctor(u, &o, ret);
}

UFFDCTL_EXPORT void uffdctl_doctor_free(struct uffdctl_doctor *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < NR_BACKENDS; i++)
		free(d->backends[i].text);
	free(d->checks);
	free(d->facts);
	free(d->prospects);
	strpool_free(&d->pool);
	uffdctl_free(d->u);
	free(d);
}

UFFDCTL_EXPORT uint64_t uffdctl_doctor_verdict(const struct uffdctl_doctor *d)
{
	return d->verdict;
}

UFFDCTL_EXPORT const struct uffdctl_check *uffdctl_doctor_check(const struct uffdctl_doctor *d, size_t i)
{
	return i < d->nr_checks ? &d->checks[i] : NULL;
}

UFFDCTL_EXPORT const struct uffdctl_fact *uffdctl_doctor_fact(const struct uffdctl_doctor *d, size_t i)
{
	return i < d->nr_facts ? &d->facts[i] : NULL;
}

UFFDCTL_EXPORT const struct uffdctl_prospect *uffdctl_doctor_prospect(const struct uffdctl_doctor *d, size_t i)
{
	return i < d->nr_prospects ? &d->prospects[i] : NULL;
}
