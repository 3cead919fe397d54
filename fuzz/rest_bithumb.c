/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: one REST answer of Bithumb, of both generations. */
#include "fuzz/rest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_rest("bithumb", 2, data, size) | fuzz_rest("bithumb", 1, data, size);
}
