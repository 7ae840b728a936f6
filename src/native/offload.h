// One's complement sums (RFC 1071) and small header helpers for the pure functions over the arena. Sums are
// kept unfolded in 64 bits and in memory order; swapping the bytes of the folded result gives the big-endian
// number.
#pragma once
#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

enum { ETH_BYTES = 14, IPV4_MIN = 20, IPV6_BYTES = 40, TCP_MIN = 20, PROTO_TCP = 6 };
enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08, TCP_URG = 0x20, TCP_CWR = 0x80 };
enum { IP_LENGTH_MAX = 65535 };

uint64_t sum_bytes(const uint8_t *from, size_t count);
uint64_t copy_sum_bytes(uint8_t *to, const uint8_t *from, size_t count);

static inline uint16_t fold(uint64_t sum) {
  sum = (sum >> 32) + (sum & 0xffffffff);
  sum = (sum >> 32) + (sum & 0xffffffff);
  sum = (sum >> 16) + (sum & 0xffff);
  sum = (sum >> 16) + (sum & 0xffff);
  return (uint16_t)((sum >> 16) + (sum & 0xffff));
}

// 16 and 32 bits in network order at an address of any alignment.
static inline uint16_t get16(const uint8_t *at) {
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return ntohs(value);
}

static inline uint32_t get32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return ntohl(value);
}

static inline void put16(uint8_t *at, uint16_t value) {
  value = htons(value);
  memcpy(at, &value, sizeof value);
}

static inline void put32(uint8_t *at, uint32_t value) {
  value = htonl(value);
  memcpy(at, &value, sizeof value);
}

// Stores a sum that is already in memory order.
static inline void put_sum(uint8_t *at, uint16_t sum) { memcpy(at, &sum, sizeof sum); }

// The sum of a header: a multiple of four bytes, mostly 20 to 40, for which sum_bytes takes longer to begin.
static inline uint64_t sum_header(const uint8_t *from, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i += 4) {
    uint32_t word;
    memcpy(&word, from + i, sizeof word);
    sum += word;
  }
  return sum;
}

// Sum of a TCP pseudo-header without its length; l3 points at a checked IPv4 or IPv6 header.
static inline uint64_t pseudo_sum(const uint8_t *l3, int is_v6) {
  return (is_v6 ? sum_header(l3 + 8, 32) : sum_header(l3 + 12, 8)) + htons(PROTO_TCP);
}

static inline int ranges_overlap(int64_t a, int64_t a_bytes, int64_t b, int64_t b_bytes) {
  return a_bytes > 0 && b_bytes > 0 && a < b + b_bytes && b < a + a_bytes;
}
