// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of the kernel's names: modes, features, ioctls. */
#include <errno.h>

#include "lib/kernel/uffd.h"
#include "lib/util.h"
#include "tests/unit.h"

TEST("names-modes")
{
	uint64_t modes;

	STR(uffdctl_mode_name(0), "missing");
	STR(uffdctl_mode_name(1), "wp");
	STR(uffdctl_mode_name(2), "minor");
	STR(uffdctl_mode_name(3), "rwp");
	STR(uffdctl_mode_name(4), NULL);
	STR(uffdctl_mode_name(UINT32_MAX), NULL);
	for (unsigned int bit = 0; bit < NR_MODES; bit++) {
		modes = 0;
		NUM(uffdctl_modes_parse(uffdctl_mode_name(bit), &modes), 0);
		NUM(modes, 1 << bit);
	}
}

TEST("names-modes-parse")
{
	static const char *const bad[] = { "", ",", "minor,", ",minor", "minor,,wp", "Minor", "minor wp", "min", "minors" };
	uint64_t modes = 0;

	NUM(uffdctl_modes_parse("minor,wp", &modes), 0);
	NUM(modes, UFFDCTL_MODE_MINOR | UFFDCTL_MODE_WP);
	NUM(uffdctl_modes_parse("rwp,missing,minor,wp", &modes), 0);
	NUM(modes, 15);
	NUM(uffdctl_modes_parse("wp,wp", &modes), 0);
	NUM(modes, UFFDCTL_MODE_WP);
	for EACH(bad) {
		check_num(__LINE__, bad[i], uffdctl_modes_parse(bad[i], &modes), -EINVAL);
		NUM(modes, UFFDCTL_MODE_WP);
	}
}

TEST("names-features")
{
	STR(uffdctl_feature_name(0), "pagefault_flag_wp");
	STR(uffdctl_feature_name(10), "minor_shmem");
	STR(uffdctl_feature_name(18), "rwp_async");
	STR(uffdctl_feature_name(19), NULL);
	STR(uffdctl_feature_name(31), NULL);
	NUM(UFFD_FEATURE_MINOR_SHMEM, 1 << 10);
}

TEST("names-ioctls")
{
	STR(uffdctl_ioctl_name(_UFFDIO_REGISTER), "register");
	STR(uffdctl_ioctl_name(_UFFDIO_CONTINUE), "continue");
	STR(uffdctl_ioctl_name(0x08), "poison");
	STR(uffdctl_ioctl_name(_UFFDIO_API), "api");
	STR(uffdctl_ioctl_name(0x0b), NULL);
	STR(uffdctl_ioctl_name(64), NULL);
}

TEST("names-smaps-keys")
{
	static const char *const keys[] = {
		"Rss", "Pss", "Pss_Dirty", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty",
		"Referenced", "Anonymous", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb",
		"Private_Hugetlb", "Swap", "SwapPss", "Locked", NULL,
	};

	for EACH(keys)
		STR(uffdctl_smaps_key((unsigned int)i), keys[i]);
}

TEST("names-modes-as-in-smaps")
{
	static const char *const flags[] = { "um", "uw", "ui", "ur", NULL };

	for EACH(flags)
		STR(uffdctl_mode_flag((unsigned int)i), flags[i]);
	STR(uffdctl_mode_name(UFFDCTL_MAX_MODES), NULL);
}

TEST("names-of-a-fault")
{
	/* A kind's number is one more than the bit of its mode. */
	for (unsigned int bit = 0; uffdctl_mode_name(bit); bit++)
		STR(uffdctl_kind_name(UFFDCTL_KIND_MISSING + bit), uffdctl_mode_name(bit));
	STR(uffdctl_kind_name(UFFDCTL_KIND_UNKNOWN), NULL);
	STR(uffdctl_kind_name(UFFDCTL_KIND_UNMAP + 1), NULL);
	STR(uffdctl_access_name(UFFDCTL_ACCESS_UNKNOWN), NULL);
	STR(uffdctl_access_name(UFFDCTL_ACCESS_READ), "read");
	STR(uffdctl_access_name(UFFDCTL_ACCESS_WRITE), "write");
	STR(uffdctl_access_name(UFFDCTL_ACCESS_WRITE + 1), NULL);
	STR(uffdctl_wait_state_name(UFFDCTL_WAIT_UNKNOWN), NULL);
	STR(uffdctl_wait_state_name(UFFDCTL_WAIT_QUEUED), "queued");
	STR(uffdctl_wait_state_name(UFFDCTL_WAIT_DELIVERED), "delivered");
	STR(uffdctl_wait_state_name(UFFDCTL_WAIT_DELIVERED + 1), NULL);
	STR(uffdctl_end_name(UFFDCTL_END_NOT_WAITED), "not_waited");
	STR(uffdctl_end_name(UFFDCTL_END_NOT_WAITED + 1), NULL);
}
