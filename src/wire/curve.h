/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys of CURVE (RFC 26): made, derived, and as text (Z85, RFC 32). What is done with them
 * stands in curve_box.h and mech_curve.c. */
#ifndef ERSA_WIRE_CURVE_H
#define ERSA_WIRE_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CURVE_KEY_SIZE 32
#define CURVE_TEXT_LEN 40 /* of a key */

struct curve_keys {
    uint8_t public_key[CURVE_KEY_SIZE], secret_key[CURVE_KEY_SIZE];
};

/* How a port speaks CURVE. The role does not depend on who connects. */
struct curve_config {
    bool is_server;
    struct curve_keys own;          /* long-term */
    uint8_t server[CURVE_KEY_SIZE]; /* client: the public key of whom it wants to reach */
};

/* A fresh pair. */
void curve_keys_make(struct curve_keys *ret);
/* The public key of a secret one. */
void curve_keys_derive(struct curve_keys *k);
void curve_wipe(void *secret, size_t len);

/* 0, or ERSA_EPARSE: not 40 characters of Z85, or too large for 32 octets. */
int curve_key_parse(uint8_t ret_key[CURVE_KEY_SIZE], const char *text);
void curve_key_text(char ret_text[CURVE_TEXT_LEN + 1], const uint8_t key[CURVE_KEY_SIZE]);

#endif
