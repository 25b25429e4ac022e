/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recording, which may be in several files. */
#ifndef CMD_REPORT_RECORDING_H
#define CMD_REPORT_RECORDING_H

#include "cmd/messages.h"
#include "cmd/report/filter.h"

struct recording_file {
	const char *path;
	uint64_t part;
};

struct recording {
	struct uffdctl *u;
	struct messages *messages;
	const struct filter *filter;
	struct recording_file *files; /* in their order */
	size_t nr_files;
	struct uffdctl_record *first; /* for the strings of info */
	struct uffdctl_record_info info;
	bool failed; /* some of it could not be read, which was reported */

	/* Known after recording_read(). */
	struct uffdctl_record *last;	 /* has the totals */
	uint64_t nr_faults, nr_selected; /* in the files */
	uint64_t last_ns;		 /* when the last one of them began, after watching began */
	enum uffdctl_record_end end;
	bool has_stats;
	struct uffdctl_watch_stats stats;
	uint64_t passed_ns;
};

/*
 * Open a recording and put its files into order.
 * @filter: must outlive it
 * A negative errno: reported.
 */
int recording_open(struct recording *r, struct uffdctl *u, struct messages *m, const struct filter *filter,
		   char *const *paths, size_t nr);
/* Pass all faults that the filter takes to fn. What can't be read is reported, and left out. */
void recording_read(struct recording *r, void (*fn)(void *data, const struct uffdctl_fault *f, const char *symbol),
		    void *data);
void recording_close(struct recording *r);

/* Do the totals of the recording describe what is reported? Otherwise there are only those of its faults. */
bool recording_is_whole(const struct recording *r);

/* When a fault began, after watching began. */
uint64_t recording_time(const struct recording *r, const struct uffdctl_fault *f);

#endif
