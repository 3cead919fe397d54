/* SPDX-License-Identifier: Apache-2.0 */
/* The room is taken once, from the file's size: a buffer that grew would leave copies behind. */
#include "access/secret_file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

/* One byte more than the size is asked for, so that a file that grows meanwhile is noticed. */
static int read_whole(int fd, struct secret_file *file, size_t size)
{
    while (file->size <= size) {
        ssize_t count = read(fd, file->data + file->size, size + 1 - file->size);
        if (count == 0)
            break;
        if (count < 0 && errno != EINTR)
            return -errno;
        if (count > 0)
            file->size += (size_t)count;
    }
    return file->size > size ? -EAGAIN : 0;
}

static int read_open(int fd, const char *path, size_t max, struct secret_file *file,
                     struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return err_set(err, -EINVAL, "%s: not a regular file", path);
    if ((uint64_t)status.st_size > max)
        return err_set(err, -EFBIG, "%s: more than %zu bytes", path, max);
    file->exposed = (status.st_mode & (S_IROTH | S_IWOTH)) != 0;
    file->data = memory_alloc((size_t)status.st_size + 2);
    int result = read_whole(fd, file, (size_t)status.st_size);
    if (result == -EAGAIN)
        return err_set(err, result, "%s: it grew while it was read", path);
    if (result < 0)
        return err_set(err, result, "%s: %s", path, strerror(-result));
    file->data[file->size] = '\0';
    return 0;
}

int secret_file_read(const char *path, size_t max, struct secret_file *ret_file, struct err *err)
{
    struct secret_file file = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    int result = read_open(fd, path, max, &file, err);
    close(fd);
    if (result < 0)
        secret_file_release(&file);
    else
        *ret_file = file;
    return result;
}

void secret_file_release(struct secret_file *file)
{
    if (file->data != NULL)
        OPENSSL_cleanse(file->data, file->size);
    memory_free(file->data);
    *file = (struct secret_file){0};
}
