// podwire-enter: begins a container of a lab's pod. It makes the container's view of the machine step by step, as its
// arguments say, and becomes the program: same pid, same environment. Mounts are in a mount namespace of its own, so
// they go with the container's last process.
//
//   group FILE       into the control group whose cgroup.procs this is
//   net PATH         the network namespace of this file
//   host NAME        a UTS namespace of its own, with this name in it
//   mount            a mount namespace of its own, /sys of the network namespace; the machine's network namespaces are
//                    not carried along: each start would copy those of all pods
//   root DIR         a root of its own: what it writes is gone with it. The machine's files lie below (overlayfs)
//   dev              a /dev of its own, with the machine's devices
//   etc DIR          each file of DIR lies over the one in /etc
//   bind SRC DST     SRC at DST; bindro: read-only. What is missing of DST is made, where there is a root of its own
//   file SRC DST     the same where DST lies in /dev, also for a folder
//   cwd DIR
//   input FILE       what is written into this pipe is the program's input, which has no end; a missing one is made
//   once FILE        the same, and it ends with the last who has it open. Waits until somebody has
//   made             file descriptor 4 is closed when all this is done and the program begins
//   terminal         the program has a terminal of its own: what it says goes to the standard output, and podwire-enter
//                    stays to carry it there
//   -- PROGRAM ARG…
//
// Ends with 128 and one line on stderr where a step fails, with 127 where there is no such program.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILED = 128, NOT_FOUND = 127, MOUNTS_MAX = 256, WORDS_MAX = 4096 };
enum { READY_FD = 3, MADE_FD = 4, QUIET_MS = 200, END_OF_INPUT = 4 };

static int hasInput, hasTerminal, hasOwnRoot, isMadeTold;

// What the steps mount, opened before the first of them: a volume may lie over the folder in which the next one lies
// (/run, /tmp). By the step's place among the words; below 0: it is not there.
static int sources[WORDS_MAX];

static void fail(const char *what, const char *which) {
  fprintf(stderr, "%s %s: %s\n", what, which, strerror(errno));
  exit(FAILED);
}

// In a buffer of the caller's: text that does not fit ends everything.
static const char *text(char *to, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(to, PATH_MAX, format, args);
  va_end(args);
  if (length < 0 || length >= PATH_MAX) errno = ENAMETOOLONG, fail("path", format);
  return to;
}

static void makeParents(const char *path) {
  char copy[PATH_MAX];
  text(copy, "%s", path);
  for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdir(copy, 0755) != 0 && errno != EEXIST && errno != EROFS) fail("mkdir", copy);
    *slash = '/';
  }
}

// A place to mount on, of the kind of what is mounted.
static void makePlace(const char *path, int isDirectory) {
  struct stat there;
  if (stat(path, &there) == 0) return;
  makeParents(path);
  if (isDirectory) {
    if (mkdir(path, 0755) != 0 && errno != EEXIST) fail("mkdir", path);
    return;
  }
  int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) fail("create", path);
  close(fd);
}

// `source` is a path that leads by a descriptor; `name` says what it is.
static void bindAt(const char *source, const char *name, const char *target, int isReadOnly, int mayMake) {
  struct stat from;
  if (stat(source, &from) != 0) fail("mount", name);
  if (mayMake) makePlace(target, S_ISDIR(from.st_mode));
  if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) != 0) fail("mount", target);
  if (!isReadOnly) return;
  struct statvfs fs;
  unsigned long kept = statvfs(target, &fs) == 0 ? fs.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC) : 0;
  if (mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | kept, NULL) != 0) fail("read-only", target);
}

static void joinGroup(const char *path) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, "0", 1) != 1) fail("control group", path); // 0: whoever writes it
  close(fd);
}

static void enterNet(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) fail("network namespace", path);
  close(fd);
}

static void newHost(const char *name) {
  if (unshare(CLONE_NEWUTS) != 0) fail("unshare", "uts");
  if (sethostname(name, strlen(name)) != 0) fail("hostname", name);
}

static void newMounts(void) {
  if (unshare(CLONE_NEWNS) != 0) fail("unshare", "mount");
  if (mount("", "/", "none", MS_SLAVE | MS_REC, NULL) != 0) fail("mount", "/ (slave)");
  struct statvfs fs;
  unsigned long flags = statvfs("/sys", &fs) == 0 && (fs.f_flag & ST_RDONLY) ? MS_RDONLY : 0;
  umount2("/sys", MNT_DETACH);
  if (mount("sysfs", "/sys", "sysfs", flags, NULL) != 0) fail("mount", "/sys");
  umount2("/run/netns", MNT_DETACH);
}

static int isBelow(const char *path, const char *above) {
  size_t length = strlen(above);
  return strncmp(path, above, length) == 0 && (path[length] == '/' || path[length] == 0);
}

// Mount points that are below no other one but /, and not within `directory`.
static int topMounts(char *into[MOUNTS_MAX], const char *directory) {
  FILE *file = fopen("/proc/self/mountinfo", "re");
  if (file == NULL) fail("read", "/proc/self/mountinfo");
  int count = 0;
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, file) > 0) {
    char point[PATH_MAX];
    if (sscanf(line, "%*d %*d %*s %*s %4095s", point) != 1 || strcmp(point, "/") == 0) continue;
    int isTop = !isBelow(point, directory);
    for (int i = 0; i < count && isTop; i++) isTop = !isBelow(point, into[i]);
    if (isTop && count < MOUNTS_MAX) into[count++] = strdup(point);
  }
  free(line);
  fclose(file);
  return count;
}

// What is written at `at` lies in `directory`, below it is `lower`.
static void overlay(const char *lower, const char *directory, const char *name, const char *at) {
  char upper[PATH_MAX], work[PATH_MAX], options[PATH_MAX];
  struct stat there;
  mode_t mode = stat(lower, &there) == 0 ? there.st_mode & 07777 : 0755;
  mkdir(text(upper, "%s/upper-%s", directory, name), mode);
  chmod(upper, mode);
  mkdir(text(work, "%s/work-%s", directory, name), 0700);
  text(options, "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work);
  if (mount("overlay", at, "overlay", 0, options) != 0) fail("overlay", lower);
}

// Where programs write: theirs alone, also where the machine has mounted it.
static int isScratch(const char *point) {
  return strcmp(point, "/run") == 0 || strcmp(point, "/tmp") == 0 || strcmp(point, "/var/tmp") == 0;
}

// DIR becomes a file system in memory of this namespace's: what is written and the root itself lie in it.
static void newRoot(const char *directory) {
  char *points[MOUNTS_MAX], root[PATH_MAX], at[PATH_MAX];
  if (mkdir(directory, 0755) != 0 && errno != EEXIST) fail("mkdir", directory);
  if (mount("tmpfs", directory, "tmpfs", 0, "mode=755") != 0) fail("mount", directory);
  if (mkdir(text(root, "%s/root", directory), 0755) != 0) fail("mkdir", root);
  int count = topMounts(points, directory);
  overlay("/", directory, "root", root);
  for (int i = 0; i < count; i++) {
    struct stat there;
    if (stat(points[i], &there) != 0) continue;
    makePlace(text(at, "%s%s", root, points[i]), S_ISDIR(there.st_mode));
    if (isScratch(points[i])) overlay(points[i], directory, strrchr(points[i], '/') + 1, at);
    else if (mount(points[i], at, NULL, MS_BIND | MS_REC, NULL) != 0) fail("mount", at);
  }
  if (chroot(root) != 0 || chdir("/") != 0) fail("chroot", root);
  hasOwnRoot = 1;
}

// What lies in /dev, once more: nodes made, links copied, folders bound.
static void newDev(void) {
  char from[PATH_MAX], to[PATH_MAX];
  DIR *all = opendir("/dev");
  int before = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (all == NULL || before < 0) fail("open", "/dev");
  if (mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=755") != 0) fail("mount", "/dev");
  for (struct dirent *each = readdir(all); each != NULL; each = readdir(all)) {
    struct stat there;
    if (strcmp(each->d_name, ".") == 0 || strcmp(each->d_name, "..") == 0) continue;
    if (fstatat(before, each->d_name, &there, AT_SYMLINK_NOFOLLOW) != 0) continue;
    text(to, "/dev/%s", each->d_name);
    if (S_ISCHR(there.st_mode) || S_ISBLK(there.st_mode)) {
      if (mknod(to, there.st_mode, there.st_rdev) == 0) chmod(to, there.st_mode & 07777);
    } else if (S_ISLNK(there.st_mode)) {
      ssize_t length = readlinkat(before, each->d_name, from, sizeof from - 1);
      if (length < 0) continue;
      from[length] = 0;
      if (symlink(from, to) != 0) continue;
    } else if (S_ISDIR(there.st_mode)) {
      text(from, "/proc/self/fd/%d/%s", before, each->d_name);
      if (mkdir(to, 0755) == 0) mount(from, to, NULL, MS_BIND | MS_REC, NULL);
    }
  }
  closedir(all);
  close(before);
}

static void layOverEtc(int source) {
  char folder[PATH_MAX];
  DIR *all = source < 0 ? NULL : opendir(text(folder, "/proc/self/fd/%d", source));
  if (all == NULL) return;
  for (struct dirent *each = readdir(all); each != NULL; each = readdir(all)) {
    char from[PATH_MAX], to[PATH_MAX];
    struct stat there;
    if (each->d_name[0] == '.') continue;
    text(from, "%s/%s", folder, each->d_name);
    text(to, "/etc/%s", each->d_name);
    if (hasOwnRoot || stat(to, &there) == 0) bindAt(from, each->d_name, to, 0, hasOwnRoot);
  }
  closedir(all);
}

static void bindStep(int source, const char *name, const char *target, int isReadOnly, int mayMake) {
  char from[PATH_MAX];
  if (source < 0) errno = ENOENT, fail("mount", name);
  bindAt(text(from, "/proc/self/fd/%d", source), name, target, isReadOnly, mayMake || hasOwnRoot);
}

static int isMount(const char *verb) {
  return strcmp(verb, "bind") == 0 || strcmp(verb, "bindro") == 0 || strcmp(verb, "file") == 0;
}

static void openSources(char **words, int count) {
  for (int at = 0; at + 1 < count && at < WORDS_MAX && strcmp(words[at], "--") != 0; at++) {
    sources[at] = -1;
    if (isMount(words[at]) || strcmp(words[at], "etc") == 0)
      sources[at] = open(words[at + 1], O_PATH | O_CLOEXEC);
  }
}

// A pipe that the lab writes into, in place of the standard input.
static void openInput(const char *path, int isOnce) {
  if (mkfifo(path, 0600) != 0 && errno != EEXIST) fail("mkfifo", path);
  int fd = open(path, isOnce ? O_RDONLY : O_RDWR);
  if (fd < 0 || dup2(fd, 0) < 0) fail("open", path);
  close(fd);
  hasInput = 1;
}

static int isAlone(const char *verb) {
  int isOfMounts = strcmp(verb, "mount") == 0 || strcmp(verb, "dev") == 0;
  return isOfMounts || strcmp(verb, "made") == 0 || strcmp(verb, "terminal") == 0;
}

// How many words the step took; 0: it is none.
static int step(char **all, int count, int at, const char **cwd) {
  char **words = all + at;
  const char *verb = words[0], *first = words[1], *second = first == NULL ? NULL : words[2];
  if (strcmp(verb, "mount") == 0) {
    newMounts();
    openSources(all, count);
  } else if (strcmp(verb, "dev") == 0) newDev();
  else if (strcmp(verb, "terminal") == 0) hasTerminal = 1;
  else if (strcmp(verb, "made") == 0) isMadeTold = fcntl(MADE_FD, F_SETFD, FD_CLOEXEC) == 0;
  else if (first == NULL) return 0;
  else if (strcmp(verb, "group") == 0) joinGroup(first);
  else if (strcmp(verb, "net") == 0) enterNet(first);
  else if (strcmp(verb, "host") == 0) newHost(first);
  else if (strcmp(verb, "root") == 0) newRoot(first);
  else if (strcmp(verb, "etc") == 0) layOverEtc(sources[at]);
  else if (strcmp(verb, "cwd") == 0) *cwd = first;
  else if (strcmp(verb, "input") == 0) openInput(first, 0);
  else if (strcmp(verb, "once") == 0) openInput(first, 1);
  else if (second == NULL) return 0;
  else if (isMount(verb)) bindStep(sources[at], first, second, verb[4] == 'r', verb[0] == 'f');
  else return 0;
  return isMount(verb) ? 3 : isAlone(verb) ? 1 : 2;
}

static int become(char **program) {
  execvp(program[0], program);
  int isSearched = errno == ENOENT && strchr(program[0], '/') == NULL;
  const char *why = isSearched ? "executable file not found in $PATH" : strerror(errno);
  fprintf(stderr, "exec: \"%s\": %s\n", program[0], why);
  return NOT_FOUND;
}

static pid_t child;

static void forwardSignal(int number) {
  if (child > 0) kill(-child, number);
}

// All of it, to a file: a log that is full loses what comes.
static void putAll(const char *bytes, ssize_t length) {
  for (ssize_t at = 0, put; at < length; at += put) {
    put = write(1, bytes + at, length - at);
    if (put < 0 && errno == EINTR) put = 0;
    if (put < 0) return;
  }
}

// Carries input to the terminal and what the program says from it, until the program has ended and nothing more comes.
static int carry(int master) {
  char in[4096], out[4096];
  ssize_t pending = 0, sent = 0;
  int isOpen = hasInput, isOver = 0, status = 0;
  for (;;) {
    struct pollfd fds[2] = {
      {.fd = isOpen && pending == 0 ? 0 : -1, .events = POLLIN},
      {.fd = master, .events = (short)(POLLIN | (pending > 0 ? POLLOUT : 0))},
    };
    int count = poll(fds, 2, QUIET_MS);
    if (count < 0 && errno != EINTR) break;
    if (count > 0 && fds[1].revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL)) {
      ssize_t got = read(master, out, sizeof out);
      if (got > 0) putAll(out, got);
      else if (got == 0 || (errno != EAGAIN && errno != EINTR)) break;
    } else if (isOver && count <= 0) break; // somebody else holds the terminal, and says nothing
    if (count > 0 && fds[0].revents & (POLLIN | POLLHUP)) {
      pending = read(0, in, sizeof in);
      sent = 0;
      if (pending <= 0) { // its end: what the terminal takes for one
        isOpen = 0;
        in[0] = END_OF_INPUT;
        pending = 1;
      }
    }
    if (pending > 0 && fds[1].revents & POLLOUT) {
      ssize_t put = write(master, in + sent, pending);
      if (put > 0) sent += put, pending -= put;
    }
    if (!isOver && waitpid(child, &status, WNOHANG) == child) isOver = 1;
  }
  if (!isOver) while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int runInTerminal(char **program) {
  char name[64];
  int opened = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
  int master = fcntl(opened, F_DUPFD_CLOEXEC, READY_FD + 1); // not the one by which the program says that it is ready
  close(opened);
  if (master < 0 || unlockpt(master) != 0 || ptsname_r(master, name, sizeof name) != 0) fail("terminal", "/dev/ptmx");
  int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) fail("terminal", name);
  pid_t self = getpid();
  child = fork();
  if (child < 0) fail("fork", program[0]);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); // who carries what it says is gone: nobody would see it
    if (getppid() != self) return FAILED;
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    for (int fd = 0; fd < 3; fd++) dup2(slave, fd);
    return become(program);
  }
  close(slave);
  close(READY_FD);
  if (isMadeTold) close(MADE_FD);
  int forwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++) signal(forwarded[i], forwardSignal);
  signal(SIGPIPE, SIG_IGN);
  return carry(master);
}

int main(int count, char **words) {
  const char *cwd = "/";
  int at = 1;
  umask(0022);
  while (at < count && strcmp(words[at], "--") != 0) {
    int took = at < WORDS_MAX ? step(words, count, at, &cwd) : 0;
    if (took == 0) {
      fprintf(stderr, "podwire-enter: %s: no such step, or a word of it is missing\n", words[at]);
      return FAILED;
    }
    at += took;
  }
  if (at + 1 >= count) {
    fprintf(stderr, "podwire-enter: no program: write -- PROGRAM ARG… behind the steps\n");
    return FAILED;
  }
  if (hasOwnRoot) makePlace(cwd, 1);
  if (chdir(cwd) != 0) fail("chdir", cwd);
  return (hasTerminal ? runInTerminal : become)(words + at + 1);
}
