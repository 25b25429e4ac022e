// SPDX-License-Identifier: GPL-2.0-or-later
/* PID [RANGE...] as the arguments of a command that looks. */
#include <errno.h>

#include "cmd/options.h"
#include "cmd/pids.h"
#include "cmd/place.h"
#include "cmd/values.h"

static error_t parse_argument(struct place *p, const char *arg, const struct argp_state *state)
{
	if (state->arg_num == 0)
		return parse_pid(state, arg, &p->pid, &p->name);
	if (!p->ranges && uffdctl_ranges_new(invocation_of(state)->context, &p->ranges) < 0)
		return ENOMEM;
	return uffdctl_ranges_add(p->ranges, arg) < 0 ? EINVAL : 0;
}

static error_t parse_place(int key, char *arg, struct argp_state *state)
{
	struct place *p = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		return parse_argument(p, arg, state);
	case ARGP_KEY_END:
		return p->pid || p->name ? 0 : usage_error(state, "no PID given: write a PID or %%NAME, see uffdctl list");
	case ARGP_KEY_ERROR:
		uffdctl_ranges_free(p->ranges);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp place_argp = { .parser = parse_place };

int place_open(struct place *p, struct invocation *inv)
{
	int r = pid_find(inv, p->name, &p->pid);

	inv->messages.pid = p->pid;
	return r < 0 ? r : uffdctl_target_open(inv->context, p->pid, &p->target);
}

void place_close(struct place *p)
{
	uffdctl_target_close(p->target);
	uffdctl_ranges_free(p->ranges);
}
