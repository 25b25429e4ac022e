/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What serve prints: text, or JSON with an object a line. */
#ifndef CMD_SERVE_OUTPUT_H
#define CMD_SERVE_OUTPUT_H

#include "cmd/drive.h"
#include "cmd/progress.h"

struct serve_output {
	struct drive *d;
	const char *source;   /* "keep", "file", "zero", "server", "map" */
	bool has_set;	      /* one is recorded or prefetched */
	bool keeps_elsewhere; /* --elsewhere=keep */
	bool of_several;      /* lines say which process they are about */
	/* Where the contents are, as the process has said with --handoff. */
	const struct uffdctl_handoff_region *regions;
	size_t nr_regions;
	struct progress progress;
	struct uffdctl_serve_stats last; /* what was printed */
};

/* It reads messages from now on. */
void serve_print_start(struct serve_output *out, const struct uffdctl_serve_stats *st);
/* For uffdctl_serve_poll(); data is a struct serve_output. */
void serve_print_note(void *data, const struct uffdctl_serve_note *note);
/* Each second. */
void serve_print_progress(struct serve_output *out, const struct uffdctl_serve_stats *st);
/* The bar on the terminal, oftener, if there is to be one. */
bool serve_shows_bar(const struct serve_output *out);
void serve_show_progress(struct serve_output *out, const struct uffdctl_serve_stats *st);
void serve_print_end(struct serve_output *out, const struct uffdctl_serve_stats *st);
/* After that: notes that were dropped. */
void serve_print_lost(const struct serve_output *out, const struct uffdctl_serve_stats *st);
/* Is the exit status 1 because of it? */
bool serve_has_failed(const struct uffdctl_serve_stats *st);

#endif
