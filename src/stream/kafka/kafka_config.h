/* SPDX-License-Identifier: Apache-2.0 */
/* What librdkafka is told: our choices, the user's properties over them, and over these what the
 * stream rests on, which nobody may set. Any thread. */
#pragma once

#include "stream/kafka/kafka_carrier.h"

#include <librdkafka/rdkafka.h>

/* A copy of what the carrier was opened with; does not change. */
struct kafka_config {
    char *brokers, *topic, *password, *node; /* owned */
    struct kafka_property *properties;       /* owned, with their texts */
    size_t property_count;
};

int kafka_config_create(const struct carrier_options *options, struct kafka_config **ret_config,
                        struct err *err) MUST_CHECK;
void kafka_config_destroy(struct kafka_config *config); /* NULL is a no-op */

/* For a handle that writes, or one that reads, and leaves a broker so long for each answer, unless
 * the user says otherwise. NULL with err. */
rd_kafka_conf_t *kafka_config_make(const struct kafka_config *config, rd_kafka_type_t type,
                                   int answer_ms, struct err *err) MUST_CHECK;
