// SPDX-License-Identifier: GPL-2.0-only
/* The slots of threads. */
#include "bpf/watch/slots.h"

char _license[] SEC("license") = "GPL";

struct slot_map slots SEC(".maps");
__u32 no_room;
__u64 nr_taken;
