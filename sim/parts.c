/* SPDX-License-Identifier: Apache-2.0 */
/* At least four digits, so that names sort as their numbers do for a long time. */
#include "sim/parts.h"

#include "base/slice.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#define PART_MAX 99999999
#define DIGITS_MIN 4

bool parts_name(const char *file, uint32_t part, char ret_path[PARTS_PATH_MAX])
{
    int size = snprintf(ret_path, PARTS_PATH_MAX, "%s.%04u", file, part);
    return size > 0 && size < PARTS_PATH_MAX;
}

/* The number of a directory's entry that is a part of `name`; 0: it is none. */
static uint32_t part_of(const char *entry, struct slice name)
{
    uint64_t part = 0;
    struct slice text = slice_of(entry);
    if (!slice_starts_with(text, name) || text.size < name.size + 1 + DIGITS_MIN ||
        text.data[name.size] != '.')
        return 0;
    struct slice digits = {.data = text.data + name.size + 1, .size = text.size - name.size - 1};
    return slice_to_uint64(digits, PART_MAX, &part) ? (uint32_t)part : 0;
}

int parts_walk(const char *file, parts_visit_fn *visit, void *context, struct err *err)
{
    const char *slash = strrchr(file, '/');
    struct slice name = slice_of(slash == NULL ? file : slash + 1);
    struct slice prefix = {.data = file, .size = slash == NULL ? 0 : (size_t)(slash + 1 - file)};
    char folder[PARTS_PATH_MAX];
    if (!slice_copy(prefix.size == 0 ? SLICE(".") : prefix, folder, sizeof folder))
        return err_set(err, -ENAMETOOLONG, "the path of the recording is too long");
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return err_set(err, -errno, "%.200s: %s", folder, strerror(errno));
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        uint32_t part = part_of(entry->d_name, name);
        if (part > 0)
            visit(context, part);
    }
    closedir(directory);
    return 0;
}
