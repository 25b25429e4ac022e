/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The picture that panes show: a frame of the model, and the user's settings. */
#ifndef CMD_VIEW_PICTURE_H
#define CMD_VIEW_PICTURE_H

#include "cmd/watch/symbols.h"
#include "cmd/watch/view/model.h"

enum {
	VIEW_PROMPT = 64, /* bytes that the user can type */
};

/* The table: its grouping, its rows, and their order. */
struct table_state {
	enum grouping grouping;
	struct {
		int column;
		bool ascending;
	} sort[NR_GROUPINGS];
	uint32_t rows[VIEW_MAX_GROUPS + 1]; /* indices of groups */
	size_t nr_rows, nr_all;		    /* nr_all: also those that the filter hides */
	uint64_t faults;		    /* of the rows */
};

/* The log: the events that pass the filter. */
struct log_state {
	uint16_t rows[VIEW_NR_EVENTS];
	size_t nr_rows;
};

/* The mappings with their heat, in their order. */
struct heat_state {
	uint32_t slots[VIEW_MAX_MAPPINGS];
	size_t nr;
	double hottest; /* the scale of shades: the maximum of a cell, which falls slower than the heat */
	uint64_t hottest_ns;
};

struct picture {
	const struct model *m;
	struct symbols *symbols; /* NULL: instructions are shown as addresses */
	const pid_t *pids;	 /* the given processes; none: all processes */
	size_t nr_pids;
	bool utf8;
	bool paused;
	unsigned int header_waits; /* which a small header shows, below NR_HEADER_WAITS */
	bool in_file;		   /* where there are no keys */
	char filter[VIEW_PROMPT];  /* of table and log; "": none */
	struct table_state table;
	struct log_state log;
	struct heat_state heat;
};

#endif
