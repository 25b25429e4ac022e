// SPDX-License-Identifier: LGPL-2.1-or-later
/* CRC-32C, eight bytes at a time. */
#include <endian.h>
#include <string.h>

#include "lib/record/format.h"

#define POLYNOMIAL UINT32_C(0x82f63b78) /* Castagnoli, reversed */

void record_crc_init(struct record_crc *c)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		c->table[0][i] = crc;
	}
	for (int k = 1; k < 8; k++)
		for (int i = 0; i < 256; i++)
			c->table[k][i] = c->table[k - 1][i] >> 8 ^ c->table[0][c->table[k - 1][i] & 0xff];
}

uint32_t record_crc(const struct record_crc *c, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint32_t crc = UINT32_MAX;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t n;

		memcpy(&n, p, sizeof(n));
		n = le64toh(n) ^ crc;
		crc = c->table[7][n & 0xff] ^ c->table[6][n >> 8 & 0xff] ^ c->table[5][n >> 16 & 0xff] ^
		      c->table[4][n >> 24 & 0xff] ^ c->table[3][n >> 32 & 0xff] ^ c->table[2][n >> 40 & 0xff] ^
		      c->table[1][n >> 48 & 0xff] ^ c->table[0][n >> 56];
	}
	for (; len; len--, p++)
		crc = crc >> 8 ^ c->table[0][(crc ^ *p) & 0xff];
	return ~crc;
}
