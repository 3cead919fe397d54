/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Series hang on their family in the order in which they were made, which is the order in which
 * they are written. They are made and written on the main thread; only the values are shared.
 */
#include "base/metrics.h"

#include "base/limits.h"
#include "base/memory.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#define MICROSECONDS 1000000

struct metric {
    _Atomic int64_t value;
    struct metric *next; /* of the same family; shared life, the process's */
    char labels[LIMIT_METRIC_LABELS];
};

struct family {
    const char *name; /* without prefix */
    const char *help;
    enum metric_kind kind;
    struct metric *first;
    struct metric *last;
};

static struct family families[METRIC_FAMILY_COUNT] = {
#define X(suffix, name_text, kind_of, help_text)                                                   \
    [METRIC_##suffix] = {.name = (name_text), .kind = (kind_of), .help = (help_text)},
    METRIC_TABLE(X)
#undef X
};

static size_t series_count;
static struct metric overflow; /* takes what LIMIT_METRIC_SERIES refuses; never written out */

struct metric *metric_series(enum metric_family family, const char *labels)
{
    assert(family < METRIC_FAMILY_COUNT);
    assert(labels != NULL);
    struct family *into = &families[family];
    for (struct metric *metric = into->first; metric != NULL; metric = metric->next) {
        if (strcmp(metric->labels, labels) == 0)
            return metric;
    }
    size_t size = strlen(labels);
    if (series_count == LIMIT_METRIC_SERIES || size >= LIMIT_METRIC_LABELS)
        return &overflow;

    struct metric *metric = memory_alloc(sizeof *metric);
    memcpy(metric->labels, labels, size + 1);
    if (into->last == NULL)
        into->first = metric;
    else
        into->last->next = metric;
    into->last = metric;
    series_count++;
    return metric;
}

/* All accesses are relaxed: a value stands alone, nothing else is published with it. */
void metric_add(struct metric *metric, uint64_t amount)
{
    atomic_fetch_add_explicit(&metric->value, (int64_t)amount, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

int64_t metric_value(const struct metric *metric)
{
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

static void read_cpu(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    int64_t seconds = (int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    int64_t rest = (int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    metric_set(metric_series(METRIC_PROCESS_CPU, ""), seconds * MICROSECONDS + rest);
}

/* The second word of statm is the number of resident pages. Without /proc the family is left out.
 */
static void read_memory(void)
{
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    char text[128];
    ssize_t size = read(fd, text, sizeof text);
    close(fd);
    if (size <= 0)
        return;

    struct slice rest = {.data = text, .size = (size_t)size};
    slice_split(rest, ' ', &rest);
    uint64_t pages;
    if (!slice_to_uint64(slice_split(rest, ' ', &rest), INT64_MAX / (64 * KIBIBYTE), &pages))
        return;
    int64_t bytes = (int64_t)pages * sysconf(_SC_PAGESIZE);
    metric_set(metric_series(METRIC_PROCESS_MEMORY, ""), bytes);
}

static void write_value(struct buffer *out, int64_t value, bool is_seconds)
{
    if (!is_seconds) {
        buffer_append_format(out, " %" PRId64 "\n", value);
        return;
    }
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    buffer_append_format(out, " %s%" PRIu64 ".%06" PRIu64 "\n", value < 0 ? "-" : "",
                         size / MICROSECONDS, size % MICROSECONDS);
}

static void write_family(struct buffer *out, const struct family *family)
{
    if (family->first == NULL)
        return;
    bool is_seconds = strstr(family->name, "_seconds") != NULL;
    buffer_append_format(out, "# HELP tickwire_%s %s\n# TYPE tickwire_%s %s\n", family->name,
                         family->help, family->name,
                         family->kind == METRIC_COUNTER ? "counter" : "gauge");
    for (const struct metric *metric = family->first; metric != NULL; metric = metric->next) {
        buffer_append_format(out, "tickwire_%s", family->name);
        if (metric->labels[0] != '\0')
            buffer_append_format(out, "{%s}", metric->labels);
        write_value(out, metric_value(metric), is_seconds);
    }
}

void metric_write_all(struct buffer *out)
{
    read_cpu();
    read_memory();
    for (size_t i = 0; i < METRIC_FAMILY_COUNT; i++)
        write_family(out, &families[i]);
}
