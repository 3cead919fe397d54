/* SPDX-License-Identifier: Apache-2.0 */
/* `bench decode` alone, for what measures instructions: nothing else runs in its process. */
#include "bench/bench.h"

int main(int argc, char **argv)
{
    return bench_decode_command(argc - 1, argv + 1);
}
