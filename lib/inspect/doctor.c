// SPDX-License-Identifier: LGPL-2.1-or-later
/* The doctor: what this kernel lets this user do, found out by doing it. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/inspect/doctor.h"
#include "lib/log.h"
#include "lib/opts.h"

/* What each command of uffdctl(1) needs. */
static const struct {
	const char *command;
	unsigned int needs;
} commands[] = {
	{ "list", NEED_INSPECT },
	{ "pending", NEED_INSPECT },
	{ "smaps", NEED_INSPECT },
	{ "watch", NEED_WATCH },
	{ "register", NEED_DESCRIPTOR },
	{ "unregister", NEED_DESCRIPTOR },
	{ "continue", NEED_DESCRIPTOR },
	{ "copy", NEED_DESCRIPTOR },
	{ "zeropage", NEED_DESCRIPTOR },
	{ "wake", NEED_DESCRIPTOR },
	{ "pages", 0 },
	{ "peek", 0 },
};

const char *doctor_text(struct uffdctl_doctor *d, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	const char *kept = NULL;
	va_list ap;

	if (!fmt)
		return NULL;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		kept = strpool_get(&d->strings, text);
	d->oom |= !kept;
	return kept;
}

void doctor_add(struct uffdctl_doctor *d, const char *name, unsigned int needs, enum uffdctl_verdict verdict,
		const char *detail, const char *remedy)
{
	struct uffdctl_check *c = vec_add(d->checks, d->nr_checks, d->checks_alloc);

	d->oom |= !c;
	if (c)
		*c = (struct uffdctl_check){ name, verdict, needs & d->needs, detail, remedy };
}

/* What a report of a bug begins with. */
static void who_and_where(struct uffdctl_doctor *d)
{
	struct utsname name;

	uname(&name);
	doctor_add(d, "kernel", 0, UFFDCTL_YES, doctor_text(d, "%s %s %s", name.sysname, name.release, name.machine),
		   NULL);
	doctor_add(d, "user", 0, UFFDCTL_YES,
		   doctor_text(d, "uid %u, CapEff %016" PRIx64 "%s, uffdctl %s", geteuid(), d->limits.caps,
			       d->limits.init_userns ? "" : " in a user namespace", uffdctl_version()),
		   NULL);
}

static int needs_of(struct uffdctl *u, const char *command, unsigned int *ret)
{
	*ret = ~0u;
	if (!command)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].command, command)) {
			*ret = commands[i].needs | NEED_PROCESS;
			return 0;
		}
	return fail(u, -EINVAL, "doctor knows no command \"%s\"", command);
}

UFFDCTL_EXPORT bool uffdctl_doctor_knows(const char *command)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].command, command))
			return true;
	return false;
}

UFFDCTL_EXPORT int uffdctl_doctor(struct uffdctl *u, const struct uffdctl_doctor_opts *opts,
				  struct uffdctl_doctor **ret)
{
	static void (*const find[])(struct uffdctl_doctor *) = { who_and_where,	   doctor_uffd, doctor_memory,
								 doctor_processes, doctor_bpf,	doctor_kernel,
								 doctor_target };
	struct uffdctl_doctor_opts o;
	struct uffdctl_doctor *d;
	uffdctl_log_fn fn;
	unsigned int needs;
	int r = OPTS_GET(u, opts, &o);

	r = r < 0 ? r : needs_of(u, o.command, &needs);
	if (r < 0)
		return r;
	d = calloc(1, sizeof(*d));
	if (!d)
		return log_oom(u);
	d->u = u;
	d->needs = needs;
	d->pid = o.pid;
	limits_read(&d->limits);
	/* What fails is a finding, not an error: its text is kept, and not logged. */
	fn = u->log_fn;
	u->log_fn = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(find); i++)
		find[i](d);
	u->log_fn = fn;
	if (d->oom) {
		uffdctl_doctor_free(d);
		return log_oom(u);
	}
	*ret = d;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_doctor_free(struct uffdctl_doctor *d)
{
	if (!d)
		return;
	free(d->checks);
	free(d->memories);
	free(d->mappings);
	strpool_free(&d->strings);
	free(d);
}

UFFDCTL_EXPORT size_t uffdctl_doctor_checks(const struct uffdctl_doctor *d)
{
	return d->nr_checks;
}

UFFDCTL_EXPORT const struct uffdctl_check *uffdctl_doctor_check(const struct uffdctl_doctor *d, size_t i)
{
	return i < d->nr_checks ? &d->checks[i] : NULL;
}

UFFDCTL_EXPORT size_t uffdctl_doctor_memories(const struct uffdctl_doctor *d)
{
	return d->nr_memories;
}

UFFDCTL_EXPORT const struct uffdctl_memory_check *uffdctl_doctor_memory(const struct uffdctl_doctor *d, size_t i)
{
	return i < d->nr_memories ? &d->memories[i] : NULL;
}

UFFDCTL_EXPORT size_t uffdctl_doctor_mappings(const struct uffdctl_doctor *d)
{
	return d->nr_mappings;
}

UFFDCTL_EXPORT const struct uffdctl_mapping_check *uffdctl_doctor_mapping(const struct uffdctl_doctor *d, size_t i)
{
	return i < d->nr_mappings ? &d->mappings[i] : NULL;
}

UFFDCTL_EXPORT enum uffdctl_verdict uffdctl_doctor_verdict(const struct uffdctl_doctor *d)
{
	enum uffdctl_verdict verdict = UFFDCTL_YES;

	for (size_t i = 0; i < d->nr_checks; i++) {
		if (d->checks[i].needed && d->checks[i].verdict == UFFDCTL_NO)
			return UFFDCTL_NO;
		if (d->checks[i].needed && d->checks[i].verdict == UFFDCTL_NOT_KNOWN)
			verdict = UFFDCTL_NOT_KNOWN;
	}
	return verdict;
}
