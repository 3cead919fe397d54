/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the table as full keys, and the search for keys: exact, by section, and by likeness.
 */
#include "base/memory.h"
#include "node/settings_priv.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>

#define NAME_SIZE_MAX (SETTING_KEY_MAX + 16)

static_assert(LIMIT_EXCHANGES * 8 + 80 < SETTINGS_MAX, "room for every exchange's rows");

/* ---- making it ---- */

static void add_item(struct buffer *text, const char *item)
{
    buffer_append_format(text, "%s%s", text->size == 0 ? "" : ",", item);
}

/* What only the adapter knows: its pairs, the channels that it has, its generation. */
static char *exchange_fallback(const struct setting_row *row, const struct exchange *exchange)
{
    if (row->fallback != NULL)
        return memory_copy_text(row->fallback);
    struct buffer text;
    buffer_init(&text, 64 * KIBIBYTE);
    if (row->check == check_generation)
        buffer_append_format(&text, "%u", exchange->generation);
    for (unsigned i = 0; row->check == check_channel && i < CHANNEL_COUNT; i++) {
        if (i != CHANNEL_QUOTE && (exchange->channels & CHANNEL_BIT(i)) != 0)
            add_item(&text, channel_names[i]);
    }
    const char *const *symbol = row->check == check_symbol ? exchange->symbols : NULL;
    for (; symbol != NULL && *symbol != NULL; symbol++)
        add_item(&text, *symbol);
    assert(!text.overflowed);
    return text.data; /* the caller's from here on */
}

static struct setting *add(struct catalog *catalog, const struct setting_row *row)
{
    assert(catalog->count < SETTINGS_MAX);
    struct setting *setting = &catalog->settings[catalog->count++];
    setting->row = row;
    return setting;
}

static void add_plain(struct catalog *catalog, const struct setting_row *row)
{
    struct setting *setting = add(catalog, row);
    setting->offset = row->offset;
    setting->fallback = memory_copy_text(row->fallback);
    int size = snprintf(setting->key, sizeof setting->key, "%s", row->key);
    assert(size > 0 && (size_t)size < sizeof setting->key);
}

static void add_of_exchange(struct catalog *catalog, const struct setting_row *row, size_t index)
{
    const struct exchange *exchange = exchange_at(index);
    /* An exchange with one API has no choice of it. */
    if (row->check == check_generation && exchange->generation == 0)
        return;
    struct setting *setting = add(catalog, row);
    setting->exchange = exchange;
    setting->offset = offsetof(struct settings, exchanges) +
                      index * sizeof(struct settings_exchange) + row->offset;
    setting->fallback = exchange_fallback(row, exchange);
    int size =
        snprintf(setting->key, sizeof setting->key, "exchanges.%s.%s", exchange->name, row->key);
    assert(size > 0 && (size_t)size < sizeof setting->key);
}

/* Rows [first, end) are the run of those of exchanges. */
static void add_exchanges(struct catalog *catalog, size_t first, size_t end)
{
    assert(exchange_count() <= LIMIT_EXCHANGES);
    for (size_t i = 0; i < exchange_count(); i++) {
        for (size_t row = first; row < end; row++)
            add_of_exchange(catalog, &setting_rows[row], i);
    }
}

struct catalog *catalog_create(void)
{
    struct catalog *catalog = memory_alloc(sizeof *catalog);
    size_t row = 0;
    while (row < setting_row_count) {
        size_t end = row;
        while (end < setting_row_count && (setting_rows[end].flags & SETTING_EACH) != 0)
            end++;
        if (end > row) {
            add_exchanges(catalog, row, end);
            row = end;
        } else {
            add_plain(catalog, &setting_rows[row++]);
        }
    }
    return catalog;
}

void catalog_destroy(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    for (size_t i = 0; i < catalog->count; i++)
        memory_free(catalog->settings[i].fallback);
    memory_free(catalog);
}

void catalog_destroyp(struct catalog **catalog)
{
    catalog_destroy(*catalog);
}

/* ---- finding ---- */

const struct setting *catalog_find(const struct catalog *catalog, struct slice key)
{
    for (size_t i = 0; i < catalog->count; i++) {
        if (slice_is(key, catalog->settings[i].key))
            return &catalog->settings[i];
    }
    return NULL;
}

bool catalog_is_section(const struct catalog *catalog, struct slice path)
{
    for (size_t i = 0; i < catalog->count; i++) {
        struct slice key = slice_of(catalog->settings[i].key);
        if (key.size > path.size && key.data[path.size] == '.' && slice_starts_with(key, path))
            return true;
    }
    return false;
}

void setting_variable(const struct setting *setting, char out[SETTING_KEY_MAX + 16])
{
    static const char prefix[] = "TICKWIRE_";
    memcpy(out, prefix, sizeof prefix - 1);
    size_t size = sizeof prefix - 1;
    for (const char *at = setting->key; *at != '\0'; at++)
        out[size++] = *at == '.' ? '_' : (char)toupper((unsigned char)*at);
    out[size] = '\0';
}

/* ---- likeness ---- */

/* Edits (insert, delete, replace one byte) that make one text the other. */
static size_t distance(struct slice left, struct slice right)
{
    assert(left.size < NAME_SIZE_MAX && right.size < NAME_SIZE_MAX);
    size_t row[NAME_SIZE_MAX];
    for (size_t j = 0; j <= right.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= left.size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= right.size; j++) {
            size_t replaced = diagonal + (left.data[i - 1] != right.data[j - 1]);
            size_t shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = replaced < shorter + 1 ? replaced : shorter + 1;
        }
    }
    return row[right.size];
}

struct likeness {
    struct slice unknown;
    size_t best;
    char name[NAME_SIZE_MAX];
};

static void consider(struct likeness *likeness, struct slice name)
{
    size_t edits = distance(likeness->unknown, name);
    if (edits == 0 || edits >= likeness->best) /* 0: a section where a key is wanted */
        return;
    likeness->best = edits;
    bool copied = slice_copy(name, likeness->name, sizeof likeness->name);
    assert(copied);
}

/* More edits than one and a quarter of what tells keys apart are another word. */
static struct likeness likeness_of(struct slice unknown, size_t telling_size)
{
    return (struct likeness){.unknown = unknown, .best = 2 + telling_size / 4};
}

static void say(const struct likeness *likeness, struct buffer *out)
{
    if (likeness->name[0] != '\0')
        buffer_append_format(out, "; did you mean \"%s\"?", likeness->name);
}

static struct slice last_part(struct slice key)
{
    struct slice part = key;
    for (struct slice rest = key; rest.size > 0;)
        part = slice_split(rest, '.', &rest);
    return part;
}

/* Nothing is like it: perhaps it is right but for its section. */
static void consider_sections(const struct catalog *catalog, struct likeness *likeness)
{
    likeness->best = SIZE_MAX;
    for (size_t i = 0; i < catalog->count; i++) {
        struct slice key = slice_of(catalog->settings[i].key);
        if (slice_equal(last_part(key), last_part(likeness->unknown)))
            consider(likeness, key);
    }
}

void suggest_key(const struct catalog *catalog, struct slice unknown, struct buffer *out)
{
    if (unknown.size >= NAME_SIZE_MAX)
        return;
    struct likeness likeness = likeness_of(unknown, last_part(unknown).size);
    for (size_t i = 0; i < catalog->count; i++) {
        struct slice key = slice_of(catalog->settings[i].key);
        consider(&likeness, key);
        for (size_t j = 0; j < key.size; j++) {
            if (key.data[j] == '.')
                consider(&likeness, (struct slice){.data = key.data, .size = j});
        }
    }
    if (likeness.name[0] == '\0')
        consider_sections(catalog, &likeness);
    say(&likeness, out);
}

void suggest_variable(const struct catalog *catalog, struct slice unknown, struct buffer *out)
{
    if (unknown.size >= NAME_SIZE_MAX)
        return;
    size_t prefix_size = sizeof "TICKWIRE_" - 1;
    assert(unknown.size >= prefix_size);
    struct likeness likeness = likeness_of(unknown, unknown.size - prefix_size);
    for (size_t i = 0; i < catalog->count; i++) {
        char name[NAME_SIZE_MAX];
        setting_variable(&catalog->settings[i], name);
        consider(&likeness, slice_of(name));
    }
    say(&likeness, out);
}
