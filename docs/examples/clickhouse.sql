-- SPDX-License-Identifier: Apache-2.0
-- tickwire's topic in ClickHouse. Three parts: what reads the topic, what keeps its messages, and
-- the view to ask. Change the two names of Kafka: brokers and topic.

CREATE TABLE tickwire_topic (message String)
ENGINE = Kafka
SETTINGS kafka_broker_list = 'localhost:9092',
         kafka_topic_list = 'tickwire.market',
         kafka_group_name = 'clickhouse',
         kafka_format = 'RawBLOB',
         kafka_num_consumers = 1;

-- A number may be there more than once: written twice by a node, read twice by ClickHouse, or
-- written by a node that no longer led. The newest epoch is right; rows are merged to it.
CREATE TABLE tickwire_messages (
    stream LowCardinality(String),
    epoch UInt64,
    seq UInt64,
    type LowCardinality(String),
    exchange LowCardinality(String),
    symbol LowCardinality(String),
    written DateTime64(3),
    message String
)
ENGINE = ReplacingMergeTree(epoch)
ORDER BY (stream, seq);

CREATE MATERIALIZED VIEW tickwire_reader TO tickwire_messages AS
WITH mapFromArrays(_headers.name, _headers.value) AS headers
SELECT headers['tw-stream'] AS stream,
       toUInt64OrZero(headers['tw-epoch']) AS epoch,
       toUInt64OrZero(headers['tw-seq']) AS seq,
       headers['tw-type'] AS type,
       JSONExtractString(message, 'exchange') AS exchange,
       JSONExtractString(message, 'symbol') AS symbol,
       _timestamp_ms AS written,
       message
FROM tickwire_topic
WHERE toUInt64OrZero(headers['tw-seq']) > 0;

-- What counts: of each number the newest epoch, and nothing of an older epoch behind the message
-- `epoch` that opened a newer one (the end of what a node wrote that no longer led).
CREATE VIEW tickwire_stream AS
SELECT m.*
FROM tickwire_messages AS m FINAL
ASOF LEFT JOIN (SELECT stream, epoch, seq FROM tickwire_messages FINAL WHERE type = 'epoch') AS e
ON m.stream = e.stream AND m.seq >= e.seq
WHERE m.epoch >= e.epoch;

CREATE VIEW tickwire_trades AS
SELECT stream, seq, exchange, symbol,
       fromUnixTimestamp64Micro(JSONExtractInt(message, 'ts')) AS ts,
       JSONExtractString(message, 'id') AS id,
       JSONExtractString(message, 'side') AS side,
       toDecimal128(JSONExtractString(message, 'price'), 12) AS price,
       toDecimal128(JSONExtractString(message, 'size'), 12) AS size
FROM tickwire_stream
WHERE type = 'trade';
