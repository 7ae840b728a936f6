// podwire-cni: the CNI plug-in. One process an operation: it hands what a runtime gave it (the CNI_* variables, the
// network's configuration) to the node's agent over its unix socket, prints the answer and ends. All decisions are the
// agent's; what is answered here is VERSION, and that there is no agent (container networking specification 1.1.0).
//
//   POST /cni HTTP/1.0     body: VARIABLE=VALUE \0 … \0 \0, then standard input as it came
//   200: standard output, exit status 0      422: an error of the specification on standard output, exit status 1
//
// Nothing is allocated: what does not fit is refused.
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "json.h"

#define DEFAULT_SOCKET "/run/podwire/agent.sock" // src/config/agent.ts: AGENT_SOCKET
#define NEWEST "1.1.0"
#define SUPPORTED "\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"" // src/cni/versions.ts
#define INPUT_MAX (1 << 20)
#define ENVIRONMENT_MAX (1 << 16)
#define ANSWER_MAX (1 << 20)
#define TIMEOUT_MS 60000 // a runtime waits for two minutes and more
#define STATUS_TIMEOUT_MS 5000 // it is asked again and again
#define INPUT_TIMEOUT_MS 5000
#define RETRY_MS 20

enum { BAD_ENVIRONMENT = 4, UNREADABLE = 5, UNDECODABLE = 6, BAD_CONFIG = 7, TRY_AGAIN = 11, LIMITED = 51 };

static char input[INPUT_MAX + 1];
static char request[ENVIRONMENT_MAX + INPUT_MAX];
static char answer[ANSWER_MAX + 1];
static char version[16] = NEWEST;
static char socket_path[sizeof((struct sockaddr_un *)0)->sun_path] = DEFAULT_SOCKET;

static const char *const VARIABLES[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS",
                                        "CNI_IFNAME",  "CNI_ARGS",        "CNI_PATH"};

// One error object, on standard output as every reader of it expects.
__attribute__((format(printf, 2, 3))) static int fail(int code, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  printf("{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":", version, code);
  json_print(text);
  printf("}\n");
  return 1;
}

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// The exit status, once all is out that was printed: who has not read it must not take the operation for done.
static int ended(int status) {
  return fflush(stdout) == 0 && !ferror(stdout) ? status : 1;
}

// Waits until the descriptor is ready or the time is over.
static bool ready(int fd, short events, long long until_ms) {
  for (;;) {
    long long left = until_ms - now_ms();
    if (left <= 0) return false;
    struct pollfd one = {.fd = fd, .events = events};
    int result = poll(&one, 1, (int)left);
    if (result > 0) return true;
    if (result < 0 && errno != EINTR) return false;
  }
}

// Everything up to its end; -1 (errno), or -2 where it is longer than INPUT_MAX.
static long read_input(void) {
  long long until_ms = now_ms() + INPUT_TIMEOUT_MS;
  long length = 0;
  while (length <= INPUT_MAX) {
    if (!ready(STDIN_FILENO, POLLIN, until_ms)) {
      errno = ETIMEDOUT;
      return -1;
    }
    ssize_t got = read(STDIN_FILENO, input + length, INPUT_MAX + 1 - length);
    if (got == 0) return length;
    if (got > 0) length += got;
    else if (errno != EINTR) return -1;
  }
  return -2;
}

// A connected socket, or -1 with errno.
static int connect_agent(long long until_ms) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, socket_path, sizeof address.sun_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  // EAGAIN: as many wait to be accepted as it lets; it goes on to say so until there is room.
  while (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    int why = errno;
    if (why == EISCONN) break;
    if ((why != EAGAIN && why != EINTR) || now_ms() + RETRY_MS >= until_ms) {
      close(fd);
      errno = why;
      return -1;
    }
    usleep(RETRY_MS * 1000);
  }
  return fd;
}

static bool send_all(int fd, const char *bytes, long length, long long until_ms) {
  while (length > 0) {
    ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
    if (sent > 0) {
      bytes += sent;
      length -= sent;
    } else if (errno == EAGAIN) {
      if (!ready(fd, POLLOUT, until_ms)) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

// Until the agent closes; -1: it did not in time, or said too much.
static long receive_all(int fd, long long until_ms) {
  long length = 0;
  for (;;) {
    ssize_t got = recv(fd, answer + length, ANSWER_MAX - length, 0);
    if (got == 0) break;
    if (got > 0) length += got;
    else if (errno == EAGAIN && !ready(fd, POLLIN, until_ms)) return -1;
    else if (errno != EAGAIN && errno != EINTR) return -1;
    if (length == ANSWER_MAX) return -1;
  }
  answer[length] = '\0';
  return length;
}

// The request's bytes; 0: the environment does not fit.
static long write_request(long input_length) {
  long length = 0;
  for (unsigned i = 0; i < sizeof VARIABLES / sizeof *VARIABLES; i++) {
    const char *value = getenv(VARIABLES[i]);
    if (value == NULL) continue;
    if (length + strlen(VARIABLES[i]) + strlen(value) + 3 > ENVIRONMENT_MAX) return 0;
    length += sprintf(request + length, "%s=%s", VARIABLES[i], value) + 1; // its \0 as well
  }
  request[length++] = '\0';
  memcpy(request + length, input, input_length);
  return length + input_length;
}

static bool send_request(int fd, long length, long long until_ms) {
  char head[128];
  int head_length = snprintf(head, sizeof head, "POST /cni HTTP/1.0\r\nContent-Length: %ld\r\n\r\n", length);
  return send_all(fd, head, head_length, until_ms) && send_all(fd, request, length, until_ms);
}

static int away(const char *command, const char *why) {
  bool is_status = strcmp(command, "STATUS") == 0;
  return fail(is_status ? LIMITED : TRY_AGAIN,
              "the podwire agent at %s %s: it is the node's network; start it (podwire agent), or name its socket as "
              "`agent` in the network's configuration",
              socket_path, why);
}

static int ask(const char *command, long request_length) {
  long long until_ms = now_ms() + (strcmp(command, "STATUS") == 0 ? STATUS_TIMEOUT_MS : TIMEOUT_MS);
  int fd = connect_agent(until_ms);
  if (fd < 0) return away(command, errno == EAGAIN ? "has no room for more requests" : "does not answer");
  if (!send_request(fd, request_length, until_ms)) return away(command, "has not taken the request");
  long length = receive_all(fd, until_ms);
  if (length < 0) return away(command, "has not answered in time");
  int status = 0;
  char *body = strstr(answer, "\r\n\r\n");
  if (body == NULL || sscanf(answer, "HTTP/%*d.%*d %d", &status) != 1) return away(command, "ended before it answered");
  body += 4;
  if (status != 200 && status != 422) return away(command, "is none that serves CNI, or is not set up to (`cni`)");
  fwrite(body, 1, answer + length - body, stdout);
  return status == 200 ? 0 : 1;
}

static int about(void) {
  fprintf(stderr, "podwire-cni: CNI plug-in of podwire's agent; CNI versions %s. A container runtime calls it.\n",
          "0.3.1, 0.4.0, 1.0.0, 1.1.0");
  return 0;
}

static int answered(const char *command) {
  bool is_version = strcmp(command, "VERSION") == 0;
  long length = read_input();
  if (length == -1 && !is_version) return fail(UNREADABLE, "standard input cannot be read: %s", strerror(errno));
  if (length == -2) return fail(UNDECODABLE, "standard input is longer than %d bytes", INPUT_MAX);
  if (length < 0) length = 0;
  struct json_field fields[] = {
      {"cniVersion", version, sizeof version, false},
      {"agent", socket_path, sizeof socket_path, false},
  };
  const char *problem = json_object(input, length, fields, 2);
  if (strspn(version, "0123456789.") != strlen(version)) strcpy(version, NEWEST); // the agent says what is wrong
  if (is_version) {
    printf("{\"cniVersion\":\"%s\",\"supportedVersions\":[" SUPPORTED "]}\n", version);
    return 0;
  }
  if (problem != NULL) return fail(UNDECODABLE, "standard input: %s", problem);
  // Another agent than the one that was named would give the network of another node.
  if (fields[1].is_lost)
    return fail(BAD_CONFIG, "agent: is no string of at most %zu bytes without escapes", sizeof socket_path - 1);
  if (socket_path[0] != '/') return fail(BAD_CONFIG, "agent: \"%s\" is no absolute path of a socket", socket_path);
  long request_length = write_request(length);
  if (request_length == 0) return fail(BAD_ENVIRONMENT, "CNI_* are longer than %d bytes", ENVIRONMENT_MAX);
  return ask(command, request_length);
}

int main(void) {
  const char *command = getenv("CNI_COMMAND");
  return command == NULL ? about() : ended(answered(command));
}
