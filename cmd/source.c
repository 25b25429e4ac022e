// SPDX-License-Identifier: GPL-2.0-or-later
/* --source, of the commands that have two. */
#include <string.h>

#include "cmd/source.h"

enum uffdctl_source source;

static const char *const names[] = {
	[UFFDCTL_SOURCE_AUTO] = "auto",
	[UFFDCTL_SOURCE_BPF] = "bpf",
	[UFFDCTL_SOURCE_PROC] = "proc",
};

static const struct argp_option options[] = {
	{ "source", 'S', "SOURCE", 0, "Ask bpf or proc; auto (the default) takes bpf where it can be had", 80 }, {}
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key != 'S')
		return ARGP_ERR_UNKNOWN;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(arg, names[i]))
			continue;
		source = i;
		return 0;
	}
	argp_error(state, "--source=%s: write auto, bpf or proc", arg);
	return 0;
}

const struct argp source_argp = { .options = options, .parser = parse };
