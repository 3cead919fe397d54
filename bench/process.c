/* SPDX-License-Identifier: Apache-2.0 */
/* proc(5): fields 14 and 15 of stat are utime and stime in clock ticks, field 2 of statm the
 * resident pages. */
#include "bench/process.h"

#include "base/slice.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define US_PER_S 1000000
#define FIELDS_TO_UTIME 12 /* blanks between the bracket behind the name and utime */

static struct slice process_file(pid_t process, const char *name, char *out, size_t out_size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/%s", (long)process, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return (struct slice){0};
    ssize_t size = read(fd, out, out_size);
    close(fd);
    return (struct slice){.data = out, .size = size < 0 ? 0 : (size_t)size};
}

static bool next_number(struct slice *rest, uint64_t *ret_value)
{
    return slice_to_uint64(slice_split(*rest, ' ', rest), INT64_MAX, ret_value);
}

int64_t process_cpu_us(pid_t process)
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

int64_t process_memory(pid_t process)
{
    char text[256];
    uint64_t pages = 0;
    struct slice rest = process_file(process, "statm", text, sizeof text);
    slice_split(rest, ' ', &rest);
    if (!next_number(&rest, &pages))
        return -1;
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
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

uint64_t process_raise_files(void)
{
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur;
}
