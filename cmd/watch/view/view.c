// SPDX-License-Identifier: GPL-2.0-or-later
/* watch as a view on the terminal: what happens when. */
#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch/clock.h"
#include "cmd/watch/notices.h"
#include "cmd/watch/summary.h"
#include "cmd/watch/view/control.h"
#include "cmd/watch/view/draw.h"
#include "cmd/watch/view/input.h"
#include "cmd/watch/view/scanner.h"
#include "cmd/watch/view/terminal.h"

/*
 * At many faults a second, the stream has room for some tenths of a second; at few, it is cheapest to read it rarely.
 */
#define READ_MS 50
#define STORM_READ_MS 10
#define STORM_FAULTS 500 /* between two reads */
#define FASTEST_NS (100 * MILLISECOND)
#define PATIENCE_NS (250 * MILLISECOND)

struct view_output {
	struct watch_session *session;
	struct view v;
	struct scanner *scanner;
	struct scan scan;
	uint64_t framed_ns; /* when the last frame was taken */
	uint64_t asked_ns;  /* when a scan for the next one was asked for; 0: not yet */
	uint64_t nr_read;
	enum redraw wanted;
};

/* ---- beginning and ending ---- */

static bool fits(const struct watch_options *o)
{
	return !o->lines && !o->summary_only && terminal_usable();
}

static void on_message(void *data, const char *msg)
{
	messages_keep(data, msg);
}

static void free_all(struct view_output *s)
{
	scanner_stop(s->scanner);
	free(s->v.live);
	free(s->v.frame);
	free(s);
}

static struct view_output *new_output(struct watch_session *session)
{
	struct view_output *s = calloc(1, sizeof(*s));
	struct model *live = calloc(1, sizeof(*live)), *frame = calloc(1, sizeof(*frame));

	if (!s || !live || !frame) {
		free(s);
		free(live);
		free(frame);
		return NULL;
	}
	s->session = session;
	model_init(live, uffdctl_watch_began_ns(session->watch), session->backend);
	view_init(&s->v, live, frame);
	s->v.u = session->u;
	s->v.picture.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	s->v.picture.symbols = &session->symbols;
	s->v.picture.pids = session->options->pids.list;
	s->v.picture.nr_pids = session->options->pids.nr;
	s->v.control = session->options->control;
	if (s->v.control)
		s->v.focus = PANE_WAIT;
	return s;
}

static int begin(struct watch_session *session, void **ret)
{
	struct view_output *s = new_output(session);
	char text[128];
	int r;

	if (!s) {
		error(session->messages, "out of memory");
		return -ENOMEM;
	}
	r = scanner_start(session->options->pids.list, session->options->pids.nr, &s->scanner);
	if (r < 0)
		error(session->messages, "starting a thread: %s", strerror(-r));
	else if ((r = terminal_begin(session->color)) < 0)
		error(session->messages, "beginning to draw on the terminal: %s", strerror(-r));
	if (r < 0) {
		free_all(s);
		return r;
	}
	session->messages->sink = on_message;
	session->messages->data = &s->v.messages;
	if (!session->governed) {
		notices_ungoverned(session->options, text, sizeof(text));
		messages_say(&s->v.messages, false, "%s", text);
	}
	s->wanted = DRAW_SCREEN;
	*ret = s;
	return 0;
}

static void end(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	struct view_output *s = data;

	s->session->messages->sink = NULL;
	terminal_end();
	control_end(&s->v);
	if (st)
		summary_text(s->session, st, passed_ns);
	/* The messages were on a screen that is gone now: print them. */
	messages_repeat(&s->v.messages, s->session->messages);
	free_all(s);
}

static void take_fault(void *data, const struct uffdctl_fault *f)
{
	struct view_output *s = data;

	model_fault(s->v.live, f);
	s->nr_read++;
}

/* ---- what is due ---- */

static void want(struct view_output *s, enum redraw what)
{
	if (what > s->wanted)
		s->wanted = what;
}

static void say_who_ended(struct view_output *s)
{
	const struct scan *old = &s->v.live->scan;

	for (size_t i = 0; s->session->options->pids.nr && i < s->scan.nr_targets; i++) {
		const struct target *t = &s->scan.targets[i];

		if (t->gone && i < old->nr_targets && old->targets[i].pid == t->pid && !old->targets[i].gone)
			messages_say(&s->v.messages, true, "%d %s has ended; its faults stay visible", t->pid, t->comm);
	}
}

/* Is there a new one? */
static bool take_scan(struct view_output *s)
{
	struct model *m = s->v.live;

	scanner_ask(s->scanner, m->seen, m->nr_seen, m->mappings.want_scan);
	m->mappings.want_scan = false;
	if (!scanner_take(s->scanner, m->scan.number, &s->scan))
		return false;
	say_who_ended(s);
	model_scanned(m, &s->scan);
	return true;
}

static void take_teams(struct view_output *s)
{
	const struct uffdctl_team_totals *t;

	teams_begin(&s->v.live->teams);
	for (size_t at = 0; (t = uffdctl_watch_team(s->session->watch, &at));)
		teams_add(&s->v.live->teams, t);
}

static void take_failures(struct view_output *s)
{
	const struct uffdctl_failure_totals *t;

	for (size_t at = 0; (t = uffdctl_watch_failure(s->session->watch, &at));)
		failures_add(&s->v.live->failures, t);
	failures_sort(&s->v.live->failures);
}

/*
 * All numbers of a frame belong to the same moment: the stream was read to its end, totals are sums over it, and
 * waiters were scanned just now. If the stream has lost faults, or is filtered, the totals are the kernel's.
 */
static int take_frame(struct view_output *s, uint64_t now)
{
	struct uffdctl_watch_stats all = { .size = sizeof(all) }, st;
	int r = uffdctl_watch_stats(s->session->watch, &all);

	if (r < 0)
		return r;
	take_teams(s);
	take_failures(s);
	if (s->v.reset)
		model_reset(s->v.live, time(NULL), &all);
	s->v.reset = false;
	totals_since(&all, &s->v.live->at_reset, &st);
	if (!st.lost_events && !s->session->options->min_wait_ns)
		model_sum(s->v.live, &st);
	model_tick(s->v.live, now, &st);
	view_take_frame(&s->v);
	want(s, DRAW_ROWS);
	s->framed_ns = now;
	s->asked_ns = 0;
	return 0;
}

static void draw_wanted(struct view_output *s)
{
	if (s->wanted >= DRAW_ROWS)
		view_gather(&s->v);
	s->v.messages.changed = false;
	draw(&s->v, s->wanted == DRAW_SCREEN);
	s->wanted = DRAW_NOTHING;
}

static uint64_t interval(const struct view_output *s)
{
	uint64_t ns = s->session->options->interval_ns ?: SECOND;

	return ns > FASTEST_NS ? ns : FASTEST_NS;
}

/* How long a frame waits for its scan: the scanner may be busy. */
static uint64_t patience(const struct view_output *s)
{
	return interval(s) / 4 < PATIENCE_NS ? interval(s) / 4 : PATIENCE_NS;
}

static bool frame_is_due(struct view_output *s, uint64_t now, bool new_scan)
{
	if (s->v.reset)
		return true;
	/* The first frame comes with the first scan, the others at their intervals. */
	if (new_scan && s->v.live->scan.number == 1)
		return true;
	if (now - s->framed_ns < interval(s))
		return false;
	if (!s->asked_ns) {
		s->asked_ns = now;
		s->v.live->mappings.want_scan = true;
	}
	return new_scan || now - s->asked_ns >= patience(s);
}

static int show(void *data)
{
	struct view_output *s = data;
	bool new_scan = take_scan(s);
	uint64_t now = monotonic_ns();
	int r = frame_is_due(s, now, new_scan) ? take_frame(s, now) : 0;

	if (r < 0)
		return r;
	messages_expire(&s->v.messages, now);
	if (s->v.messages.changed)
		want(s, DRAW_LINES);
	if (s->wanted > DRAW_NOTHING)
		draw_wanted(s);
	return 0;
}

/* 1: the user quits. */
static int take_keys(struct view_output *s)
{
	int key;

	while ((key = terminal_key()) >= 0) {
		want(s, input(&s->v, key));
		if (s->wanted == VIEW_QUIT)
			return 1;
		/* Update the rows before the next key, which works on them: a key may be held down. */
		if (s->wanted >= DRAW_ROWS)
			draw_wanted(s);
	}
	return 0;
}

static int wait_for_keys(void *data, int timeout_ms)
{
	struct view_output *s = data;
	struct pollfd in = { .fd = 0, .events = POLLIN };
	int read_ms = s->nr_read > STORM_FAULTS || s->asked_ns ? STORM_READ_MS : READ_MS;

	s->nr_read = 0;
	if (poll(&in, 1, timeout_ms < read_ms ? timeout_ms : read_ms) < 0 && errno != EINTR)
		return -errno;
	/* The terminal is gone. */
	if (in.revents & (POLLHUP | POLLERR | POLLNVAL))
		return 1;
	return take_keys(s);
}

const struct watch_output output_view = {
	.fits = fits,
	.begin = begin,
	.fault = take_fault,
	.wait = wait_for_keys,
	.stays = true,
	.show = show,
	.end = end,
};
