-- SPDX-License-Identifier: Apache-2.0
-- tickwire's topic in Flink SQL. Change the two names of Kafka: servers and topic.

CREATE TABLE tickwire_topic (
    `type` STRING,
    `exchange` STRING,
    `symbol` STRING,
    `id` STRING,
    `price` STRING,
    `size` STRING,
    `side` STRING,
    `ts` BIGINT,
    `headers` MAP<STRING, BYTES> METADATA VIRTUAL,
    `written` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
    WATERMARK FOR `written` AS `written`
) WITH (
    'connector' = 'kafka',
    'properties.bootstrap.servers' = 'localhost:9092',
    'topic' = 'tickwire.market',
    'scan.startup.mode' = 'earliest-offset',
    'format' = 'json',
    'json.ignore-parse-errors' = 'true'
);

-- Messages alone, without notes.
CREATE VIEW tickwire_messages AS
SELECT DECODE(headers['tw-stream'], 'US-ASCII') AS `stream`,
       TRY_CAST(DECODE(headers['tw-epoch'], 'US-ASCII') AS BIGINT) AS epoch,
       TRY_CAST(DECODE(headers['tw-seq'], 'US-ASCII') AS BIGINT) AS seq,
       `type`, `exchange`, `symbol`, `id`, `price`, `size`, `side`, `ts`, `written`
FROM tickwire_topic
WHERE TRY_CAST(DECODE(headers['tw-seq'], 'US-ASCII') AS BIGINT) IS NOT NULL;

-- Of each number the record with the newest epoch: it is there more than once when it was written
-- twice, or by a node that no longer led. A number that had the wrong record is put right as soon
-- as the right one comes. State is kept for each number: bound it, by
--     SET 'table.exec.state.ttl' = '1 h';
CREATE VIEW tickwire_stream AS
SELECT `stream`, epoch, seq, `type`, `exchange`, `symbol`, `id`, `price`, `size`, `side`, `ts`,
       `written`
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY `stream`, seq ORDER BY epoch DESC) AS place
    FROM tickwire_messages
)
WHERE place = 1;

CREATE VIEW tickwire_trades AS
SELECT `stream`, seq, `exchange`, `symbol`, TO_TIMESTAMP_LTZ(`ts` / 1000, 3) AS `ts`, `id`, `side`,
       CAST(`price` AS DECIMAL(38, 12)) AS `price`, CAST(`size` AS DECIMAL(38, 12)) AS `size`
FROM tickwire_stream
WHERE `type` = 'trade';
