/* SPDX-License-Identifier: BSD-3-Clause */
/* The secret key is what counts: the public one is derived from it, and compared with what is
 * said of it. */
#include "cli/curve_keys.h"

#include <stdio.h>
#include <string.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/file.h"

#define FILE_MAX 4096
#define NAME_MAX_LEN 64

static int bad_key(const char *where, const char *name, struct ersa_error *err)
{
    return err_set(err, ERSA_EINVAL, "%s: %s is no key of %d characters in Z85", where, name,
                   CURVE_TEXT_LEN);
}

/* Derives the public key; `public` (may be empty) must be the same. */
static int complete(struct curve_keys *k, const char *public, const char *where,
                    const char *name, struct ersa_error *err)
{
    uint8_t said[CURVE_KEY_SIZE];
    curve_keys_derive(k);
    if (!*public)
        return 0;
    if (curve_key_parse(said, public) < 0)
        return bad_key(where, name, err);
    if (memcmp(said, k->public_key, sizeof(said)) != 0)
        return err_set(err, ERSA_EINVAL, "%s: %s does not belong to the secret key", where,
                       name);
    return 0;
}

int curve_keys_from_options(struct curve_keys *ret, const struct options *o, const char *cls,
                            struct ersa_error *err)
{
    char secret[NAME_MAX_LEN], public[NAME_MAX_LEN];
    snprintf(secret, sizeof(secret), "%s.curve_secretkey", cls);
    snprintf(public, sizeof(public), "%s.curve_publickey", cls);
    const char *text = options_text(o, secret), *public_text = options_text(o, public);
    if (!*text && !*public_text)
        return 0;
    if (!*text)
        return err_set(err, ERSA_EINVAL, "%s: %s without %s", options_where(o, public), public,
                       secret);
    if (curve_key_parse(ret->secret_key, text) < 0) /* without saying where: it may hold it */
        return err_set(err, ERSA_EINVAL, "%s is no key of %d characters in Z85", secret,
                       CURVE_TEXT_LEN);
    int rc = complete(ret, public_text, options_where(o, public), public, err);
    return rc < 0 ? rc : 1;
}

int curve_keys_write(const char *path, const struct curve_keys *k, struct ersa_error *err)
{
    char public[CURVE_TEXT_LEN + 1], secret[CURVE_TEXT_LEN + 1], text[FILE_MAX];
    curve_key_text(public, k->public_key);
    curve_key_text(secret, k->secret_key);
    int n = snprintf(text, sizeof(text),
                     "# CURVE key pair of a controller. Whoever has the secret key is it: keep "
                     "this file private.\n"
                     "curve\n    public-key = \"%s\"\n    secret-key = \"%s\"\n",
                     public, secret);
    int rc = file_write_atomic(path, text, (size_t)n, 0600, err);
    curve_wipe(text, sizeof(text));
    curve_wipe(secret, sizeof(secret));
    return rc;
}

/* The 40 characters behind `name = "`; false: there are none. */
static bool find_key(const char *text, const char *name, char ret_key[CURVE_TEXT_LEN + 1])
{
    const char *at = strstr(text, name);
    if (!at || strncmp(at + strlen(name), " = \"", 4) != 0)
        return false;
    at += strlen(name) + 4;
    if (strnlen(at, CURVE_TEXT_LEN + 1) <= CURVE_TEXT_LEN || at[CURVE_TEXT_LEN] != '"')
        return false;
    memcpy(ret_key, at, CURVE_TEXT_LEN);
    ret_key[CURVE_TEXT_LEN] = '\0';
    return true;
}

static int parse_pair(const char *path, const char *text, struct curve_keys *ret,
                      struct ersa_error *err)
{
    char public[CURVE_TEXT_LEN + 1], secret[CURVE_TEXT_LEN + 1];
    bool is_there =
        find_key(text, "public-key", public) && find_key(text, "secret-key", secret);
    int rc = is_there && curve_key_parse(ret->secret_key, secret) == 0
                 ? complete(ret, public, path, "public-key", err)
                 : err_set(err, ERSA_EPARSE, "%s: no key pair of CURVE", path);
    curve_wipe(secret, sizeof(secret));
    return rc;
}

int curve_keys_read(const char *path, struct curve_keys *ret, struct ersa_error *err)
{
    struct buf b;
    buf_init(&b, FILE_MAX);
    int rc = file_read(path, &b, err);
    const char *text = rc == 0 ? buf_cstr(&b) : NULL;
    if (rc == 0)
        rc = text ? parse_pair(path, text, ret, err)
                  : err_set(err, ERSA_ENOMEM, "out of memory");
    if (b.data)
        curve_wipe(b.data, b.cap);
    buf_fini(&b);
    return rc;
}
