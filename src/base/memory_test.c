/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed),
        cmocka_unit_test(cleanup_frees_at_the_end_of_the_block),
        cmocka_unit_test(product_that_overflows_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
