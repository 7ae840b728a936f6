// Which pods get UDP datagrams joined: those where nothing reads frames, as soon as that changes, and none where the
// kernel was not seen to cut them.
import t from "tap";
import type { Native } from "../native/binding.ts";
import type { PlaneMessage } from "../plane/messages.ts";
import { DatagramJoining, type JoiningPort } from "./datagram-joining.ts";

const EPERM = -1;
const PASS = 10; // steps in which every pod is looked at

function subject(probe = EPERM): {
  joining: DatagramJoining;
  ports: JoiningPort[];
  readers: Set<string>;
  told: string[];
  looked: string[];
  pass: () => Promise<string[]>;
} {
  const ports: JoiningPort[] = [];
  const readers = new Set<string>();
  const told: string[] = [];
  const looked: string[] = [];
  const native = {
    openProbe: () => probe,
    frameReaders: (netns: string) => {
      looked.push(netns);
      return readers.has(netns) ? 1 : 0;
    },
  } as unknown as Native;
  const plane = {
    apply: async (m: PlaneMessage) => {
      if (m.type === "join") told.push(`${m.port} ${m.on}`);
    },
  };
  const joining = new DatagramJoining(native, plane, () => ports);
  const pass = async (): Promise<string[]> => {
    for (let i = 0; i < PASS; i++) await joining.step();
    return told.splice(0);
  };
  return { joining, ports, readers, told, looked, pass };
}

const port = (id: number, mayJoin = true): JoiningPort => ({
  id,
  device: {},
  netns: `/run/netns/${id}`,
  mayJoin,
});

t.test("a pod's datagrams are joined while nothing in it reads frames", async (t) => {
  const { ports, readers, looked, pass } = subject();
  ports.push(port(1), port(2), port(3, false));
  readers.add("/run/netns/2");
  t.same(await pass(), ["1 1"], "the others are not, as is every port at first");
  t.same(looked, ["/run/netns/1", "/run/netns/2"], "each once");
  readers.add("/run/netns/1");
  readers.delete("/run/netns/2");
  t.same(await pass(), ["1 0", "2 1"]);
  t.same(await pass(), [], "told once");
  ports[0] = port(1);
  ports[1] = { ...ports[1], mayJoin: false };
  readers.clear();
  t.same(
    await pass(),
    ["1 1", "2 0"],
    "another device under the same id is asked about anew; the annotation came",
  );
  ports.splice(0);
  t.same(await pass(), []);
});

t.test("of very many pods a few are looked at each time", async (t) => {
  const { joining, ports, looked, told } = subject();
  for (let id = 0; id < 1000; id++) ports.push(port(id));
  for (let i = 0; i < 40; i++) {
    const before = looked.length;
    await joining.step();
    t.ok(looked.length - before <= 32);
  }
  t.equal(new Set(told).size, 1000);
});

t.test("where it cannot be tried out nothing is joined, and the agent says so once", async (t) => {
  const { joining } = subject();
  const notes: string[] = [];
  joining.onNote = (text) => notes.push(text);
  joining.start(true);
  joining.start(true);
  t.same(notes, ["UDP datagrams enter pods one by one: cannot be tried out (EPERM)"]);
  t.equal(joining.problem, "cannot be tried out (EPERM)");
  const off = subject();
  off.joining.start(false);
  t.equal(off.joining.problem, "dataplane.joinDatagrams is false");
});
