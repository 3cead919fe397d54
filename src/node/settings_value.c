/* SPDX-License-Identifier: Apache-2.0 */
/* Values by type: from text into a field, from a field to YAML, compared, freed. */
#include "base/memory.h"
#include "node/settings_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define TEXT_SIZE_MAX 1024
#define FOUND_MAX 40 /* bytes of a wrong value that are shown */
#define MASK "***"

struct unit {
    const char *name;
    int64_t size;
};

/* Largest first: a value is written in the largest unit that divides it. */
static const struct unit duration_units[] = {
    {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit size_units[] = {
    {"GiB", (int64_t)1024 * MEBIBYTE}, {"MiB", MEBIBYTE}, {"KiB", KIBIBYTE}, {"", 1}, {NULL, 0}};

/* ---- texts, lists and maps ---- */

static char *copy_slice(struct slice text)
{
    char *copy = memory_alloc(text.size + 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return copy;
}

void text_list_add(struct text_list *list, struct slice item)
{
    list->items = memory_resize(list->items, list->count + 1, sizeof *list->items);
    list->items[list->count++] = copy_slice(item);
}

void text_list_clear(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        memory_free(list->items[i]);
    memory_free(list->items);
    *list = (struct text_list){.count = 0};
}

void text_map_add(struct text_map *map, struct slice key, struct slice value)
{
    map->keys = memory_resize(map->keys, map->count + 1, sizeof *map->keys);
    map->values = memory_resize(map->values, map->count + 1, sizeof *map->values);
    map->keys[map->count] = copy_slice(key);
    map->values[map->count++] = copy_slice(value);
}

void text_map_clear(struct text_map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        memory_free(map->keys[i]);
        memory_free(map->values[i]);
    }
    memory_free(map->keys);
    memory_free(map->values);
    *map = (struct text_map){.count = 0};
}

/* ---- secrets ---- */

/* The password in scheme://user:password@host, or what stands there alone where that is a token;
 * empty when there is none. */
static struct slice password_of(struct slice url)
{
    static const struct slice none = {.data = NULL, .size = 0};
    const char *at = url.size == 0 ? NULL : memchr(url.data, '@', url.size);
    if (at == NULL)
        return none;
    struct slice before = {.data = url.data, .size = (size_t)(at - url.data)};
    struct slice user;
    slice_split(before, '/', &user); /* "scheme:", then an empty part, then the user */
    slice_split(user, '/', &user);
    struct slice password;
    slice_split(user.size > 0 ? user : before, ':', &password);
    bool is_alone = user.size > 0 && memchr(user.data, ':', user.size) == NULL;
    bool is_web =
        slice_starts_with(url, SLICE("http://")) || slice_starts_with(url, SLICE("https://"));
    return is_alone && is_web ? user : password;
}

static bool is_secret_name(struct slice name)
{
    static const char *const words[] = {
        "password", "secret", "token", "credential", "passphrase", "key.pem", "oauthbearer.config"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (memmem(name.data, name.size, words[i], strlen(words[i])) != NULL)
            return true;
    }
    return false;
}

/* ---- what is wrong ---- */

static void say_found(struct setting_complaint *complaint, const struct setting *setting,
                      struct slice text)
{
    char *out = complaint->found;
    size_t out_size = sizeof complaint->found;
    /* Where a proxy's host was forgotten, its password stands there without an @. */
    bool is_secret = setting->row->type == SETTING_MAP || setting->row->check == check_proxy_url ||
                     memchr(text.size == 0 ? "" : text.data, '@', text.size) != NULL;
    if (is_secret)
        snprintf(out, out_size, "something not shown here");
    else if (!check_printable(text))
        snprintf(out, out_size, "a text with control characters or that is not UTF-8");
    else if (text.size > FOUND_MAX)
        snprintf(out, out_size, "a text of %zu bytes", text.size);
    else
        snprintf(out, out_size, "\"%.*s\"", (int)text.size, text.size == 0 ? "" : text.data);
}

static bool wrong(const struct setting *setting, struct slice text,
                  struct setting_complaint *complaint, const char *format, ...) PRINTF(4, 5);

static bool wrong(const struct setting *setting, struct slice text,
                  struct setting_complaint *complaint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint->expected, sizeof complaint->expected, format, arguments);
    va_end(arguments);
    say_found(complaint, setting, text);
    return false;
}

/* ---- numbers ---- */

/* "4s" in units: false without a known unit, or when it does not fit. */
static bool read_units(struct slice text, const struct unit *units, int64_t *ret_value)
{
    size_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    struct slice name = {.data = text.data + digits, .size = text.size - digits};
    uint64_t number;
    if (!slice_to_uint64((struct slice){.data = text.data, .size = digits}, INT64_MAX, &number))
        return false;
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (slice_is(name, unit->name))
            return int64_multiply((int64_t)number, unit->size, ret_value);
    }
    return false;
}

static void format_units(int64_t value, const struct unit *units, char *out, size_t out_size)
{
    const struct unit *unit = units;
    while (unit->size != 1 && (value == 0 || value % unit->size != 0))
        unit++;
    snprintf(out, out_size, "%" PRId64 "%s", value / unit->size, unit->name);
}

static const struct unit *units_of(enum setting_type type)
{
    return type == SETTING_DURATION ? duration_units : size_units;
}

static bool read_quantity(const struct setting *setting, struct slice text, int64_t *field,
                          struct setting_complaint *complaint)
{
    const struct setting_row *row = setting->row;
    const struct unit *units = units_of(row->type);
    int64_t value;
    if (read_units(text, units, &value) && value >= row->min && value <= row->max) {
        *field = value;
        return true;
    }
    char min[32];
    char max[32];
    format_units(row->min, units, min, sizeof min);
    format_units(row->max, units, max, sizeof max);
    if (row->type == SETTING_DURATION)
        return wrong(setting, text, complaint, "a duration like 250ms, 4s, 30m or 1h, %s to %s",
                     min, max);
    return wrong(setting, text, complaint, "a size like 64KiB, 256MiB or 1GiB, %s to %s", min, max);
}

static bool read_integer(const struct setting *setting, struct slice text, int64_t *field,
                         struct setting_complaint *complaint)
{
    const struct setting_row *row = setting->row;
    uint64_t value;
    if (!slice_to_uint64(text, (uint64_t)row->max, &value) || (int64_t)value < row->min)
        return wrong(setting, text, complaint, "a whole number, %" PRId64 " to %" PRId64, row->min,
                     row->max);
    if (row->check != NULL && !row->check(text, setting->exchange))
        return wrong(setting, text, complaint, "%s", row->expected);
    *field = (int64_t)value;
    return true;
}

/* ---- words and texts ---- */

static bool read_bool(const struct setting *setting, struct slice text, bool *field,
                      struct setting_complaint *complaint)
{
    if (!slice_is(text, "true") && !slice_is(text, "false"))
        return wrong(setting, text, complaint, "true or false");
    *field = slice_is(text, "true");
    return true;
}

static bool read_word(const struct setting *setting, struct slice text, int *field,
                      struct setting_complaint *complaint)
{
    struct slice words = slice_of(setting->row->words);
    for (int i = 0; words.size > 0; i++) {
        if (slice_equal(text, slice_split(words, '|', &words))) {
            *field = i;
            return true;
        }
    }
    return wrong(setting, text, complaint, "one of %s", setting->row->words);
}

static bool is_well_formed(const struct setting *setting, struct slice text)
{
    const struct setting_row *row = setting->row;
    return text.size <= TEXT_SIZE_MAX && check_printable(text) &&
           (row->check == NULL || row->check(text, setting->exchange));
}

static const char *expected_of(const struct setting *setting)
{
    return setting->row->expected != NULL ? setting->row->expected : "a line of text";
}

static bool read_text(const struct setting *setting, struct slice text, char **field,
                      struct setting_complaint *complaint)
{
    bool is_empty_default = text.size == 0 && setting->fallback[0] == '\0';
    if (!is_empty_default && (text.size == 0 || !is_well_formed(setting, text)))
        return wrong(setting, text, complaint, "%s", expected_of(setting));
    *field = copy_slice(text);
    return true;
}

/* ---- lists and maps ---- */

static bool has_item(const struct text_list *list, struct slice item)
{
    for (size_t i = 0; i < list->count; i++) {
        if (slice_is(item, list->items[i]))
            return true;
    }
    return false;
}

static bool is_good_count(const struct setting *setting, size_t count,
                          struct setting_complaint *complaint)
{
    const struct setting_row *row = setting->row;
    if ((int64_t)count >= row->min && (int64_t)count <= row->max)
        return true;
    snprintf(complaint->expected, sizeof complaint->expected, "%" PRId64 " to %" PRId64 " items",
             row->min, row->max);
    snprintf(complaint->found, sizeof complaint->found, "%zu", count);
    return false;
}

static bool read_items(const struct setting *setting, const struct text_map *items,
                       struct text_list *list, struct setting_complaint *complaint)
{
    if (!is_good_count(setting, items->count, complaint))
        return false;
    for (size_t i = 0; i < items->count; i++) {
        struct slice item = slice_of(items->values[i]);
        if (item.size == 0 || !is_well_formed(setting, item))
            return wrong(setting, item, complaint, "%s", expected_of(setting));
        if (has_item(list, item)) {
            wrong(setting, item, complaint, "%s", "every item once");
            size_t size = strlen(complaint->found);
            snprintf(complaint->found + size, sizeof complaint->found - size, " again");
            return false;
        }
        text_list_add(list, item);
    }
    return true;
}

static bool read_list(const struct setting *setting, const struct text_map *items,
                      struct text_list *field, struct setting_complaint *complaint)
{
    struct text_list list = {.count = 0};
    if (!read_items(setting, items, &list, complaint)) {
        text_list_clear(&list);
        return false;
    }
    *field = list;
    return true;
}

static bool is_good_pair(const struct setting *setting, const char *name, const char *value,
                         struct setting_complaint *complaint)
{
    struct err err = {.code = 0};
    if (name[0] == '\0' || !check_printable(slice_of(name)) ||
        !is_well_formed(setting, slice_of(value)))
        return wrong(setting, slice_of(""), complaint, "names and values, each a line of text");
    if (setting->row->check_pair == NULL || setting->row->check_pair(name, value, &err) == 0)
        return true;
    snprintf(complaint->sentence, sizeof complaint->sentence, "%s", err.text);
    return false;
}

/* As a file's reader says it, which knows the place. */
static bool is_first_of_name(const struct text_map *items, size_t index,
                             struct setting_complaint *complaint)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(items->keys[i], items->keys[index]) != 0)
            continue;
        snprintf(complaint->expected, sizeof complaint->expected, "every name once");
        snprintf(complaint->found, sizeof complaint->found, "one again");
        return false;
    }
    return true;
}

static bool read_map(const struct setting *setting, const struct text_map *items,
                     struct text_map *field, struct setting_complaint *complaint)
{
    if (!is_good_count(setting, items->count, complaint))
        return false;
    for (size_t i = 0; i < items->count; i++)
        if (!is_good_pair(setting, items->keys[i], items->values[i], complaint) ||
            !is_first_of_name(items, i, complaint))
            return false;
    for (size_t i = 0; i < items->count; i++)
        text_map_add(field, slice_of(items->keys[i]), slice_of(items->values[i]));
    return true;
}

static void split_items(struct slice text, bool is_map, struct text_map *items)
{
    while (text.size > 0) {
        struct slice value = slice_trim(slice_split(text, ',', &text));
        struct slice key = {.data = NULL, .size = 0};
        if (is_map)
            key = slice_trim(slice_split(value, '=', &value));
        text_map_add(items, key, slice_trim(value));
    }
}

/* ---- any type ---- */

static bool read_scalar(const struct setting *setting, struct slice text, void *field,
                        struct setting_complaint *complaint)
{
    switch (setting->row->type) {
    case SETTING_BOOL:
        return read_bool(setting, text, field, complaint);
    case SETTING_INTEGER:
        return read_integer(setting, text, field, complaint);
    case SETTING_DURATION:
    case SETTING_SIZE:
        return read_quantity(setting, text, field, complaint);
    case SETTING_TEXT:
        return read_text(setting, text, field, complaint);
    case SETTING_WORD:
        return read_word(setting, text, field, complaint);
    case SETTING_LIST:
        return wrong(setting, text, complaint, "a list like [a, b]");
    case SETTING_MAP:
        return wrong(setting, text, complaint, "names and values like {a: b}");
    }
    assert(false && "unknown type of setting");
    return false;
}

bool setting_read(const struct setting *setting, const struct setting_input *input, void *field,
                  struct setting_complaint *complaint)
{
    enum setting_type type = setting->row->type;
    if (input->shape == INPUT_LIST && type == SETTING_LIST)
        return read_list(setting, input->items, field, complaint);
    if (input->shape == INPUT_MAP && type == SETTING_MAP)
        return read_map(setting, input->items, field, complaint);
    if (input->shape == INPUT_TEXT)
        return read_scalar(setting, input->text, field, complaint);

    /* Refused whatever the text; what it is in truth is said instead. */
    static const char *const shapes[] = {
        [INPUT_NOTHING] = "nothing (write \"\" for an empty text)",
        [INPUT_LIST] = "a list",
        [INPUT_MAP] = "names and values",
    };
    bool taken = type != SETTING_TEXT && read_scalar(setting, slice_of(""), field, complaint);
    assert(!taken); /* no other type has an empty text */
    if (type == SETTING_TEXT)
        wrong(setting, slice_of(""), complaint, "%s", expected_of(setting));
    snprintf(complaint->found, sizeof complaint->found, "%s", shapes[input->shape]);
    return false;
}

bool setting_read_text(const struct setting *setting, struct slice text, void *field,
                       struct setting_complaint *complaint)
{
    bool is_map = setting->row->type == SETTING_MAP;
    if (!is_map && setting->row->type != SETTING_LIST)
        return read_scalar(setting, text, field, complaint);

    struct text_map items = {.count = 0};
    split_items(text, is_map, &items);
    bool taken = is_map ? read_map(setting, &items, field, complaint)
                        : read_list(setting, &items, field, complaint);
    text_map_clear(&items);
    return taken;
}

size_t setting_size(const struct setting *setting)
{
    static const size_t sizes[] = {
        [SETTING_BOOL] = sizeof(bool),
        [SETTING_INTEGER] = sizeof(int64_t),
        [SETTING_DURATION] = sizeof(int64_t),
        [SETTING_SIZE] = sizeof(int64_t),
        [SETTING_TEXT] = sizeof(char *),
        [SETTING_WORD] = sizeof(int),
        [SETTING_LIST] = sizeof(struct text_list),
        [SETTING_MAP] = sizeof(struct text_map),
    };
    return sizes[setting->row->type];
}

void setting_clear(const struct setting *setting, void *field)
{
    switch (setting->row->type) {
    case SETTING_BOOL:
        *(bool *)field = false;
        break;
    case SETTING_INTEGER:
    case SETTING_DURATION:
    case SETTING_SIZE:
        *(int64_t *)field = 0;
        break;
    case SETTING_WORD:
        *(int *)field = 0;
        break;
    case SETTING_TEXT:
        memory_free(*(char **)field);
        *(char **)field = NULL;
        break;
    case SETTING_LIST:
        text_list_clear(field);
        break;
    case SETTING_MAP:
        text_map_clear(field);
        break;
    }
}

static bool texts_equal(char *const *left, char *const *right, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(left[i], right[i]) != 0)
            return false;
    }
    return true;
}

bool setting_equal(const struct setting *setting, const void *left, const void *right)
{
    switch (setting->row->type) {
    case SETTING_BOOL:
        return *(const bool *)left == *(const bool *)right;
    case SETTING_INTEGER:
    case SETTING_DURATION:
    case SETTING_SIZE:
        return *(const int64_t *)left == *(const int64_t *)right;
    case SETTING_WORD:
        return *(const int *)left == *(const int *)right;
    case SETTING_TEXT:
        return texts_equal(left, right, 1);
    case SETTING_LIST: {
        const struct text_list *a = left;
        const struct text_list *b = right;
        return a->count == b->count && texts_equal(a->items, b->items, a->count);
    }
    case SETTING_MAP: {
        const struct text_map *a = left;
        const struct text_map *b = right;
        return a->count == b->count && texts_equal(a->keys, b->keys, a->count) &&
               texts_equal(a->values, b->values, a->count);
    }
    }
    assert(false && "unknown type of setting");
    return false;
}

/* ---- out ---- */

/* In YAML's double quotes; what is in a setting is printable. */
static void write_quoted(struct buffer *out, struct slice text)
{
    buffer_append_text(out, "\"");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            buffer_append_text(out, "\\");
        buffer_append(out, text.data + i, 1);
    }
    buffer_append_text(out, "\"");
}

static void write_text(struct buffer *out, struct slice text)
{
    struct slice password = password_of(text);
    if (password.size == 0) {
        write_quoted(out, text);
        return;
    }
    struct buffer masked;
    buffer_init(&masked, text.size + sizeof MASK);
    size_t before = (size_t)(password.data - text.data);
    buffer_append(&masked, text.data, before);
    buffer_append_text(&masked, MASK);
    buffer_append(&masked, password.data + password.size, text.size - before - password.size);
    write_quoted(out, buffer_slice(&masked));
    buffer_release(&masked);
}

static void write_list(struct buffer *out, const struct text_list *list)
{
    buffer_append_text(out, "[");
    for (size_t i = 0; i < list->count; i++) {
        buffer_append_text(out, i == 0 ? "" : ", ");
        write_text(out, slice_of(list->items[i]));
    }
    buffer_append_text(out, "]");
}

static void write_map(struct buffer *out, const struct text_map *map)
{
    buffer_append_text(out, "{");
    for (size_t i = 0; i < map->count; i++) {
        struct slice key = slice_of(map->keys[i]);
        buffer_append_text(out, i == 0 ? "" : ", ");
        write_quoted(out, key);
        buffer_append_text(out, ": ");
        write_text(out, is_secret_name(key) ? SLICE(MASK) : slice_of(map->values[i]));
    }
    buffer_append_text(out, "}");
}

static void write_word(struct buffer *out, const char *words, int index)
{
    struct slice rest = slice_of(words);
    struct slice word = slice_split(rest, '|', &rest);
    for (int i = 0; i < index; i++)
        word = slice_split(rest, '|', &rest);
    assert(word.size > 0);
    buffer_append_slice(out, word);
}

void setting_write(const struct setting *setting, const void *field, struct buffer *out)
{
    char number[32];
    switch (setting->row->type) {
    case SETTING_BOOL:
        buffer_append_text(out, *(const bool *)field ? "true" : "false");
        break;
    case SETTING_INTEGER:
        buffer_append_format(out, "%" PRId64, *(const int64_t *)field);
        break;
    case SETTING_DURATION:
    case SETTING_SIZE:
        format_units(*(const int64_t *)field, units_of(setting->row->type), number, sizeof number);
        buffer_append_text(out, number);
        break;
    case SETTING_WORD:
        write_word(out, setting->row->words, *(const int *)field);
        break;
    case SETTING_TEXT:
        write_text(out, slice_of(*(char *const *)field));
        break;
    case SETTING_LIST:
        write_list(out, field);
        break;
    case SETTING_MAP:
        write_map(out, field);
        break;
    }
}
