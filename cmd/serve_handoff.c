// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl serve --handoff: processes that hand their userfaultfds over are served, several at a time. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/interrupt.h"
#include "cmd/json.h"
#include "cmd/serve.h"
#include "cmd/serve_metrics.h"
#include "cmd/serve_output.h"

#define MAX_PEERS 64
#define PATIENCE_NS UINT64_C(10000000000)
#define SECOND_NS UINT64_C(1000000000)
/* Notes and ends of what is served are looked for so often; faults do not wait for that. */
#define LOOK_MS 50
#define IDLE_MS 1000

/* A process that has connected, and has not sent all yet. */
struct peer {
	struct uffdctl_handoff *handoff;
	uint64_t until_ns;
};

/* A process that is served. */
struct guest {
	struct guest *next;
	struct uffdctl_handoff *handoff;
	struct drive d;
	struct drive_options options;
	struct serve_output out;
	struct uffdctl_serve *serve;
	struct uffdctl_serve_stats stats;
	uint64_t due_ns; /* the next line of progress */
};

struct reception {
	struct invocation *inv;
	const struct serve_options *options;
	const struct uffdctl_action_opts *contents;
	struct uffdctl_listener *listener; /* NULL: nobody else is served */
	uint64_t deaf_until_ns;		   /* accepting has failed */
	struct peer peers[MAX_PEERS];
	size_t nr_peers;
	pthread_mutex_t lock; /* who answers requests for metrics holds it: guests stay then */
	struct guest *guests;
	struct metrics_file metrics;
	struct http_server *server;
	uint64_t metrics_due_ns;
	bool failed;
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

static void put_errors(struct reception *rc)
{
	json_put_errors(&rc->inv->messages);
	fflush(stdout);
}

/* ---- a process that is served ---- */

static void guest_free(struct guest *g)
{
	uffdctl_serve_close(g->serve);
	uffdctl_handle_close(g->d.handle);
	uffdctl_target_close(g->d.target);
	uffdctl_ranges_free(g->options.ranges);
	/* Only now: closing a descriptor of this userfaultfd gives up our locks on it. */
	uffdctl_handoff_free(g->handoff);
	free(g);
}

static int add_ranges(struct guest *g, size_t *ret_nr)
{
	const struct uffdctl_handoff_region *region;
	int r = uffdctl_ranges_new(g->d.inv->context, &g->options.ranges);
	char text[64];

	for (*ret_nr = 0; r >= 0 && (region = uffdctl_handoff_region(g->handoff, *ret_nr)); ++*ret_nr) {
		snprintf(text, sizeof(text), "%" PRIx64 "-%" PRIx64, region->start, region->start + region->size);
		r = uffdctl_ranges_add(g->options.ranges, text);
	}
	return r;
}

static int open_guest(struct guest *g, const struct reception *rc)
{
	struct uffdctl_handle_opts how = { .size = sizeof(how), .flags = UFFDCTL_HANDLE_FD, .pid = getpid() };
	struct uffdctl_serve_opts opts = serve_opts(rc->options, rc->contents);
	int r = add_ranges(g, &opts.nr_regions);

	how.ranges = g->options.ranges;
	how.fd = uffdctl_handoff_uffd(g->handoff);
	g->out.regions = opts.regions = uffdctl_handoff_region(g->handoff, 0);
	g->out.nr_regions = opts.nr_regions;
	if (r >= 0)
		r = uffdctl_target_open(g->d.inv->context, g->options.pid, &g->d.target);
	if (r >= 0)
		r = uffdctl_handle_open(g->d.target, &how, &g->d.handle);
	if (r >= 0)
		r = uffdctl_serve_open(g->d.handle, g->options.ranges, &opts, &g->serve);
	return r < 0 ? r : uffdctl_serve_start(g->serve);
}

/* Takes the hand-over in any case. */
static int serve_guest(struct reception *rc, struct uffdctl_handoff *handoff)
{
	struct guest *g = calloc(1, sizeof(*g));
	int r;

	if (!g) {
		uffdctl_handoff_free(handoff);
		error(&rc->inv->messages, "out of memory");
		return -ENOMEM;
	}
	g->handoff = handoff;
	g->options = (struct drive_options){ .pid = uffdctl_handoff_pid(handoff) };
	g->d = (struct drive){ .inv = rc->inv, .options = &g->options };
	g->out = (struct serve_output){ .d = &g->d,
					.source = serve_source_name(rc->options, rc->contents),
					.progress = { .when = WHEN_NEVER },
					.of_several = true };
	g->stats.size = sizeof(g->stats);
	g->due_ns = SECOND_NS;
	r = open_guest(g, rc);
	if (r < 0) {
		note(&rc->inv->messages,
		     "%d: the process is not served: threads that fault wait as long as it holds its userfaultfd",
		     g->options.pid);
		guest_free(g);
		return r;
	}
	uffdctl_serve_stats(g->serve, &g->stats);
	serve_print_start(&g->out, &g->stats);
	pthread_mutex_lock(&rc->lock);
	g->next = rc->guests;
	rc->guests = g;
	pthread_mutex_unlock(&rc->lock);
	return 0;
}

static void sum_up(struct reception *rc, struct guest *g)
{
	const struct uffdctl_serve_stats *st = &g->stats;

	serve_print_end(&g->out, st);
	serve_print_lost(&g->out, st);
	rc->failed |= serve_has_failed(st);
}

/* Has it ended? */
static bool look_at_guest(struct reception *rc, struct guest *g)
{
	bool ended;

	rc->inv->messages.pid = g->options.pid;
	ended = uffdctl_serve_poll(g->serve, 0, serve_print_note, &g->out);
	uffdctl_serve_stats(g->serve, &g->stats);
	if (ended) {
		sum_up(rc, g);
	} else if (g->stats.passed_ns >= g->due_ns) {
		serve_print_progress(&g->out, &g->stats);
		g->due_ns = g->stats.passed_ns - g->stats.passed_ns % SECOND_NS + SECOND_NS;
	}
	rc->inv->messages.pid = 0;
	return ended;
}

static void look_at_guests(struct reception *rc)
{
	for (struct guest **at = &rc->guests, *g; (g = *at);) {
		if (!look_at_guest(rc, g)) {
			at = &g->next;
			continue;
		}
		pthread_mutex_lock(&rc->lock);
		*at = g->next;
		pthread_mutex_unlock(&rc->lock);
		guest_free(g);
	}
}

/* ---- metrics ---- */

/* The numbers of all that are served now. With the lock, which also keeps their names. -ENOMEM. */
static int collect(const struct reception *rc, struct serve_metrics_list *ret)
{
	size_t nr = 0;

	for (const struct guest *g = rc->guests; g; g = g->next)
		nr++;
	ret->items = calloc(nr + 1, sizeof(*ret->items));
	if (!ret->items)
		return -ENOMEM;
	for (const struct guest *g = rc->guests; g; g = g->next) {
		struct serve_metrics *m = &ret->items[ret->nr++];

		*m = (struct serve_metrics){ .process = uffdctl_target_comm(g->d.target),
					     .pid = g->options.pid,
					     .stats.size = sizeof(m->stats) };
		uffdctl_serve_stats(g->serve, &m->stats);
	}
	return 0;
}

/* In a thread of the server's. */
static int answer_metrics(FILE *f, void *data)
{
	struct reception *rc = data;
	struct serve_metrics_list l = {};
	int r;

	pthread_mutex_lock(&rc->lock);
	r = collect(rc, &l);
	if (r >= 0)
		serve_metrics_put(f, &l);
	pthread_mutex_unlock(&rc->lock);
	free(l.items);
	return r;
}

static void write_metrics(struct reception *rc)
{
	struct serve_metrics_list l = {};

	if (!rc->options->metrics || now() < rc->metrics_due_ns)
		return;
	rc->metrics_due_ns = now() + SECOND_NS;
	/* Nobody else changes the list. */
	if (collect(rc, &l) >= 0)
		metrics_file_replace(&rc->metrics, serve_metrics_put, &l, &rc->inv->messages);
	free(l.items);
}

static int open_metrics(struct reception *rc)
{
	const struct http_metrics metrics = { "uffdctl serve: see /metrics\n", answer_metrics, rc };
	const struct serve_options *o = rc->options;
	struct messages *m = &rc->inv->messages;
	int r = o->metrics ? metrics_file_init(&rc->metrics, o->metrics, m) : 0;

	return r < 0 || !o->listen ? r : http_server_new(o->listen, &metrics, true, m, &rc->server);
}

static void close_metrics(struct reception *rc)
{
	http_server_free(rc->server);
	metrics_file_free(&rc->metrics);
	pthread_mutex_destroy(&rc->lock);
}

/* ---- those that have connected ---- */

static void stop_listening(struct reception *rc)
{
	uffdctl_handoff_unlisten(rc->listener);
	rc->listener = NULL;
	while (rc->nr_peers) {
		struct uffdctl_handoff *h = rc->peers[--rc->nr_peers].handoff;

		note(&rc->inv->messages, "hand-over by %d: not complete, and no other is taken: closed",
		     uffdctl_handoff_pid(h));
		uffdctl_handoff_free(h);
	}
}

static void accept_all(struct reception *rc)
{
	while (rc->nr_peers < MAX_PEERS) {
		struct uffdctl_handoff *h;
		int r = uffdctl_handoff_accept(rc->listener, &h);

		/* Such as too many descriptors: those who wait in the queue stay there. A refused one is gone from it. */
		if (r < 0)
			put_errors(rc);
		if (r < 0 && r != -EPERM && r != -ESRCH)
			rc->deaf_until_ns = now() + SECOND_NS;
		if (r == 0 || rc->deaf_until_ns > now())
			return;
		if (r > 0)
			rc->peers[rc->nr_peers++] = (struct peer){ h, now() + PATIENCE_NS };
	}
}

/* Is it to be forgotten? */
static bool look_at_peer(struct reception *rc, struct peer *p)
{
	struct uffdctl_handoff *h = p->handoff;
	int r;

	rc->inv->messages.pid = uffdctl_handoff_pid(h);
	r = uffdctl_handoff_step(h);
	if (r == 0 && now() > p->until_ns) {
		error(&rc->inv->messages, "hand-over by %d: it was not complete after 10 s: closed",
		      uffdctl_handoff_pid(h));
		r = -ETIMEDOUT;
	}
	if (r > 0)
		serve_guest(rc, h);
	else if (r < 0)
		uffdctl_handoff_free(h);
	put_errors(rc);
	rc->inv->messages.pid = 0;
	return r != 0;
}

static void look_at_peers(struct reception *rc)
{
	for (size_t i = 0; i < rc->nr_peers;) {
		if (look_at_peer(rc, &rc->peers[i]))
			rc->peers[i] = rc->peers[--rc->nr_peers];
		else
			i++;
		if (rc->options->once && rc->guests)
			stop_listening(rc);
	}
}

/* ---- at work ---- */

static void wait_for_news(const struct reception *rc)
{
	struct pollfd fds[MAX_PEERS + 1];
	nfds_t nr = 0;

	for (size_t i = 0; i < rc->nr_peers; i++)
		fds[nr++] = (struct pollfd){ .fd = uffdctl_handoff_socket(rc->peers[i].handoff), .events = POLLIN };
	if (rc->listener && rc->nr_peers < MAX_PEERS && rc->deaf_until_ns <= now())
		fds[nr++] = (struct pollfd){ .fd = uffdctl_handoff_listener_socket(rc->listener), .events = POLLIN };
	/* A signal that comes just before this is seen after it. */
	poll(fds, nr, rc->guests ? LOOK_MS : IDLE_MS);
}

static void receive(struct reception *rc)
{
	do {
		wait_for_news(rc);
		if (rc->listener && rc->deaf_until_ns <= now())
			accept_all(rc);
		look_at_peers(rc);
		look_at_guests(rc);
		write_metrics(rc);
	} while (!interrupted() && (rc->listener || rc->guests));
}

static void end_all(struct reception *rc)
{
	stop_listening(rc);
	for (struct guest *g = rc->guests; g; g = g->next)
		uffdctl_serve_stop(g->serve);
	while (rc->guests) {
		look_at_guests(rc);
		if (rc->guests)
			poll(NULL, 0, LOOK_MS);
	}
	put_errors(rc);
}

static void print_listening(const struct reception *rc)
{
	json_object *o;

	if (rc->inv->style.json) {
		o = json_object_new_object();
		json_text(o, "type", "listen");
		json_text(o, "socket", rc->options->handoff);
		json_print(o);
	} else if (!rc->inv->messages.quiet) {
		printf("listening on %s\n", rc->options->handoff);
	}
	fflush(stdout);
}

/* The first process would take all of its bytes. */
static int check_contents(struct reception *rc)
{
	if (!rc->options->contents.from || rc->contents->contents == UFFDCTL_CONTENTS_URI ||
	    lseek(rc->contents->from_fd, 0, SEEK_CUR) >= 0)
		return 0;
	error(&rc->inv->messages,
	      "--from=%s: a pipe can be read once, and with --handoff several processes may come: give a file",
	      rc->options->contents.from);
	return -ESPIPE;
}

int run_handoff(struct invocation *inv, const struct uffdctl_action_opts *contents)
{
	const struct serve_options *o = inv->options;
	struct reception rc = { .inv = inv, .options = o, .contents = contents, .lock = PTHREAD_MUTEX_INITIALIZER };
	int r = check_contents(&rc);

	interrupts_catch(false);
	if (r >= 0)
		r = open_metrics(&rc);
	if (r >= 0)
		r = uffdctl_handoff_listen(inv->context, o->handoff, &rc.listener);
	if (r < 0) {
		close_metrics(&rc);
		return EXIT_UNDONE;
	}
	interrupts_ignore_stop();
	print_listening(&rc);
	receive(&rc);
	end_all(&rc);
	rc.metrics_due_ns = 0;
	write_metrics(&rc);
	close_metrics(&rc);
	return rc.failed ? EXIT_UNDONE : EXIT_DONE;
}
