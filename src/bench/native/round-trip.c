// Latency as a program sees it: one byte there and one byte back over TCP, one request at a time.
//
//   round-trip NETNS server PORT
//   round-trip NETNS rr IP PORT SECONDS     one connection, many requests
//   round-trip NETNS crr IP PORT SECONDS    a connection for every request, closed before the next
//
// Prints one line of JSON with the rate and the 50th, 99th and 99.9th percentile in microseconds.
#define _GNU_SOURCE
#include "netns.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { SAMPLES_MAX = 4000000 };
static float samples[SAMPLES_MAX]; // microseconds

static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

_Noreturn static void serve(int port) {
  int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(s, (struct sockaddr *)&at, sizeof at) != 0 || listen(s, 4096) != 0)
    die("cannot listen on", "its port");
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    int c = accept(s, NULL, NULL);
    if (c < 0) continue;
    setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char b[64];
    ssize_t n;
    while ((n = read(c, b, sizeof b)) > 0)
      if (write(c, b, (size_t)n) != n) break;
    close(c);
  }
}

static int dial(const struct sockaddr_in *to) {
  int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
  struct timeval limit = {.tv_sec = 5};
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(s, (const struct sockaddr *)to, sizeof *to) == 0) return s;
  close(s);
  return -1;
}

static int ask(int s) {
  char b[64];
  return write(s, "x", 1) == 1 && read(s, b, sizeof b) == 1;
}

int main(int argc, char **argv) {
  die_with_parent();
  if (argc == 4 && strcmp(argv[2], "server") == 0) {
    enter_netns(argv[1]);
    serve((int)number_arg(argv[3], "PORT", 1, 65535));
  }
  int fresh = argc == 6 && strcmp(argv[2], "crr") == 0;
  struct sockaddr_in to = {.sin_family = AF_INET};
  if (argc != 6 || (!fresh && strcmp(argv[2], "rr") != 0) || inet_pton(AF_INET, argv[3], &to.sin_addr) != 1) {
    fprintf(stderr, "usage: round-trip NETNS server PORT | round-trip NETNS rr|crr IP PORT SECONDS\n");
    return 2;
  }
  to.sin_port = htons((uint16_t)number_arg(argv[4], "PORT", 1, 65535));
  double seconds = number_arg(argv[5], "SECONDS", 0.1, 3600);
  enter_netns(argv[1]);
  int s = fresh ? -1 : dial(&to);
  if (!fresh && s < 0) die("cannot connect to", argv[3]);
  long n = 0, errors = 0;
  double begin = now_sec(), t = begin;
  while (t - begin < seconds && n < SAMPLES_MAX) {
    if (fresh) s = dial(&to);
    int good = s >= 0 && ask(s);
    if (fresh && s >= 0) {
      // A reset instead of TIME_WAIT: thousands of closed connections would use up the source ports.
      struct linger reset = {.l_onoff = 1};
      setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      close(s);
    }
    double next = now_sec();
    if (good) samples[n++] = (float)((next - t) * 1e6);
    else if (++errors > 100) break;
    t = next;
  }
  double took = t - begin;
  if (n == 0) {
    fprintf(stderr, "round-trip: no request was answered\n");
    return 1;
  }
  qsort(samples, (size_t)n, sizeof *samples, ascending);
  printf("{\"perSec\":%.0f,\"p50Us\":%.1f,\"p99Us\":%.1f,\"p999Us\":%.1f,\"errors\":%ld}\n",
         (double)n / took, (double)samples[n / 2], (double)samples[n * 99 / 100],
         (double)samples[(long)((double)n * 0.999)], errors);
  return 0;
}
