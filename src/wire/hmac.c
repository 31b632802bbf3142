/* SPDX-License-Identifier: BSD-3-Clause */
/* H(key ^ opad, H(key ^ ipad, text)), RFC 2104, from two states that are kept. */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: for good reason, see hmac.h */
#include "wire/hmac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

#define BLOCK_MAX 144 /* of sha3_224 */
#define IPAD 0x36
#define OPAD 0x5c

struct hmac {
    bool is_sha256;
    SHA256_CTX sha_inner, sha_outer;
    EVP_MD_CTX *inner, *outer, *work; /* owned; all other digests */
};

/* Where Python and OpenSSL differ in the name. */
static const char *openssl_name(const char *digest)
{
    static const char *const names[][2] = {
        {"blake2b", "blake2b512"},    {"blake2s", "blake2s256"},    {"sha3_224", "sha3-224"},
        {"sha3_256", "sha3-256"},     {"sha3_384", "sha3-384"},     {"sha3_512", "sha3-512"},
        {"sha512_224", "sha512-224"}, {"sha512_256", "sha512-256"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(digest, names[i][0]) == 0)
            return names[i][1];
    return digest;
}

/* The key as one block: hashed when it is longer. */
static bool fill_block(const EVP_MD *md, const void *key, size_t key_len,
                       uint8_t block[BLOCK_MAX])
{
    memset(block, 0, BLOCK_MAX);
    if (key_len > (size_t)EVP_MD_block_size(md))
        return EVP_Digest(key, key_len, block, NULL, md, NULL) == 1;
    memcpy(block, key, key_len);
    return true;
}

static void flip(uint8_t block[BLOCK_MAX], uint8_t with)
{
    for (size_t i = 0; i < BLOCK_MAX; i++)
        block[i] ^= with;
}

static bool start(EVP_MD_CTX *ctx, const EVP_MD *md, const uint8_t *block)
{
    return ctx && EVP_DigestInit_ex(ctx, md, NULL) == 1 &&
           EVP_DigestUpdate(ctx, block, (size_t)EVP_MD_block_size(md)) == 1;
}

static bool prepare(struct hmac *h, const EVP_MD *md, const void *key, size_t key_len)
{
    uint8_t block[BLOCK_MAX];
    bool ok = fill_block(md, key, key_len, block);
    flip(block, IPAD);
    if (h->is_sha256) {
        SHA256_Init(&h->sha_inner);
        SHA256_Update(&h->sha_inner, block, SHA256_CBLOCK);
    } else {
        h->inner = EVP_MD_CTX_new();
        h->outer = EVP_MD_CTX_new();
        h->work = EVP_MD_CTX_new();
        ok = ok && h->work && start(h->inner, md, block);
    }
    flip(block, IPAD ^ OPAD);
    if (h->is_sha256) {
        SHA256_Init(&h->sha_outer);
        SHA256_Update(&h->sha_outer, block, SHA256_CBLOCK);
    } else {
        ok = ok && start(h->outer, md, block);
    }
    OPENSSL_cleanse(block, sizeof(block));
    return ok;
}

int hmac_new(struct hmac **ret, const char *digest, const void *key, size_t key_len,
             struct ersa_error *err)
{
    const EVP_MD *md = EVP_get_digestbyname(openssl_name(digest));
    if (!md)
        return err_set(err, ERSA_EUNSUPPORTED, "unknown digest '%s'", digest);
    int size = EVP_MD_size(md), block = EVP_MD_block_size(md);
    if ((EVP_MD_flags(md) & EVP_MD_FLAG_XOF) || size <= 0 || size > HMAC_OCTETS_MAX ||
        block <= 0 || block > BLOCK_MAX)
        return err_set(err, ERSA_EUNSUPPORTED, "digest '%s' can't be used for signatures",
                       digest);
    struct hmac *h = calloc(1, sizeof(*h));
    if (!h)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    h->is_sha256 = EVP_MD_type(md) == NID_sha256;
    if (!prepare(h, md, key, key_len)) {
        hmac_free(h);
        return err_set(err, ERSA_EUNSUPPORTED, "digest '%s' is not available", digest);
    }
    *ret = h;
    return 0;
}

void hmac_free(struct hmac *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->inner);
    EVP_MD_CTX_free(h->outer);
    EVP_MD_CTX_free(h->work);
    OPENSSL_cleanse(h, sizeof(*h));
    free(h);
}

static size_t sha256_of(const struct hmac *h, const struct slice *parts, unsigned n,
                        uint8_t *out)
{
    SHA256_CTX work = h->sha_inner;
    for (unsigned i = 0; i < n; i++)
        SHA256_Update(&work, parts[i].data, parts[i].len);
    SHA256_Final(out, &work);
    work = h->sha_outer;
    SHA256_Update(&work, out, SHA256_DIGEST_LENGTH);
    SHA256_Final(out, &work);
    return SHA256_DIGEST_LENGTH;
}

size_t hmac_of(struct hmac *h, const struct slice *parts, unsigned n,
               uint8_t out[HMAC_OCTETS_MAX])
{
    if (h->is_sha256)
        return sha256_of(h, parts, n, out);
    unsigned len = 0;
    bool ok = EVP_MD_CTX_copy_ex(h->work, h->inner) == 1;
    for (unsigned i = 0; i < n && ok; i++)
        ok = EVP_DigestUpdate(h->work, parts[i].data, parts[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(h->work, out, &len) == 1 &&
         EVP_MD_CTX_copy_ex(h->work, h->outer) == 1 &&
         EVP_DigestUpdate(h->work, out, len) == 1 &&
         EVP_DigestFinal_ex(h->work, out, &len) == 1;
    return ok ? len : 0;
}
