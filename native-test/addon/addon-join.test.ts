// Datagrams that enter a pod joined, and the kernel: it cuts superframes as it should, whatever it does wrong is found
// out, and sockets that read frames are seen. Needs root.
import { spawn } from "node:child_process";
import { once } from "node:events";
import t from "tap";
import { testJoining } from "../../src/plane/join-test.ts";
import { cannotRun } from "../../src/testing/lab/lab.ts";
import { native } from "../support/frames.ts";
import { Namespaces } from "../support/namespaces.ts";

const spaces = new Namespaces("pwt-join");
spaces.add("pod");

t.test("this kernel cuts a superframe byte for byte", async (t) => {
  t.equal(testJoining(native), "");
});

t.test("a kernel that loses, changes or refuses something is found out", async (t) => {
  const transmit = (...args: Parameters<typeof native.transmit>): number => native.transmit(...args);
  const damage =
    (at: number): typeof native.transmit =>
    (...args) => {
      (args[2] as Uint8Array)[at] ^= 1;
      return transmit(...args);
    };
  const unpinned = { ...native, pin: <T>(array: T): T => array } as unknown as typeof native;
  t.equal(testJoining(unpinned), "");
  const payload = 16 + 2048 + 42 + 5; // of the second datagram
  t.equal(testJoining({ ...unpinned, transmit: damage(payload) }), "the kernel changed byte 5 of datagram 2");
  t.equal(
    testJoining({ ...unpinned, transmit: damage(16 - 10 + 1) }),
    "the kernel refused a superframe (EINVAL)",
    "the kind of the superframe",
  );
  t.equal(testJoining({ ...unpinned, transmit: () => 1 }), "the kernel made 0 datagrams of 8");
});

t.test("packet sockets are seen", async (t) => {
  const netns = spaces.path("pod");
  t.equal(native.frameReaders(netns), 0);
  const fd = native.openPacket(netns, "lo", 0, 0, 0);
  t.equal(native.frameReaders(netns), 1, "as tcpdump's");
  native.closeFd(fd);
  t.equal(native.frameReaders(netns), 0);
  t.equal(native.frameReaders("/run/netns/pwt-join-nobody"), -2);
});

t.test("so are raw ones of UDP, others are not", { skip: cannotRun("python3") }, async (t) => {
  const seen = async (socket: string): Promise<number> => {
    const code = `import socket,time\ns = socket.socket(socket.${socket})\nprint(1, flush=True)\ntime.sleep(60)`;
    const [command, ...args] = [...spaces.command("pod", "python3 -c"), code];
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    const result = native.frameReaders(spaces.path("pod"));
    child.kill("SIGKILL");
    await once(child, "exit");
    return result;
  };
  t.equal(await seen("AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP"), 1);
  t.equal(await seen("AF_INET6, socket.SOCK_RAW, socket.IPPROTO_UDP"), 1);
  t.equal(await seen("AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)"), 1, "a DHCP client");
  t.equal(await seen("AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0806)"), 0, "ARP alone");
  t.equal(await seen("AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP"), 0, "ping");
  t.equal(await seen("AF_INET, socket.SOCK_DGRAM"), 0);
});

t.teardown(() => spaces.remove());
