// Requests over HTTP/1.1 at a constant rate, and how long each took from the moment at which it was due, not from the
// one at which it was sent: what had to wait because those before it were slow counts as slow, too (coordinated
// omission).
//
//   http-rate IP PORT HOST PATH RATE SECONDS CONNECTIONS
//
// Connections are kept. What is due while all of them wait for answers is sent as soon as one has its own. The first half
// second is not counted. Answers have to have a Content-Length. Prints one line of JSON, times in microseconds; failed:
// other than 2xx, connections that ended with a request on them, no answer within two seconds after the end.
#define _GNU_SOURCE
#include "netns.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { CONNECTIONS_MAX = 1024, SAMPLES_MAX = 8000000, BUFFER = 65536, EVENTS = 256 };
static const double WARM_UP_SEC = 0.5, LAST_SEC = 2;

typedef struct {
  int fd;
  int is_busy;
  double due;   // of the request on it
  int in;       // bytes of its answer that are in the buffer, while its head is not whole
  long left;    // bytes of its body that are still to come; -1: its head is not whole
  int is_good;  // 2xx
  char buffer[BUFFER];
} connection;

static connection all[CONNECTIONS_MAX];
static int idle[CONNECTIONS_MAX], idle_count, connection_count, watcher;
static float samples[SAMPLES_MAX];
static long sample_count, answered;
static char request[4096];
static int request_length;
static double began;
static struct sockaddr_in to;

static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void open_connection(int i) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) die("cannot open", "a socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) die("cannot connect to", "the server");
  fcntl(fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
  epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &event);
  all[i].fd = fd;
  all[i].is_busy = 0;
  idle[idle_count++] = i;
}

static void drop_idle(int i) {
  for (int k = 0; k < idle_count; k++)
    if (idle[k] == i) {
      idle[k] = idle[--idle_count];
      return;
    }
}

// The server has ended it: what was on it is never answered.
static void ended(int i) {
  if (!all[i].is_busy) drop_idle(i);
  close(all[i].fd);
  open_connection(i);
}

static void ask(int i, double due) {
  connection *c = &all[i];
  c->is_busy = 1;
  c->due = due;
  c->in = 0;
  c->left = -1;
  if (write(c->fd, request, (size_t)request_length) != request_length) ended(i);
}

static void done(int i, double now) {
  connection *c = &all[i];
  c->is_busy = 0;
  idle[idle_count++] = i;
  if (!c->is_good) return;
  answered++;
  if (c->due - began >= WARM_UP_SEC && sample_count < SAMPLES_MAX)
    samples[sample_count++] = (float)((now - c->due) * 1e6);
}

// Returns 0: it is no answer that this program understands.
static int read_head(connection *c) {
  c->buffer[c->in] = 0;
  char *end = strstr(c->buffer, "\r\n\r\n");
  if (end == NULL) return c->in < BUFFER - 1;
  *end = 0;
  char *length = strcasestr(c->buffer, "\r\ncontent-length:");
  if (length == NULL || strncmp(c->buffer, "HTTP/1.1 ", 9) != 0) return 0;
  c->is_good = c->buffer[9] == '2';
  c->left = atol(length + 17) - (c->in - (end + 4 - c->buffer));
  return 1;
}

static void readable(int i) {
  connection *c = &all[i];
  for (;;) {
    int at = c->left < 0 ? c->in : 0;
    ssize_t n = read(c->fd, c->buffer + at, (size_t)(BUFFER - 1 - at));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0 || !c->is_busy) {
      ended(i);
      return;
    }
    if (c->left >= 0) c->left -= n;
    else {
      c->in += (int)n;
      if (!read_head(c)) {
        ended(i);
        return;
      }
    }
    if (c->left == 0) {
      done(i, now_sec());
      return;
    }
  }
}

static void wait_for(double sec) {
  struct pollfd ready = {.fd = watcher, .events = POLLIN};
  struct timespec limit = {.tv_sec = (time_t)sec, .tv_nsec = (long)((sec - (double)(time_t)sec) * 1e9)};
  if (sec > 0 && ppoll(&ready, 1, &limit, NULL) <= 0) return;
  struct epoll_event events[EVENTS];
  int n = epoll_wait(watcher, events, EVENTS, 0);
  for (int k = 0; k < n; k++) readable((int)events[k].data.u32);
}

static double share(double part) {
  if (sample_count == 0) return 0;
  long at = (long)((double)sample_count * part);
  return samples[at < sample_count ? at : sample_count - 1];
}

int main(int argc, char **argv) {
  die_with_parent();
  if (argc != 8) {
    fprintf(stderr, "usage: http-rate IP PORT HOST PATH RATE SECONDS CONNECTIONS\n");
    return 2;
  }
  to.sin_family = AF_INET;
  to.sin_port = htons((uint16_t)number_arg(argv[2], "PORT", 1, 65535));
  if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) die("no IPv4 address:", argv[1]);
  double rate = number_arg(argv[5], "RATE", 1, 1e6), seconds = number_arg(argv[6], "SECONDS", 1, 3600);
  connection_count = (int)number_arg(argv[7], "CONNECTIONS", 1, CONNECTIONS_MAX);
  request_length =
      snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[4], argv[3]);
  if (request_length >= (int)sizeof request) die("too long:", argv[4]);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1000);
  watcher = epoll_create1(0);
  for (int i = 0; i < connection_count; i++) open_connection(i);

  began = now_sec();
  long wanted = (long)(rate * seconds), due_count = 0, sent = 0;
  double last = began + seconds + LAST_SEC;
  for (;;) {
    double now = now_sec();
    while (due_count < wanted && began + (double)due_count / rate <= now) due_count++;
    while (sent < due_count && idle_count > 0) {
      int i = idle[--idle_count];
      ask(i, began + (double)sent / rate);
      sent++;
    }
    if (sent == wanted && idle_count == connection_count) break;
    if (now > last) break;
    double next = due_count < wanted ? began + (double)due_count / rate - now : 0.1;
    wait_for(next < 0 ? 0 : next);
  }
  qsort(samples, (size_t)sample_count, sizeof *samples, ascending);
  printf("{\"wanted\":%ld,\"answered\":%ld,\"failed\":%ld,"
         "\"p50Us\":%.1f,\"p99Us\":%.1f,\"p999Us\":%.1f,\"maxUs\":%.1f}\n",
         wanted, answered, wanted - answered, share(0.5), share(0.99), share(0.999), share(1));
  return 0;
}
