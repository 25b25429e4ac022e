/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text for the address of an instruction, looked up in a child. */
#ifndef UFFDCTL_SYMBOLIZE_TEXT_H
#define UFFDCTL_SYMBOLIZE_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A function, two file names, and the text between them. */
#define SYMBOL_MAX 512
#define NAME_MAX_SHOWN 255
#define TEXT_MAX (SYMBOL_MAX + 2 * NAME_MAX_SHOWN + 64)

/* Memory limit of the child: budgets for code and perf maps, and debug information while it is read. */
#define TEXTS_MAX_BYTES (UINT64_C(3) << 30)

#define TEXTS_MAX_BAD 64

struct texts_opts {
	unsigned int flags; /* UFFDCTL_SYMBOLS_* */
	size_t nr_processes, nr_modules;
	uint64_t bad[TEXTS_MAX_BAD]; /* marks (child_at()) at which a child did not answer, or ended */
};

struct text_request {
	uint64_t serial, ip; /* serial number of the process */
	uint32_t place;	     /* among those that are kept */
	pid_t pid;
};

struct text_reply {
	int err;
	char text[TEXT_MAX];
};

/* For child_start(): answer each request, until the socket is closed. @arg: struct texts_opts */
void texts_serve(int sock, void *arg);

#endif
