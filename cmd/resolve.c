// SPDX-License-Identifier: GPL-2.0-or-later
/* The common part of the commands that resolve faults in bulk: options, columns, progress, the summary. */
#include <errno.h>
#include <inttypes.h>

#include "cmd/interrupt.h"
#include "cmd/resolve.h"
#include "cmd/values.h"

/* ---- options ---- */

enum {
	OPT_NO_WAKE = 0x340,
};

static const struct argp_option work_options[] = {
	{ "threads", 't', "N", 0, "Use N threads; by default one for each CPU that may be used", 20 },
	{ "no-wake", OPT_NO_WAKE, NULL, 0, "Do not wake waiting threads; uffdctl wake does", 20 },
	{}
};

static error_t parse_work(int key, char *arg, struct argp_state *state)
{
	struct resolve_options *o = state->input;
	int n;

	switch (key) {
	case 't':
		if (parse_number(arg, &n) < 0 || n < 1 || n > 4096)
			return usage_error(state, "--threads=%s: write a number from 1 to 4096", arg);
		o->nr_threads = n;
		return 0;
	case OPT_NO_WAKE:
		o->drive.flags |= UFFDCTL_ACTION_NO_WAKE;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp work_argp = { .options = work_options, .parser = parse_work };

error_t parse_resolve(int key, char *arg __attribute__((unused)), struct argp_state *state)
{
	struct resolve_options *o = state->input;

	switch (key) {
	case OPT_WP:
		o->drive.flags |= UFFDCTL_ACTION_WP;
		return 0;
	case OPT_FORCE:
		o->drive.flags |= UFFDCTL_ACTION_FORCE;
		return 0;
	case OPT_OFF:
		o->drive.flags |= UFFDCTL_ACTION_OFF;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- at work ---- */

struct resolve {
	struct drive drive; /* must be first: do_resolve() gets a pointer to it and casts it back */
	resolve_fn fn;
	const struct resolve_words *words;
	struct uffdctl_action_opts opts;
	struct progress progress;
	int opened; /* the contents: 0, or a negative errno, reported */
	uint64_t mapped, absent, elsewhere;
};

static int show_progress(void *data, uint64_t done_bytes, uint64_t total_bytes)
{
	struct resolve *res = data;

	if (!res->drive.inv->messages.quiet)
		progress_show(&res->progress, done_bytes, total_bytes);
	return interrupted();
}

static void add_result(void *data, const struct uffdctl_result *result)
{
	struct resolve *res = data;

	progress_end(&res->progress);
	if (result->mapped != UFFDCTL_UNKNOWN) {
		res->mapped += result->mapped;
		res->absent += result->absent;
		res->elsewhere += result->elsewhere;
	}
	drive_result(&res->drive, result);
}

static void sum_up(struct resolve *res, int r, double s)
{
	struct messages *m = &res->drive.inv->messages;
	pid_t pid = res->drive.options->pid;

	progress_end(&res->progress);
	if (res->absent)
		error(m, "%d: %" PRIu64 " bytes are absent: %s", pid, res->absent, res->words->why_absent);
	if (res->elsewhere)
		error(m,
		      "%d: %" PRIu64
		      " bytes are mapped elsewhere too, or swapped out: they were neither written nor continued, and threads that wait for them keep waiting; to write and continue them use --elsewhere=overwrite, to continue them as they are use --elsewhere=keep",
		      pid, res->elsewhere);
	if (r == -EINTR)
		error(m, "%d: interrupted: %" PRIu64 " bytes were %s, the rest is unchanged", pid, res->mapped,
		      res->words->done);
	if (res->drive.inv->verbose)
		note(m, "%d: %s %" PRIu64 " bytes in %.6f s (%.1f MiB/s)", pid, res->words->done, res->mapped, s,
		     s > 0 ? res->mapped / s / (1 << 20) : 0);
}

static int do_resolve(struct drive *d)
{
	struct resolve *res = (struct resolve *)d;
	int r;

	if (res->opened < 0)
		return res->opened;
	if (res->opts.flags & UFFDCTL_ACTION_NO_WAKE)
		note(&d->inv->messages,
		     "%d: with --no-wake, threads that wait in these ranges stay asleep until \"uffdctl wake\"",
		     d->options->pid);
	progress_begin(&res->progress);
	r = res->fn(d->handle, d->options->ranges, &res->opts);
	sum_up(res, r, progress_seconds(&res->progress));
	return r;
}

int run_resolve(struct invocation *inv, resolve_fn fn, const struct resolve_words *words)
{
	struct resolve_options *o = inv->options;
	struct resolve res = {
		.drive = { .inv = inv, .options = &o->drive },
		.fn = fn,
		.words = words,
		.progress = o->progress,
		.opts = { .size = sizeof(res.opts),
			  .flags = o->drive.flags,
			  .nr_threads = o->nr_threads,
			  .result = add_result,
			  .progress = show_progress,
			  .data = &res },
	};
	int status;

	/* Open the file first: if opening blocks, we do not hold the process's userfaultfd yet, and Ctrl-C ends us. */
	if (contents_given(&o->contents))
		res.opened = open_contents(&o->contents, &res.opts, &inv->messages);
	status = run_drive(&res.drive, do_resolve);
	close_contents(&res.opts);
	return status;
}
