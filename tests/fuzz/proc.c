// SPDX-License-Identifier: GPL-2.0-or-later
/* One small file or line of /proc, given to each of its parsers. */
#include "fuzz.h"
#include "lib/kernel/memcg.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/vmflags.h"

static void check_lines(const uint8_t *data, size_t size)
{
	char *line = text_of(data, size), *flags_line = text_of(data, size), *flags;
	struct maps_line l;
	uint64_t bytes;
	int key = smaps_size_parse(line, &bytes);

	ENSURE(key >= -1 && key <= SMAPS_KERNEL_PAGE_SIZE);
	if (key >= 0)
		ENSURE(bytes % 1024 == 0);
	if (maps_line_parse(line, &l) == 0) {
		ENSURE(l.range.start < l.range.end && strlen(l.perms) == 4 && *l.name != ' ');
		ENSURE(l.name > line && l.name + strlen(l.name) == line + strlen(line));
	}
	flags = smaps_flags_parse(flags_line);
	if (flags)
		ENSURE(vmflags_modes_of_text(flags) < 16);
	free(line);
	free(flags_line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = text_of(data, size);
	struct uffd_fdinfo info;
	struct proc_stat st;

	if (fdinfo_parse(text, &info) == 0)
		ENSURE(info.handshake || !info.features);
	if (stat_parse(text, &st) == 0)
		ENSURE(strlen(st.comm) < sizeof(st.comm) && st.state);
	for (int version = 1; version <= 2; version++) {
		char *path = memcg_path(text, version);

		ENSURE(!path || !strchr(path, '\n'));
		free(path);
	}
	free(text);
	check_lines(data, size);
	return 0;
}
