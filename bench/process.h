/* SPDX-License-Identifier: Apache-2.0 */
/* What a process has used, from /proc: also of a server that is not ours. */
#pragma once

#include "base/attr.h"

#include <sys/types.h>

/* User and system time of all its threads, in microseconds; steps of 10 ms. -1: no such process. */
int64_t process_cpu_us(pid_t process);

/* Resident memory in bytes; -1: no such process. */
int64_t process_memory(pid_t process);

/* Our own user and system time, exactly, without children. */
int64_t process_own_cpu_us(void);

/* As many open files as the system lets us have; returns how many. */
uint64_t process_raise_files(void);
