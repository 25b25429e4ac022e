/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forms of a report: each prints to stdout. They return 0, or a negative errno, which is reported. */
#ifndef CMD_REPORT_REPORT_H
#define CMD_REPORT_REPORT_H

#include "cmd/report/digest.h"
#include "cmd/report/options.h"

struct report {
	const struct report_options *options;
	struct recording *recording;
	struct messages *messages;
	bool headings;
};

int report_text(const struct report *r);
int report_json(const struct report *r);
int report_faults(const struct report *r);
int report_raw(const struct report *r);
int report_trace(const struct report *r);
int report_html(const struct report *r);
int report_svg(const struct report *r);
/* @other: the second recording */
int report_diff(const struct report *r, struct recording *other);

/* Read the recording into a digest; free it with digest_free() in any case. */
int report_digest(const struct report *r, struct recording *recording, struct digest *ret);
/* The same as an object, with what a summary of watch has, and more. */
struct json_object *report_object(const struct report *r, struct digest *d);

/* As an object "report" with "errors"; frees o, which may be NULL. */
void report_print(struct messages *m, struct json_object *o);

/* "2026-11-26 22:39:55 UTC" */
#define WALL_SIZE 48
const char *wall_text(char buf[WALL_SIZE], uint64_t wall_ns);

#endif
