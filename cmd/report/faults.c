// SPDX-License-Identifier: GPL-2.0-or-later
/* The faults of a recording, as watch prints them. */
#include "cmd/json.h"
#include "cmd/report/report.h"

static void put_object(void *data, const struct uffdctl_fault *f, const char *symbol)
{
	(void)data;
	json_print(fault_object(f, symbol));
}

int report_faults(const struct report *r)
{
	struct watch_session s = { .messages = r->messages, .headings = r->headings };
	void *lines = NULL;
	int err;

	if (r->options->json) {
		recording_read(r->recording, put_object, NULL);
		json_put_errors(r->messages);
		return 0;
	}
	err = output_lines.begin(&s, &lines);
	if (err < 0)
		return err;
	recording_read(r->recording, lines_put_fault, lines);
	output_lines.end(lines, NULL, 0);
	return 0;
}
