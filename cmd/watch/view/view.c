// SPDX-License-Identifier: GPL-2.0-or-later
/* watch as a view on the terminal: what happens when. */
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>

#include "cmd/pids.h"
#include "cmd/watch/summary.h"
#include "cmd/watch/view/draw.h"
#include "cmd/watch/view/scanner.h"

/* The stream has room for some tenths of a second of a storm; in a calm, reading it seldom costs least. */
#define READ_MS 50
#define STORM_READ_MS 10
#define STORM_FAULTS 500 /* between two reads */
#define FASTEST_NS (100 * MILLISECOND)
#define MESSAGE_NS (8 * SECOND)
#define PATIENCE_NS (250 * MILLISECOND)

static struct watch_session *session;
static struct view *v;
static struct scanner *scanner;
static struct scan *scan;
static uint64_t framed_ns; /* when the last frame was taken */
static uint64_t asked_ns;  /* when a scan for the next one was asked for; 0: not yet */
static uint64_t nr_read;
static enum redraw wanted;

/* ---- messages ---- */

void view_say(struct view *to, bool bad, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to->message, sizeof(to->message), fmt, ap);
	va_end(ap);
	to->message_bad = bad;
	to->message_ns = monotonic_ns();
	if (wanted < DRAW_LINES)
		wanted = DRAW_LINES;
}

static void on_message(const char *msg)
{
	snprintf(v->messages[v->nr_messages++ % VIEW_NR_MESSAGES], VIEW_MESSAGE, "%s", msg);
	view_say(v, true, "%s", msg);
}

/* They were on a screen that is gone now. */
static void repeat_messages(void)
{
	size_t nr = v->nr_messages < VIEW_NR_MESSAGES ? v->nr_messages : VIEW_NR_MESSAGES;

	for (size_t i = v->nr_messages - nr; i < v->nr_messages; i++)
		error("%s", v->messages[i % VIEW_NR_MESSAGES]);
}

/* ---- pausing ---- */

/* What is shown is a frame, which a pause lets stand. */

void view_pause(struct view *to)
{
	to->paused = !to->paused;
	if (!to->paused)
		model_copy(to->m, to->live);
}

/* ---- beginning and ending ---- */

/* What is not known yet is there with a later picture. */
static const char *symbol_of(pid_t pid, uint64_t ip)
{
	return symbols_get(&session->symbols, pid, ip, 0);
}

static void free_view(void)
{
	scanner_stop(scanner);
	if (v) {
		free(v->live);
		free(v->m);
	}
	free(v);
	free(scan);
}

static bool view_fits(const struct watch_options *o)
{
	return !o->lines && !o->summary_only && view_usable();
}

static int view_begin(struct watch_session *s, void **ret)
{
	int r;

	session = s;
	*ret = NULL;
	v = calloc(1, sizeof(*v));
	scan = calloc(1, sizeof(*scan));
	if (!v || !scan || !(v->live = calloc(1, sizeof(*v->live))) || !(v->m = calloc(1, sizeof(*v->m)))) {
		error("out of memory");
		free_view();
		return -ENOMEM;
	}
	model_init(v->live, uffdctl_watch_began_ns(s->watch), s->backend);
	model_copy(v->m, v->live);
	v->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	v->control = s->options->control;
	v->focus = v->control ? PANE_WAIT : PANE_TABLE;
	v->symbol = symbol_of;
	for (int i = 0; i < NR_GROUPINGS; i++)
		v->sort[i].column = 1;
	r = scanner_start(pids, nr_pids, &scanner);
	if (r < 0)
		error("starting a thread: %s", strerror(-r));
	else
		r = screen_begin(s->color);
	if (r < 0) {
		free_view();
		return r;
	}
	messages_to(on_message);
	wanted = DRAW_SCREEN;
	return 0;
}

static void view_end(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	(void)data;
	messages_to(NULL);
	screen_end();
	view_forget_plan();
	if (st)
		summary_text(st, passed_ns, session->backend);
	repeat_messages();
	free_view();
}

static void view_fault(void *data, const struct uffdctl_fault *f)
{
	(void)data;
	model_fault(v->live, f);
	nr_read++;
}

/* ---- what is due ---- */

static void want(enum redraw what)
{
	if (what > wanted)
		wanted = what;
}

static void say_who_ended(void)
{
	const struct scan *old = &v->live->scan;

	for (size_t i = 0; i < scan->nr_targets; i++) {
		const struct target *t = &scan->targets[i];

		if (t->gone && nr_pids && i < old->nr_targets && old->targets[i].pid == t->pid && !old->targets[i].gone)
			view_say(v, true, "%d %s has ended; its faults stay on show", t->pid, t->comm);
	}
}

/* Is there a new one? */
static bool take_scan(void)
{
	struct model *m = v->live;

	scanner_ask(scanner, m->seen, m->nr_seen, m->mappings.want_scan);
	m->mappings.want_scan = false;
	if (!scanner_take(scanner, m->scan.number, scan))
		return false;
	say_who_ended();
	model_scanned(m, scan);
	return true;
}

/*
 * All that is shown at a time is of one reading: the stream has been read to its end, totals are those of what it
 * told, and the threads that wait were scanned just now. Only when the stream has lost something, or was not to tell
 * all, totals are the kernel's own.
 */
static int take_frame(uint64_t now)
{
	struct uffdctl_watch_stats st;
	int r = uffdctl_watch_stats(session->watch, &st);

	if (r < 0)
		return r;
	if (!st.lost_events && !session->options->min_wait_ns)
		model_sum(v->live, &st);
	model_tick(v->live, now, &st);
	if (!v->paused)
		model_copy(v->m, v->live);
	want(DRAW_ROWS);
	return 0;
}

static void draw(void)
{
	if (wanted >= DRAW_ROWS) {
		rows_gather(v);
		heat_gather(v);
	}
	screen_draw(v, wanted == DRAW_SCREEN);
	wanted = DRAW_NOTHING;
}

static uint64_t interval(void)
{
	uint64_t ns = session->options->interval_ns ?: SECOND;

	return ns > FASTEST_NS ? ns : FASTEST_NS;
}

/* How long a frame waits for its scan, which may have to do elsewhere. */
static uint64_t patience(void)
{
	return interval() / 4 < PATIENCE_NS ? interval() / 4 : PATIENCE_NS;
}

static bool frame_is_due(uint64_t now, bool new_scan)
{
	/* The first comes with the first scan, the others keep their time. */
	if (new_scan && v->live->scan.number == 1)
		return true;
	if (now - framed_ns < interval())
		return false;
	if (!asked_ns) {
		asked_ns = now;
		v->live->mappings.want_scan = true;
	}
	return new_scan || now - asked_ns >= patience();
}

static int view_show(void *data)
{
	bool new_scan = take_scan();
	uint64_t now = monotonic_ns();
	int r = 0;

	(void)data;
	if (frame_is_due(now, new_scan)) {
		framed_ns = now;
		asked_ns = 0;
		r = take_frame(now);
	}
	if (r < 0)
		return r;
	if (*v->message && now > v->message_ns + MESSAGE_NS) {
		v->message[0] = '\0';
		want(DRAW_LINES);
	}
	if (wanted > DRAW_NOTHING)
		draw();
	return 0;
}

/* 1 when one shall end. */
static int take_keys(void)
{
	int key;

	while ((key = screen_key()) >= 0) {
		want(view_key(v, key));
		if (wanted == VIEW_QUIT)
			return 1;
		/* A key that is held down shall move what the next key works on. */
		if (wanted >= DRAW_ROWS)
			draw();
	}
	return 0;
}

static int view_wait(void *data, int timeout_ms)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	int read_ms = nr_read > STORM_FAULTS || asked_ns ? STORM_READ_MS : READ_MS;

	(void)data;
	nr_read = 0;
	if (poll(&in, 1, timeout_ms < read_ms ? timeout_ms : read_ms) < 0 && errno != EINTR)
		return -errno;
	/* The terminal is gone. */
	if (in.revents & (POLLHUP | POLLERR | POLLNVAL))
		return 1;
	return take_keys();
}

const struct watch_output output_view = { .fits = view_fits,
					  .begin = view_begin,
					  .fault = view_fault,
					  .wait = view_wait,
					  .show = view_show,
					  .end = view_end };
