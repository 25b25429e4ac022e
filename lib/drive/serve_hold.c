// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: faults that can't be resolved, or not yet. */
#include <inttypes.h>
#include <errno.h>
#include <string.h>

#include "lib/drive/serve_hold.h"
#include "lib/drive/serve_store.h"
#include "lib/kernel/uffd.h"

/* The most pages whose waiters are remembered one by one: the rest is woken when we end. */
#define MAX_HELD 65536

/* False: it is known already, or there is no room. */
static bool remember(struct serve_memory *m, struct serve_fault f)
{
	struct serve_fault *place = NULL;
	bool known = false;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->nr_held && !known; i++)
		known = m->held[i].addr == f.addr;
	if (!known && m->nr_held < MAX_HELD)
		place = vec_add(m->held, m->nr_held, m->held_alloc);
	if (place) {
		*place = f;
		serve_count(&m->s->held, 1);
	}
	pthread_mutex_unlock(&m->lock);
	return place;
}

const char *hold_why(enum uffdctl_kind kind, int err, bool elsewhere)
{
	if (elsewhere)
		return "the page is mapped elsewhere too, or swapped out, and so may be newer than the contents (--elsewhere=overwrite or keep decides)";
	if (err == -ENODATA)
		return "the contents end before this page";
	if (err == -ESTALE)
		return "the server has an image of another size than before";
	if (err == -ENOMEM)
		return "no memory, or no free huge page, for it";
	if (err == -EINVAL && kind == UFFDCTL_KIND_MISSING)
		return "this kernel refuses to put a page there (EINVAL)";
	return strerror(-err);
}

/* What comes of an error about a page. */
static const char *what_now(const struct uffdctl_serve *s)
{
	static const char *const words[] = {
		[UFFDCTL_ON_ERROR_HOLD] = "threads that need this page wait",
		[UFFDCTL_ON_ERROR_STOP] = "serving ends, and threads that need this page wait for another handler",
		[UFFDCTL_ON_ERROR_KILL] = "serving ends, and the process is killed",
		[UFFDCTL_ON_ERROR_RELEASE] =
			"serving ends, and the process goes on with what is there, or zeros, which may be wrong",
	};

	return words[s->opts.on_error];
}

static void end_as_asked(struct uffdctl_serve *s, int err)
{
	if (s->opts.on_error == UFFDCTL_ON_ERROR_HOLD)
		return;
	__atomic_store_n(&s->failed, err, __ATOMIC_RELEASE);
	serve_poke(s);
}

/* A server that is away, and then comes back with another image, has two reasons. */
static bool is_new_reason(struct serve_worker *w, int err)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(w->told) && w->told[i] && w->told[i] != err)
		i++;
	if (i == ARRAY_SIZE(w->told) || w->told[i])
		return false;
	w->told[i] = err;
	return true;
}

/* Nobody need wait for it. Who does faults again, and is then told of by name. */
static void leave(struct serve_worker *w, struct uffdctl_range r, int err, const char *text)
{
	struct uffdctl_serve *s = w->m->s;

	uffd_wake(w->m->h.uffd, r);
	if (is_new_reason(w, err))
		serve_note(s, UFFDCTL_LOG_ERROR, err, r, "%d: %" PRIx64 ": can't be brought in: %s: %s", s->h->t->pid,
			   r.start, text,
			   s->opts.on_error == UFFDCTL_ON_ERROR_HOLD
				   ? "this and others like it, of which no more is said, are tried again"
				   : what_now(s));
	end_as_asked(s, err);
}

void hold_page(struct serve_worker *w, enum uffdctl_kind kind, struct uffdctl_range page, int err, const char *text)
{
	struct uffdctl_serve *s = w->m->s;

	if (w->around) {
		uffd_wake(w->m->h.uffd, page);
		return;
	}
	serve_count(&w->counts.errors, 1);
	if (w->prefaults) {
		leave(w, page, err, text);
		return;
	}
	if (!remember(w->m, (struct serve_fault){ page.start, kind, false }))
		return;
	serve_note(s, UFFDCTL_LOG_ERROR, err, page, "%d: %" PRIx64 ": %s: %s", s->h->t->pid, page.start, text,
		   what_now(s));
	end_as_asked(s, err);
}

void hold_put_off(struct serve_memory *m, enum uffdctl_kind kind, struct uffdctl_range r, uint64_t page)
{
	pthread_mutex_lock(&m->lock);
	for (; r.start < r.end; r.start += page) {
		struct serve_fault *place = vec_add(m->deferred, m->nr_deferred, m->deferred_alloc);

		/* Without memory: its thread faults again. */
		if (!place)
			uffd_wake(m->h.uffd, (struct uffdctl_range){ r.start, r.start + page });
		else
			*place = (struct serve_fault){ r.start, kind, false };
	}
	pthread_mutex_unlock(&m->lock);
}

/* Only one can read the messages, so nobody else would ever hear of it; woken, the thread would fault for ever. */
void hold_outside(struct serve_worker *w, uint64_t addr)
{
	struct uffdctl_serve *s = w->m->s;
	struct uffdctl_range page = { addr, addr + base_page_size() };

	/* The message may be older than an event: the page was there, and its thread has gone on. If not, it faults again. */
	if (w->changes != __atomic_load_n(&w->m->changes, __ATOMIC_ACQUIRE)) {
		uffd_wake(w->m->h.uffd, page);
		return;
	}
	serve_count(&w->counts.errors, 1);
	if (remember(w->m, (struct serve_fault){ addr, UFFDCTL_KIND_UNKNOWN, false }))
		serve_note(s, UFFDCTL_LOG_ERROR, -ENOENT, page,
			   "%d: a thread waits at %" PRIx64
			   ", which is not in the ranges that are served: it is left waiting",
			   s->h->t->pid, addr);
}

/* ---- later ---- */

/* Pages without a state are not known to be resolved: after the next try they are forgotten, and held again if it fails. */
static bool is_held(struct serve_memory *m, const struct serve_fault *f, bool tries)
{
	const struct serve_part *p = memory_part(m, f->addr);

	if (f->kind == UFFDCTL_KIND_UNKNOWN)
		return true;
	return p && p->store ? part_get(p, f->addr) == SERVE_HELD : p && !tries;
}

/* Forget what is not held any more. @tries: wake the threads: they fault again, and so the page is tried again */
void hold_look(struct serve_memory *m, bool tries)
{
	size_t nr = 0;

	serve_enter(m);
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->nr_held; i++) {
		struct serve_fault f = m->held[i];

		if (is_held(m, &f, tries))
			m->held[nr++] = f;
		if (tries && f.kind != UFFDCTL_KIND_UNKNOWN)
			uffd_wake(m->h.uffd, (struct uffdctl_range){ f.addr, f.addr + base_page_size() });
	}
	__atomic_fetch_sub(&m->s->held, m->nr_held - nr, __ATOMIC_RELAXED);
	m->nr_held = nr;
	pthread_mutex_unlock(&m->lock);
	serve_leave(m);
}
