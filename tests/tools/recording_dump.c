/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sim/recording.h gives of files, for the tests: a line `exchange ts_us text|binary HEX` for
 * each message, then `lost FILES PACKED_BYTES TEXT_BYTES UNRECORDED`. Status 1 and the reason when
 * it cannot be read.
 */
#include "sim/recording.h"

#include <inttypes.h>
#include <stdio.h>

static void print_message(const struct recorded_message *message)
{
    printf("%s %" PRId64 " %s ", message->exchange, message->ts_us,
           message->binary ? "binary" : "text");
    for (size_t i = 0; i < message->raw.size; i++)
        printf("%02x", (uint8_t)message->raw.data[i]);
    printf("\n");
}

int main(int count, char **arguments)
{
    struct recording_options options = {.files = (const char *const *)(arguments + 1),
                                        .file_count = (size_t)count - 1,
                                        .default_exchange = "-"};
    struct recording *recording = NULL;
    struct recorded_message message;
    struct recording_loss loss;
    struct err err = {0};
    enum recording_result result = RECORDING_FAILED;
    if (recording_open(&options, &recording, &err) == 0)
        result = RECORDING_AGAIN;
    while (result == RECORDING_AGAIN || result == RECORDING_MESSAGE) {
        result = recording_next(recording, &message, &err);
        if (result == RECORDING_MESSAGE)
            print_message(&message);
    }
    if (result == RECORDING_FAILED) {
        fprintf(stderr, "%s\n", err.text);
        recording_close(recording);
        return 1;
    }
    recording_loss(recording, &loss);
    printf("lost %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", loss.files, loss.packed_bytes,
           loss.text_bytes, loss.unrecorded);
    recording_close(recording);
    return 0;
}
