/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the engine state file is (controller.md 11.2), and with --restore its text as the last
 * run left it. */
#include "cli/controller_setup.h"

#include <stdlib.h>

#include "util/err.h"
#include "util/file.h"
#include "util/log.h"
#include "util/str.h"

#define STATE_MAX ((size_t)64 << 20)

static int read_state(struct controller_setup *s, struct ersa_error *err)
{
    int rc = file_read(s->state_path, &s->state, err);
    if (rc == ERSA_ENOENT) {
        log_warn("%s is not there: no engines are restored", s->state_path);
        *err = (struct ersa_error){0};
        return 0;
    }
    s->router.restore = (struct slice){(const char *)s->state.data, s->state.len};
    return rc;
}

int controller_state(struct controller_setup *s, const struct cli *c, struct ersa_error *err)
{
    buf_init(&s->state, STATE_MAX);
    s->state_path = str_printf("%s/engines%s.json", c->profile.log_dir, c->cluster_id);
    if (!s->state_path)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    s->router.state_path = s->state_path;
    return options_bool(c->options, "IPController.restore_engines") ? read_state(s, err) : 0;
}

void controller_state_end(struct controller_setup *s)
{
    buf_fini(&s->state);
    free(s->state_path);
    s->state_path = NULL;
}
