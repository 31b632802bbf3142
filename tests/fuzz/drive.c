/* SPDX-License-Identifier: BSD-3-Clause */
/* Replays files, and the files of folders, through one target: with any compiler, in seconds.
 * What a target finds is a crash; the last name printed (-v) is the file that did it. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

static unsigned n_files;
static int verbose;

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) < 0)
        return -1;
    long size = ftell(f);
    rewind(f);
    /* Exactly as large as the input, so that ASan sees a read behind its end. */
    uint8_t *data = size >= 0 ? malloc(size ? (size_t)size : 1) : NULL;
    int rc = data && fread(data, 1, (size_t)size, f) == (size_t)size ? 0 : -1;
    fclose(f);
    if (rc == 0) {
        if (verbose)
            fprintf(stderr, "%s\n", path);
        LLVMFuzzerTestOneInput(data, (size_t)size);
        n_files++;
    }
    free(data);
    return rc;
}

static int replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -1;
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort), rc = n < 0 ? -1 : 0;
    for (int i = 0; i < n; i++) {
        char inside[4096];
        snprintf(inside, sizeof(inside), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && rc == 0)
            rc = replay(inside);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return rc;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0) {
            verbose = 1;
        } else if (replay(argv[i]) < 0) {
            perror(argv[i]);
            return 2;
        }
    }
    fprintf(stderr, "%u inputs\n", n_files);
    return n_files ? 0 : 2;
}
