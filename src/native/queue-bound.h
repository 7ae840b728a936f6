// What queue-bound.c and the reader of a bounded queue share.
#pragma once
#include "addon.h"

// Written by the program (in, drops) and by the reader (out, read_ns); in and out only ever grow, and run over.
typedef struct {
  uint32_t in, out, limit, drops;
  uint64_t read_ns; // CLOCK_MONOTONIC
} QueueAccount;

typedef struct {
  QueueAccount *account;
  uint16_t tunnel_port; // of packets whose inner one counts, 0: of none
  int kind;
  uint32_t told;
} QueueBound;

QueueBound *queue_bound_of(int fd); // NULL: it has none
void queue_bound_read(QueueBound *bound, const uint8_t *frame, int32_t bytes);
void queue_bound_empty(QueueBound *bound);
void queue_bound_alive(QueueBound *bound);
void queue_bound_release(int fd);
uint32_t queue_bound_drops(int fd);
