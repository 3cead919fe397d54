/* SPDX-License-Identifier: Apache-2.0 */
/* The new settings are loaded whole; then the fields that may change are exchanged with those of
 * the running ones, and back again when the result would be wrong. */
#include "node/settings_reload.h"

#include "base/memory.h"
#include "node/settings_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void exchange_fields(const struct setting *setting, struct settings *left,
                            struct settings *right)
{
    union any_value value;
    size_t size = setting_size(setting);
    assert(size <= sizeof value);
    memcpy(&value, setting_field(left, setting), size);
    memcpy(setting_field(left, setting), setting_field(right, setting), size);
    memcpy(setting_field(right, setting), &value, size);
}

static bool is_live(const struct setting *setting)
{
    return (setting->row->flags & SETTING_LIVE) != 0;
}

/* Of both settings those that differ and are live; called twice it changes nothing. */
static void exchange_live(const struct catalog *catalog, struct settings *left,
                          struct settings *right)
{
    for (size_t i = 0; i < catalog->count; i++) {
        const struct setting *setting = &catalog->settings[i];
        if (is_live(setting) && !setting_equal(setting, setting_field_const(left, setting),
                                               setting_field_const(right, setting)))
            exchange_fields(setting, left, right);
    }
}

static void note_difference(void *context, const char *key, bool needs_restart)
{
    struct settings_reload *reload = context;
    text_list_add(needs_restart ? &reload->restart : &reload->live, slice_of(key));
}

/* A value that holds may come from elsewhere than before; one that does not has no say. */
static void take_origins(const struct catalog *catalog, struct settings *running,
                         const struct settings *loaded)
{
    for (size_t i = 0; i < catalog->count; i++) {
        const struct setting *setting = &catalog->settings[i];
        if (is_live(setting) || setting_equal(setting, setting_field_const(running, setting),
                                              setting_field_const(loaded, setting)))
            running->origin[i] = loaded->origin[i];
    }
}

int settings_reload(struct settings *running, const struct settings_options *options,
                    struct settings_reload *ret_reload, struct err *err)
{
    CLEANUP(memory_freep) struct settings *loaded = memory_alloc(sizeof *loaded);
    struct settings_options again = *options;
    again.not_empty = true; /* somebody writes it at this moment; the defaults are nobody's wish */
    int result = settings_load(loaded, &again, err);
    if (result < 0)
        return result;
    CLEANUP(catalog_destroyp) struct catalog *catalog = catalog_create();
    struct settings_reload reload = {.live = {.count = 0}};
    settings_compare(running, loaded, note_difference, &reload);
    exchange_live(catalog, running, loaded);
    result = settings_check(running, err);
    if (result < 0) {
        exchange_live(catalog, running, loaded);
        reload.replaced = *loaded;
        settings_reload_release(&reload);
        return result;
    }
    take_origins(catalog, running, loaded);
    reload.replaced = *loaded;
    *ret_reload = reload;
    return 0;
}

void settings_reload_release(struct settings_reload *reload)
{
    text_list_clear(&reload->live);
    text_list_clear(&reload->restart);
    settings_release(&reload->replaced);
}

bool settings_reload_has(const struct settings_reload *reload, const char *key)
{
    bool is_section = key[0] != '\0' && key[strlen(key) - 1] == '.';
    for (size_t i = 0; i < reload->live.count; i++) {
        struct slice item = slice_of(reload->live.items[i]);
        if (is_section ? slice_starts_with(item, slice_of(key)) : slice_is(item, key))
            return true;
    }
    return false;
}

void settings_reload_say(const struct text_list *keys, char *out, size_t out_size)
{
    static const char more[] = "...";
    assert(out_size > sizeof more);
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < keys->count; i++) {
        size_t size = strlen(keys->items[i]) + 2; /* with what goes before it */
        if (used + size + sizeof more > out_size) {
            memcpy(out + used, more, sizeof more);
            return;
        }
        used += (size_t)snprintf(out + used, out_size - used, "%s%s", i == 0 ? "" : ", ",
                                 keys->items[i]);
    }
}
