/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the controller's ports speak CURVE, and with which key pair (design.md 9): as
 * configured; with --reuse as the earlier run; else when more than this machine can reach them.
 */
#include "cli/controller_setup.h"

#include <string.h>
#include <unistd.h>

#include "cli/curve_keys.h"
#include "util/err.h"
#include "util/log.h"

#define OPTION "IPController.enable_curve"

static bool is_exposed(const struct controller_setup *s)
{
    return !connection_is_loopback(s->engine.interface) ||
           !connection_is_loopback(s->client.interface);
}

/* *ret: on or off. */
static int decide(const struct controller_setup *s, const struct options *o, bool is_reused,
                  bool *ret, struct ersa_error *err)
{
    bool is_given = options_is_set(o, OPTION); /* None is as good as not configured */
    bool was_on = is_reused && s->client.curve_serverkey;
    *ret = is_given ? options_bool(o, OPTION) : is_reused ? was_on : is_exposed(s);
    if (is_reused && *ret != was_on)
        return err_set(err, ERSA_EINVAL,
                       "%s: " OPTION " is %s, but the connection files are of a controller "
                       "%s CURVE; remove both, or start without --reuse",
                       options_where(o, OPTION), *ret ? "on" : "off",
                       was_on ? "with" : "without");
    return 0;
}

static int use_kept_pair(struct controller_setup *s, struct ersa_error *err)
{
    int rc = curve_keys_read(s->curve_path, &s->curve.own, err);
    s->keeps_pair = rc == 0;
    return rc < 0 ? err_prefix(err, rc,
                               "the key pair of the connection files; remove them, or start "
                               "without --reuse")
                  : 0;
}

static int find_pair(struct controller_setup *s, const struct options *o, bool is_reused,
                     struct ersa_error *err)
{
    int rc = curve_keys_from_options(&s->curve.own, o, "IPController", err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (is_reused)
        return use_kept_pair(s, err);
    log_info("Generating new CURVE credentials");
    curve_keys_make(&s->curve.own);
    s->keeps_pair = true;
    return 0;
}

int controller_curve(struct controller_setup *s, const struct options *o, bool is_reused,
                     struct ersa_error *err)
{
    char text[CURVE_TEXT_LEN + 1];
    int rc = decide(s, o, is_reused, &s->uses_curve, err);
    if (rc < 0)
        return rc;
    if (!s->uses_curve) {
        if (is_exposed(s))
            log_critical("CURVE is off (%s), and more than this machine can reach the ports: "
                         "all that is sent can be read on its way",
                         options_is_set(o, OPTION) ? options_where(o, OPTION)
                                                   : "as in the connection files");
        return 0;
    }
    rc = find_pair(s, o, is_reused, err);
    if (rc < 0)
        return rc;
    s->curve.is_server = true;
    curve_key_text(text, s->curve.own.public_key);
    if (is_reused && strcmp(text, s->client.curve_serverkey) != 0)
        return err_set(err, ERSA_EINVAL,
                       "the connection files name another CURVE key than that of this "
                       "controller; remove them, or start without --reuse");
    log_info("Using CURVE security. Ignore warnings about disabled message signing.");
    if (connection_info_set(&s->engine.curve_serverkey, text) < 0 ||
        connection_info_set(&s->client.curve_serverkey, text) < 0)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    return 0;
}

int controller_curve_publish(struct controller_setup *s, struct ersa_error *err)
{
    if (!s->uses_curve || !s->keeps_pair)
        return 0;
    return curve_keys_write(s->curve_path, &s->curve.own, err);
}

void controller_curve_end(struct controller_setup *s)
{
    if (s->are_written && s->keeps_pair && !s->keep_files)
        unlink(s->curve_path);
    curve_wipe(&s->curve, sizeof(s->curve));
}
