/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages in a line of the view, and those to repeat on stderr at the end. */
#ifndef CMD_VIEW_MESSAGES_H
#define CMD_VIEW_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct messages;

enum {
	VIEW_MESSAGE = 512,
	VIEW_NR_MESSAGES = 8,
};

/* Zero to begin with. */
struct view_messages {
	char text[VIEW_MESSAGE]; /* "": none */
	uint64_t since_ns;
	bool bad;
	bool changed; /* since this was last set to false, when drawing */

	char kept[VIEW_NR_MESSAGES][VIEW_MESSAGE]; /* a ring */
	size_t nr_kept;
	bool muted; /* what fails now is no error of the user's: neither shown nor kept */
};

void messages_say(struct view_messages *m, bool bad, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A message of the library or of the command: shown now, and repeated at the end. */
void messages_keep(struct view_messages *m, const char *msg);
/* Remove a message that was shown long enough. */
void messages_expire(struct view_messages *m, uint64_t now_ns);
void messages_repeat(const struct view_messages *m, struct messages *to);

#endif
