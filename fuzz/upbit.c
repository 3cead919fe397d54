/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: one message of Upbit. */
#include "fuzz/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decode("upbit", 0, data, size);
}
