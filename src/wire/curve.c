/* SPDX-License-Identifier: BSD-3-Clause */
/* Five characters of Z85 are four octets, most significant first. */
#include "wire/curve.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"

#define BASE 85

static const char digits[BASE + 1] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/* The first time it picks the fastest code for this machine. It fails where there is no
 * randomness, and nothing can go on without. */
static void init(void)
{
    if (sodium_init() < 0)
        abort();
}

void curve_keys_make(struct curve_keys *ret)
{
    init();
    crypto_box_keypair(ret->public_key, ret->secret_key);
}

void curve_keys_derive(struct curve_keys *k)
{
    init();
    crypto_scalarmult_base(k->public_key, k->secret_key);
}

void curve_wipe(void *secret, size_t len)
{
    sodium_memzero(secret, len);
}

static int parse_group(uint8_t out[4], const char *text)
{
    uint64_t value = 0;
    for (int i = 0; i < 5; i++) {
        const char *at = text[i] ? strchr(digits, text[i]) : NULL;
        if (!at)
            return ERSA_EPARSE;
        value = value * BASE + (uint64_t)(at - digits);
    }
    if (value > UINT32_MAX)
        return ERSA_EPARSE;
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
    return 0;
}

int curve_key_parse(uint8_t ret_key[CURVE_KEY_SIZE], const char *text)
{
    uint8_t key[CURVE_KEY_SIZE];
    int rc = strlen(text) == CURVE_TEXT_LEN ? 0 : ERSA_EPARSE;
    for (size_t i = 0; i < CURVE_KEY_SIZE / 4 && rc == 0; i++)
        rc = parse_group(key + 4 * i, text + 5 * i);
    if (rc == 0)
        memcpy(ret_key, key, sizeof(key));
    sodium_memzero(key, sizeof(key));
    return rc;
}

void curve_key_text(char ret_text[CURVE_TEXT_LEN + 1], const uint8_t key[CURVE_KEY_SIZE])
{
    for (size_t i = 0; i < CURVE_KEY_SIZE / 4; i++) {
        uint32_t value = 0;
        for (size_t k = 0; k < 4; k++)
            value = value << 8 | key[4 * i + k];
        for (size_t k = 5; k-- > 0; value /= BASE)
            ret_text[5 * i + k] = digits[value % BASE];
    }
    ret_text[CURVE_TEXT_LEN] = '\0';
}
