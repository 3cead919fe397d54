/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of messages, ours and others. */
#include "peer/peer_message.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/memory.h"

static const struct {
    const char *text;
    enum peer_message_kind kind;
    int64_t seq;
} rows[] = {
    {"{\"type\":\"hello\",\"version\":1}", PEER_MESSAGE_HELLO, 0},
    {"{\"type\":\"snapshot_end\",\"seq\":9}", PEER_MESSAGE_SNAPSHOT_END, 0},
    {"{\"type\":\"draining\",\"within_ms\":5}", PEER_MESSAGE_DRAINING, 0},
    {"{\"type\":\"heartbeat\",\"seq\":9,\"ts\":1}", PEER_MESSAGE_NOTE, 0},
    {"{\"type\":\"source\",\"source\":\"kafka\",\"reason\":\"\"}", PEER_MESSAGE_NOTE, 0},
    {"{\"type\":\"skipped\",\"from\":3,\"to\":9}", PEER_MESSAGE_NOTE, 0},
    {"{\"type\":\"later\",\"a\":1}", PEER_MESSAGE_NOTE, 0},
    {"{\"type\":\"later\"}", PEER_MESSAGE_NOTE, 0},
    {"{\"type\":\"epoch\",\"seq\":1,\"recv\":2}", PEER_MESSAGE_EPOCH, 1},
    {"{\"type\":\"trade\",\"seq\":10,\"exchange\":\"upbit\"}", PEER_MESSAGE_RECORD, 10},
    {"{\"type\":\"later\",\"seq\":9007199254740991}", PEER_MESSAGE_RECORD, 9007199254740991},
    {"{\"type\":\"trade\",\"seq\":9007199254740992}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"trade\",\"seq\":99999999999999999999}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"trade\",\"seq\":0}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"trade\",\"seq\":01}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"trade\",\"seq\":-1}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"trade\",\"seq\":1.5}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"trade\",\"seq\":\"1\"}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"trade\",\"seq\":}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"trade\",\"seq\":1,\"a\":2", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"\",\"seq\":1}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"seq\":1}", PEER_MESSAGE_MALFORMED, 0},
    {"{ \"type\":\"trade\",\"seq\":1}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"seq\":1,\"type\":\"trade\"}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"trade\",\"seq\":1,\n\"a\":2}", PEER_MESSAGE_MALFORMED, 0},
    {"{\"type\":\"source\",\t\"a\":2}", PEER_MESSAGE_MALFORMED, 0},
    {"[1]", PEER_MESSAGE_MALFORMED, 0},
    {"", PEER_MESSAGE_MALFORMED, 0},
};

/* In memory that ends where the text does: AddressSanitizer sees a byte read beyond. */
static struct peer_message read_exactly(const char *text, size_t size)
{
    char *copy = memory_alloc(size + 1);
    copy = memory_resize(copy, size == 0 ? 1 : size, 1);
    memcpy(copy, text, size);
    struct peer_message message = peer_message_read((struct slice){.data = copy, .size = size});
    memory_free(copy);
    return message;
}

static void test_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct peer_message message = read_exactly(rows[i].text, strlen(rows[i].text));
        if (message.kind != rows[i].kind || message.seq != rows[i].seq)
            fail_msg("%s: %d, %lld", rows[i].text, (int)message.kind, (long long)message.seq);
    }
}

static void test_cut_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t size = 0; size < strlen(rows[i].text); size++)
            assert_int_equal(read_exactly(rows[i].text, size).kind, PEER_MESSAGE_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_cut_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
