// SPDX-License-Identifier: GPL-2.0-or-later
/* --from and related options: the contents that pages are filled with. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/contents.h"
#include "cmd/values.h"
#include "lib/cleanup.h"

enum {
	OPT_FROM = 0x380,
	OPT_FROM_ZERO,
	OPT_BY_OFFSET,
	OPT_ELSEWHERE,
};

#define BY_OFFSET                                                                                                           \
	{                                                                                                                   \
		"by-offset", OPT_BY_OFFSET, NULL, 0,                                                                        \
			"FILE is an image of the mapped file: take the contents of each page from its offset in that file", \
			15                                                                                                  \
	}

static const struct argp_option fill_options[] = {
	{ "from", OPT_FROM, "FILE[@OFFSET]", 0,
	  "Fill pages that are not mapped with contents from FILE; - is standard input; a URI such as nbd://HOST/EXPORT is an image on a server",
	  15 },
	{ "from-zero", OPT_FROM_ZERO, NULL, 0, "Fill pages that are not mapped with zeros", 15 },
	BY_OFFSET,
	{ "elsewhere", OPT_ELSEWHERE, "WHAT", 0,
	  "What to do with pages that are mapped elsewhere: refuse (the default), overwrite or keep", 15 },
	{}
};

static const struct argp_option contents_options[] = {
	{ "from", OPT_FROM, "FILE[@OFFSET]", 0,
	  "Take the contents of missing pages from FILE; - is standard input; a URI such as nbd://HOST/EXPORT is an image on a server",
	  15 },
	{ "from-zero", OPT_FROM_ZERO, NULL, 0, "Use zeros as contents", 15 },
	BY_OFFSET,
	{}
};

const char *const elsewhere_words[] = {
	[UFFDCTL_ELSEWHERE_REFUSE] = "refuse",
	[UFFDCTL_ELSEWHERE_OVERWRITE] = "overwrite",
	[UFFDCTL_ELSEWHERE_KEEP] = "keep",
	NULL,
};

static error_t parse_elsewhere(struct contents_options *o, const char *arg, const struct argp_state *state)
{
	unsigned int word = 0;
	error_t err = parse_word(state, "elsewhere", arg, elsewhere_words, &word);

	o->elsewhere = word;
	return err;
}

static error_t check_contents(const struct contents_options *o, const struct argp_state *state)
{
	if (o->from && o->from_zero)
		return usage_error(state, "--from and --from-zero exclude each other");
	if (o->by_offset && !o->from)
		return usage_error(state, "--by-offset needs --from");
	if (o->elsewhere && !contents_given(o))
		return usage_error(state, "--elsewhere needs --from or --from-zero");
	return 0;
}

static error_t parse_contents(int key, char *arg, struct argp_state *state)
{
	struct contents_options *o = state->input;

	switch (key) {
	case OPT_FROM:
		o->from = arg;
		return 0;
	case OPT_FROM_ZERO:
		o->from_zero = true;
		return 0;
	case OPT_BY_OFFSET:
		o->by_offset = true;
		return 0;
	case OPT_ELSEWHERE:
		return parse_elsewhere(o, arg, state);
	case ARGP_KEY_END:
		return check_contents(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp fill_argp = { .options = fill_options, .parser = parse_contents };
const struct argp contents_argp = { .options = contents_options, .parser = parse_contents };

/* ---- opening ---- */

static int open_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* Contents begin at its current position. */
static int open_stdin(uint64_t *offset)
{
	off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
	int flags = fcntl(STDIN_FILENO, F_GETFL), fd;

	if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	*offset += at > 0 ? at : 0;
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static const char *contents_hint(int err, bool has_offset)
{
	switch (err) {
	case -ENOENT:
		return has_offset ? ": if the name of the file ends in @NUMBER, append @0" : "";
	case -EISDIR:
		return ": the option takes a file";
	case -EBADF:
		return ": standard input is closed, or not open for reading";
	default:
		return "";
	}
}

int open_contents(const struct contents_options *o, struct uffdctl_action_opts *opts, struct messages *m)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	char *at;
	int r;

	opts->elsewhere = o->elsewhere;
	opts->contents = o->from_zero ? UFFDCTL_CONTENTS_ZERO : UFFDCTL_CONTENTS_FD;
	opts->from_fd = -1;
	if (o->from_zero)
		return 0;
	path = strdup(o->from);
	if (!path) {
		error(m, "out of memory");
		return -ENOMEM;
	}
	/* A number after the last @ is an offset; names may contain an @, too. */
	at = strrchr(path, '@');
	if (at && uffdctl_size_parse(at + 1, &opts->from_offset) == 0)
		*at = '\0';
	opts->flags |= o->by_offset ? UFFDCTL_ACTION_BY_OFFSET : 0;
	if (uffdctl_is_uri(path)) {
		opts->contents = UFFDCTL_CONTENTS_URI;
		opts->from_uri = steal_ptr(path);
		return 0;
	}
	fd = strcmp(path, "-") ? open_path(path) : open_stdin(&opts->from_offset);
	r = fd < 0 ? fd : is_directory(fd) ? -EISDIR : 0;
	if (r < 0) {
		error_errno(m, r, "%s: %s%s", path, strerror(-r), contents_hint(r, at && !*at));
		return r;
	}
	opts->from_fd = steal_fd(fd);
	return 0;
}

void close_contents(struct uffdctl_action_opts *opts)
{
	if (opts->contents == UFFDCTL_CONTENTS_FD)
		cleanup_close(&opts->from_fd);
	free((char *)opts->from_uri);
	opts->from_uri = NULL;
}
