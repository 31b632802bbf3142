/* SPDX-License-Identifier: BSD-3-Clause */
/* The requests that the engine answers itself (engine.md 6, 10.3, 11, 12); rows of dispatch.c.
 */
#ifndef ERSA_ENGINE_REQUESTS_H
#define ERSA_ENGINE_REQUESTS_H

struct engine;
struct request;

void on_abort_request(struct engine *e, struct request *r);
void on_clear_request(struct engine *e, struct request *r);
void on_shutdown_request(struct engine *e, struct request *r);
void on_signal_request(struct engine *e, struct request *r);
void on_interrupt_request(struct engine *e, struct request *r);
void on_connect_request(struct engine *e, struct request *r);
void on_usage_request(struct engine *e, struct request *r);

#endif
