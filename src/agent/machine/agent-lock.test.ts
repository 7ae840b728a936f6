import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { loadNative } from "../../native/binding.ts";
import { lockAgent, lockAgentThere } from "./agent-lock.ts";

const native = loadNative();
const WISH = { advice: ": end it first", code: "AGENT_RUNS" };

t.test("one at a socket, also of many that start in the same instant", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podwire-lock-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const socket = join(folder, "deep", "agent.sock");
  const soon = { ...WISH, patienceMs: 100 };
  const all = await Promise.allSettled([1, 2, 3].map(() => lockAgent(native, socket, soon)));
  const [first] = all.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const refusals = all.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  const message = `an agent has ${socket}.lock locked and does not answer: end it first`;
  t.match(refusals, [
    { message, code: "AGENT_RUNS" },
    { message, code: "AGENT_RUNS" },
  ]);

  const ended: string[] = [];
  const waiting = [1, 2].map((i) =>
    lockAgent(native, socket, WISH).then(async (unlock) => {
      ended.push(`${i} begins`);
      await sleep(80);
      ended.push(`${i} ends`);
      unlock();
    }),
  );
  await sleep(100);
  t.same(ended, [], "they wait for the one that ends");
  first();
  await Promise.all(waiting);
  t.same(
    ended.map((line) => line.slice(2)),
    ["begins", "ends", "begins", "ends"],
    "one after the other, though the file was taken away meanwhile",
  );
  t.same(readdirSync(join(folder, "deep")), [], "nothing is left");

  const server = createServer();
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  await t.rejects(lockAgent(native, socket, WISH), {
    message: `an agent answers at ${socket}: end it first`,
  });
  t.notOk(
    readdirSync(join(folder, "deep")).includes("agent.sock.lock"),
    "one that knows of no lock has none",
  );
  server.close();

  const nowhere = join(folder, "none", "agent.sock");
  (await lockAgentThere(native, nowhere, WISH))();
  t.notOk(readdirSync(folder).includes("none"));
  await t.rejects(lockAgent(native, "/proc/agent.sock", WISH), { code: "ENOENT" });
});
