// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl serve. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/interrupt.h"
#include "cmd/metrics_file.h"
#include "cmd/serve.h"
#include "cmd/serve_metrics.h"
#include "cmd/serve_output.h"
#include "cmd/serve_set.h"
#include "cmd/serve_trial.h"
#include "cmd/usage.h"
#include "cmd/values.h"

enum {
	OPT_FROM = 0x400,
	OPT_MAP,
	OPT_KEEP,
	OPT_ZERO,
	OPT_ELSEWHERE,
	OPT_PREFAULT,
	OPT_AROUND,
	OPT_ORDER,
	OPT_RATE,
	OPT_UNTIL_COMPLETE,
	OPT_ON_ERROR,
	OPT_ON_DEATH,
	OPT_STATE,
	OPT_METRICS,
	OPT_LISTEN,
	OPT_FORCE,
	OPT_ADOPT,
	OPT_INJECT,
	OPT_HANDOFF,
	OPT_ONCE,
};

static const struct argp_option serve_options[] = {
	{ "from", OPT_FROM, "FILE[@OFFSET]", 0,
	  "Fill pages with contents from FILE, an image of the mapped file or of the range; - is standard input, nbd://HOST/EXPORT and its kin are an image on a server",
	  10 },
	{ "map", OPT_MAP, "RANGE=SOURCE", 0,
	  "Fill the pages of RANGE with contents from SOURCE, written as for --from; may be given several times", 10 },
	{ "keep", OPT_KEEP, NULL, 0, "What is in the page cache is right, and what is not there is zeros", 10 },
	{ "zero", OPT_ZERO, NULL, 0, "Fill pages with zeros", 10 },
	{ "elsewhere", OPT_ELSEWHERE, "WHAT", 0,
	  "What to do with pages that are mapped elsewhere: refuse (the default), overwrite or keep", 15 },
	{ "prefault", OPT_PREFAULT, NULL, 0, "Also bring in, in the background, what nobody has asked for", 20 },
	{ "rate", OPT_RATE, "BYTES", 0, "In the background, bring in at most BYTES a second (such as 100M)", 20 },
	{ "order", OPT_ORDER, "WHAT", 0,
	  "With --prefault and --prefetch-set, what comes first: set (the default) or address", 20 },
	{ "around", OPT_AROUND, "N", 0,
	  "At a fault, bring in the N pages around it, too: the aligned window of a power of 2, such as 16", 20 },
	{ "until-complete", OPT_UNTIL_COMPLETE, NULL, 0, "When all is there, unregister the ranges and end", 20 },
	{ "on-error", OPT_ON_ERROR, "WHAT", 0,
	  "What to do if a page can't be resolved: hold (the default), stop, kill or release", 20 },
	{ "on-death", OPT_ON_DEATH, "WHAT", 0,
	  "With --inject or a command, what becomes of threads that fault when serve has ended or was killed: hold (the default with --from, --map and --zero) or release (with --keep)",
	  30 },
	{ "state", OPT_STATE, "FILE", 0, "Record in FILE what was filled, for a serve that is started after this one",
	  20 },
	{ "openmetrics", OPT_METRICS, "FILE", 0,
	  "Also write what was done to FILE, each second, for Prometheus' node_exporter", 20 },
	{ "listen", OPT_LISTEN, "[ADDRESS:]PORT", 0, "Also answer HTTP requests for /metrics with the same numbers",
	  20 },
	{ "threads", 't', "N", 0, "Use N threads; by default one for each CPU that may be used, at least two", 20 },
	{ "adopt", OPT_ADOPT, NULL, 0, "Take over from a handler that has died or hangs, and say what it has left",
	  20 },
	{ "inject", OPT_INJECT, NULL, 0,
	  "Register the ranges first; if the process has no userfaultfd, make one inside of it by ptrace(2)", 30 },
	{ "mode", 'm', "MODES", 0,
	  "With --inject and a command: register for minor, missing, wp, rwp, or several, separated by commas; by default minor, and with a command missing",
	  30 },
	{ "handoff", OPT_HANDOFF, "SOCKET", 0,
	  "Listen on SOCKET, and serve each process that hands its userfaultfd over there, as Firecracker does", 40 },
	{ "once", OPT_ONCE, NULL, 0, "With --handoff: serve the first process only, and end with it", 40 },
	{ "force", OPT_FORCE, NULL, 0, "Serve although another process reads the messages, or may read them", 20 },
	{}
};

const char *const on_error_words[] = {
	[UFFDCTL_ON_ERROR_HOLD] = "hold",
	[UFFDCTL_ON_ERROR_STOP] = "stop",
	[UFFDCTL_ON_ERROR_KILL] = "kill",
	[UFFDCTL_ON_ERROR_RELEASE] = "release",
	NULL,
};

/* The first one is what is done when nothing is said. */
const char *const on_death_words[] = { "hold", "release", NULL };
const char *const order_words[] = { "set", "address", NULL };

/* ---- options ---- */

static error_t check_inject(const struct serve_options *o, const struct argp_state *state)
{
	const struct drive_options *d = &o->drive;

	if (o->has_modes && !d->inject && !d->command)
		return usage_error(state, "--mode needs --inject or a command: only then are ranges registered");
	if (d->command && (d->has_fd || d->inject || d->flags || o->handoff || o->state))
		return usage_error(state,
				   "a command goes with none of --fd, --inject, --handoff, --dry-run and --state");
	if (o->on_death && !d->inject && !d->command)
		return usage_error(
			state,
			"--on-death needs --inject or a command: a userfaultfd that the process has itself stays when we end");
	if (o->on_death == ON_DEATH_RELEASE && o->state)
		return usage_error(state, "--on-death=release excludes --state: nobody can go on after us");
	if (o->drive.inject && o->drive.has_fd)
		return usage_error(state, "--inject is for a process without a userfaultfd: --fd names one");
	return 0;
}

static error_t check_handoff(const struct serve_options *o, const struct argp_state *state)
{
	const struct drive_options *d = &o->drive;

	if (o->once && !o->handoff)
		return usage_error(state, "--once needs --handoff");
	if (!o->handoff)
		return 0;
	if (d->has_fd || d->inject || d->flags || d->wait_lock_ns || o->state)
		return usage_error(state,
				   "--handoff goes with none of --fd, --inject, --dry-run, --wait-lock and --state");
	if (o->set.record || o->set.prefetch || o->trial.stale || o->trial.fail || o->trial.verify)
		return usage_error(
			state,
			"--handoff goes with none of --record-set, --prefetch-set, --stale, --fail-page and --verify, which are about one process");
	return 0;
}

/* All of what is served is named by --map. */
static bool only_maps(const struct serve_options *o)
{
	return o->maps.nr && !contents_given(&o->contents);
}

static error_t check_maps(struct serve_options *o, const struct argp_state *state)
{
	if (!o->maps.nr)
		return 0;
	if (o->keep)
		return usage_error(state,
				   "--map excludes --keep: leave ranges that are right as they are to another handler");
	if (o->handoff)
		return usage_error(state, "--map excludes --handoff: the process says where its contents are");
	if (o->set.record || o->set.prefetch)
		return usage_error(state,
				   "--map excludes --record-set and --prefetch-set: a working set is of one image");
	if (o->trial.stale)
		return usage_error(state, "--map excludes --stale: a bitmap is about one image");
	if (serve_map_uses_stdin(&o->maps) + (o->contents.from && !strcmp(o->contents.from, "-")) > 1)
		return usage_error(state, "standard input is named as a source more than once: it can be read once");
	if (!only_maps(o))
		return 0;
	if (o->drive.ranges)
		return usage_error(state, "a RANGE needs --from or --zero: with --map alone, its ranges are served");
	return serve_map_ranges(&o->maps, state, &o->drive.ranges);
}

static error_t check(const struct serve_options *o, const struct argp_state *state)
{
	bool prefaults = o->flags & UFFDCTL_SERVE_PREFAULT, ends = o->flags & UFFDCTL_SERVE_UNTIL_COMPLETE;

	if (!only_maps(o) && !!o->contents.from + o->keep + o->contents.from_zero != 1)
		return usage_error(state,
				   "write one of --from=FILE, --keep and --zero, or --map: what faults are resolved with");
	if (o->trial.stale && !o->contents.from)
		return usage_error(state, "--stale needs --from: what stale pages are filled with");
	if (o->trial.stale && o->contents.elsewhere)
		return usage_error(state, "--stale says which pages are overwritten: leave --elsewhere out");
	if (o->trial.verify && o->keep)
		return usage_error(state, "--verify needs --from or --zero: --keep fills nothing");
	if (o->trial.fail && o->keep && prefaults)
		return usage_error(state, "--fail-page excludes --keep with --prefault, which would map these pages");
	if (o->contents.elsewhere && o->keep)
		return usage_error(state, "--elsewhere needs --from, --map or --zero");
	if (o->state && o->keep)
		return usage_error(state, "--state is for --from and --zero: --keep fills nothing");
	if ((o->set.record || o->set.prefetch) && !o->contents.from)
		return usage_error(state, "--record-set and --prefetch-set need --from: a working set is of an image");
	if (o->has_order && (!prefaults || !o->set.prefetch))
		return usage_error(state, "--order needs --prefault and --prefetch-set: which of both comes first");
	if (o->rate && !prefaults && !o->set.prefetch)
		return usage_error(state, "--rate needs --prefault or --prefetch-set");
	if (o->keep && ends && !prefaults)
		return usage_error(state, "with --keep, --until-complete needs --prefault");
	return check_inject(o, state) ?: check_handoff(o, state);
}

static error_t parse_threads(struct serve_options *o, const char *arg, const struct argp_state *state)
{
	int n;

	if (parse_number(arg, &n) < 0 || n < 1 || n > 4096)
		return usage_error(state, "--threads=%s: write a number from 1 to 4096", arg);
	o->nr_threads = n;
	return 0;
}

#define MAX_AROUND 4096

static error_t parse_around(struct serve_options *o, const char *arg, const struct argp_state *state)
{
	int n;

	if (parse_number(arg, &n) < 0 || n < 1 || n > MAX_AROUND || n & (n - 1))
		return usage_error(state, "--around=%s: write a power of 2 from 1 to %d", arg, MAX_AROUND);
	o->around = n;
	return 0;
}

static error_t parse_order(struct serve_options *o, const char *arg, const struct argp_state *state)
{
	unsigned int word = 0;
	error_t err = parse_word(state, "order", arg, order_words, &word);

	o->has_order = true;
	o->flags |= word ? UFFDCTL_SERVE_BY_ADDRESS : 0;
	return err;
}

static error_t parse_value(struct serve_options *o, int key, char *arg, const struct argp_state *state)
{
	unsigned int word = 0;
	error_t err = 0;

	switch (key) {
	case OPT_ELSEWHERE:
		err = parse_word(state, "elsewhere", arg, elsewhere_words, &word);
		o->contents.elsewhere = word;
		return err;
	case OPT_ON_DEATH:
		err = parse_word(state, "on-death", arg, on_death_words, &word);
		o->on_death = word ? ON_DEATH_RELEASE : ON_DEATH_HOLD;
		return err;
	case OPT_ON_ERROR:
		err = parse_word(state, "on-error", arg, on_error_words, &word);
		o->on_error = word;
		return err;
	case OPT_RATE:
		if (uffdctl_size_parse(arg, &o->rate) < 0 || !o->rate)
			return usage_error(state, "--rate=%s: write bytes a second, such as 500K or 100M", arg);
		return 0;
	case OPT_METRICS:
		o->metrics = arg;
		return *arg ? 0 : usage_error(state, "--openmetrics=: write the path of a file");
	case OPT_LISTEN:
		o->listen = arg;
		return is_http_address(arg) ? 0 : usage_error(state, "--listen=%s: write " HTTP_ADDRESS, arg);
	case 't':
		return parse_threads(o, arg, state);
	case OPT_AROUND:
		return parse_around(o, arg, state);
	case OPT_ORDER:
		return parse_order(o, arg, state);
	case 'm':
		o->has_modes = true;
		if (uffdctl_modes_parse(arg, &o->modes) < 0)
			return usage_error(state,
					   "--mode=%s: write minor, missing, wp, rwp, or several, separated by commas",
					   arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Other ways to a userfaultfd. */
static error_t parse_way(struct serve_options *o, int key, char *arg, const struct argp_state *state)
{
	switch (key) {
	case OPT_INJECT:
		o->drive.inject = true;
		o->drive.all_by_default = false;
		return 0;
	case OPT_HANDOFF:
		o->handoff = arg;
		o->drive.finds_no_target = true;
		return 0;
	case OPT_ONCE:
		o->once = true;
		return 0;
	default:
		return parse_value(o, key, arg, state);
	}
}

static error_t parse_serve(int key, char *arg, struct argp_state *state)
{
	struct serve_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		o->drive.all_by_default = o->drive.takes_command = true;
		return 0;
	case OPT_FROM:
		o->contents.from = arg;
		o->drive.needs_no_range = false;
		return 0;
	case OPT_MAP:
		o->drive.needs_no_range = !contents_given(&o->contents);
		return serve_map_add(&o->maps, arg, state);
	case OPT_KEEP:
		o->keep = true;
		return 0;
	case OPT_STATE:
		o->state = arg;
		return *arg ? 0 : usage_error(state, "--state=: write the path of a file");
	case OPT_ZERO:
		o->contents.from_zero = true;
		o->drive.needs_no_range = false;
		return 0;
	case OPT_PREFAULT:
		o->flags |= UFFDCTL_SERVE_PREFAULT;
		return 0;
	case OPT_UNTIL_COMPLETE:
		o->flags |= UFFDCTL_SERVE_UNTIL_COMPLETE;
		return 0;
	case OPT_ADOPT:
		o->flags |= UFFDCTL_SERVE_ADOPT;
		return 0;
	case OPT_FORCE:
		o->flags |= UFFDCTL_SERVE_FORCE;
		return 0;
	case ARGP_KEY_END:
		return check_maps(o, state) ?: check(o, state);
	case ARGP_KEY_ERROR:
		serve_map_free(&o->maps);
		return 0;
	default:
		return parse_way(o, key, arg, state);
	}
}

/* ---- at work ---- */

#define POLL_MS 1000
#define BAR_MS 200
#define SECOND_NS UINT64_C(1000000000)

static int is_interrupted(void *data)
{
	(void)data;
	return interrupted();
}

const char *serve_source_name(const struct serve_options *o, const struct uffdctl_action_opts *contents)
{
	if (o->maps.nr)
		return "map";
	if (contents->contents == UFFDCTL_CONTENTS_URI)
		return "server";
	return o->keep ? "keep" : o->contents.from_zero ? "zero" : "file";
}

static enum uffdctl_serve_source source(const struct serve_options *o, const struct uffdctl_action_opts *contents)
{
	if (only_maps(o))
		return 0;
	if (o->keep)
		return UFFDCTL_SERVE_KEEP;
	if (o->contents.from_zero)
		return UFFDCTL_SERVE_ZERO;
	return contents->contents == UFFDCTL_CONTENTS_URI ? UFFDCTL_SERVE_URI : UFFDCTL_SERVE_FD;
}

/* What they are registered for; 0: they are registered already. */
static uint64_t modes(const struct serve_options *o)
{
	if (o->has_modes)
		return o->modes;
	return o->drive.command ? UFFDCTL_MODE_MISSING : o->drive.inject ? UFFDCTL_MODE_MINOR : 0;
}

struct uffdctl_serve_opts serve_opts(const struct serve_options *o, const struct uffdctl_action_opts *contents)
{
	return (struct uffdctl_serve_opts){
		.size = sizeof(struct uffdctl_serve_opts),
		.flags = o->flags | UFFDCTL_SERVE_LOCK_MEMORY |
			 (o->drive.flags & UFFDCTL_ACTION_DRY_RUN ? UFFDCTL_SERVE_DRY_RUN : 0),
		.source = source(o, contents),
		.from_uri = contents->from_uri,
		.from_fd = contents->from_fd,
		.from_offset = contents->from_offset,
		.rate = o->rate,
		.around = o->around,
		.state = o->state,
		.register_modes = modes(o),
		.stop = is_interrupted,
		.nr_threads = o->nr_threads,
		.elsewhere = o->contents.elsewhere,
		.on_error = o->on_error,
		.delay_ns = o->trial.delay_ns,
		.jitter_ns = o->trial.jitter_ns,
		.maps = o->maps.opened,
		.nr_maps = o->maps.nr,
	};
}

static int open_serve(struct serving *sv)
{
	const struct serve_options *o = sv->options;
	struct uffdctl_serve_opts opts = serve_opts(o, &sv->contents);
	int r = serve_set_open(sv->drive.inv, &o->set, &opts, &sv->prefetch);

	if (r >= 0)
		r = serve_trial_open(sv->drive.inv, &o->trial, &opts, &sv->stale);
	sv->out.source = serve_source_name(o, &sv->contents);
	sv->out.keeps_elsewhere = o->contents.elsewhere == UFFDCTL_ELSEWHERE_KEEP;
	return r < 0 ? r : uffdctl_serve_open(sv->drive.handle, o->drive.ranges, &opts, &sv->serve);
}

static void stop_serve(void *data)
{
	uffdctl_serve_stop(data);
}

static void write_metrics(struct serving *sv)
{
	struct serve_metrics m = { .process = uffdctl_target_comm(sv->drive.target), .stats = sv->stats };

	if (sv->options->metrics)
		metrics_file_replace(&sv->metrics, serve_metrics_put, &(struct serve_metrics_list){ &m, 1 },
				     &sv->drive.inv->messages);
}

static bool is_dry(const struct serving *sv)
{
	return sv->options->drive.flags & UFFDCTL_ACTION_DRY_RUN;
}

/* In a thread of the server's: neither a fault nor the output waits for who asks. */
static int answer_metrics(FILE *f, void *data)
{
	struct serving *sv = data;
	struct serve_metrics m = { .process = uffdctl_target_comm(sv->drive.target), .stats.size = sizeof(m.stats) };
	int r = __atomic_load_n(&sv->answers, __ATOMIC_ACQUIRE) ? uffdctl_serve_stats(sv->serve, &m.stats) : -EAGAIN;

	if (r >= 0)
		serve_metrics_put(f, &(struct serve_metrics_list){ &m, 1 });
	return r;
}

static int open_metrics(struct serving *sv)
{
	const struct serve_options *o = sv->options;
	const struct http_metrics metrics = { "uffdctl serve: see /metrics\n", answer_metrics, sv };
	struct messages *m = &sv->drive.inv->messages;
	int r = o->metrics ? metrics_file_init(&sv->metrics, o->metrics, m) : 0;

	if (r < 0 || !o->listen || is_dry(sv))
		return r;
	return http_server_new(o->listen, &metrics, true, m, &sv->server);
}

/* When it is complete, once. */
static void write_set(struct serving *sv, bool ended)
{
	if (!sv->records || (sv->stats.recording && !ended))
		return;
	sv->records = false;
	if (serve_set_write(sv->drive.inv, &sv->options->set, sv->serve) < 0)
		sv->drive.failed = true;
}

/* Only this thread writes: if nobody reads that, the notes and numbers wait, and no fault does. */
static int follow(struct serving *sv)
{
	int poll_ms = serve_shows_bar(&sv->out) ? BAR_MS : POLL_MS;
	uint64_t due = SECOND_NS;
	int r;

	do {
		r = uffdctl_serve_poll(sv->serve, poll_ms, serve_print_note, &sv->out);
		if (uffdctl_serve_stats(sv->serve, &sv->stats) < 0)
			return -EINVAL;
		write_set(sv, r);
		serve_show_progress(&sv->out, &sv->stats);
		if (!r && sv->stats.passed_ns >= due) {
			serve_print_progress(&sv->out, &sv->stats);
			write_metrics(sv);
			due = sv->stats.passed_ns - sv->stats.passed_ns % SECOND_NS + SECOND_NS;
		}
	} while (!r);
	return 0;
}

static int let_command_go(struct drive *d)
{
	int r = uffdctl_child_let_go(d->child);

	if (r >= 0)
		interrupts_forward(d->options->pid);
	return r;
}

/* Only a userfaultfd that nobody else holds ends with us. */
static int check_release(const struct serving *sv)
{
	const struct drive *d = &sv->drive;
	pid_t holder = uffdctl_handle_pid(d->handle);

	if (sv->options->on_death != ON_DEATH_RELEASE || is_dry(sv))
		return 0;
	if (holder != getpid()) {
		error(&d->inv->messages,
		      "%d: --on-death=release: there is a userfaultfd already, fd %d of process %d, which stays when we end: leave the option out; to let the process go on later, type uffdctl unregister %d all",
		      d->options->pid, uffdctl_handle_fd(d->handle), holder, d->options->pid);
		return -EEXIST;
	}
	if (!sv->options->keep)
		note(&d->inv->messages,
		     "%d: if this command ends before all is there, the process goes on with wrong contents: with what is in the page cache, or zeros",
		     d->options->pid);
	return 0;
}

int do_serve(struct drive *d)
{
	struct serving *sv = (struct serving *)d;
	int r = sv->opened;

	if (r >= 0)
		r = check_release(sv);
	if (r >= 0)
		r = open_metrics(sv);
	if (r >= 0)
		r = open_serve(sv);
	if (r < 0 || is_dry(sv))
		goto out;
	/* A program of ours stops with us, and nobody waits then. */
	if (!d->child)
		interrupts_ignore_stop();
	r = uffdctl_serve_start(sv->serve);
	if (r < 0)
		goto out;
	__atomic_store_n(&sv->answers, true, __ATOMIC_RELEASE);
	sv->records = sv->options->set.record;
	if (!d->child)
		interrupts_call(stop_serve, sv->serve);
	uffdctl_serve_stats(sv->serve, &sv->stats);
	serve_print_start(&sv->out, &sv->stats);
	write_metrics(sv);
	if (d->child)
		r = let_command_go(d);
	if (r >= 0)
		r = follow(sv);
	if (r >= 0) {
		if (sv->options->trial.verify && serve_verify(&sv->out, sv->serve) < 0)
			d->failed = true;
		write_metrics(sv);
		serve_print_lost(&sv->out, &sv->stats);
		serve_print_end(&sv->out, &sv->stats);
		d->failed |= serve_has_failed(&sv->stats);
	}
out:
	interrupts_call(NULL, NULL);
	http_server_free(sv->server);
	uffdctl_serve_close(sv->serve);
	metrics_file_free(&sv->metrics);
	uffdctl_workset_free(sv->prefetch);
	free(sv->stale);
	return r;
}

/* With --until-complete, whose end is awaited. */
static int status_of(const struct uffdctl_serve_stats *st)
{
	if (st->end == UFFDCTL_SERVE_STOPPED)
		return EXIT_INTERRUPTED;
	return st->end == UFFDCTL_SERVE_GONE && st->done_bytes < st->total_bytes ? EXIT_UNDONE : EXIT_DONE;
}

static int run_serve(struct invocation *inv)
{
	struct serve_options *o = inv->options;
	struct serving sv = {
		.drive = { .inv = inv, .options = &o->drive, .if_interrupted = "interrupted: nothing was changed" },
		.options = o,
		.contents = { .size = sizeof(sv.contents), .from_fd = -1 },
		.stats = { .size = sizeof(sv.stats) },
	};
	int status = EXIT_UNDONE;

	/* If we are killed, the kernel unregisters all, and that is right where nothing is filled. */
	o->drive.inject_own = (o->drive.inject || o->drive.command) &&
			      (o->on_death == ON_DEATH_RELEASE || (o->keep && o->on_death != ON_DEATH_HOLD));
	if (o->drive.inject)
		sv.drive.if_interrupted =
			"interrupted: no range stays registered; if a userfaultfd was made in it, that stays";
	sv.out.d = &sv.drive;
	sv.out.progress = o->progress;
	sv.out.has_set = o->set.record || o->set.prefetch;
	/* Open the file first: if opening blocks, we do not hold the process's userfaultfd yet, and Ctrl-C ends us. */
	if (contents_given(&o->contents))
		sv.opened = open_contents(&o->contents, &sv.contents, &inv->messages);
	if (sv.opened >= 0)
		sv.opened = serve_map_open(&o->maps, &inv->messages);
	/* Before that, nothing is made in the process. */
	if (o->drive.command)
		status = run_command_served(&sv);
	else if (sv.opened >= 0)
		status = o->handoff ? run_handoff(inv, &sv.contents) : run_drive(&sv.drive, do_serve);
	else
		uffdctl_ranges_free(o->drive.ranges);
	json_put_errors(&inv->messages);
	uffdctl_ranges_free(o->trial.fail);
	serve_map_free(&o->maps);
	if (contents_given(&o->contents))
		close_contents(&sv.contents);
	return status == EXIT_DONE && o->flags & UFFDCTL_SERVE_UNTIL_COMPLETE ? status_of(&sv.stats) : status;
}

static const struct option_group serve_groups[] = {
	{ &drive_argp, offsetof(struct serve_options, drive) },
	{ &lock_argp, offsetof(struct serve_options, drive) },
	{ &progress_argp, offsetof(struct serve_options, progress) },
	{ &serve_set_argp, offsetof(struct serve_options, set) },
	{ &serve_trial_argp, offsetof(struct serve_options, trial) },
	{},
};

const struct cmd cmd_serve = {
	.name = "serve",
	.summary = "Be the handler: resolve faults as they come, and with --prefault all others",
	.args = "PID [RANGE...]\n[RANGE...] -- COMMAND [ARG...]\n--handoff=SOCKET",
	.options = serve_options,
	.parse = parse_serve,
	.groups = serve_groups,
	.options_size = sizeof(struct serve_options),
	.acts = true,
	.run = run_serve,
};
