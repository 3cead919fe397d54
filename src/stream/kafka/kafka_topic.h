/* SPDX-License-Identifier: Apache-2.0 */
/* The topic's shape: whether it is there with one partition, and making it by an admin call
 * (contract, section 5). These block, at most about answer_ms a request. */
#pragma once

#include "stream/kafka/kafka_session.h"

/* -ENOENT: there is no such topic; -EINVAL: it has more than one partition, or must not be seen;
 * -EAGAIN: nobody is there, or its leader is being chosen; -ETIMEDOUT: somebody is, and has not
 * answered. */
int kafka_topic_check(rd_kafka_t *handle, rd_kafka_topic_t *topic, int answer_ms,
                      struct err *err) MUST_CHECK;

/* One that somebody else makes at the same time is as good. Never 0: -EINPROGRESS when it was
 * made, so that it is looked at again; -EAGAIN, -ETIMEDOUT: as above; -EINVAL: it is refused. */
int kafka_topic_make(rd_kafka_t *handle, rd_kafka_topic_t *topic, int answer_ms,
                     struct err *err) MUST_CHECK;
