/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mappings in which faults occurred or which a scan found, with the heat of their cells. */
#ifndef CMD_VIEW_MAPPINGS_H
#define CMD_VIEW_MAPPINGS_H

#include "cmd/watch/view/groups.h"
#include "cmd/watch/view/scan.h"

enum {
	VIEW_NR_CELLS = 512, /* of heat, a mapping */
};

struct mapping {
	uint32_t id;		    /* its slot, and in the upper bits a number that is not reused; 0: free */
	pid_t pid;		    /* whose memory */
	struct uffdctl_range range; /* empty: known only from faults, by its name */
	struct uffdctl_range seen;  /* in that case, what holds all of their addresses */
	uint64_t page_size, modes, offset;
	uint64_t hash; /* of pid and name */
	uint64_t faults;
	uint64_t last_ns;	 /* when it was last seen */
	uint32_t scan;		 /* the number of the scan that found it */
	unsigned int cell_shift; /* log2 of the bytes in a cell of heat */
	bool hot;		 /* some heat is left */
	bool namesake;		 /* another mapping of the process has the same name */
	char name[VIEW_NAME];	 /* raw */
	char holders[VIEW_HOLDERS];
	float heat[VIEW_NR_CELLS];
};

/* Zero to begin with. */
struct mappings {
	struct mapping slots[VIEW_MAX_MAPPINGS];
	uint16_t by_addr[VIEW_MAX_MAPPINGS]; /* slots of those that are there now, by pid and address */
	size_t nr_by_addr, last_slot;
	uint32_t last_id;
	uint32_t scan;	/* the number of the last scan */
	bool want_scan; /* a fault was in a mapping that is not known */
};

/*
 * Count a fault, and return its mapping; an unknown one gets a slot.
 * @rows: groups of faults by the number of the mapping: the group of a removed mapping is removed, too
 */
const struct mapping *mappings_fault(struct mappings *ms, struct groups *rows, const struct uffdctl_fault *f);
/* The mappings of a scan are the ones that exist now. */
void mappings_scanned(struct mappings *ms, struct groups *rows, const struct scan *scan);
/* A second has passed. */
void mappings_cool(struct mappings *ms);

/* The mapping with this number, or NULL if it was removed. */
const struct mapping *mappings_by_id(const struct mappings *ms, uint32_t id);
/* The mapping of an address, among those that are there now, or NULL. */
const struct mapping *mappings_find(const struct mappings *ms, pid_t pid, uint64_t addr);

#endif
