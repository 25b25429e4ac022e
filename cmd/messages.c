// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages on stderr: all pass through here and are escaped; errors are kept for JSON. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/json.h"
#include "cmd/messages.h"
#include "lib/cleanup.h"

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

static char *format(const char *fmt, va_list ap)
{
	char *msg;

	return vasprintf(&msg, fmt, ap) < 0 ? NULL : msg;
}

void note(struct messages *m, const char *fmt, ...)
{
	_cleanup_free_ char *msg = NULL;
	va_list ap;

	if (m->quiet)
		return;
	va_start(ap, fmt);
	msg = format(fmt, ap);
	va_end(ap);
	put(m, msg ?: "out of memory");
}

/* ---- errors ---- */

static void keep_error(struct messages *m, const char *range, int err, const char *msg)
{
	json_object *o;

	if (!m->keeps_errors)
		return;
	if (!m->errors)
		m->errors = json_object_new_array();
	o = json_object_new_object();
	json_pid(o, "pid", m->pid);
	json_text(o, "range", range);
	json_text(o, "error", err ? strerrorname_np(-err) : NULL);
	json_text(o, "message", msg);
	json_object_array_add(m->errors, o);
}

static void put_error(struct messages *m, const char *range, int err, const char *fmt, va_list ap)
{
	_cleanup_free_ char *msg = format(fmt, ap);

	keep_error(m, range, err, msg ?: "out of memory");
	put(m, msg ?: "out of memory");
}

void error(struct messages *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_error(m, NULL, 0, fmt, ap);
	va_end(ap);
}

void error_errno(struct messages *m, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_error(m, NULL, err, fmt, ap);
	va_end(ap);
}

void error_in_range(struct messages *m, struct uffdctl_range range, int err, const char *fmt, ...)
{
	char text[64];
	va_list ap;

	snprintf(text, sizeof(text), "0x%" PRIx64 "-0x%" PRIx64, range.start, range.end);
	va_start(ap, fmt);
	put_error(m, text, err, fmt, ap);
	va_end(ap);
}

void on_log(void *data, int level, const char *msg)
{
	struct messages *m = data;

	if (level <= UFFDCTL_LOG_ERROR)
		keep_error(m, NULL, uffdctl_last_errno(m->context), msg);
	put(m, msg);
}

json_object *messages_take_errors(struct messages *m)
{
	json_object *errors = m->errors;

	m->errors = NULL;
	return errors;
}

void json_put_errors(struct messages *m)
{
	json_object *errors = messages_take_errors(m);

	/* The type is to come first. */
	for (size_t i = 0; errors && i < json_object_array_length(errors); i++)
		printf("{\"type\":\"error\",%s\n", json_text_of(json_object_array_get_idx(errors, i)) + 1);
	json_object_put(errors);
}

/* ---- stdout ---- */

bool stdout_unread(struct messages *m)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	/* A terminal that has hung up has POLLHUP, too. */
	if (poll(&out, 1, 0) == 1 && out.revents == POLLERR)
		m->reader_gone = true;
	return m->reader_gone;
}

bool stdout_failed(struct messages *m)
{
	int err = fflush(stdout) ? errno : 0;

	if (!err && !ferror(stdout) && !m->reader_gone)
		return false;
	m->reader_gone = err == EPIPE || stdout_unread(m);
	/* This error can't be printed as JSON. */
	m->keeps_errors = false;
	if (!m->stdout_reported && !m->reader_gone)
		error(m, "stdout: %s", strerror(err ?: EIO));
	m->stdout_reported = true;
	return true;
}
