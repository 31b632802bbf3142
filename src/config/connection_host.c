/* SPDX-License-Identifier: BSD-3-Clause */
/* Which address a wildcard in a connection file means to the one who reads it
 * (controller.md 3.1): this machine when `location` is one of its names or addresses, else the
 * first address of `location`. */
#include "config/connection_file.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/err.h"
#include "util/str.h"

#define LOOPBACK "127.0.0.1"

static bool is_own_name(const char *location)
{
    char name[256];
    return gethostname(name, sizeof(name)) == 0 && strcmp(name, location) == 0;
}

static bool is_own_address(struct in_addr addr)
{
    if ((ntohl(addr.s_addr) >> 24) == 127)
        return true;
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return false;
    bool found = false;
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET) {
            struct sockaddr_in sin;
            memcpy(&sin, i->ifa_addr, sizeof(sin));
            found = sin.sin_addr.s_addr == addr.s_addr;
        }
    freeifaddrs(all);
    return found;
}

/* The first IPv4 address of `location`; a name that cannot be looked up is left to the one who
 * connects. */
static char *address_of(const char *location)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    if (getaddrinfo(location, NULL, &hints, &list) != 0)
        return str_dup(location);
    struct sockaddr_in sin;
    memcpy(&sin, list->ai_addr, sizeof(sin));
    freeaddrinfo(list);
    if (is_own_address(sin.sin_addr))
        return str_dup(LOOPBACK);
    char text[INET_ADDRSTRLEN];
    return inet_ntop(AF_INET, &sin.sin_addr, text, sizeof(text)) ? str_dup(text) : NULL;
}

static bool is_wildcard(const char *ip)
{
    return strcmp(ip, "*") == 0 || strcmp(ip, "0.0.0.0") == 0;
}

char *connection_interface(const struct connection_info *c, const char *location)
{
    const char *ip = strstr(c->interface, "://");
    if (!ip || strncmp(c->interface, "tcp:", 4) != 0 || !is_wildcard(ip + 3))
        return str_dup(c->interface);
    if (!location || !*location)
        location = c->location;
    if (!*location || is_own_name(location))
        return str_dup("tcp://" LOOPBACK);
    char *address = address_of(location);
    char *interface = address ? str_printf("tcp://%s", address) : NULL;
    free(address);
    return interface;
}

static bool find_interface(const char *name, struct in_addr *ret)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return false;
    bool found = false;
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET &&
            strcmp(i->ifa_name, name) == 0) {
            struct sockaddr_in sin;
            memcpy(&sin, i->ifa_addr, sizeof(sin));
            *ret = sin.sin_addr;
            found = true;
        }
    freeifaddrs(all);
    return found;
}

static bool find_host(const char *name, struct in_addr *ret)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    struct sockaddr_in sin;
    if (getaddrinfo(name, NULL, &hints, &list) != 0)
        return false;
    memcpy(&sin, list->ai_addr, sizeof(sin));
    freeaddrinfo(list);
    *ret = sin.sin_addr;
    return true;
}

int connection_bind_address(char **ret, const char *name, struct ersa_error *err)
{
    struct in_addr addr;
    char text[INET_ADDRSTRLEN];
    if (is_wildcard(name) || inet_pton(AF_INET, name, &addr) == 1)
        *ret = str_dup(name);
    else if (*name && (find_interface(name, &addr) || find_host(name, &addr)))
        *ret = inet_ntop(AF_INET, &addr, text, sizeof(text)) ? str_dup(text) : NULL;
    else
        return err_set(err, ERSA_EINVAL,
                       "'%s' is no IPv4 address, network interface or host that is known here",
                       name);
    return *ret ? 0 : err_set(err, ERSA_ENOMEM, "out of memory");
}

bool connection_is_loopback(const char *interface)
{
    static const char *const local[] = {"ipc:", "tcp://127.", "tcp://localhost", "tcp://[::1]"};
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        if (strncmp(interface, local[i], strlen(local[i])) == 0)
            return true;
    return false;
}
