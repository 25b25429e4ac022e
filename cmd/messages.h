/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said on stderr: all messages pass here, and are escaped on their way. */
#ifndef CMD_MESSAGES_H
#define CMD_MESSAGES_H

#include <stdbool.h>

struct messages {
	bool quiet; /* -q: no notes */
	/* Takes them instead of stderr; may be NULL. */
	void (*sink)(void *data, const char *msg);
	void *data;
	bool stdout_reported; /* that it can't be written */
};

/* As "uffdctl: …". What they quote, be it an argument or a name of a target's, must not act on the terminal. */
void note(struct messages *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void error(struct messages *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* For uffdctl_set_log(); data is a struct messages. */
void on_log(void *data, int level, const char *msg);

/* Flushes stdout; true, reported once, if not all could be written. */
bool stdout_failed(struct messages *m);

#endif
