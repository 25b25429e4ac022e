// SPDX-License-Identifier: GPL-2.0-only
/* Ioctls on userfaultfds that fail. */
#include "bpf/watch/failures.h"

char _license[] SEC("license") = "GPL";

struct failure_map failures SEC(".maps");
