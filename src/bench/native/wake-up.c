// How late this machine wakes a thread: two threads hand a byte to and fro through pipes, each on a core of its own where
// there are two. Half of a round is what one wake-up takes. A request meets several of them on its way, with or without a
// data plane, so this stands beside its times.
//
//   wake-up SECONDS
//
// Prints one line of JSON: the 50th and the 99th percentile in microseconds.
#define _GNU_SOURCE
#include "netns.h"
#include <pthread.h>

enum { SAMPLES_MAX = 1000000 };
static float samples[SAMPLES_MAX];
static int there[2], back[2];

static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

// On the n-th core that this process may use; all of them are one where there is one.
static void stay_on(int n) {
  cpu_set_t all, one;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  CPU_ZERO(&one);
  n %= CPU_COUNT(&all);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &all) && n-- == 0) CPU_SET(cpu, &one);
  pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

static void *answer(void *none) {
  char b;
  stay_on(1);
  while (read(there[0], &b, 1) == 1)
    if (write(back[1], &b, 1) != 1) break;
  return none;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: wake-up SECONDS\n");
    return 2;
  }
  die_with_parent();
  double seconds = number_arg(argv[1], "SECONDS", 0.01, 60);
  pthread_t other;
  if (pipe(there) != 0 || pipe(back) != 0 || pthread_create(&other, NULL, answer, NULL) != 0)
    die("cannot make", "pipes and a thread");
  pthread_detach(other);
  stay_on(0);
  long n = 0;
  char b = 0;
  for (double begin = now_sec(), t = begin; t - begin < seconds && n < SAMPLES_MAX;) {
    if (write(there[1], &b, 1) != 1 || read(back[0], &b, 1) != 1) die("a pipe", "broke");
    double next = now_sec();
    samples[n++] = (float)((next - t) * 1e6 / 2);
    t = next;
  }
  qsort(samples, (size_t)n, sizeof *samples, ascending);
  printf("{\"p50Us\":%.1f,\"p99Us\":%.1f}\n", (double)samples[n / 2], (double)samples[n * 99 / 100]);
  return 0;
}
