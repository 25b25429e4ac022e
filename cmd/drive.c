// SPDX-License-Identifier: GPL-2.0-or-later
/* The common part of the commands that drive a process: PID RANGE..., the userfaultfd, results. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cmd/drive.h"
#include "cmd/interrupt.h"
#include "cmd/options.h"
#include "cmd/pids.h"
#include "cmd/values.h"

enum {
	OPT_DRY_RUN = 0x200,
	OPT_WAIT_LOCK,
};

static const struct argp_option drive_options[] = {
	{ "fd", 'f', "[PID:]FD", 0, "Use this userfaultfd; by default the only one, or the one that owns the ranges",
	  50 },
	/* From here on also without a userfaultfd. */
	{ "dry-run", OPT_DRY_RUN, NULL, 0, "Check everything, change nothing", 50 },
	{}
};

/* FD is a descriptor of the target; PID:FD, as in HOLDERS, of any process. */
static error_t parse_fd(struct drive_options *o, char *arg, const struct argp_state *state)
{
	char *colon = strrchr(arg, ':');

	o->has_fd = true;
	if (parse_number(colon ? colon + 1 : arg, &o->fd) < 0)
		return usage_error(state, "--fd=%s: write FD or PID:FD, as in the column HOLDERS of uffdctl smaps",
				   arg);
	if (!colon)
		return 0;
	*colon = '\0';
	return parse_pid(state, arg, &o->holder, &o->holder_name);
}

static error_t parse_argument(struct drive_options *o, const char *arg, const struct argp_state *state)
{
	bool is_command = o->takes_command && state->quoted && o->nr_quoted;

	if (is_command && state->next > state->argc - o->nr_quoted) {
		o->command = o->command ?: &state->argv[state->next - 1];
		return 0;
	}
	if (state->arg_num == 0 && !is_command)
		return parse_pid(state, arg, &o->pid, &o->name);
	if (!o->ranges && uffdctl_ranges_new(invocation_of(state)->context, &o->ranges) < 0)
		return ENOMEM;
	return uffdctl_ranges_add(o->ranges, arg) < 0 ? EINVAL : 0;
}

static error_t add_all(struct drive_options *o, const struct argp_state *state)
{
	if (uffdctl_ranges_new(invocation_of(state)->context, &o->ranges) < 0)
		return ENOMEM;
	return uffdctl_ranges_add(o->ranges, "all") < 0 ? ENOMEM : 0;
}

static error_t check_arguments(struct drive_options *o, const struct argp_state *state)
{
	if (o->finds_no_target)
		return o->pid || o->name
			       ? usage_error(state, "a PID and ranges were given, and no process is looked for")
			       : 0;
	if (!o->pid && !o->name && !o->command)
		return usage_error(state, "no PID given: write a PID or %%NAME, see uffdctl list");
	if (!o->ranges && o->needs_no_range)
		return 0;
	if (!o->ranges && o->all_by_default)
		return add_all(o, state);
	if (!o->ranges)
		return usage_error(state,
				   "no RANGE given: START-END, START+LEN, ADDRESS, @GLOB, :SYMBOL or all (see uffdctl(1))");
	return 0;
}

/* Arguments behind "--": argp moves those before it behind it, too. */
static int count_quoted(const struct argp_state *state)
{
	for (int i = 1; i < state->argc; i++)
		if (!strcmp(state->argv[i], "--"))
			return state->argc - i - 1;
	return 0;
}

static error_t parse_drive(int key, char *arg, struct argp_state *state)
{
	struct drive_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		o->nr_quoted = count_quoted(state);
		return 0;
	case 'f':
		return parse_fd(o, arg, state);
	case OPT_DRY_RUN:
		o->flags |= UFFDCTL_ACTION_DRY_RUN;
		return 0;
	case ARGP_KEY_ARG:
		return parse_argument(o, arg, state);
	case ARGP_KEY_END:
		return check_arguments(o, state);
	case ARGP_KEY_ERROR:
		uffdctl_ranges_free(o->ranges);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp drive_argp = { .options = drive_options, .parser = parse_drive };
const struct argp memory_argp = { .options = drive_options + 1, .parser = parse_drive };

static const struct argp_option lock_options[] = {
	{ "wait-lock", OPT_WAIT_LOCK, "TIME", 0,
	  "Wait up to TIME (such as 5s) for another command that changes the same memory; by default, fail at once",
	  50 },
	{}
};

static error_t parse_lock(int key, char *arg, struct argp_state *state)
{
	struct drive_options *o = state->input;

	if (key != OPT_WAIT_LOCK)
		return ARGP_ERR_UNKNOWN;
	if (parse_time(arg, &o->wait_lock_ns) < 0)
		return usage_error(state, "--wait-lock=%s: write a time such as 500ms, 5s or 2m", arg);
	return 0;
}

const struct argp lock_argp = { .options = lock_options, .parser = parse_lock };

/* ---- at work ---- */

static int is_interrupted(void *data)
{
	(void)data;
	return interrupted();
}

static uint64_t handle_flags(const struct drive_options *o)
{
	uint64_t flags = o->has_fd ? UFFDCTL_HANDLE_FD : 0;
	bool dry = o->flags & UFFDCTL_ACTION_DRY_RUN;

	if (o->handshake)
		flags |= dry ? UFFDCTL_HANDLE_HANDSHAKE_DRY : UFFDCTL_HANDLE_HANDSHAKE;
	if (o->inject)
		flags |= dry ? UFFDCTL_HANDLE_INJECT_DRY : UFFDCTL_HANDLE_INJECT;
	if (o->inject_own)
		flags |= UFFDCTL_HANDLE_INJECT_OWN;
	return flags;
}

static int open_handle(struct drive *d)
{
	const struct drive_options *o = d->options;
	const struct uffdctl_handle_opts opts = { sizeof(opts), o->ranges, handle_flags(o), o->holder, o->fd };
	int r = d->child ? uffdctl_child_target(d->child, &d->target)
			 : uffdctl_target_open(d->inv->context, o->pid, &d->target);

	if (r < 0 || d->needs_no_uffd)
		return r;
	r = uffdctl_handle_open(d->target, &opts, &d->handle);
	if (r >= 0)
		uffdctl_handle_wait_lock(d->handle, o->wait_lock_ns, is_interrupted, NULL);
	return r;
}

static int find_processes(struct drive *d)
{
	struct drive_options *o = d->options;
	int r = pid_find(d->inv, o->name, &o->pid);

	d->inv->messages.pid = o->pid;
	return r < 0 ? r : pid_find(d->inv, o->holder_name, &o->holder);
}

int run_drive(struct drive *d, int (*work)(struct drive *d))
{
	int r;

	/* An action is finished or stopped where it can report, and always reports. */
	interrupts_catch(false);
	r = find_processes(d);
	if (r >= 0)
		r = open_handle(d);
	if (r >= 0)
		r = work(d);
	if (r == -EINTR && d->if_interrupted)
		error(&d->inv->messages, "%d: %s", d->options->pid, d->if_interrupted);
	if ((d->inv->table && table_end(d->inv->table) < 0 && !d->inv->messages.reader_gone) || r < 0)
		d->failed = true;
	if ((d->handle || (d->target && d->needs_no_uffd)) && d->options->flags & UFFDCTL_ACTION_DRY_RUN)
		note(&d->inv->messages, "%d: dry run: nothing was changed", d->options->pid);
	uffdctl_handle_close(d->handle);
	uffdctl_target_close(d->target);
	uffdctl_ranges_free(d->options->ranges);
	return d->failed ? EXIT_UNDONE : EXIT_DONE;
}

struct uffdctl_action_opts drive_opts(struct drive *d)
{
	return (struct uffdctl_action_opts){
		.size = sizeof(struct uffdctl_action_opts),
		.flags = d->options->flags,
		.result = drive_result,
		.data = d,
	};
}

void drive_result(void *data, const struct uffdctl_result *result)
{
	struct drive *d = data;
	struct result_row row = { { d->options->pid, result->range },
				  result,
				  d->handle ? uffdctl_handle_fd(d->handle) : -1,
				  d->options->flags & UFFDCTL_ACTION_DRY_RUN };

	if (table_row(d->inv->table, &row) == -ENOMEM)
		d->failed = true;
	if (result->error)
		error_in_range(&d->inv->messages, result->range, result->error, "%d: %" PRIx64 "-%" PRIx64 ": %s",
			       d->options->pid, result->range.start, result->range.end, result->error_text);
}
