/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of the backlog: slots of 64 KiB, each with a head that says whether it is in use.
 * Every life has a file of its own, `<database>-waiting-<number>`, that it holds a lock on. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite_backlog.h"
#include "util/log.h"
#include "util/rand.h"

#define FILE_TRIES 8

static int try_file(struct backlog *b)
{
    struct stat sb;
    snprintf(b->path, strlen(b->database) + 32, "%s-waiting-%08x", b->database,
             (unsigned)rand_u64());
    b->fd = open(b->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (b->fd < 0)
        return errno == EEXIST ? ERSA_EAGAIN : ERSA_EIO;
    /* Somebody who looks for what was left may have it in his hands. */
    if (flock(b->fd, LOCK_EX | LOCK_NB) == 0 && fstat(b->fd, &sb) == 0 && sb.st_nlink)
        return 0;
    unlink(b->path);
    close(b->fd);
    b->fd = -1;
    return ERSA_EAGAIN;
}

int backlog_make_file(struct backlog *b)
{
    if (b->path)
        return 0;
    b->path = malloc(strlen(b->database) + 32);
    if (!b->copies)
        b->copies = calloc(BATCHES_CACHED, sizeof(*b->copies));
    int rc = b->path && b->copies ? ERSA_EAGAIN : ERSA_ENOMEM;
    for (int i = 0; i < FILE_TRIES && rc == ERSA_EAGAIN; i++)
        rc = try_file(b);
    if (rc < 0) {
        free(b->path);
        b->path = NULL;
    }
    return rc;
}

void backlog_remove_file(struct backlog *b)
{
    if (!b->path)
        return;
    unlink(b->path);
    close(b->fd);
    free(b->path);
    b->path = NULL;
    b->fd = -1;
    b->n_free = b->n_slots = 0;
}

static bool write_at(int fd, const void *data, size_t n, off_t at)
{
    return pwrite(fd, data, n, at) == (ssize_t)n;
}

/* The head last: before, the slot is free. */
int slot_write(struct backlog *b, uint32_t slot, const void *octets, size_t n)
{
    off_t at = (off_t)(slot * SLOT_BYTES);
    struct slot_head head = {.length = n};
    memcpy(head.magic, SLOT_MAGIC, sizeof(head.magic));
    return write_at(b->fd, octets, n, at + (off_t)sizeof(head)) &&
                   write_at(b->fd, &head, sizeof(head), at)
               ? 0
               : ERSA_EIO;
}

int backlog_make_room(uint32_t **numbers, size_t *cap, size_t n)
{
    if (n < *cap)
        return 0;
    size_t more = *cap ? 2 * *cap : 64;
    uint32_t *grown = reallocarray(*numbers, more, sizeof(*grown));
    if (!grown)
        return ERSA_ENOMEM;
    *numbers = grown;
    *cap = more;
    return 0;
}

int slot_take(struct backlog *b, uint32_t *ret)
{
    if (b->n_free) {
        *ret = b->free_slots[--b->n_free];
        return 0;
    }
    if (backlog_make_room(&b->free_slots, &b->cap_free, b->n_slots) <
        0) /* all may be free one day */
        return ERSA_ENOMEM;
    *ret = (uint32_t)b->n_slots++;
    return 0;
}

void slot_free(struct backlog *b, uint32_t slot)
{
    b->free_slots[b->n_free++] = slot;
}

void slot_clear(struct backlog *b, uint32_t slot)
{
    static const struct slot_head none;
    if (!write_at(b->fd, &none, sizeof(none), (off_t)(slot * SLOT_BYTES)))
        log_warn("records::%s: a slot was not freed", b->path);
    slot_free(b, slot);
}
