/* SPDX-License-Identifier: Apache-2.0 */
/* A file and no pipe: nobody has to read for the child to go on. */
#include "bench/child.h"

#include "base/clock.h"
#include "base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "/proc/self/exe"
#define ARGUMENTS_MAX 256
#define OUTPUT_LOOKED_AT 65536 /* its first bytes: it says early where it is */
#define LAST_SHOWN 160
#define LOOK_MS 10 /* between two looks */
#define END_MS 10000
#define NS_PER_MS 1000000

static NO_RETURN void run(const char *const *arguments, int output, pid_t parent)
{
    char *values[ARGUMENTS_MAX + 2] = {(char *)"tickwire"};
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i] != NULL; i++)
        values[i + 1] = (char *)arguments[i]; /* execv changes nothing in them */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0)
        execv(PROGRAM, values);
    _exit(127);
}

int child_start(struct child *ret_child, const char *const *arguments, struct err *err)
{
    struct child child = {.process = 0};
    snprintf(child.name, sizeof child.name, "%s", arguments[0]);
    child.output = memfd_create("output", MFD_CLOEXEC);
    if (child.output < 0)
        return err_set(err, -errno, "no file for the output of %s: %s", child.name,
                       strerror(errno));
    pid_t parent = getpid();
    child.process = fork();
    if (child.process == 0)
        run(arguments, child.output, parent);
    if (child.process < 0) {
        int failed = errno;
        close(child.output);
        return err_set(err, -failed, "cannot start %s: %s", child.name, strerror(failed));
    }
    *ret_child = child;
    return 0;
}

static struct slice last_line(struct slice text)
{
    struct slice last = {.data = text.data, .size = 0};
    while (text.size > 0) {
        struct slice line = slice_trim(slice_split(text, '\n', &text));
        if (line.size > 0)
            last = line;
    }
    return last;
}

static bool find_number(struct slice text, const char *line, const char *key, uint64_t *ret_number)
{
    while (text.size > 0) {
        struct slice rest = slice_split(text, '\n', &text);
        const char *at = memmem(rest.data, rest.size, line, strlen(line));
        if (at == NULL)
            continue;
        rest.size -= (size_t)(at - rest.data);
        const char *found = memmem(at, rest.size, key, strlen(key));
        if (found == NULL)
            continue;
        const char *number = found + strlen(key);
        size_t left = (size_t)(at + rest.size - number);
        size_t digits = 0;
        while (digits < left && number[digits] >= '0' && number[digits] <= '9')
            digits++;
        if (slice_to_uint64((struct slice){.data = number, .size = digits}, UINT32_MAX, ret_number))
            return true;
    }
    return false;
}

/* True when it has ended; then it is gone. */
static bool has_ended(struct child *child)
{
    if (child->process == 0 || waitpid(child->process, NULL, WNOHANG) != child->process)
        return child->process == 0;
    child->process = 0;
    return true;
}

int child_wait(struct child *child, const char *line, const char *key, uint32_t timeout_ms,
               uint64_t *ret_number, struct err *err)
{
    static char text[OUTPUT_LOOKED_AT];
    int64_t end_ns = clock_monotonic_ns() + (int64_t)timeout_ms * NS_PER_MS;
    for (;;) {
        bool ended = has_ended(child); /* before the look: what it said last is seen */
        ssize_t size = pread(child->output, text, sizeof text, 0);
        struct slice output = {.data = text, .size = size < 0 ? 0 : (size_t)size};
        if (find_number(output, line, key, ret_number))
            return 0;
        struct slice last = last_line(output);
        int shown = last.size < LAST_SHOWN ? (int)last.size : LAST_SHOWN;
        if (ended)
            return err_set(err, -ECHILD, "%s ended: %.*s", child->name, shown, last.data);
        if (clock_monotonic_ns() > end_ns)
            return err_set(err, -ETIMEDOUT, "%s is not there after %u ms: %.*s", child->name,
                           (unsigned)timeout_ms, shown, last.data);
        poll(NULL, 0, LOOK_MS);
    }
}

void child_stop(struct child *child)
{
    if (child->name[0] == '\0')
        return;
    int64_t end_ns = clock_monotonic_ns() + (int64_t)END_MS * NS_PER_MS;
    if (child->process != 0)
        kill(child->process, SIGTERM);
    while (!has_ended(child) && clock_monotonic_ns() < end_ns)
        poll(NULL, 0, LOOK_MS);
    if (child->process != 0) {
        kill(child->process, SIGKILL);
        waitpid(child->process, NULL, 0);
    }
    close(child->output);
    *child = (struct child){.process = 0};
}
