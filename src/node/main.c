/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and the way into one of them. */
#include "node/commands.h"

#include "base/log.h"
#include "base/memory.h"
#include "net/loop.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define NODE_OPTIONS                                                                               \
    "  -c FILE               configuration (YAML); see docs/configuration.md\n"                    \
    "  --set key=value       one setting; beats the environment, which beats the file\n"

int command_version(int count, char **arguments)
{
    if (count > 0)
        return usage_error("version", "unknown argument `%s`", arguments[0]);
    printf("tickwire %s\n", TICKWIRE_VERSION);
    return EXIT_DONE;
}

/* With the loop go its handlers, and without one such a signal would end us half-way. */
static void hold_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

int end_loop(struct loop *loop, int status)
{
    hold_signals();
    if (loop_is_resolving(loop)) {
        log_stop();
        fflush(NULL);
        _exit(status);
    }
    loop_destroy(loop);
    return status;
}

static void print_commands(FILE *out)
{
    fprintf(out, "usage: tickwire COMMAND [OPTIONS]\n\n");
    for (const struct command *command = command_table; command->name != NULL; command++)
        fprintf(out, "  %-8s %s\n", command->name, command->summary);
    fprintf(out, "\n`tickwire help COMMAND` tells more. Exit status: 0 done, 1 failed, 2 wrong "
                 "usage, 78 bad configuration.\n");
}

int command_help(int count, char **arguments)
{
    if (count == 0) {
        print_commands(stdout);
        return EXIT_DONE;
    }
    const struct command *command = command_find(arguments[0]);
    if (command == NULL || count > 1)
        return usage_error("help", "unknown command `%s`", arguments[count > 1 ? 1 : 0]);
    printf("usage: tickwire %s %s\n\n%s\n", command->name, command->usage, command->summary);
    if (command->details != NULL)
        printf("\n%s", command->details);
    return EXIT_DONE;
}

const struct command *command_find(const char *name)
{
    for (const struct command *command = command_table; command->name != NULL; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

int main(int count, char **arguments)
{
    memory_configure();
    if (count < 2) {
        print_commands(stderr);
        return EXIT_USAGE;
    }
    const char *name = arguments[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    const struct command *command = command_find(name);
    if (command == NULL) {
        fprintf(stderr, "tickwire: unknown command `%s`; see `tickwire help`\n", name);
        return EXIT_USAGE;
    }
    if (count == 3 && strcmp(arguments[2], "--help") == 0)
        return command_help(1, (char *[]){arguments[1], NULL});
    return command->run(count - 2, arguments + 2);
}

const struct command command_table[] = {
    {"serve", "[-c FILE] [--set key=value ...]", "run a node", NODE_OPTIONS, command_serve},
    {"record",
     "-o FILE [--rotate-size S] [--rotate-time T] [--keep N] [--for T] [-c FILE] [--set ...]",
     "write the raw traffic of the configured exchanges to a compressed file",
     "  -o FILE               JSON lines in zstd; must not exist; see docs/recording.md\n"
     "  --rotate-size S       FILE.0001, FILE.0002 and so on, of at most 1GiB, 64MiB, ...\n"
     "  --rotate-time T       a new one after 1h, 30m, ...\n"
     "  --keep N              only the newest N of them\n"
     "  --for T               end by itself after 60s, 1h, ...\n" NODE_OPTIONS,
     command_record},
    {"replay",
     "FILE... [--exchange E] [--speed X|max] [--from T] [--loop] [-c FILE] [--set key=value ...]",
     "serve a recording as if it were live, through a real WebSocket and a node",
     "  FILE...               zstd, gzip or plain; several that follow one another; a FILE that "
     "does\n"
     "                        not exist stands for FILE.0001, FILE.0002 and so on\n"
     "  --exchange E          exchange of lines that name none (default: the name of the file's "
     "folder)\n"
     "  --speed X|max         times as fast as recorded, 0.001 to 1000 (default 1); max: as fast "
     "as it is read\n"
     "  --from T              begin so long behind the recording's first message: 90s, 10m, 1h\n"
     "  --loop                from the start again after the end\n"
     "The recorded exchanges are collected, from the recording, whatever exchanges.*.enabled and\n"
     "ws_url say, and without Kafka and other nodes; the other settings hold.\n" NODE_OPTIONS,
     command_replay},
    {"demo", "[--simulated] [--rate N] [--port P] [-c FILE] [--set key=value ...]",
     "a node to look at: of the exchanges when one answers, else of simulated ones",
     "  --simulated           ask no exchange: simulated ones at once, without any network\n"
     "  --rate N              market events a second in all simulated exchanges together, 1 to\n"
     "                        50000 (default 200)\n"
     "  --port P              instead of that of http.listen (8080)\n"
     "Exchanges that have not answered within 5 s count as out of reach. Simulated prices are no\n"
     "real ones, and every place says so: log, this output, hello, /ws/info and the "
     "page.\n" NODE_OPTIONS,
     command_demo},
    {"simulate", "[--listen ADDRESS:PORT ...] [--seed N] [--rate N] [OPTIONS]",
     "stand in for the exchanges: their WebSocket and REST interfaces, with markets of its own",
     "  --listen A:P          where (default 127.0.0.1:9000); may be given several times; port 0: "
     "any\n"
     "  --seed N              the same seed, the same markets (default 1)\n"
     "  --rate N              orders a second, in all exchanges together (default 200)\n"
     "  --symbols N           markets of each exchange, 1 to 1000 (default 24 or 25)\n"
     "  --lifetime T          connections are closed after this time (20s, 10m; default: the\n"
     "                        exchange's own, 24h of Binance)\n"
     "  --set-limit E.L=V     another limit of exchange E (*: of all): a count, or a time as "
     "500ms, 20s. L is\n"
     "                        connects, connects-window, messages, messages-window,\n"
     "                        messages-minute, streams, request-size, ping, pong, idle, "
     "lifetime,\n"
     "                        weight, or the name of a group of REST requests. 0: no limit\n"
     "  --tls-cert F, --tls-key F\n"
     "                        speak TLS, with this certificate and key (PEM)\n"
     "Each exchange is under its name, /binance, /upbit, /bithumb, and without a prefix under its\n"
     "own host names. /sim/ tells what was true and makes things go wrong: docs/simulator.md.\n",
     command_simulate},
    {"tail",
     "[URL] [--exchange E,..] [--symbol S,..] [--type T,..] [--since TOKEN] [--json|--table]",
     "print a node's stream",
     "  URL                   ws://host:port/ws/exchange (default "
     "ws://127.0.0.1:8080/ws/exchange)\n"
     "  --exchange, --symbol, --type\n"
     "                        only messages of these, separated by commas\n"
     "  --since TOKEN         go on behind STREAM.EPOCH.SEQ\n"
     "  --json                one message a line as received (default when not a terminal)\n"
     "  --table               columns for people (default on a terminal)\n",
     command_tail},
    {"check", "[-c FILE] [--set key=value ...]", "validate and print the effective configuration",
     NODE_OPTIONS
     "  --reference           print the description of all settings (docs/configuration.md)\n",
     command_check},
    {"bench",
     "decode FILE --exchange E [--repeat N] | fanout --url URL [OPTIONS] | pipeline "
     "[OPTIONS]",
     "measure this machine; one JSON object on stdout",
     "  decode FILE           raw messages, one a line: to events and to our JSON, as fast as it "
     "goes\n"
     "  --exchange E          whose messages they are\n"
     "  --generation N        of its protocol\n"
     "  --repeat N            times over the file (default 1)\n"
     "  fanout                clients of any WebSocket server that sends all of them the same:\n"
     "                        what arrives, how late, and what it costs\n"
     "  --url URL             ws://host:port/path of the server\n"
     "  --clients N           connections (default 100)\n"
     "  --seconds T           measured (default 10), after 1 s that is not\n"
     "  --sequence-field F    of the JSON messages: a number that grows by 1 (default seq)\n"
     "  --time-field F        microseconds since the Unix epoch by this machine's clock "
     "(default ts)\n"
     "  --lines               a frame holds several messages, one a line\n"
     "  --pid N               the server's process: its CPU time and memory are told, too\n"
     "  --source HOST:PORT    be the source as well: the server reads there what it is to send,\n"
     "                        one message a line\n"
     "  --rate R, --size S    messages a second from the source, and bytes of each (default 250)\n"
     "  pipeline              a node of simulated exchanges, from their bytes to its clients' "
     "read:\n"
     "                        straight, and through Kafka by turns\n"
     "  --brokers HOST:PORT   of Kafka; without it only straight\n"
     "  --topic NAME          in it (default tickwire.bench), made when it is missing\n"
     "  --rate R              messages a second, about (default 2000)\n"
     "  --clients N           of the node (default 100)\n"
     "  --seconds T, --warm T of each turn, measured and before (default 5 and 5)\n"
     "  --rounds N            turns of each (default 3); told is the median\n"
     "  --set key=value       another setting of the node, like kafka.properties\n",
     command_bench},
    {"version", "", "print the version", NULL, command_version},
    {"help", "[COMMAND]", "list the commands, or explain one", NULL, command_help},
    {NULL, NULL, NULL, NULL, NULL},
};
