/* SPDX-License-Identifier: Apache-2.0 */
/* What a process has used, from /proc: also of a server that is not ours. Sizes in bytes. */
#pragma once

#include "base/attr.h"

#include <sys/types.h>

struct process_memory {
    int64_t resident;     /* pages that it has, shared ones included */
    int64_t proportional; /* the same, shared ones divided by who shares them */
};

/* User and system time of all its threads that are there, in microseconds: what they ran, or, where
 * the kernel does not tell, in steps of 10 ms. -1: no such process. */
int64_t process_cpu_us(pid_t process);

/* Exact, which the kernel's quick figures are not. False: no such process, or not ours to see. */
bool process_memory(pid_t process, struct process_memory *ret_memory) MUST_CHECK;

/* The most that was resident since process_peak_reset, or since it began where that is not allowed;
 * -1: no such process. */
int64_t process_peak(pid_t process);
void process_peak_reset(pid_t process);

/* The kernel's own for sockets, both ends of all connections of this machine: what stands in TCP's
 * queues, and what all its objects take together (slabs, of which sockets are the most here). */
struct kernel_memory {
    int64_t queued;
    int64_t slabs;
};
struct kernel_memory kernel_memory_read(void);

/* Our own user and system time, exactly, without children. */
int64_t process_own_cpu_us(void);

/* As many open files as the system lets us have; returns how many. */
uint64_t process_raise_files(uint64_t wanted);
