// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl watch: every fault as it ends, and totals. */
#include <errno.h>

#include "cmd/interrupt.h"
#include "cmd/options.h"
#include "cmd/watch/clock.h"
#include "cmd/watch/notices.h"

/* uffdctl_watch_poll() wants to be called once a second at least. */
#define STEP_MS 200

/* After this many reads, a full stream has been read. */
#define MAX_READS 32

struct watching {
	struct watch_session session;
	const struct watch_output *output;
	void *data; /* the output form's */
	uint64_t nr_shown;
	uint64_t ready_ns; /* when it had begun */
	struct notices notices;
};

/* ---- running ---- */

static void on_fault(void *data, const struct uffdctl_fault *f)
{
	struct watching *w = data;
	const struct watch_options *o = w->session.options;

	if (w->session.by_mapping)
		by_mapping_add(w->session.by_mapping, f);
	/* A wait of unknown length may have been shorter. */
	if ((o->min_wait_ns && f->wait_ns == UFFDCTL_UNKNOWN) || f->wait_ns < o->min_wait_ns ||
	    w->nr_shown >= o->max_count)
		return;
	w->nr_shown++;
	w->output->fault(w->data, f);
}

/* Read the faults that have ended until now. */
static int read_stream(struct watching *w)
{
	int r = 1;

	for (int i = 0; r > 0 && i < MAX_READS; i++)
		r = uffdctl_watch_poll(w->session.watch, 0, on_fault, w);
	return r;
}

static int step(struct watching *w, int timeout_ms)
{
	const struct watch_output *out = w->output;
	int r = out->wait ? out->wait(w->data, timeout_ms) : 0;

	if (r)
		return r;
	r = out->wait ? read_stream(w) : uffdctl_watch_poll(w->session.watch, timeout_ms, on_fault, w);
	if (r >= 0 && out->show)
		r = out->show(w->data);
	json_put_errors(w->session.messages);
	/* A reader of a pipe needs the lines now; if it is gone, we end, also if there are no more lines. */
	if (r >= 0 && (fflush(stdout) || stdout_unread(w->session.messages)))
		return -EPIPE;
	return r == -EINTR || r > 0 ? 0 : r;
}

static uint64_t passed_ns(const struct watching *w)
{
	return monotonic_ns() - uffdctl_watch_began_ns(w->session.watch);
}

static int show_totals(struct watching *w)
{
	struct uffdctl_watch_stats st = { .size = sizeof(st) };
	int r = uffdctl_watch_stats(w->session.watch, &st);

	if (r >= 0)
		w->output->totals(w->data, &st, passed_ns(w));
	return r;
}

static bool is_over(const struct watching *w, uint64_t now_ns)
{
	const struct watch_options *o = w->session.options;

	/* In the view there is still something to look at when the processes have ended. */
	return interrupted() || (o->until_closed && w->notices.closed) ||
	       (!w->output->stays && uffdctl_watch_ended(w->session.watch)) || w->nr_shown >= o->max_count ||
	       now_ns >= o->duration_ns;
}

static int watch(struct watching *w)
{
	const struct watch_options *o = w->session.options;
	uint64_t interval = w->output->totals ? o->interval_ns : 0, due = interval ?: UINT64_MAX, now = 0;
	int r = 0;

	while (!r && !is_over(w, now)) {
		uint64_t until = due < o->duration_ns ? due : o->duration_ns;
		uint64_t left_ms = (until - now) / MILLISECOND + 1;

		r = step(w, left_ms < STEP_MS ? (int)left_ms : STEP_MS);
		now = monotonic_ns() - w->ready_ns;
		if (!r)
			r = notices_look(&w->notices, &w->session, !w->output->stays);
		if (!r && interval && now >= due) {
			r = show_totals(w);
			due += interval * ((now - due) / interval + 1);
		}
	}
	/* Also show the faults that have ended by now: the totals will count them. */
	if (r >= 0 && !o->summary_only)
		read_stream(w);
	return r;
}

static int watch_and_sum_up(struct watching *w)
{
	struct uffdctl_watch_stats st = { .size = sizeof(st) };
	int r = w->output->begin(&w->session, &w->data);

	if (r < 0)
		return r;
	w->ready_ns = monotonic_ns();
	r = watch(w);
	if (r >= 0)
		r = uffdctl_watch_stats(w->session.watch, &st);
	w->output->end(w->data, r < 0 ? NULL : &st, passed_ns(w));
	return r;
}

/* ---- beginning ---- */

static int parse_ranges(struct uffdctl *u, const struct watch_options *o, struct uffdctl_ranges **ret)
{
	int r = o->nr_ranges ? uffdctl_ranges_new(u, ret) : 0;

	for (size_t i = 0; r >= 0 && i < o->nr_ranges; i++)
		r = uffdctl_ranges_add(*ret, o->ranges[i]);
	return r;
}

/* Otherwise a user who gave the wrong PID would wait forever. */
static void say_if_ungoverned(struct watch_session *s, bool by_view)
{
	char text[128];

	s->governed = !s->options->pids.nr || uffdctl_watch_governed(s->watch);
	if (s->governed || by_view)
		return;
	notices_ungoverned(s->options, text, sizeof(text));
	note(s->messages, "%s", text);
}

static int open_watch(struct watch_session *s, const struct uffdctl_ranges *ranges)
{
	const struct watch_options *o = s->options;
	const struct uffdctl_watch_opts opts = {
		.size = sizeof(opts),
		.backend = o->backend,
		.pids = o->pids.list,
		.nr_pids = o->pids.nr,
		.flags = (o->summary_only ? 0 : UFFDCTL_WATCH_STREAM) | (o->children ? UFFDCTL_WATCH_CHILDREN : 0),
		.modes = o->modes,
		.access = o->access,
		.ranges = ranges,
	};
	int r = uffdctl_watch_open(s->u, &opts, &s->watch);

	if (r < 0)
		return r;
	s->backend = uffdctl_watch_backend(s->watch);
	return 0;
}

/* The first that fits; lines always do. */
static const struct watch_output *choose_output(const struct watch_options *o)
{
	static const struct watch_output *const outputs[] = { &output_metrics, &output_listen, &output_record,
							      &output_json, &output_view };

	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++)
		if (outputs[i]->fits(o))
			return outputs[i];
	return &output_lines;
}

static int run_watch(struct invocation *inv)
{
	struct watch_options *o = inv->options;
	struct watching w = {
		.session = { .u = inv->context,
			     .messages = &inv->messages,
			     .options = o,
			     .symbols = { inv->context, o->source_lines ? UFFDCTL_SYMBOLS_LINES : 0, NULL },
			     .headings = !inv->style.noheadings,
			     .color = inv->style.color },
		.output = choose_output(o),
	};
	struct by_mapping by_mapping = {};
	struct uffdctl_ranges *ranges = NULL;
	int r = parse_ranges(inv->context, o, &ranges), status = r < 0 ? EXIT_USAGE : EXIT_UNDONE;

	if (!o->summary_only)
		w.session.by_mapping = &by_mapping;
	if (r >= 0)
		r = pids_check(&o->pids, inv);
	if (r >= 0) {
		interrupts_catch(true);
		r = open_watch(&w.session, ranges);
	}
	if (r >= 0) {
		say_if_ungoverned(&w.session, w.output->stays);
		if (inv->verbose)
			note(&inv->messages, "watching with backend %s", w.session.backend);
		r = watch_and_sum_up(&w);
	}
	uffdctl_watch_close(w.session.watch);
	by_mapping_free(&by_mapping);
	symbols_end(&w.session.symbols);
	uffdctl_ranges_free(ranges);
	pids_free(&o->pids);
	watch_options_free(o);
	json_put_errors(&inv->messages);
	return stdout_failed(&inv->messages) || r < 0 || w.session.failed ? status : EXIT_DONE;
}

/* ---- the command ---- */

static error_t parse_watch(int key, char *arg, struct argp_state *state)
{
	struct watch_options *o = state->input;
	const struct invocation *inv = invocation_of(state);

	if (key != ARGP_KEY_END)
		return watch_options_parse(o, key, arg, state);
	o->json = inv->style.json;
	/* Before the name of the command, they are taken for all. */
	if (inv->style.columns || inv->style.raw || inv->style.bytes)
		return usage_error(state, "--output, --raw and --bytes are for commands that print a table");
	if (o->control && choose_output(o) != &output_view)
		return usage_error(state, "--control works only in the view, which needs a terminal");
	return watch_options_parse(o, key, arg, state);
}

const struct cmd cmd_watch = {
	.name = "watch",
	.summary = "Show every fault as it ends, and totals",
	.args = "[PID...]",
	.options = watch_argp_options,
	.parse = parse_watch,
	.groups = (const struct option_group[]){ { &pids_argp, offsetof(struct watch_options, pids) }, {} },
	.options_size = sizeof(struct watch_options),
	.run = run_watch,
};
