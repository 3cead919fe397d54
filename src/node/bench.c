/* SPDX-License-Identifier: Apache-2.0 */
/* tickwire bench: from its first word to the measurement in bench/. */
#include "node/commands.h"

#include "bench/bench.h"

int command_bench(int count, char **arguments)
{
    if (count == 0)
        return usage_error("bench", "it needs what to measure: decode, fanout or pipeline");
    if (strcmp(arguments[0], "decode") == 0)
        return bench_decode_command(count - 1, arguments + 1);
    if (strcmp(arguments[0], "fanout") == 0)
        return bench_fanout_command(count - 1, arguments + 1);
    if (strcmp(arguments[0], "pipeline") == 0)
        return bench_pipeline_command(count - 1, arguments + 1);
    return usage_error("bench", "cannot measure `%s`; there is: decode, fanout, pipeline",
                       arguments[0]);
}
