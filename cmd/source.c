// SPDX-License-Identifier: GPL-2.0-or-later
/* --source, for the commands that have two sources. */
#include "cmd/source.h"
#include "cmd/values.h"

const char *const source_words[] = {
	[UFFDCTL_SOURCE_AUTO] = "auto",
	[UFFDCTL_SOURCE_BPF] = "bpf",
	[UFFDCTL_SOURCE_PROC] = "proc",
	NULL,
};

static const struct argp_option source_options[] = {
	{ "source", 'S', "SOURCE", 0, "Get the data from bpf or proc; auto (the default) uses bpf if it is available",
	  80 },
	{}
};

static error_t parse_source(int key, char *arg, struct argp_state *state)
{
	enum uffdctl_source *source = state->input;
	unsigned int word = 0;
	error_t err;

	if (key != 'S')
		return ARGP_ERR_UNKNOWN;
	err = parse_word(state, "source", arg, source_words, &word);
	*source = word;
	return err;
}

const struct argp source_argp = { .options = source_options, .parser = parse_source };

void source_note(struct invocation *inv, const struct uffdctl_list *list, size_t nr_hidden)
{
	const char *why = uffdctl_list_why(list) ?: "/proc shows them to root (CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH)";
	bool some = uffdctl_list_why(list) && table_has_unknown(inv->table);

	if (nr_hidden)
		note(&inv->messages, "%sthe userfaultfds of %zu processes can't be seen: %s",
		     some ? "values are unknown, and " : "", nr_hidden, why);
	else if (some)
		note(&inv->messages, "values are unknown: %s", why);
}
