/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages on stderr: all pass through here and are escaped; errors are kept for JSON. */
#ifndef CMD_MESSAGES_H
#define CMD_MESSAGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/uffdctl.h"

struct json_object;

struct messages {
	bool quiet; /* -q: no notes */
	/* Gets the messages instead of stderr; may be NULL. */
	void (*sink)(void *data, const char *msg);
	void *data;
	bool stdout_reported; /* that it can't be written */
	bool reader_gone;     /* it is a pipe that nobody reads any more: this is not reported */

	bool keeps_errors; /* for JSON */
	const struct uffdctl *context;
	pid_t pid;		    /* the process that errors are about now; 0: none */
	struct json_object *errors; /* an array, or NULL: none so far */
};

/* Printed as "uffdctl: …". What they quote, an argument or a name from a target, must not act on the terminal. */
void note(struct messages *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void error(struct messages *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, and JSON has the name of @err, a negative errno. */
void error_errno(struct messages *m, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* And its range. */
void error_in_range(struct messages *m, struct uffdctl_range range, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* For uffdctl_set_log(); data is a struct messages. */
void on_log(void *data, int level, const char *msg);

/*
 * The errors since the last call, as an array of objects with pid, range, error and message; free with
 * json_object_put(). NULL if there were none.
 */
struct json_object *messages_take_errors(struct messages *m);

/* The errors since the last call as lines of JSON, if JSON is printed. */
void json_put_errors(struct messages *m);

/* Flush stdout; true if that fails, which is reported once, unless the reader is gone. */
bool stdout_failed(struct messages *m);
/* Has the reader gone? Nothing need be written to find that out; from then on stdout has failed. */
bool stdout_unread(struct messages *m);

#endif
