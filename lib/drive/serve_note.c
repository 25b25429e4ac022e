// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: notes, which are kept until the caller takes them, so that no worker waits for a slow terminal. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/drive/serving.h"

const struct uffdctl_range serve_nowhere;

void serve_poke(struct uffdctl_serve *s)
{
	uint64_t one = 1;

	/* It fails only if it has been poked 2^64 times. */
	if (write(s->poke_fd, &one, sizeof(one)) < 0)
		return;
}

void serve_note(struct uffdctl_serve *s, int level, int err, struct uffdctl_range range, const char *fmt, ...)
{
	struct serve_note *n;
	va_list ap;

	pthread_mutex_lock(&s->lock);
	if (s->nr_notes == SERVE_NOTES) {
		s->lost_notes++;
	} else {
		n = &s->notes[(s->first_note + s->nr_notes++) % SERVE_NOTES];
		n->level = level;
		n->error = err;
		n->range = range;
		va_start(ap, fmt);
		vsnprintf(n->text, sizeof(n->text), fmt, ap);
		va_end(ap);
		pthread_cond_signal(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
}

/* The oldest one; false: there is none. */
static bool take(struct uffdctl_serve *s, struct serve_note *ret)
{
	bool has;

	pthread_mutex_lock(&s->lock);
	has = s->nr_notes;
	if (has) {
		*ret = s->notes[s->first_note];
		s->first_note = (s->first_note + 1) % SERVE_NOTES;
		s->nr_notes--;
	}
	pthread_mutex_unlock(&s->lock);
	return has;
}

static bool wait_changed(struct uffdctl_serve *s, int timeout_ms)
{
	uint64_t until = now_ns(CLOCK_MONOTONIC) + (uint64_t)timeout_ms * 1000000;
	struct timespec at = { .tv_sec = until / 1000000000, .tv_nsec = until % 1000000000 };
	bool ended;
	int r = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->nr_notes && !s->end && r == 0)
		r = pthread_cond_clockwait(&s->changed, &s->lock, CLOCK_MONOTONIC, &at);
	ended = s->end;
	pthread_mutex_unlock(&s->lock);
	return ended;
}

UFFDCTL_EXPORT int uffdctl_serve_poll(struct uffdctl_serve *s, int timeout_ms, uffdctl_serve_note_fn fn, void *data)
{
	bool ended = wait_changed(s, timeout_ms);
	struct serve_note n;

	while (take(s, &n)) {
		struct uffdctl_serve_note note = { n.level, n.error, n.range, n.text };

		if (fn)
			fn(data, &note);
	}
	return ended;
}
