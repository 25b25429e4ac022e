// SPDX-License-Identifier: GPL-2.0-or-later
/* PID... as the arguments of a command. */
#include <errno.h>
#include <stdlib.h>

#include "cmd/pids.h"
#include "cmd/values.h"

static error_t add_pid(struct pids *p, const char *arg, const struct argp_state *state)
{
	pid_t *list = reallocarray(p->list, p->nr + 1, sizeof(*list));
	const char **names;

	if (!list)
		return ENOMEM;
	p->list = list;
	names = reallocarray(p->names, p->nr + 1, sizeof(*names));
	if (!names)
		return ENOMEM;
	p->names = names;
	p->nr++;
	return parse_pid(state, arg, &list[p->nr - 1], &names[p->nr - 1]);
}

static error_t parse_pids(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_ARG:
		return add_pid(state->input, arg, state);
	case ARGP_KEY_ERROR:
		pids_free(state->input);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp pids_argp = { .parser = parse_pids };

int pid_find(struct invocation *inv, const char *name, pid_t *ret)
{
	return name ? uffdctl_find_process(inv->context, name, ret) : 0;
}

int pids_find(struct pids *p, struct invocation *inv)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < p->nr; i++) {
		r = pid_find(inv, p->names[i], &p->list[i]);
		if (r >= 0)
			p->names[i] = NULL;
	}
	return r;
}

int pids_check(struct pids *p, struct invocation *inv)
{
	bool is_first = !p->held;
	int r = pids_find(p, inv);

	if (r < 0)
		return r;

	/* Kept open, so that a recycled PID is not taken for the same process. */
	if (is_first)
		p->held = calloc(p->nr + 1, sizeof(struct uffdctl_target *));
	if (!p->held) {
		error(&inv->messages, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < p->nr; i++) {
		inv->messages.pid = p->list[i];
		if ((is_first ? uffdctl_target_open(inv->context, p->list[i], &p->held[i])
			      : uffdctl_target_check(p->held[i])) < 0)
			r = -ENOENT;
	}
	inv->messages.pid = p->nr == 1 ? p->list[0] : 0;
	return r;
}

void pids_free(struct pids *p)
{
	for (size_t i = 0; p->held && i < p->nr; i++)
		uffdctl_target_close(p->held[i]);
	free(p->held);
	free(p->list);
	free(p->names);
}
