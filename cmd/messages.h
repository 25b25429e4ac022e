/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages on stderr: all pass through here and are escaped. */
#ifndef CMD_MESSAGES_H
#define CMD_MESSAGES_H

#include <stdbool.h>

struct messages {
	bool quiet; /* -q: no notes */
	/* Gets the messages instead of stderr; may be NULL. */
	void (*sink)(void *data, const char *msg);
	void *data;
	bool stdout_reported; /* that it can't be written */
};

/* Printed as "uffdctl: …". What they quote, an argument or a name from a target, must not act on the terminal. */
void note(struct messages *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void error(struct messages *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* For uffdctl_set_log(); data is a struct messages. */
void on_log(void *data, int level, const char *msg);

/* Flush stdout; true if that fails, which is reported once. */
bool stdout_failed(struct messages *m);

#endif
