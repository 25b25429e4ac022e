/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process that the doctor looks at, for a command. */
#ifndef UFFDCTL_DOCTOR_TARGET_H
#define UFFDCTL_DOCTOR_TARGET_H

#include "lib/inspect/doctor_check.h"

struct patient {
	struct uffdctl_doctor *d;
	struct uffdctl_target *t;
	struct confinement its;
	struct uffdctl_list *list;
	struct uffdctl_maps *maps;
	const struct uffdctl_uffd *uffd; /* in the list; NULL: none was chosen */
	bool has_none;			 /* nobody holds one for its memory */
	struct finding verdict;
};

/* Is a mapping registered on another userfaultfd than the chosen one? 1, 0; -1: that is not known. */
int patient_of_another(const struct patient *p, const struct uffdctl_vma *v);

/* Predict for which modes each mapping can be registered (doctor_prospects.c). */
void prospects_add(struct patient *p);

#endif
