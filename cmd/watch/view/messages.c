// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages in a line of the view, and those to repeat on stderr at the end. */
#include <stdarg.h>
#include <stdio.h>

#include "cmd/messages.h"
#include "cmd/watch/clock.h"
#include "cmd/watch/view/messages.h"

#define SHOWN_NS (8 * SECOND)

void messages_say(struct view_messages *m, bool bad, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->text, sizeof(m->text), fmt, ap);
	va_end(ap);
	m->bad = bad;
	m->since_ns = monotonic_ns();
	m->changed = true;
}

void messages_keep(struct view_messages *m, const char *msg)
{
	if (m->muted)
		return;
	snprintf(m->kept[m->nr_kept++ % VIEW_NR_MESSAGES], VIEW_MESSAGE, "%s", msg);
	messages_say(m, true, "%s", msg);
}

void messages_expire(struct view_messages *m, uint64_t now_ns)
{
	if (!*m->text || now_ns <= m->since_ns + SHOWN_NS)
		return;
	m->text[0] = '\0';
	m->changed = true;
}

void messages_repeat(const struct view_messages *m, struct messages *to)
{
	size_t nr = m->nr_kept < VIEW_NR_MESSAGES ? m->nr_kept : VIEW_NR_MESSAGES;

	for (size_t i = m->nr_kept - nr; i < m->nr_kept; i++)
		error(to, "%s", m->kept[i % VIEW_NR_MESSAGES]);
}
