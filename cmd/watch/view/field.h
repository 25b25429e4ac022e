/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text in one column of a row. */
#ifndef CMD_VIEW_FIELD_H
#define CMD_VIEW_FIELD_H

#include <sys/types.h>

#include "cmd/watch/view/line.h"
#include "cmd/watch/view/text.h"

enum field_type {
	FIELD_TEXT,
	FIELD_COUNT,
	FIELD_WAIT,    /* nanoseconds */
	FIELD_BOUND,   /* an upper bound of a wait */
	FIELD_LONGEST, /* of some waits */
};

struct field {
	enum field_type type;
	uint64_t number;     /* of a count or a wait */
	char *text;	     /* escaped; NULL if out of memory */
	char tail[NUM_SIZE]; /* a suffix that is kept if the text is cut off */
	enum style style;
};

void field_count(struct field *f, uint64_t n); /* UFFDCTL_UNKNOWN is "-" */
void field_wait(struct field *f, uint64_t ns); /* likewise, and so the next two */
void field_bound(struct field *f, uint64_t ns);
void field_longest(struct field *f, uint64_t ns);
void field_text(struct field *f, char *text);	    /* takes it over */
void field_word(struct field *f, const char *text); /* NULL is "-" */
void field_name(struct field *f, const char *raw);
void field_format(struct field *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "4211 handler"; "-" for PID 0 */
void field_pid_and_name(struct field *f, pid_t pid, const char *raw);
/* "guest+0x2c1000"; "/tmp/x 7f…" if the offset is not known, "-" if the address is not. */
void field_where(struct field *f, const char *raw, uint64_t offset, uint64_t addr);
void field_free(struct field *f);

/* In this many columns of a line. */
void field_draw(const struct field *f, int width, bool right, struct line *l);

#endif
