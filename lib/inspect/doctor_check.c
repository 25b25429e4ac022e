// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a check of the doctor found: its texts, its row, and the names of layers. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/inspect/doctor_check.h"

const char *doctor_text(struct uffdctl_doctor *d, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		text = NULL;
	return (text ? strpool_get(&d->pool, text) : NULL) ?: "";
}

void doctor_add(struct uffdctl_doctor *d, const char *group, const char *name, const struct finding *f)
{
	struct uffdctl_check *c = vec_add(d->checks, d->nr_checks, d->checks_alloc);

	if (c)
		*c = (struct uffdctl_check){ .group = group,
					     .name = name,
					     .ok = f->ok,
					     .layers = f->ok == 1 ? 0 : f->layers,
					     .detail = f->detail ?: "",
					     .remedy = f->ok == 1 ? NULL : f->remedy };
}

UFFDCTL_EXPORT const char *uffdctl_layer_name(unsigned int bit)
{
	static const char *const names[] = { "file",   "setup",	   "sysctl", "capability", "user_ns",
					     "yama",   "seccomp",  "lsm",    "lockdown",   "cgroup",
					     "kernel", "resource", "target", "build" };

	return bit < ARRAY_SIZE(names) ? names[bit] : NULL;
}
