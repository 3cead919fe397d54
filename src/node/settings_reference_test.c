/* SPDX-License-Identifier: Apache-2.0 */
/* docs/configuration.md, given as the argument, is what the table of settings says. */
#include "node/settings.h"

#include <stdio.h>
#include <string.h>

static int compare(const struct buffer *written, const char *name)
{
    FILE *file = fopen(name, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s cannot be opened\n", name);
        return 1;
    }
    static char text[MEBIBYTE];
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    if (slice_equal(buffer_slice(written), (struct slice){.data = text, .size = size}))
        return 0;

    size_t line = 1;
    for (size_t i = 0; i < size && i < written->size && text[i] == written->data[i]; i++)
        line += text[i] == '\n';
    fprintf(stderr,
            "%s:%zu: differs from the table; write it again with `tickwire help "
            "configuration`\n",
            name, line);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    struct buffer written;
    buffer_init(&written, MEBIBYTE);
    settings_write_reference(&written);
    int result = written.overflowed || written.size < KIBIBYTE ? 1 : compare(&written, argv[1]);
    buffer_release(&written);
    return result;
}
