// SPDX-License-Identifier: LGPL-2.1-or-later
/* A program that is started, and held before its first instruction until something is arranged for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/kernel/launch.h"
#include "lib/kernel/target.h"
#include "lib/log.h"
#include "lib/util.h"

struct uffdctl_child {
	struct uffdctl *u;
	struct launched l;
};

static int fail_start(struct uffdctl *u, int err, const char *name, const char *step)
{
	_cleanup_free_ char *text = escaped(name);

	if (err == -EOPNOTSUPP)
		return fail(u, err, "%s: only a 64-bit program, on x86-64 or arm64, can be held before it begins, so far", text);
	return fail(u, err, "%s: %s%s%s", text, step ?: "", step ? ": " : "", strerror(-err));
}

UFFDCTL_EXPORT int uffdctl_child_start(struct uffdctl *u, char *const argv[], struct uffdctl_child **ret)
{
	struct uffdctl_child *c = calloc(1, sizeof(*c));
	const char *step;
	int r;

	if (!c)
		return log_oom(u);
	c->u = u;
	r = launch(argv, &c->l, &step);
	if (r < 0) {
		free(c);
		return fail_start(u, r, argv[0], step);
	}
	*ret = c;
	return 0;
}

UFFDCTL_EXPORT pid_t uffdctl_child_pid(const struct uffdctl_child *c)
{
	return c->l.pid;
}

UFFDCTL_EXPORT int uffdctl_child_target(struct uffdctl_child *c, struct uffdctl_target **ret)
{
	int r = uffdctl_target_open(c->u, c->l.pid, ret);

	if (r >= 0)
		(*ret)->held = &c->l;
	return r;
}

UFFDCTL_EXPORT int uffdctl_child_let_go(struct uffdctl_child *c)
{
	int r = launch_let_go(&c->l);

	return r < 0 ? fail(c->u, r, "%d: letting the program go: %s", c->l.pid, strerror(-r)) : 0;
}

UFFDCTL_EXPORT int uffdctl_child_wait(struct uffdctl_child *c)
{
	int r = launch_wait(&c->l);

	return r < 0 ? fail(c->u, r, "%d: waiting for it: %s", c->l.pid, strerror(-r)) : 0;
}

UFFDCTL_EXPORT int uffdctl_child_end(struct uffdctl_child *c)
{
	int status;

	if (!c)
		return 0;
	launch_bury(&c->l);
	status = WIFSIGNALED(c->l.status) ? 128 + WTERMSIG(c->l.status) : WEXITSTATUS(c->l.status);
	free(c);
	return status;
}
