/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: one REST answer of Upbit. */
#include "fuzz/rest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_rest("upbit", 0, data, size);
}
