/* SPDX-License-Identifier: Apache-2.0 */
/* Options as `--name value` or `--name=value`, nothing cleverer. */
#include "node/commands.h"

#include <stdarg.h>
#include <stdio.h>

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
