/* SPDX-License-Identifier: BSD-3-Clause */
/* A controller that was built without libmicrohttpd serves nothing. */
#include "util/err.h"
#include "web/web.h"

int web_start(struct web **ret, const struct web_config *cfg, struct ersa_error *err)
{
    return err_set(err, ERSA_EUNSUPPORTED, "this program was built without libmicrohttpd");
}

int web_port(const struct web *w)
{
    return 0;
}

void web_stop(struct web *w)
{
}
