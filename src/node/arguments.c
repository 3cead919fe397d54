/* SPDX-License-Identifier: Apache-2.0 */
/* Options as `--name value` or `--name=value`, nothing cleverer. */
#include "node/commands.h"

#include <stdarg.h>
#include <stdio.h>

struct unit {
    const char *name; /* NULL ends the list */
    int64_t size;
};

static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit size_units[] = {{"B", 1},
                                         {"KiB", INT64_C(1) << 10},
                                         {"MiB", INT64_C(1) << 20},
                                         {"GiB", INT64_C(1) << 30},
                                         {"TiB", INT64_C(1) << 40},
                                         {NULL, 0}};

int usage_error(const char *command, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "tickwire %s: ", command);
    vfprintf(stderr, format, list);
    fprintf(stderr, "; see `tickwire help %s`\n", command);
    va_end(list);
    return EXIT_USAGE;
}

const char *arguments_next(struct arguments *arguments)
{
    return arguments->index < arguments->count ? arguments->values[arguments->index++] : NULL;
}

bool arguments_option(struct arguments *arguments, const char *argument, const char *name,
                      const char **ret_value)
{
    size_t size = strlen(name);
    if (strncmp(argument, name, size) != 0)
        return false;
    if (argument[size] == '=') {
        *ret_value = argument + size + 1;
        return true;
    }
    if (argument[size] != '\0')
        return false;
    *ret_value = arguments_next(arguments);
    return true;
}

static bool read_units(const char *text, const struct unit *units, int64_t *ret_value)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t number = 0;
    if (!slice_to_uint64((struct slice){.data = text, .size = digits}, INT64_MAX, &number))
        return false;
    for (; units->name != NULL; units++)
        if (strcmp(text + digits, units->name) == 0)
            return int64_multiply((int64_t)number, units->size, ret_value);
    return false;
}

bool arguments_duration(const char *text, int64_t min_ms, int64_t max_ms, int64_t *ret_ms)
{
    return read_units(text, duration_units, ret_ms) && *ret_ms >= min_ms && *ret_ms <= max_ms;
}

bool arguments_size(const char *text, int64_t min, int64_t max, int64_t *ret_size)
{
    return read_units(text, size_units, ret_size) && *ret_size >= min && *ret_size <= max;
}

int arguments_node(struct arguments *arguments, const char *command, const char *argument,
                   struct node_arguments *node)
{
    const char *value = NULL;
    if (arguments_option(arguments, argument, "-c", &value)) {
        if (value == NULL)
            return usage_error(command, "-c needs a file");
        node->file = value;
        return 1;
    }
    if (!arguments_option(arguments, argument, "--set", &value))
        return 0;
    if (value == NULL || strchr(value, '=') == NULL)
        return usage_error(command, "--set needs key=value");
    if (node->set_count == SETS_MAX)
        return usage_error(command, "more than %d --set", SETS_MAX);
    node->sets[node->set_count++] = value;
    return 1;
}
