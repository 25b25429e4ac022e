// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: the threads that read messages. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "lib/drive/serve_event.h"
#include "lib/drive/serve_fault.h"
#include "lib/drive/serve_purpose.h"
#include "lib/drive/serve_state.h"
#include "lib/drive/serve_work.h"
#include "lib/log.h"

/* To wake an idle CPU takes some 40 us: if messages come that fast, look for the next one that long. */
#define SPIN_NS UINT64_C(50000)
/* A message that came this soon after we went to sleep might have come while we looked. */
#define SOON_NS UINT64_C(150000)
#define VAIN_TRIES 8

/* With so many faults at a time another worker shall read the next ones meanwhile. */
#define MANY 16

/* A child's end shows nowhere else. */
#define CHILD_LOOK_MS 500

/* ---- the lead ---- */

static void take_lead(struct serve_worker *w)
{
	if (!w->leads)
		pthread_mutex_lock(&w->m->lead);
	w->leads = true;
}

static void give_lead(struct serve_worker *w)
{
	if (w->leads)
		pthread_mutex_unlock(&w->m->lead);
	w->leads = false;
}

/* ---- reading ---- */

static void add_fault(struct serve_worker *w, const struct uffd_msg *msg)
{
	enum uffdctl_kind kind = kind_of_message(msg->event, msg->arg.pagefault.flags);
	uint64_t page = base_page_size();
	bool write = msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE;

	w->faults[w->nr_faults++] = (struct serve_fault){ round_down(msg->arg.pagefault.address, page), kind, write };
	/* Kinds of faults have the order of modes. */
	serve_count(&w->counts.faults[kind - UFFDCTL_KIND_MISSING], 1);
}

/* Events first: the kernel puts faults before events that came before them. */
static void take_in(struct serve_worker *w, int nr)
{
	uint64_t before = __atomic_load_n(&w->m->changes, __ATOMIC_ACQUIRE);

	for (int i = 0; i < nr; i++)
		if (w->msgs[i].event != UFFD_EVENT_PAGEFAULT) {
			serve_count(&w->counts.events, 1);
			serve_event(w, &w->msgs[i]);
			__atomic_add_fetch(&w->m->changes, 1, __ATOMIC_RELEASE);
		}
	/* With an event among them, the faults differ from m->changes: some may be older than it. */
	w->changes = before;
	for (int i = 0; i < nr; i++)
		if (w->msgs[i].event == UFFD_EVENT_PAGEFAULT)
			add_fault(w, &w->msgs[i]);
}

static int fail_reading(struct serve_worker *w, int err)
{
	struct uffdctl_serve *s = w->m->s;

	serve_note(s, UFFDCTL_LOG_ERROR, err, serve_nowhere, "%d: reading messages of fd %d: %s", s->h->pid, s->h->fd,
		   strerror(-err));
	__atomic_store_n(&s->failed, err, __ATOMIC_RELEASE);
	serve_poke(s);
	return err;
}

/* Take what there is. Returns a number of messages or a negative errno, reported. */
static int read_now(struct serve_worker *w)
{
	struct serve_memory *m = w->m;
	unsigned int room = purpose_delays(m->s) ? 1 : SERVE_BATCH - w->nr_faults;
	int nr;

	if (m->has_events) {
		pthread_rwlock_wrlock(&m->gate);
		state_reads(m->s, true);
	}
	nr = uffd_messages_read(&m->messages, w->msgs, room);
	take_in(w, nr);
	if (m->has_events) {
		state_reads(m->s, false);
		pthread_rwlock_unlock(&m->gate);
	}
	return nr < 0 ? fail_reading(w, nr) : nr;
}

/* ---- waiting ---- */

static bool can_spin(const struct serve_memory *m)
{
	return m->spin_ns && !m->has_events && uffd_messages_can_peek(&m->messages);
}

static int spin(struct serve_worker *w)
{
	struct serve_memory *m = w->m;
	uint64_t until = now_ns(CLOCK_MONOTONIC) + m->spin_ns;
	int nr = 0;

	while (nr == 0 && now_ns(CLOCK_MONOTONIC) < until) {
		/* The thread whose fault we wait for may need this CPU. */
		sched_yield();
		nr = read_now(w);
	}
	m->in_vain = nr ? 0 : m->in_vain + 1;
	if (m->in_vain >= VAIN_TRIES)
		m->spin_ns = 0;
	return nr;
}

static void learn(struct serve_memory *m, uint64_t waited_ns)
{
	if (waited_ns >= SOON_NS)
		return;
	m->spin_ns = SPIN_NS;
	m->in_vain = 0;
}

static int wait_ms(const struct serve_memory *m, bool soon)
{
	return soon ? 1 : m->is_child ? CHILD_LOOK_MS : -1;
}

/* Sleep until there may be messages. A blocking descriptor has them read then. */
static int sleep_until_message(struct serve_worker *w, bool soon)
{
	struct serve_memory *m = w->m;
	uint64_t began = now_ns(CLOCK_MONOTONIC);
	int nr = uffd_messages_wait(&m->messages, m->s->stop_fd, wait_ms(m, soon), w->msgs, SERVE_BATCH);

	if (nr > 0)
		learn(m, now_ns(CLOCK_MONOTONIC) - began);
	else if (nr < 0)
		return fail_reading(w, nr);
	else if (m->is_child && uffd_memory_is_gone(m->h.uffd))
		__atomic_store_n(&m->gone, true, __ATOMIC_RELEASE);
	if (m->messages.nonblock)
		return 0;
	take_in(w, nr);
	return nr;
}

static bool is_over(const struct serve_memory *m)
{
	return serve_stopping(m->s) || __atomic_load_n(&m->gone, __ATOMIC_ACQUIRE);
}

/* What had to wait for an event, as much as there is room for. True: there is more, or was. */
static bool take_deferred(struct serve_worker *w)
{
	struct serve_memory *m = w->m;
	bool had;

	pthread_mutex_lock(&m->lock);
	had = m->nr_deferred;
	while (m->nr_deferred && w->nr_faults < SERVE_BATCH)
		w->faults[w->nr_faults++] = m->deferred[--m->nr_deferred];
	w->changes = had ? UINT64_MAX : w->changes;
	pthread_mutex_unlock(&m->lock);
	return had;
}

static bool has_deferred(struct serve_memory *m)
{
	bool has = false;

	if (!m->has_events)
		return false;
	pthread_mutex_lock(&m->lock);
	has = m->nr_deferred;
	pthread_mutex_unlock(&m->lock);
	return has;
}

/* Lead: get faults, or find that all is over. */
static void get_faults(struct serve_worker *w)
{
	struct serve_memory *m = w->m;
	bool had = false;
	int nr = 0;

	while (!is_over(m) && nr >= 0 && !w->nr_faults) {
		nr = uffd_messages_can_peek(&m->messages) ? read_now(w) : 0;
		if (nr == 0 && can_spin(m))
			nr = spin(w);
		if (nr != 0)
			continue;
		had = has_deferred(m);
		nr = sleep_until_message(w, had);
		if (nr == 0 && had)
			nr = read_now(w);
		if (had)
			take_deferred(w);
	}
}

/* ---- the thread ---- */

/*
 * What was put off until an event is read, is tried again. If nobody else leads, this worker has to: it reads the
 * event.
 */
static void serve_deferred(struct serve_worker *w)
{
	struct serve_memory *m = w->m;

	while (m->has_events && !w->leads && !is_over(m) && take_deferred(w)) {
		nanosleep(&(struct timespec){ .tv_nsec = 500 * 1000L }, NULL);
		serve_faults(w);
		w->leads = pthread_mutex_trylock(&m->lead) == 0;
	}
}

/* Must the next messages be read by another worker, because this one will be busy? */
static bool gives_lead(const struct serve_worker *w)
{
	return memory_nr_workers(w->m) > 1 && (w->m->s->slow || purpose_delays(w->m->s) || w->nr_faults >= MANY);
}

static void *work(void *arg)
{
	struct serve_worker *w = arg;

	while (!is_over(w->m)) {
		take_lead(w);
		get_faults(w);
		if (!w->nr_faults)
			break;
		__atomic_store_n(&w->busy, true, __ATOMIC_RELAXED);
		if (gives_lead(w))
			give_lead(w);
		serve_faults(w);
		serve_deferred(w);
		__atomic_store_n(&w->busy, false, __ATOMIC_RELAXED);
	}
	give_lead(w);
	__atomic_store_n(&w->ended, true, __ATOMIC_RELEASE);
	serve_poke(w->m->s);
	return NULL;
}

/* ---- starting and ending ---- */

/* The signal that ends a read(2) of a blocking descriptor. */
static int wake_signal(void)
{
	return SIGRTMAX - 3;
}

static void on_wake(int sig)
{
	(void)sig;
}

/* Signals are for the caller's threads. */
static void mask_signals(const struct serve_memory *m, sigset_t *old)
{
	struct sigaction sa = { .sa_handler = on_wake };
	sigset_t all;

	sigfillset(&all);
	if (!m->messages.nonblock) {
		sigaction(wake_signal(), &sa, NULL);
		sigdelset(&all, wake_signal());
	}
	pthread_sigmask(SIG_SETMASK, &all, old);
}

static uint64_t buffer_bytes(const struct serve_memory *m)
{
	uint64_t bytes = SERVE_RUN_BYTES;

	for (size_t i = 0; i < m->nr; i++)
		bytes = MAX(bytes, m->parts[i]->vma.page_size);
	return bytes;
}

int worker_start(struct serve_worker *w, struct serve_memory *m, void *(*run)(void *arg))
{
	sigset_t old;
	int r;

	w->m = m;
	w->c.states = w->states;
	w->c.hasty = true;
	w->c.contents.given = true;
	r = chunk_reserve(&w->c, buffer_bytes(m));
	if (r < 0)
		return r;
	w->started = true;
	mask_signals(m, &old);
	r = -pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0) {
		w->started = false;
		chunk_free(&w->c);
	}
	return r;
}

static bool all_ended(const struct serve_memory *m)
{
	for (size_t i = 0; i < memory_nr_workers(m); i++)
		if (m->workers[i].started && !__atomic_load_n(&m->workers[i].ended, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

/* The signal may come just before the read: send it again. Others wait for the lead of the one that reads. */
static void interrupt(struct serve_memory *m)
{
	while (!m->messages.nonblock && !all_ended(m)) {
		for (size_t i = 0; i < memory_nr_workers(m); i++)
			pthread_kill(m->workers[i].thread, wake_signal());
		nanosleep(&(struct timespec){ .tv_nsec = 2 * 1000L * 1000 }, NULL);
	}
}

void worker_join(struct serve_worker *w)
{
	if (!w->started)
		return;
	pthread_join(w->thread, NULL);
	w->started = false;
	chunk_free(&w->c);
}

int workers_start(struct serve_memory *m, unsigned int nr)
{
	int r = 0;

	m->workers = aligned_alloc(_Alignof(struct serve_worker), nr * sizeof(*m->workers));
	if (!m->workers)
		return -ENOMEM;
	memset(m->workers, 0, nr * sizeof(*m->workers));
	for (unsigned int i = 0; i < nr && r >= 0; i++) {
		r = worker_start(&m->workers[i], m, work);
		__atomic_store_n(&m->nr_workers, r < 0 ? i : i + 1, __ATOMIC_RELEASE);
	}
	/* If not all can be started, go on with those that run. */
	return memory_nr_workers(m) ? 0 : r;
}

void workers_join(struct serve_memory *m)
{
	interrupt(m);
	for (size_t i = 0; i < memory_nr_workers(m); i++)
		worker_join(&m->workers[i]);
}
