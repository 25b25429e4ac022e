// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages on stderr: all pass through here and are escaped. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmd/messages.h"
#include "lib/cleanup.h"
#include "lib/uffdctl.h"

static void put(struct messages *m, const char *msg)
{
	_cleanup_free_ char *text = NULL;

	if (uffdctl_escape(msg, &text) < 0)
		text = NULL;
	if (m->sink)
		m->sink(m->data, text ?: "out of memory");
	else
		fprintf(stderr, "uffdctl: %s\n", text ?: "out of memory");
}

static void say(struct messages *m, const char *fmt, va_list ap)
{
	_cleanup_free_ char *msg = NULL;

	if (vasprintf(&msg, fmt, ap) < 0)
		msg = NULL;
	put(m, msg ?: "out of memory");
}

void note(struct messages *m, const char *fmt, ...)
{
	va_list ap;

	if (m->quiet)
		return;
	va_start(ap, fmt);
	say(m, fmt, ap);
	va_end(ap);
}

void error(struct messages *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(m, fmt, ap);
	va_end(ap);
}

void on_log(void *data, int level, const char *msg)
{
	(void)level;
	put(data, msg);
}

bool stdout_failed(struct messages *m)
{
	if (!fflush(stdout) && !ferror(stdout))
		return false;
	if (!m->stdout_reported)
		error(m, "stdout: %s", strerror(errno ?: EIO));
	m->stdout_reported = true;
	return true;
}
