// A UDP socket that reads as fast as it can and counts datagrams: what a program behind the device gets. With UDP_GRO
// the kernel may hand over several of one flow at once; it says how long each of them is (man 7 udp).
#ifndef PODWIRE_BENCH_UDP_SINK_H
#define PODWIRE_BENCH_UDP_SINK_H
#include "netns.h"
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { SINK_BATCH = 64, SINK_BYTES = 65536, SINK_BUFFER = 8 << 20 };

// What one message holds: its length in pieces of the size that the kernel says, else one.
static uint64_t datagrams_of(struct mmsghdr *m) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c != NULL; c = CMSG_NXTHDR(&m->msg_hdr, c)) {
    int size;
    if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO) continue;
    memcpy(&size, CMSG_DATA(c), sizeof size);
    if (size > 0) return (m->msg_len + (unsigned)size - 1) / (unsigned)size;
  }
  return 1;
}

// Reads for ever; *count grows. *ready is set when the socket is there.
_Noreturn static void run_sink(int port, int gro, volatile uint64_t *count, volatile int *ready) {
  int s = socket(AF_INET, SOCK_DGRAM, 0), one = 1, buffer = SINK_BUFFER;
  if (s < 0) die("cannot open", "a UDP socket");
  setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  if (gro && setsockopt(s, IPPROTO_UDP, UDP_GRO, &one, sizeof one) != 0) die("this kernel has no", "UDP_GRO");
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (bind(s, (struct sockaddr *)&at, sizeof at) != 0) die("cannot bind to", "the UDP port");
  static uint8_t bytes[SINK_BATCH][SINK_BYTES], control[SINK_BATCH][CMSG_SPACE(sizeof(int))];
  static struct mmsghdr messages[SINK_BATCH];
  static struct iovec parts[SINK_BATCH];
  for (int i = 0; i < SINK_BATCH; i++) {
    parts[i] = (struct iovec){bytes[i], SINK_BYTES};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  *ready = 1;
  for (;;) {
    for (int i = 0; gro && i < SINK_BATCH; i++) {
      messages[i].msg_hdr.msg_control = control[i];
      messages[i].msg_hdr.msg_controllen = sizeof control[i];
    }
    int n = recvmmsg(s, messages, SINK_BATCH, MSG_WAITFORONE, NULL);
    uint64_t got = 0;
    for (int i = 0; i < n; i++) got += gro ? datagrams_of(&messages[i]) : 1;
    *count += got; // one writer; the reader takes a whole word
  }
}
#endif
