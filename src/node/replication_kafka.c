/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier `kafka`, as the settings describe it. */
#include "node/replication_priv.h"

#include "access/secret_file.h"
#include "base/log.h"
#include "base/memory.h"
#include "stream/kafka/kafka_carrier.h"

#include <ctype.h>
#include <errno.h>

#define PASSWORD_MAX 4096
#define SETTLE_MS 5000

/* librdkafka's threads, and the carrier's own. */
static void kafka_wake(void *context)
{
    struct replication *replication = context;
    waker_wake(replication->waker);
}

/* The file's only line, without what ends it; no path: "". */
static int read_password(const char *path, char *out, size_t out_size, bool *ret_exposed,
                         struct err *err)
{
    struct secret_file file = {0};
    *out = '\0';
    *ret_exposed = false;
    if (path[0] == '\0')
        return 0;
    int result = secret_file_read(path, PASSWORD_MAX, &file, err);
    if (result < 0)
        return err_wrap(err, "kafka.password_file");
    struct slice text = secret_file_text(&file);
    while (text.size > 0 && isspace((unsigned char)text.data[text.size - 1]))
        text.size--;
    if (text.size == 0 || !slice_copy(text, out, out_size) ||
        memchr(text.data, '\n', text.size) != NULL)
        result =
            err_set(err, -EINVAL, "kafka.password_file: %s: expected one line, the password", path);
    *ret_exposed = file.exposed;
    secret_file_release(&file);
    return result;
}

static int open_with(struct replication *replication, const char *password, struct err *err)
{
    const struct settings *settings = replication->options.settings;
    const struct text_map *map = &settings->kafka.properties;
    struct kafka_property *properties = memory_array(map->count + 1, sizeof *properties);
    struct carrier_options options = {.node = settings->node.id};
    for (size_t i = 0; i < map->count; i++)
        properties[i] = (struct kafka_property){.name = map->keys[i], .value = map->values[i]};
    struct kafka_details details = {.brokers = settings->kafka.brokers,
                                    .topic = settings->kafka.topic,
                                    .properties = properties,
                                    .property_count = map->count,
                                    .password = password,
                                    .retain = (size_t)settings->stream.retain_bytes};
    replica_reader(replication->replica, KAFKA_INDEX, &options.reader);
    options.reader.wake = kafka_wake;
    options.reader.wake_context = replication;
    options.details = &details;
    replication->kafka = kafka_carrier_kind.open(&options, err);
    memory_free(properties);
    if (replication->kafka == NULL)
        return err_wrap(err, "kafka");
    replica_attach(replication->replica, KAFKA_INDEX, replication->kafka);
    return 0;
}

int kafka_check(const struct settings *settings, struct err *err)
{
    char password[PASSWORD_MAX];
    bool exposed;
    int result =
        read_password(settings->kafka.password_file, password, sizeof password, &exposed, err);
    explicit_bzero(password, sizeof password);
    return result < 0 ? result : 0;
}

bool kafka_password_differs(const struct replication *replication)
{
    char password[PASSWORD_MAX];
    bool exposed;
    struct err err;
    int result = read_password(replication->options.settings->kafka.password_file, password,
                               sizeof password, &exposed, &err);
    bool differs = result < 0 || replication->kafka_password == NULL ||
                   strcmp(password, replication->kafka_password) != 0;
    explicit_bzero(password, sizeof password);
    return differs;
}

static void forget_password(struct replication *replication)
{
    if (replication->kafka_password != NULL)
        explicit_bzero(replication->kafka_password, strlen(replication->kafka_password));
    memory_free(replication->kafka_password);
    replication->kafka_password = NULL;
}

int kafka_open(struct replication *replication, struct err *err)
{
    const char *path = replication->options.settings->kafka.password_file;
    char password[PASSWORD_MAX];
    bool exposed;
    int result = read_password(path, password, sizeof password, &exposed, err);
    if (result == 0)
        result = open_with(replication, password, err);
    if (result == 0 && exposed)
        log_warn("node", log_text("msg", "every user of this machine may read the password"),
                 log_text("file", path));
    if (result == 0)
        replication->kafka_password = memory_copy_text(password);
    explicit_bzero(password, sizeof password);
    return result < 0 ? result : 0;
}

void kafka_close(struct replication *replication)
{
    if (replication->kafka == NULL)
        return;
    replica_detach(replication->replica, KAFKA_INDEX);
    replication->kafka->kind->close(replication->kafka);
    replication->kafka = NULL;
    forget_password(replication);
}

void kafka_settle(void)
{
    if (!kafka_carriers_settle(SETTLE_MS))
        log_warn("node", log_text("msg", "Kafka's threads do not end, leaving without them"));
}
