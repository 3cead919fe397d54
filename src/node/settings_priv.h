/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the settings share: rows of the table, the catalog made of them, and values on
 * their way in and out. */
#pragma once

#include "node/settings.h"

/* ---- the table ---- */

enum setting_type {
    SETTING_BOOL,     /* bool */
    SETTING_INTEGER,  /* int64_t */
    SETTING_DURATION, /* int64_t, milliseconds */
    SETTING_SIZE,     /* int64_t, bytes */
    SETTING_TEXT,     /* char * */
    SETTING_WORD,     /* int: index of the word */
    SETTING_LIST,     /* struct text_list */
    SETTING_MAP       /* struct text_map */
};

enum setting_flag {
    SETTING_LIVE = 1,    /* a reload applies it; the others need a restart */
    SETTING_UNBUILT = 2, /* nothing but the default, or `accepts`, may be set yet */
    SETTING_EACH = 4     /* a row for each exchange: key and offset are within that exchange */
};

/* Is one text, or one item of a list, well formed? exchange: whose key it is; NULL for the others.
 */
typedef bool setting_check_fn(struct slice text, const struct exchange *exchange);

/* May a map have this name with this value? Else negative, and err says of which key and name, but
 * no secret. */
typedef int setting_pair_fn(const char *name, const char *value, struct err *err);

struct setting_row {
    const char *key;
    enum setting_type type;
    unsigned flags;
    size_t offset;
    const char *fallback;    /* as an environment variable would say it; NULL: the adapter knows */
    int64_t min, max;        /* of numbers; of the number of items in a list */
    const char *words;       /* of a SETTING_WORD: "info|warn" in the order of the enum */
    setting_check_fn *check; /* NULL: any text; "" is taken where it is the default */
    const char *expected;    /* what `check` wants, for people */
    setting_pair_fn *check_pair; /* of a SETTING_MAP; NULL: any names and values */
    const char *accepts; /* of a SETTING_UNBUILT: a second value that changes nothing; or NULL */
    const char *help;
};

extern const struct setting_row setting_rows[];
extern const size_t setting_row_count;

bool check_host_port(struct slice text, const struct exchange *exchange);
bool check_name(struct slice text, const struct exchange *exchange);
bool check_client_url(struct slice text, const struct exchange *exchange);
bool check_http_url(struct slice text, const struct exchange *exchange);
bool check_proxy_url(struct slice text, const struct exchange *exchange);
bool check_ws_base(struct slice text, const struct exchange *exchange);
bool check_rest_base(struct slice text, const struct exchange *exchange);
bool check_address_range(struct slice text, const struct exchange *exchange);
bool check_origin(struct slice text, const struct exchange *exchange);
bool check_symbol(struct slice text, const struct exchange *exchange);
bool check_channel(struct slice text, const struct exchange *exchange);
bool check_generation(struct slice text, const struct exchange *exchange);
bool check_brokers(struct slice text, const struct exchange *exchange);
bool check_topic(struct slice text, const struct exchange *exchange);

/* Valid UTF-8 without control characters, so that it can be written back as YAML. */
bool check_printable(struct slice text);

/* ---- the catalog: the rows, those of exchanges once for each ---- */

struct setting {
    const struct setting_row *row;
    const struct exchange *exchange; /* NULL for the rows that are not SETTING_EACH */
    size_t offset;                   /* in struct settings */
    char *fallback;                  /* owned; as setting_row's */
    char key[SETTING_KEY_MAX];
};

struct catalog {
    size_t count;
    struct setting settings[SETTINGS_MAX];
};

struct catalog *catalog_create(void) MUST_CHECK;
void catalog_destroy(struct catalog *catalog);
void catalog_destroyp(struct catalog **catalog); /* for CLEANUP */

/* NULL when there is none. */
const struct setting *catalog_find(const struct catalog *catalog, struct slice key);

/* Does any key start with "path."? */
bool catalog_is_section(const struct catalog *catalog, struct slice path);

/* "TICKWIRE_HTTP_LISTEN" for "http.listen". */
void setting_variable(const struct setting *setting, char out[SETTING_KEY_MAX + 16]);

/* Appends `; did you mean "x"?` when there is a key (or a section, or a variable) like it. */
void suggest_key(const struct catalog *catalog, struct slice unknown, struct buffer *out);
void suggest_variable(const struct catalog *catalog, struct slice unknown, struct buffer *out);

/* ---- values ---- */

/* One value as a source gives it. Borrowed. */
struct setting_input {
    enum { INPUT_TEXT, INPUT_NOTHING, INPUT_LIST, INPUT_MAP } shape;
    struct slice text;
    const struct text_map *items; /* of a list: in `values`, keys unused; of a map: both */
};

struct setting_complaint {
    char sentence[400]; /* it says all by itself; "": the two below do */
    char expected[120];
    char found[72]; /* quoted and cut, or masked */
};

/* Reads into a field that holds nothing that must be freed. On false the field is as it was. */
bool setting_read(const struct setting *setting, const struct setting_input *input, void *field,
                  struct setting_complaint *complaint) MUST_CHECK;

/* The same from one text, of the environment or --set: items are separated by commas. */
bool setting_read_text(const struct setting *setting, struct slice text, void *field,
                       struct setting_complaint *complaint) MUST_CHECK;

/* Room for a value of any type. */
union any_value {
    bool boolean;
    int word;
    int64_t number;
    char *text;
    struct text_list list;
    struct text_map map;
};

/* Bytes of its field. */
size_t setting_size(const struct setting *setting);

/* Frees what the field owns and leaves it zero. */
void setting_clear(const struct setting *setting, void *field);

bool setting_equal(const struct setting *setting, const void *left, const void *right);

/* As YAML. Secrets are masked. */
void setting_write(const struct setting *setting, const void *field, struct buffer *out);

void text_list_add(struct text_list *list, struct slice item);
void text_list_clear(struct text_list *list);
void text_map_add(struct text_map *map, struct slice key, struct slice value);
void text_map_clear(struct text_map *map);

static inline void *setting_field(struct settings *settings, const struct setting *setting)
{
    return (char *)settings + setting->offset;
}

static inline const void *setting_field_const(const struct settings *settings,
                                              const struct setting *setting)
{
    return (const char *)settings + setting->offset;
}

/* ---- sources ---- */

struct setting_place {
    enum settings_origin origin;
    const char *name; /* of the file or the variable; borrowed */
    size_t line;      /* of a file, from 1 */
    size_t column;
};

typedef int setting_entry_fn(void *context, const struct setting *setting,
                             const struct setting_input *input, const struct setting_place *place,
                             struct err *err);

/* Reads a YAML file and hands over each setting in it, once. */
int settings_yaml_read(const char *file, bool not_empty, const struct catalog *catalog,
                       setting_entry_fn *entry, void *context, struct err *err) MUST_CHECK;

/* Whether the values go together: what an exchange carries on a connection, who leads and follows
 * whom. -EINVAL, and err names the key. */
int settings_check(const struct settings *settings, struct err *err) MUST_CHECK;

/* "FILE:1:2: ", "environment variable NAME: " or "--set: ", and the rest; returns -EINVAL. */
int settings_fail(struct err *err, const struct setting_place *place, const char *format, ...)
    PRINTF(3, 4);
