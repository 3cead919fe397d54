/* SPDX-License-Identifier: Apache-2.0 */
#include "access/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PATH "secret_file_test.secret"

static void put(const char *text, mode_t mode)
{
    int fd = open(PATH, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void a_file_is_read_whole(void **state)
{
    (void)state;
    struct secret_file file;
    struct err err = {0};
    put("secret", 0600);
    assert_int_equal(secret_file_read(PATH, 6, &file, &err), 0);
    assert_true(slice_is(secret_file_text(&file), "secret"));
    assert_int_equal(file.data[6], '\0');
    assert_false(file.exposed);
    secret_file_release(&file);
    assert_null(file.data);
    secret_file_release(&file); /* again: nothing */
    put("", 0600);
    assert_int_equal(secret_file_read(PATH, 6, &file, &err), 0);
    assert_int_equal(file.size, 0);
    secret_file_release(&file);
}

static void who_else_may_read_is_noticed(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        bool exposed;
    } rows[] = {{0600, false}, {0640, false}, {0644, true}, {0602, true}, {0400, false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct secret_file file;
        struct err err = {0};
        put("x", rows[i].mode);
        assert_int_equal(secret_file_read(PATH, 6, &file, &err), 0);
        assert_int_equal(file.exposed, rows[i].exposed);
        secret_file_release(&file);
        assert_int_equal(unlink(PATH), 0);
    }
}

static void expect_failure(const char *path, int code, const char *text)
{
    struct secret_file file;
    struct err err = {0};
    assert_int_equal(secret_file_read(path, 6, &file, &err), code);
    assert_string_equal(err.text, text);
}

static void what_is_no_small_file_is_refused(void **state)
{
    (void)state;
    unlink(PATH);
    expect_failure(PATH, -ENOENT, PATH ": No such file or directory");
    expect_failure(".", -EINVAL, ".: not a regular file");
    expect_failure("/dev/zero", -EINVAL, "/dev/zero: not a regular file");
    put("secret!", 0600);
    expect_failure(PATH, -EFBIG, PATH ": more than 6 bytes");
    unlink(PATH);
    assert_int_equal(mkfifo(PATH, 0600), 0);
    expect_failure(PATH, -EINVAL, PATH ": not a regular file"); /* and does not wait */
    unlink(PATH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole),
        cmocka_unit_test(who_else_may_read_is_noticed),
        cmocka_unit_test(what_is_no_small_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
