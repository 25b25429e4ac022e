// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of what is read from /proc/PID/maps and smaps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kernel/proc.h"
#include "lib/kernel/vmflags.h"
#include "tests/unit.h"

#define HUGE_PAGE (2 << 20)

/* ---- /proc/PID/maps and smaps ---- */

TEST("maps-line")
{
	char line[] = "7f1234560000-7f1234570000 rw-s 00012000 fd:1f 4294967299                  /memfd:guest\n";
	struct maps_line l;

	NUM(maps_line_parse(line, &l), 0);
	NUM(l.range.start, 0x7f1234560000);
	NUM(l.range.end, 0x7f1234570000);
	STR(l.perms, "rw-s");
	NUM(l.offset, 0x12000);
	NUM(l.dev_major, 0xfd);
	NUM(l.dev_minor, 0x1f);
	NUM(l.inode, UINT64_C(4294967299));
	STR(l.name, "/memfd:guest");
}

TEST("maps-line-no-name")
{
	char line[] = "00400000-00401000 r-xp 00000000 00:00 0 \n", bare[] = "00400000-00401000 r-xp 00000000 00:00 0 ";
	struct maps_line l;

	NUM(maps_line_parse(line, &l), 0);
	STR(l.perms, "r-xp");
	NUM(l.inode, 0);
	STR(l.name, "");
	NUM(maps_line_parse(bare, &l), 0);
	STR(l.name, "");
}

TEST("maps-line-names")
{
	static const char *const names[] = {
		"[heap]", "/tmp/a b  c ", "/tmp/x (deleted)", "/memfd: leading blank (deleted)", "[anon:my name]",
		"/tmp/new\\012line", "/tmp/7f00-7f01 rw-p 00000000 00:00 0 ", "/tmp/\xff\xc3\xa4\x1b[31m",
		"anon_inode:[kvm-gmem]",
	};

	for EACH(names) {
		struct maps_line l = {};
		char line[256];

		snprintf(line, sizeof(line), "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0%*s%s\n",
			 i % 2 ? 1 : 7, "", names[i]);
		check_num(__LINE__, names[i], maps_line_parse(line, &l), 0);
		STR(l.name, names[i]);
		NUM(l.range.start, 0xffffffffff600000);
	}
}

TEST("maps-line-malformed")
{
	static const char *const bad[] = {
		"",
		"\n",
		"Rss:                 100 kB\n",
		"VmFlags: rd wr\n",
		"7f00 rw-p 00000000 00:00 0 \n",
		"7f00 7f01 rw-p 00000000 00:00 0 \n",
		"7f00-7e00 rw-p 00000000 00:00 0 \n",
		"7f00-7f00 rw-p 00000000 00:00 0 \n",
		"7f00-7g00 rw-p 00000000 00:00 0 \n",
		"-7f00 rw-p 00000000 00:00 0 \n",
		"7f00- rw-p 00000000 00:00 0 \n",
		"7f00-10000000000007f00 rw-p 00000000 00:00 0 \n",
		"7f00-7f01\n",
		"7f00-7f01 rw-\n",
		"7f00-7f01 rw- 00000000 00:00 0 \n",
		"7f00-7f01 r- p 00000000 00:00 0 \n",
		"7f00-7f01 rw-pp 00000000 00:00 0 \n",
		"7f00-7f01 rw-p\n",
		"7f00-7f01 rw-p 00000000\n",
		"7f00-7f01 rw-p 00000000 0000 0 \n",
		"7f00-7f01 rw-p 00000000 00:00\n",
		"7f00-7f01 rw-p 00000000 100000000:00 0 \n",
		"7f00-7f01 rw-p 00000000 00:100000000 0 \n",
		"7f00-7f01 rw-p 00000000 00:00 0\n",
		"7f00-7f01 rw-p 00000000 00:00 0K \n",
		"7f00-7f01 rw-p 00000000 00:00 x \n",
		"7f00-7f01 rw-p 00000000 00:00 18446744073709551616 \n",
		"7f00-7f01 rw-p zz 00:00 0 \n",
	};

	for EACH(bad) {
		struct maps_line l = { .inode = 77 };
		char line[128];

		snprintf(line, sizeof(line), "%s", bad[i]);
		check_num(__LINE__, bad[i], maps_line_parse(line, &l), -EINVAL);
		NUM(l.inode, 77);
	}
}

TEST("smaps-size")
{
	uint64_t bytes = 1;

	for (int i = 0; i < SMAPS_NR_SIZES; i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s:%*d kB\n", uffdctl_smaps_key((unsigned int)i), 10, i * 4);
		check_num(__LINE__, line, smaps_size_parse(line, &bytes), i);
		NUM(bytes, i * 4096);
	}
	NUM(smaps_size_parse("KernelPageSize:     2048 kB\n", &bytes), SMAPS_KERNEL_PAGE_SIZE);
	NUM(bytes, HUGE_PAGE);
	NUM(smaps_size_parse("Rss:  18014398509481983 kB\n", &bytes), 0);
	NUM(bytes, UINT64_MAX - 1023);
}

TEST("smaps-size-other")
{
	static const char *const bad[] = {
		"", ":", "Rss", "Rss\n", "Rss:", "Rss:\n", "Rss: kB\n", "Rss: 4\n", "Rss: 4 kB", "Rss: 4 MB\n",
		"Rss: 4 kB \n", "Rss: x kB\n", "Rss: 18014398509481984 kB\n", "Rss: 99999999999999999999999 kB\n",
		"Rs: 4 kB\n", "Rsss: 4 kB\n", "rss: 4 kB\n", "Size: 4 kB\n", "MMUPageSize: 4 kB\n", "THPeligible: 1\n",
		"VmFlags: rd\n", "P: 4 kB\n",
	};
	uint64_t bytes = 1;

	NUM(smaps_size_parse("Rss\0 4 kB\n", &bytes), -1);
	for EACH(bad) {
		char *line = strdup(bad[i]); /* of its own, so that reading past its end is seen */

		check_num(__LINE__, bad[i], smaps_size_parse(line, &bytes), -1);
		free(line);
	}
	NUM(bytes, 1);
}

static void check_flags(int line, const char *text, const char *want)
{
	char buf[128];

	snprintf(buf, sizeof(buf), "%s", text);
	check_str(line, text, smaps_flags_parse(buf), want);
}

TEST("smaps-flags")
{
	check_flags(__LINE__, "VmFlags: rd wr sh mr mw me ms ui \n", "rd wr sh mr mw me ms ui");
	check_flags(__LINE__, "VmFlags: rd\n", "rd");
	check_flags(__LINE__, "VmFlags: rd", "rd");
	check_flags(__LINE__, "VmFlags:\n", "");
	check_flags(__LINE__, "VmFlags:   \n", "");
	check_flags(__LINE__, "VmFlags", NULL);
	check_flags(__LINE__, "VmFlag: rd\n", NULL);
	check_flags(__LINE__, " VmFlags: rd\n", NULL);
	check_flags(__LINE__, "", NULL);
}

/* ---- VmFlags ---- */

TEST("vmflags-modes-of-text")
{
	NUM(vmflags_modes_of_text(""), 0);
	NUM(vmflags_modes_of_text("rd wr mr mw me ac"), 0);
	NUM(vmflags_modes_of_text("um"), UFFDCTL_MODE_MISSING);
	NUM(vmflags_modes_of_text("rd uw"), UFFDCTL_MODE_WP);
	NUM(vmflags_modes_of_text("ui wr"), UFFDCTL_MODE_MINOR);
	NUM(vmflags_modes_of_text("ur"), UFFDCTL_MODE_RWP);
	NUM(vmflags_modes_of_text("rd um uw ui ur sd"), 15);
	NUM(vmflags_modes_of_text("ru mw iu"), 0);	/* "um", "ui" only across the blank */
	NUM(vmflags_modes_of_text("u"), 0);
	NUM(vmflags_modes_of_text("rd u"), 0);
}

TEST("vmflags-text")
{
	struct vmflags f = { .names = { [0] = "rd", [1] = "wr", [9] = "um", [63] = "zz" } };
	char buf[64 * 3];

	vmflags_text(&f, 0, buf);
	STR(buf, "");
	vmflags_text(&f, 1, buf);
	STR(buf, "rd");
	vmflags_text(&f, 1 | 1 << 9 | 1 << 5, buf);
	STR(buf, "rd um");
	vmflags_text(&f, UINT64_MAX, buf);
	STR(buf, "rd wr um zz");
	for (int bit = 0; bit < 64; bit++)
		memcpy(f.names[bit], "ab", 3);
	vmflags_text(&f, UINT64_MAX, buf);
	NUM(strlen(buf), sizeof(buf) - 1);
}

TEST("vmflags-modes")
{
	struct vmflags f = { .mode_bits = { 1 << 9, 1 << 12, UINT64_C(1) << 38, 0 } };

	NUM(vmflags_modes(&f, 0), 0);
	NUM(vmflags_modes(&f, 1 << 9), UFFDCTL_MODE_MISSING);
	NUM(vmflags_modes(&f, UINT64_C(1) << 38 | 1 << 12), UFFDCTL_MODE_MINOR | UFFDCTL_MODE_WP);
	NUM(vmflags_modes(&f, UINT64_C(1) << 37), 0);
	NUM(vmflags_modes(&f, UINT64_MAX), 7);
}
