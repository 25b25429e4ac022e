/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file that watch --record writes and report reads.
 *
 * A file is a head and then blocks. Numbers of fixed size are little-endian. Checksums are CRC-32C.
 *
 *   head:   8 bytes RECORD_MAGIC, u32 version, u32 checksum of the 12 bytes before it
 *   block:  u32 length of its items, u32 checksum of its items, u32 checksum of the 8 bytes before it; items
 *
 * A block is written with one write(2), at least once a second while there is something to write. So a process that is
 * killed leaves whole blocks, at most the last one is incomplete.
 *
 * An item begins with a byte. If its lowest bit is 1, the item is a fault (enum record_fault_flags); otherwise the byte
 * is 2 * enum record_item. What follows is made of:
 *
 *   number:  unsigned, 7 bits a byte, the lowest ones first; bit 7 of a byte: there are more
 *   signed:  a number: n >= 0 as 2n, n < 0 as -2n - 1
 *   text:    a number, its length, and so many bytes, none of them 0
 *   waits:   a number, how many buckets are not empty; of each the number of empty ones before it, and its count
 *
 *   RECORD_INFO     version of the program, kernel release, backend, what is watched: 4 texts; then numbers: when
 *                   watching began by CLOCK_MONOTONIC and by the wall clock (ns since 1970), an identifier of the
 *                   recording, which file of it this is (from 0 on). The first item of a file, and only there.
 *   RECORD_THREAD   numbers pid, tid; text comm
 *   RECORD_SHAPE    numbers kind, access, end (enums of uffdctl.h); text: the ioctl, "" if there is none
 *   RECORD_MAPPING  numbers pid, flags (enum record_known); text: its name; number: address of its offset 0
 *   RECORD_CODE     numbers: instruction, flags (enum record_known); text: its symbol
 *   RECORD_FORGET   nothing: the four kinds of items before it are numbered anew
 *   RECORD_STATS    numbers: ns since watching began; then those of enum record_count; waits: all, queued, handled
 *   RECORD_TEAM     number pid; text name; numbers: threads, faults, waited ns, ns in which all waited
 *   RECORD_TOTAL    of a thread: numbers pid, tid; text comm; numbers: faults, waited ns
 *   RECORD_RESOLVER numbers pid, tid; text comm; numbers: faults, longest wait, queued, handled; waits: all, queued,
 *                   handled
 *   RECORD_FAILURE  of a thread's ioctls that failed with the same error: numbers pid, tid; text comm; numbers: of the
 *                   ioctl, errno, how many
 *   RECORD_END      number: 0: the recording ends; 1: it goes on in the next file. The last item of a file.
 *
 * THREAD, SHAPE, MAPPING and CODE are numbered from 1 on, each kind by itself, in the order of the file; a fault names
 * them by these numbers, 0 is none. A fault has, as far as its first byte does not say otherwise: numbers thread,
 * shape, resolver, reader, mapping, code; then signed: start, minus that of the fault before it in the block; number
 * wait; number queued; signed: address, minus that of the fault before it. The first fault of a block comes after one
 * of all zeros.
 *
 * A reader takes no version above its own, and no item that it does not know.
 */
#ifndef UFFDCTL_RECORD_FORMAT_H
#define UFFDCTL_RECORD_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_MAGIC "uffdrec\n"
#define RECORD_VERSION 1

enum {
	RECORD_HEAD_BYTES = 16,
	RECORD_BLOCK_HEAD_BYTES = 12,
	RECORD_BLOCK_BYTES = 1 << 16, /* a block with this much is written */
	RECORD_MAX_BLOCK = 1 << 18,   /* no block has more */
	RECORD_MAX_ITEM = 1 << 16,    /* nor an item */
	RECORD_MAX_TEXT = 6000,	      /* longer texts are cut off */
	RECORD_MAX_OP = 31,	      /* of an ioctl's name: a-z, 0-9 and _ */
	RECORD_MAX_ENTRIES = 1 << 15, /* of a kind before it is forgotten */
	RECORD_MAX_TEXTS = 1 << 23,   /* bytes of all texts before they are forgotten */
	RECORD_MAX_PARTS = 1 << 16,   /* RECORD_TEAM, RECORD_TOTAL, RECORD_FAILURE in a file */
	RECORD_MAX_IOCTL = 63,	      /* number of an ioctl */
	RECORD_MAX_ERRNO = 4095,
	RECORD_MAX_RESOLVERS = 1 << 10 /* RECORD_RESOLVER in a file */
};

enum record_item {
	RECORD_INFO = 1,
	RECORD_THREAD,
	RECORD_SHAPE,
	RECORD_MAPPING,
	RECORD_CODE,
	RECORD_FORGET,
	RECORD_STATS,
	RECORD_TEAM,
	RECORD_TOTAL,
	RECORD_RESOLVER,
	RECORD_END,
	RECORD_FAILURE,
};

enum record_fault_flags {
	RECORD_IS_FAULT = 1 << 0,
	/* As in the fault before it in the block: not written. */
	RECORD_SAME_THREAD = 1 << 1,
	RECORD_SAME_SHAPE = 1 << 2,
	RECORD_SAME_RESOLVER = 1 << 3, /* and reader */
	RECORD_SAME_MAPPING = 1 << 4,
	RECORD_SAME_CODE = 1 << 5,
	/* Not known: not written. */
	RECORD_NO_WAIT = 1 << 6,
	RECORD_NO_QUEUE = 1 << 7,
};

enum record_known {
	RECORD_HAS_TEXT = 1 << 0,
	RECORD_HAS_NUMBER = 1 << 1, /* the number that follows the text, or comes before the flags */
};

/* Kinds of what faults name by number, by item. */
enum record_kind {
	RECORD_THREADS,
	RECORD_SHAPES,
	RECORD_MAPPINGS,
	RECORD_CODES,
	RECORD_NR_KINDS,
};

/* The numbers of RECORD_STATS, in this order: members of struct uffdctl_watch_stats. */
/* clang-format off */
#define RECORD_COUNTS(X)                                                                                        \
	X(faults[0]) X(faults[1]) X(faults[2]) X(faults[3]) X(ended[0]) X(ended[1]) X(ended[2]) X(ended[3])     \
	X(pending) X(before) X(before_left) X(blocked) X(delivered) X(lost_events) X(missed) X(unknown_waits)   \
	X(skipped) X(max_wait_ns) X(max_queued_ns) X(max_handled_ns)                                            \
	X(failed_ioctls) X(sum_wait_ns) RECORD_KIND_ENDS(X, 0) RECORD_KIND_ENDS(X, 1) RECORD_KIND_ENDS(X, 2) RECORD_KIND_ENDS(X, 3)

#define RECORD_KIND_ENDS(X, kind)                                                                               \
	X(ended_by_kind[kind][0]) X(ended_by_kind[kind][1]) X(ended_by_kind[kind][2]) X(ended_by_kind[kind][3])
/* clang-format on */

/* A number takes so many bytes at most. */
#define RECORD_MAX_NUMBER 10

static inline uint64_t record_zigzag(uint64_t n)
{
	return n << 1 ^ -(n >> 63);
}

static inline uint64_t record_unzigzag(uint64_t n)
{
	return n >> 1 ^ -(n & 1);
}

struct record_crc {
	uint32_t table[8][256];
};

void record_crc_init(struct record_crc *c);
uint32_t record_crc(const struct record_crc *c, const void *data, size_t len);

#endif
