/* SPDX-License-Identifier: Apache-2.0 */
/* proc(5): the first field of a thread's schedstat is what it ran, in nanoseconds; fields 14 and 15
 * of stat are utime and stime in clock ticks, which here are sampled: a thread that wakes with the
 * tick, as one does that is fed 1,000 times a second, is charged for whole ticks that it slept.
 * smaps_rollup has exact sums over all mappings, which statm has not; VmHWM of status is the peak,
 * and a 5 written to clear_refs begins it anew. */
#include "bench/process.h"

#include "base/slice.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define US_PER_S 1000000
#define NS_PER_US 1000
#define FIELDS_TO_UTIME 12 /* blanks between the bracket behind the name and utime */

static struct slice proc_file(const char *path, char *out, size_t out_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return (struct slice){0};
    ssize_t size = read(fd, out, out_size);
    close(fd);
    return (struct slice){.data = out, .size = size < 0 ? 0 : (size_t)size};
}

static struct slice process_file(pid_t process, const char *name, char *out, size_t out_size)
{
    char path[400];
    snprintf(path, sizeof path, "/proc/%ld/%s", (long)process, name);
    return proc_file(path, out, out_size);
}

static bool next_number(struct slice *rest, uint64_t *ret_value)
{
    return slice_to_uint64(slice_split(*rest, ' ', rest), INT64_MAX, ret_value);
}

/* What its threads ran, to the nanosecond; -1: not told. */
static int64_t process_ran_ns(pid_t process)
{
    char path[64], name[300], text[128];
    snprintf(path, sizeof path, "/proc/%ld/task", (long)process);
    DIR *tasks = opendir(path);
    int64_t sum = -1;
    if (tasks == NULL)
        return -1;
    for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
        uint64_t ran = 0;
        snprintf(name, sizeof name, "task/%s/schedstat", task->d_name);
        struct slice file = process_file(process, name, text, sizeof text);
        if (task->d_name[0] != '.' && next_number(&file, &ran))
            sum = (sum < 0 ? 0 : sum) + (int64_t)ran;
    }
    closedir(tasks);
    return sum;
}

static int64_t process_ticks_us(pid_t process)
{
    char text[1024];
    uint64_t user = 0;
    uint64_t system = 0;
    struct slice file = process_file(process, "stat", text, sizeof text);
    const char *name_end = memrchr(text, ')', file.size);
    if (name_end == NULL)
        return -1;
    struct slice rest = {.data = name_end, .size = file.size - (size_t)(name_end - text)};
    for (int i = 0; i < FIELDS_TO_UTIME; i++)
        slice_split(rest, ' ', &rest);
    if (!next_number(&rest, &user) || !next_number(&rest, &system))
        return -1;
    return (int64_t)((user + system) * US_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

int64_t process_cpu_us(pid_t process)
{
    int64_t ran_ns = process_ran_ns(process);
    return ran_ns < 0 ? process_ticks_us(process) : ran_ns / NS_PER_US;
}

/* Bytes, from the kB behind a word at the beginning of a line; -1 when there is none. */
static int64_t line_bytes(struct slice text, const char *word)
{
    while (text.size > 0) {
        struct slice line = slice_split(text, '\n', &text);
        if (!slice_starts_with(line, slice_of(word)))
            continue;
        uint64_t number = 0;
        line.data += strlen(word);
        line.size -= strlen(word);
        line = slice_trim(line);
        struct slice unit;
        if (!slice_to_uint64(slice_split(line, ' ', &unit), INT64_MAX / 1024, &number))
            return -1;
        return (int64_t)number * 1024;
    }
    return -1;
}

bool process_memory(pid_t process, struct process_memory *ret_memory)
{
    char text[4096];
    struct slice file = process_file(process, "smaps_rollup", text, sizeof text);
    struct process_memory memory = {.resident = line_bytes(file, "Rss:"),
                                    .proportional = line_bytes(file, "Pss:")};
    if (memory.resident < 0 || memory.proportional < 0)
        return false;
    *ret_memory = memory;
    return true;
}

int64_t process_peak(pid_t process)
{
    char text[4096];
    return line_bytes(process_file(process, "status", text, sizeof text), "VmHWM:");
}

void process_peak_reset(pid_t process)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/clear_refs", (long)process);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, "5", 1);
    close(fd);
}

/* "TCP: inuse 5 orphan 0 tw 0 alloc 9 mem 1": the last is pages. */
static int64_t queued_pages(struct slice text)
{
    uint64_t pages = 0;
    while (text.size > 0) {
        struct slice line = slice_split(text, '\n', &text);
        const char *mem = memmem(line.data, line.size, " mem ", 5);
        if (!slice_starts_with(line, SLICE("TCP:")) || mem == NULL)
            continue;
        struct slice number = {.data = mem + 5, .size = (size_t)(line.data + line.size - mem - 5)};
        if (slice_to_uint64(slice_trim(number), INT32_MAX, &pages))
            return (int64_t)pages;
    }
    return 0;
}

struct kernel_memory kernel_memory_read(void)
{
    char text[4096];
    struct kernel_memory memory = {0};
    memory.queued =
        queued_pages(proc_file("/proc/net/sockstat", text, sizeof text)) * sysconf(_SC_PAGESIZE);
    memory.slabs = line_bytes(proc_file("/proc/meminfo", text, sizeof text), "Slab:");
    return memory;
}

static int64_t timeval_us(struct timeval value)
{
    return (int64_t)value.tv_sec * US_PER_S + value.tv_usec;
}

int64_t process_own_cpu_us(void)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    return timeval_us(usage.ru_utime) + timeval_us(usage.ru_stime);
}

uint64_t process_raise_files(uint64_t wanted)
{
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max < wanted) { /* an administrator may have more */
        files = (struct rlimit){.rlim_cur = wanted, .rlim_max = wanted};
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur;
}
