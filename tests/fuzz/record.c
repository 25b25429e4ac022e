// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A recording. The input is the items of its blocks: the first byte of the input says how long the first block is. Heads
 * and checksums are made right here, since no fuzzer would find them; then the same bytes are read as they are.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "lib/record/format.h"
#include "lib/uffdctl.h"

static void write_all(int fd, const void *data, size_t size)
{
	ENSURE(write(fd, data, size) == (ssize_t)size);
}

static void put_u32(unsigned char *to, uint32_t n)
{
	memcpy(to, &n, sizeof(n));
}

static void write_head(int fd, const struct record_crc *crc)
{
	unsigned char head[RECORD_HEAD_BYTES];

	memcpy(head, RECORD_MAGIC, 8);
	put_u32(head + 8, RECORD_VERSION);
	put_u32(head + 12, record_crc(crc, head, 12));
	write_all(fd, head, sizeof(head));
}

static void write_block(int fd, const struct record_crc *crc, const uint8_t *items, size_t size)
{
	unsigned char head[RECORD_BLOCK_HEAD_BYTES];

	put_u32(head, (uint32_t)size);
	put_u32(head + 4, record_crc(crc, items, size));
	put_u32(head + 8, record_crc(crc, head, 8));
	write_all(fd, head, sizeof(head));
	write_all(fd, items, size);
}

/* What a caller relies on. */
static void check_fault(const struct uffdctl_fault *f, const char *symbol)
{
	size_t len = symbol ? strlen(symbol) : 0;

	len += f->name ? strlen(f->name) : 0;
	ENSURE(len <= 2 * RECORD_MAX_TEXT);
	ENSURE(f->kind >= UFFDCTL_KIND_MISSING && f->kind <= UFFDCTL_KIND_RWP);
	ENSURE(f->access <= UFFDCTL_ACCESS_WRITE && f->end <= UFFDCTL_END_NOT_WAITED);
	ENSURE(f->pid >= 0 && f->tid >= 0 && f->resolver_pid >= 0 && f->reader_pid >= 0 && f->target_pid >= 0);
	ENSURE(!f->comm[15] && !f->resolver_comm[15] && !f->reader_comm[15]);
	ENSURE(!f->op || strlen(f->op) <= RECORD_MAX_OP);
	ENSURE(f->wait_ns == UFFDCTL_UNKNOWN || f->start_ns + f->wait_ns >= f->start_ns);
}

static void read_all(struct uffdctl *u, const char *path)
{
	struct uffdctl_watch_stats st = { .size = sizeof(st) };
	const struct uffdctl_resolver_totals *resolver;
	const struct uffdctl_failure_totals *failure;
	const struct uffdctl_fault *f;
	struct uffdctl_record *r;
	const char *symbol;
	uint64_t passed_ns;

	if (uffdctl_record_open(u, path, &r) < 0)
		return;
	while (uffdctl_record_next(r, &f, &symbol) > 0)
		check_fault(f, symbol);
	uffdctl_record_stats(r, &st, &passed_ns);
	for (size_t at = 0; (resolver = uffdctl_record_resolver(r, &at));)
		ENSURE(!resolver->comm[15]);
	for (size_t at = 0; (failure = uffdctl_record_failure(r, &at));)
		ENSURE(!failure->comm[15] && failure->op <= RECORD_MAX_IOCTL && failure->error >= 0);
	uffdctl_record_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("record", MFD_CLOEXEC);
	struct record_crc crc;
	struct uffdctl *u;
	char path[64];
	size_t cut;

	ENSURE(fd >= 0 && uffdctl_new(&u) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	record_crc_init(&crc);
	cut = size ? (size_t)data[0] * (size - 1) / 255 : 0;
	write_head(fd, &crc);
	if (cut)
		write_block(fd, &crc, data + 1, cut);
	if (size > 1 + cut)
		write_block(fd, &crc, data + 1 + cut, size - 1 - cut);
	read_all(u, path);
	ENSURE(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	write_all(fd, data, size);
	read_all(u, path);
	close(fd);
	uffdctl_free(u);
	return 0;
}
