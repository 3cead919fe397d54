/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Series hang on their family in the order in which they were made, which is the order in which
 * they are written. They are made and written on the main thread; only the values are shared.
 */
#include "base/metrics.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MICROSECONDS 1000000
#define BOUND_COUNT 19
#define PROC_TEXT_MAX 1024

/* Upper ends of the buckets, as counted and as written; the last bucket has none (+Inf). */
static const int64_t bounds_us[BOUND_COUNT] = {
    10,    25,    50,     100,    250,    500,     1000,    2500,    5000,    10000,
    25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};
static const char *const bound_texts[BOUND_COUNT + 1] = {
    "0.00001", "0.000025", "0.00005", "0.0001", "0.00025", "0.0005", "0.001",
    "0.0025",  "0.005",    "0.01",    "0.025",  "0.05",    "0.1",    "0.25",
    "0.5",     "1.0",      "2.5",     "5.0",    "10.0",    "+Inf"};

struct histogram {
    _Atomic uint64_t bucket[BOUND_COUNT + 1]; /* values in it alone; added up when written */
    _Atomic uint64_t sum_us;
};

struct metric {
    _Atomic int64_t value;
    struct histogram *histogram; /* of a histogram's series, else NULL; shared life as well */
    struct metric *next;         /* of the same family; shared life, the process's */
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
static struct histogram overflow_histogram;
static struct metric overflow = {.histogram = &overflow_histogram}; /* never written out */

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
    if (into->kind == METRIC_HISTOGRAM)
        metric->histogram = memory_alloc(sizeof *metric->histogram);
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

static size_t bucket_of(int64_t value_us)
{
    size_t bucket = 0; /* counted without branches: the next value is anybody's guess */
    for (size_t i = 0; i < BOUND_COUNT; i++)
        bucket += value_us > bounds_us[i];
    return bucket;
}

void metric_observe_many(struct metric *metric, int64_t value_us, uint64_t count)
{
    struct histogram *histogram = metric->histogram;
    assert(histogram != NULL);
    if (value_us < 0)
        value_us = 0;
    if (value_us > LIMIT_METRIC_OBSERVED_US)
        value_us = LIMIT_METRIC_OBSERVED_US;
    atomic_fetch_add_explicit(&histogram->bucket[bucket_of(value_us)], count, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_us, (uint64_t)value_us * count, memory_order_relaxed);
}

void metric_observe(struct metric *metric, int64_t value_us)
{
    metric_observe_many(metric, value_us, 1);
}

/* ---- the process ---- */

static void read_cpu(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    int64_t seconds = (int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    int64_t rest = (int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    metric_set(metric_series(METRIC_PROCESS_CPU, ""), seconds * MICROSECONDS + rest);
}

/* The text of a small file of /proc; empty when it cannot be read. */
static struct slice proc_read(const char *path, char text[PROC_TEXT_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, text, PROC_TEXT_MAX);
    if (fd >= 0)
        close(fd);
    return (struct slice){.data = text, .size = size < 0 ? 0 : (size_t)size};
}

/* The index-th of the words between single blanks, as a number under `max`. */
static bool proc_number(struct slice text, size_t index, uint64_t max, uint64_t *ret_number)
{
    for (size_t i = 0; i < index; i++)
        slice_split(text, ' ', &text);
    return slice_to_uint64(slice_split(text, ' ', &text), max, ret_number);
}

static void read_memory(void)
{
    char text[PROC_TEXT_MAX];
    uint64_t pages;
    uint64_t most = INT64_MAX / (64 * KIBIBYTE);
    if (proc_number(proc_read("/proc/self/statm", text), 1, most, &pages)) /* proc(5): resident */
        metric_set(metric_series(METRIC_PROCESS_MEMORY, ""),
                   (int64_t)pages * sysconf(_SC_PAGESIZE));
}

/* "12.34": seconds since the machine started, as microseconds. */
static bool read_uptime(int64_t *ret_us)
{
    char text[PROC_TEXT_MAX];
    uint64_t seconds, hundredths;
    struct slice rest;
    struct slice word = slice_split(proc_read("/proc/uptime", text), ' ', &rest);
    if (!slice_to_uint64(slice_split(word, '.', &rest), UINT32_MAX, &seconds) || rest.size != 2 ||
        !slice_to_uint64(rest, 99, &hundredths))
        return false;
    *ret_us = (int64_t)seconds * MICROSECONDS + (int64_t)hundredths * (MICROSECONDS / 100);
    return true;
}

/* It started `ticks` after the machine did. Reckoned once: the wall clock may be set meanwhile. */
static void read_start(uint64_t ticks)
{
    int64_t uptime_us;
    int64_t ticks_per_second = sysconf(_SC_CLK_TCK);
    if (families[METRIC_PROCESS_START].first != NULL || ticks_per_second <= 0 ||
        !read_uptime(&uptime_us))
        return;
    int64_t after_us = (int64_t)ticks * (MICROSECONDS / ticks_per_second);
    metric_set(metric_series(METRIC_PROCESS_START, ""), clock_wall_us() - uptime_us + after_us);
}

/* proc(5): the name, in the second field, may hold anything, and so what follows it is counted. */
static void read_threads_and_start(void)
{
    char text[PROC_TEXT_MAX];
    struct slice stat = proc_read("/proc/self/stat", text);
    const char *name_end = stat.size == 0 ? NULL : memrchr(stat.data, ')', stat.size);
    if (name_end == NULL)
        return;
    size_t used = (size_t)(name_end - stat.data);
    struct slice rest = {.data = name_end, .size = stat.size - used}; /* ") S 1 ...": field 2 on */
    uint64_t threads, ticks;
    if (proc_number(rest, 18, INT32_MAX, &threads))
        metric_set(metric_series(METRIC_PROCESS_THREADS, ""), (int64_t)threads);
    if (proc_number(rest, 20, INT64_MAX / MICROSECONDS, &ticks))
        read_start(ticks);
}

/* Since Linux 6.2 the folder's size is the number of entries; counting ten thousand would hold the
 * loop up. */
static void read_files(void)
{
    struct stat status;
    struct rlimit limit;
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
        metric_set(metric_series(METRIC_PROCESS_FILES, ""), (int64_t)status.st_size);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= INT64_MAX)
        metric_set(metric_series(METRIC_PROCESS_FILES_MAX, ""), (int64_t)limit.rlim_cur);
}

/* ---- writing ---- */

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

static void write_labels(struct buffer *out, const char *labels)
{
    if (labels[0] != '\0')
        buffer_append_format(out, "{%s}", labels);
}

/* Each bucket counts all values up to its bound; the count is that of the last one, so that they
 * agree whatever other threads add meanwhile. */
static void write_histogram(struct buffer *out, const char *name, const struct metric *metric)
{
    const struct histogram *histogram = metric->histogram;
    uint64_t count = 0;
    for (size_t i = 0; i <= BOUND_COUNT; i++) {
        count += atomic_load_explicit(&histogram->bucket[i], memory_order_relaxed);
        buffer_append_format(out, "tickwire_%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name,
                             metric->labels, metric->labels[0] == '\0' ? "" : ",", bound_texts[i],
                             count);
    }
    uint64_t sum = atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
    buffer_append_format(out, "tickwire_%s_sum", name);
    write_labels(out, metric->labels);
    write_value(out, (int64_t)(sum & INT64_MAX), true);
    buffer_append_format(out, "tickwire_%s_count", name);
    write_labels(out, metric->labels);
    buffer_append_format(out, " %" PRIu64 "\n", count);
}

static const char *const kind_names[] = {
    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

static void write_family(struct buffer *out, const struct family *family)
{
    if (family->first == NULL)
        return;
    bool is_seconds = strstr(family->name, "_seconds") != NULL;
    buffer_append_format(out, "# HELP tickwire_%s %s\n# TYPE tickwire_%s %s\n", family->name,
                         family->help, family->name, kind_names[family->kind]);
    for (const struct metric *metric = family->first; metric != NULL; metric = metric->next) {
        if (family->kind == METRIC_HISTOGRAM) {
            write_histogram(out, family->name, metric);
            continue;
        }
        buffer_append_format(out, "tickwire_%s", family->name);
        write_labels(out, metric->labels);
        write_value(out, metric_value(metric), is_seconds);
    }
}

void metric_write_all(struct buffer *out)
{
    read_cpu();
    read_memory();
    read_threads_and_start();
    read_files();
    for (size_t i = 0; i < METRIC_FAMILY_COUNT; i++)
        write_family(out, &families[i]);
}
