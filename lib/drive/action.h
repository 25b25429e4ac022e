/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The common part of register, unregister and wake: one ioctl and one result for each part of a range. */
#ifndef UFFDCTL_ACTION_H
#define UFFDCTL_ACTION_H

#include "lib/drive/handle.h"

struct action {
	struct uffdctl_handle *h;
	struct range_filter filter; /* its arg is the action */
	struct uffdctl_action_opts opts;
	/* Called once with all parts, before anything is done; may be NULL. Failures are logged. */
	int (*before)(struct action *a, const struct segments *segs);
	void (*each)(struct action *a, const struct segment *seg);
	void *op_data; /* for these two */

	struct uffdctl_maps *maps; /* of the target */
	bool failed;
	bool gone; /* no use in going on */
};

/*
 * Get the options of an action.
 * @flags: those that it has, UFFDCTL_ACTION_*
 * @has_contents: it can fill pages
 * -EINVAL: it has no use for one of them; -E2BIG; logged.
 */
int action_opts(struct uffdctl_handle *h, const struct uffdctl_action_opts *opts, uint64_t flags, bool has_contents,
		struct uffdctl_action_opts *ret);

/*
 * Do the action, with the lock on the memory unless it is a dry run. 0: everything was done; -EIO: some parts were
 * not, as the results say; other errors: nothing was done.
 */
int action_run(struct action *a, const struct uffdctl_ranges *ranges);

/* Add the parts of one range. What is wrong with the range is recorded; an error ends everything. */
int action_resolve(struct action *a, const struct range_spec *spec, struct segments *ret);

/* Hand out a result. @text: NULL: the text of the errno */
void action_report(struct action *a, struct uffdctl_result *res, int err, const char *text);
/* Likewise: the mapping is registered on another userfaultfd. */
void action_report_other(struct action *a, const struct segment *seg, struct uffdctl_result *res);

/* For the filter. */
#define ACTION_IS_OURS "is registered on this userfaultfd"
bool action_is_ours(const struct uffdctl_vma *v, uint64_t owner, void *arg);

#endif
