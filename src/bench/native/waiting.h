// podwire's way of waiting for packets, for the copy loop (src/plane: busy-poll.ts, thread-priority.ts, cpu-latency.ts):
// polls for a while before it blocks, comes before other programs while it has little to do, and keeps idle cores awake
// while it is woken often. What a loop gains by these has nothing to do with what a data plane costs.
#ifndef PODWIRE_BENCH_WAITING_H
#define PODWIRE_BENCH_WAITING_H
#include "netns.h"
#include <poll.h>
#include <sys/resource.h>

enum { SPIN_US = 100, SPIN_FIRST_US = 30, SPIN_LEAST_US = 10, NICE_FIRST = -20, TURNS_BUSY = 1000 };

static struct waiting {
  double window_us, looked, wanted, idle, overload, busy; // s, but for the window
  int limit_us, nice, turns, latency_fd;
} waiting = {.limit_us = SPIN_US, .latency_fd = -1};

static double number_in(const char *file, int index) {
  double each[2] = {0, 0};
  FILE *f = fopen(file, "r");
  if (f == NULL) return 0;
  if (fscanf(f, "%lf %lf", &each[0], &each[1]) != 2) each[index] = 0;
  fclose(f);
  return index < 0 ? each[0] + each[1] : each[index];
}

static int guest_stops_idle_cores(void) {
  char driver[32] = "";
  FILE *f = fopen("/sys/devices/system/cpu/cpuidle/current_driver", "r");
  if (f == NULL) return 0;
  int found = fscanf(f, "%31s", driver) == 1 && strcmp(driver, "haltpoll") == 0;
  fclose(f);
  return found;
}

static void begin_waiting(void) {
  setsid(); // with autogroups, nice values count inside of a session only
  waiting.looked = waiting.overload = waiting.busy = now_sec();
  waiting.wanted = number_in("/proc/self/schedstat", -1) / 1e9;
  waiting.idle = number_in("/proc/uptime", 1);
}

static void set_nice(int nice) {
  waiting.nice = nice;
  waiting.limit_us = nice < 0 ? SPIN_FIRST_US : SPIN_US;
  setpriority(PRIO_PROCESS, 0, nice);
  FILE *f = fopen("/proc/self/autogroup", "w");
  if (f == NULL) return;
  fprintf(f, "%d", nice);
  fclose(f);
}

static void follow_latency(double turns_a_second, double now) {
  int32_t none = 0;
  if (turns_a_second >= TURNS_BUSY) {
    waiting.busy = now;
    if (waiting.latency_fd >= 0 || !guest_stops_idle_cores()) return;
    waiting.latency_fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
    if (waiting.latency_fd >= 0 && write(waiting.latency_fd, &none, sizeof none) < 0) return;
  } else if (now - waiting.busy >= 1 && waiting.latency_fd >= 0) {
    close(waiting.latency_fd);
    waiting.latency_fd = -1;
  }
}

// Ten times a second.
static void look_at_load(double now) {
  struct waiting *w = &waiting;
  double took = now - w->looked, wanted = number_in("/proc/self/schedstat", -1) / 1e9;
  double idle = number_in("/proc/uptime", 1), share = (wanted - w->wanted) / took, cores = (idle - w->idle) / took;
  follow_latency(w->turns / took, now);
  w->turns = 0;
  w->looked = now;
  w->wanted = wanted;
  w->idle = idle;
  int much = share >= 0.75 || (share >= 0.3 && cores < 0.2);
  int clear = share < 0.6 && (share < 0.2 || cores >= 0.4);
  if (w->nice < 0 ? much : !clear) w->overload = now;
  if (w->nice < 0 && w->overload == now) set_nice(0);
  else if (w->nice == 0 && now - w->overload >= 0.5) set_nice(NICE_FIRST);
}

// Returns when one of them may be read: after polling for the window, and then after blocking.
static void wait_for_frames(struct pollfd *fds, int count) {
  struct waiting *w = &waiting;
  double began = now_sec(), now = began;
  int ready = poll(fds, (nfds_t)count, 0);
  while (ready == 0 && (now = now_sec()) - began < w->window_us / 1e6) {
    sched_yield();
    ready = poll(fds, (nfds_t)count, 0);
  }
  if (ready == 0) poll(fds, (nfds_t)count, 100);
  now = now_sec();
  double waited_us = (now - began) * 1e6;
  if (waited_us > w->limit_us) w->window_us = w->window_us < 2 * SPIN_LEAST_US ? 0 : w->window_us / 2;
  else w->window_us = w->window_us == 0 ? SPIN_LEAST_US : w->window_us * 2;
  if (w->window_us > w->limit_us) w->window_us = w->limit_us;
  if (now - w->looked >= 0.1) look_at_load(now);
}
#endif
