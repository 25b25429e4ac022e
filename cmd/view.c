// SPDX-License-Identifier: GPL-2.0-or-later
/* watch as a view on the terminal: what happens when. */
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>

#include "pids.h"
#include "view_draw.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

/* The stream has room for some tenths of a second of a storm; in a calm, reading it seldom costs least. */
#define READ_MS 50
#define STORM_READ_MS 10
#define STORM_FAULTS 500 /* between two reads */
#define FASTEST_NS (100 * MS)
#define MESSAGE_NS (8 * SECOND)

static struct view *v;
static struct looker *looker;
static struct look *look;
static uint64_t drawn_ns, nr_read;
static enum redraw wanted;

/* ---- messages ---- */

void view_say(struct view *to, bool bad, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to->message, sizeof(to->message), fmt, ap);
	va_end(ap);
	to->message_bad = bad;
	to->message_ns = watch_now_ns();
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

void view_pause(struct view *to)
{
	if (!to->paused && !to->frozen)
		to->frozen = malloc(sizeof(*to->frozen));
	if (!to->paused && !to->frozen) {
		view_say(to, true, "pause: %s", strerror(ENOMEM));
		return;
	}
	to->paused = !to->paused;
	if (to->paused)
		memcpy(to->frozen, to->live, sizeof(*to->frozen));
	to->m = to->paused ? to->frozen : to->live;
}

/* ---- beginning and ending ---- */

/* What is not known yet is there with a later picture. */
static const char *symbol_of(pid_t pid, uint64_t ip)
{
	return watch_symbol(pid, ip, 0);
}

static int view_begin(struct uffdctl_watch *w)
{
	int r;

	v = calloc(1, sizeof(*v));
	look = calloc(1, sizeof(*look));
	if (!v || !look || !(v->live = calloc(1, sizeof(*v->live)))) {
		error("out of memory");
		return -ENOMEM;
	}
	v->m = v->live;
	model_init(v->live, watch_now_ns(), uffdctl_watch_backend(w));
	v->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	v->control = watch_options.control;
	v->focus = v->control ? PANE_WAIT : PANE_TABLE;
	v->symbol = symbol_of;
	for (int i = 0; i < NR_GROUPINGS; i++)
		v->sort[i].column = 1;
	r = looker_start(pids, nr_pids, &looker);
	if (r < 0)
		error("starting a thread: %s", strerror(-r));
	else
		r = screen_begin(common.color);
	if (r < 0) {
		looker_stop(looker);
		looker = NULL;
		return r;
	}
	messages_to(on_message);
	wanted = DRAW_SCREEN;
	return 0;
}

static void view_end(const struct uffdctl_watch_stats *st, uint64_t duration_ns, const char *name)
{
	if (looker) {
		messages_to(NULL);
		screen_end();
		view_forget_plan();
		looker_stop(looker);
	}
	dress_lines.end(st, duration_ns, name);
	if (looker)
		repeat_messages();
	if (v) {
		free(v->live);
		free(v->frozen);
	}
	free(v);
	free(look);
}

static void view_fault(const struct uffdctl_fault *f)
{
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
	const struct look *old = &v->live->look;

	for (size_t i = 0; i < look->nr_targets; i++) {
		const struct target *t = &look->targets[i];

		if (t->gone && nr_pids && i < old->nr_targets && old->targets[i].pid == t->pid && !old->targets[i].gone)
			view_say(v, true, "%d %s has ended; its faults stay on show", t->pid, t->comm);
	}
}

static void take_look(void)
{
	struct model *m = v->live;

	looker_tell(looker, m->seen, m->nr_seen, m->want_look);
	m->want_look = false;
	if (!looker_take(looker, m->look.number, look))
		return;
	say_who_ended();
	/* The first picture comes with the first look; then pictures keep their time. */
	if (!m->look.ns)
		want(DRAW_ROWS);
	model_look(m, look);
}

static int tick(struct uffdctl_watch *w, uint64_t now)
{
	struct uffdctl_watch_stats st;
	int r = uffdctl_watch_stats(w, &st);

	if (r < 0)
		return r;
	model_tick(v->live, now, &st);
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
	uint64_t ns = watch_options.interval_ns ?: SECOND;

	return ns > FASTEST_NS ? ns : FASTEST_NS;
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

static int view_wait(struct uffdctl_watch *w, int timeout_ms)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	int read_ms = nr_read > STORM_FAULTS ? STORM_READ_MS : READ_MS, r = 0;
	uint64_t now;

	nr_read = 0;
	if (poll(&in, 1, timeout_ms < read_ms ? timeout_ms : read_ms) < 0 && errno != EINTR)
		return -errno;
	/* The terminal is gone. */
	if (in.revents & (POLLHUP | POLLERR | POLLNVAL))
		return 1;
	take_look();
	now = watch_now_ns();
	if (now - drawn_ns >= interval()) {
		drawn_ns = now;
		r = tick(w, now);
	}
	if (r < 0 || take_keys())
		return r < 0 ? r : 1;
	if (*v->message && now > v->message_ns + MESSAGE_NS) {
		v->message[0] = '\0';
		want(DRAW_LINES);
	}
	if (wanted > DRAW_NOTHING)
		draw();
	return 0;
}

const struct dress dress_view = { .begin = view_begin, .fault = view_fault, .wait = view_wait, .end = view_end };
