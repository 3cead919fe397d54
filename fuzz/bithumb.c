/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: one message of Bithumb, for the decoders of both generations. */
#include "fuzz/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decode("bithumb", 2, data, size) | fuzz_decode("bithumb", 1, data, size);
}
