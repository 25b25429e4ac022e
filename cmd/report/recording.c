// SPDX-License-Identifier: GPL-2.0-or-later
/* A recording, which may be in several files. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cmd/report/recording.h"

static int by_part(const void *a, const void *b)
{
	const struct recording_file *x = a, *y = b;

	return (x->part > y->part) - (x->part < y->part);
}

static int look_at_file(struct recording *r, size_t i)
{
	struct uffdctl_record_info info = { .size = sizeof(info) };
	struct uffdctl_record *record;
	int err = uffdctl_record_open(r->u, r->files[i].path, &record);

	if (err < 0)
		return err;
	uffdctl_record_info(record, &info);
	r->files[i].part = info.part;
	if (!i) {
		r->first = record;
		r->info = info;
		return 0;
	}
	uffdctl_record_close(record);
	if (info.recording == r->info.recording)
		return 0;
	error(r->messages, "%s and %s are two recordings: report one at a time, or compare them with --diff",
	      r->files[0].path, r->files[i].path);
	return -EINVAL;
}

/* What is said is about totals: they are of the whole recording. */
static int check_parts(struct recording *r)
{
	qsort(r->files, r->nr_files, sizeof(*r->files), by_part);
	for (size_t i = 1; i < r->nr_files; i++) {
		if (r->files[i].part != r->files[i - 1].part)
			continue;
		error(r->messages, "%s and %s are the same part of a recording: name it once", r->files[i - 1].path,
		      r->files[i].path);
		return -EINVAL;
	}
	for (size_t i = 0; i < r->nr_files; i++) {
		uint64_t before = i ? r->files[i - 1].part + 1 : 0;

		if (r->files[i].part != before)
			note(r->messages,
			     "%s: part %" PRIu64 " of a recording; %" PRIu64
			     " before it are not given: name the older files too (FILE.1, ...), if they are still there",
			     r->files[i].path, r->files[i].part + 1, r->files[i].part - before);
	}
	return 0;
}

int recording_open(struct recording *r, struct uffdctl *u, struct messages *m, const struct filter *filter,
		   char *const *paths, size_t nr)
{
	int err = 0;

	*r = (struct recording){ .u = u, .messages = m, .filter = filter, .nr_files = nr };
	r->files = calloc(nr, sizeof(*r->files));
	if (!r->files) {
		error(m, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < nr && err >= 0; i++) {
		r->files[i].path = paths[i];
		err = look_at_file(r, i);
	}
	return err < 0 ? err : check_parts(r);
}

/* Take its totals: the last ones are those of the whole recording. */
static void take_totals(struct recording *r)
{
	struct uffdctl_watch_stats st = { .size = sizeof(st) };
	uint64_t passed_ns;

	r->end = uffdctl_record_ended(r->last);
	if (uffdctl_record_stats(r->last, &st, &passed_ns) < 0)
		return;
	r->has_stats = true;
	r->stats = st;
	r->passed_ns = passed_ns;
}

static void read_file(struct recording *r, const char *path,
		      void (*fn)(void *data, const struct uffdctl_fault *f, const char *symbol), void *data)
{
	const struct uffdctl_fault *f;
	const char *symbol;
	int err;

	uffdctl_record_close(r->last);
	r->last = NULL;
	if (uffdctl_record_open(r->u, path, &r->last) < 0) {
		r->failed = true;
		return;
	}
	while ((err = uffdctl_record_next(r->last, &f, &symbol)) > 0) {
		r->nr_faults++;
		r->last_ns = recording_time(r, f) > r->last_ns ? recording_time(r, f) : r->last_ns;
		if (!filter_takes(r->filter, f, r->info.began_ns))
			continue;
		r->nr_selected++;
		fn(data, f, symbol);
	}
	if (err < 0)
		r->failed = true;
	take_totals(r);
}

void recording_read(struct recording *r, void (*fn)(void *data, const struct uffdctl_fault *f, const char *symbol),
		    void *data)
{
	r->nr_faults = r->nr_selected = r->last_ns = 0;
	for (size_t i = 0; i < r->nr_files; i++)
		read_file(r, r->files[i].path, fn, data);
}

void recording_close(struct recording *r)
{
	uffdctl_record_close(r->first);
	uffdctl_record_close(r->last);
	free(r->files);
	*r = (struct recording){};
}

bool recording_is_whole(const struct recording *r)
{
	return r->has_stats && r->end == UFFDCTL_RECORD_COMPLETE && filter_is_empty(r->filter);
}

uint64_t recording_time(const struct recording *r, const struct uffdctl_fault *f)
{
	return f->start_ns > r->info.began_ns ? f->start_ns - r->info.began_ns : 0;
}
