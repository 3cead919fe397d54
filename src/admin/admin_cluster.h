/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/v1/cluster (docs/rest.md): which nodes there are, who leads, and who led before. Peers
 * read it as well (src/peer). Thread: the server's loop. */
#pragma once

#include "net/http_server.h"

/* A handler; its context is the struct admin_options, with fill_cluster set. */
http_handler_fn admin_cluster_answer;
