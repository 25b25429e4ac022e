// SPDX-License-Identifier: GPL-2.0-or-later
/* What users write: ranges, sizes, modes. What is taken is sound, what is refused is explained in print. */
#include "fuzz.h"
#include "lib/inspect/range.h"
#include "lib/util.h"

static void on_log(void *data, int level, const char *msg)
{
	(void)level;
	ENSURE(!has_control(msg));
	(*(int *)data)++;
}

static void check_spec(const struct range_spec *spec)
{
	uint64_t page = base_page_size();

	ENSURE(!has_control(spec->text));
	if (spec->kind == RANGE_ADDRESS || spec->kind == RANGE_PAGE)
		ENSURE(spec->range.start < spec->range.end && spec->range.start % page == 0 && spec->range.end % page == 0);
	else if (spec->kind != RANGE_ALL)
		ENSURE(*spec->pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = text_of(data, size);
	struct uffdctl_ranges *ranges;
	struct uffdctl *u;
	uint64_t n;
	int nr_logged = 0, r;

	ENSURE(uffdctl_new(&u) == 0);
	uffdctl_set_log(u, UFFDCTL_LOG_DEBUG, on_log, &nr_logged);
	ENSURE(uffdctl_ranges_new(u, &ranges) == 0);
	r = uffdctl_ranges_add(ranges, text);
	ENSURE(uffdctl_ranges_count(ranges) == (r == 0));
	ENSURE(nr_logged == (r < 0));
	if (r == 0)
		check_spec(&ranges->specs[0]);
	uffdctl_ranges_free(ranges);
	uffdctl_free(u);

	if (uffdctl_modes_parse(text, &n) == 0)
		ENSURE(n && n < 16);
	uffdctl_size_parse(text, &n);
	free(text);
	return 0;
}
