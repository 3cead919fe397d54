/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

static void memory_is_zeroed(void **state)
{
    (void)state;
    uint64_t *numbers = memory_array(1000, sizeof *numbers);
    for (size_t i = 0; i < 1000; i++)
        assert_true(numbers[i] == 0);
    numbers[999] = 7;
    numbers = memory_resize(numbers, 2000, sizeof *numbers);
    assert_true(numbers[999] == 7);
    memory_free(numbers);
    memory_free(NULL);
}

static void cleanup_frees_at_the_end_of_the_block(void **state)
{
    (void)state;
    CLEANUP(memory_freep) char *copy = memory_copy_text("text"); /* ASan says when it leaks */
    assert_string_equal(copy, "text");
}

static void product_that_overflows_ends_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        memory_free(memory_resize(NULL, SIZE_MAX / 2, 4));
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Bytes that the allocator has from the system; 0 where it does not tell. */
static size_t taken(void)
{
#ifdef __GLIBC__
    struct mallinfo2 info = mallinfo2();
    return info.arena + info.hblkhd;
#else
    return 0;
#endif
}

static void what_is_freed_goes_back(void **state)
{
    enum { COUNT = 100, SMALL = 32 * 1024, LARGE = 4 * 1024 * 1024 };
    void *small[COUNT];
    (void)state;
    memory_configure();
    memory_free(memory_alloc(LARGE)); /* what raises glibc's own thresholds */
    size_t before = taken();
    if (before == 0)
        skip(); /* a sanitizer's allocator */
    void *large = memory_alloc(LARGE / 2);
    assert_true(taken() >= before + LARGE / 2);
    memory_free(large);
    assert_true(taken() <= before);
    for (size_t i = 0; i < COUNT; i++)
        small[i] = memory_alloc(SMALL);
    assert_true(taken() >= before + (size_t)(COUNT - 10) * SMALL);
    for (size_t i = 0; i < COUNT; i++)
        memory_free(small[i]);
    assert_true(taken() <= before + 2 * (size_t)MEMORY_SPARE);
}

static size_t resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void what_is_free_in_between_is_given_back(void **state)
{
    enum { COUNT = 4000, SMALL = 8 * 1024, ALL = COUNT * SMALL };
    static void *small[COUNT];
    (void)state;
    if (taken() == 0)
        skip();
    for (size_t i = 0; i < COUNT; i++)
        small[i] = memset(memory_alloc(SMALL), 1, SMALL);
    for (size_t i = 0; i < COUNT - 1; i++) /* the last one keeps the rest from going by itself */
        memory_free(small[i]);
    size_t before = resident();
    memory_give_back();
    assert_true(resident() + ALL / 2 < before);
    memory_free(small[COUNT - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed),
        cmocka_unit_test(what_is_freed_goes_back),
        cmocka_unit_test(what_is_free_in_between_is_given_back),
        cmocka_unit_test(cleanup_frees_at_the_end_of_the_block),
        cmocka_unit_test(product_that_overflows_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
