// An address that has come to this node is told of five times in all.
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { ip } from "../../base/ip.ts";
import type { PlaneMessage } from "../../plane/messages.ts";
import { Announcements } from "./announcements.ts";

t.test("the fabric is told four times more", async (t) => {
  const heard: PlaneMessage[] = [];
  const announcements = new Announcements((message) => heard.push(message), 5);
  t.teardown(() => announcements.close());
  const [a, b] = [ip("192.168.50.240"), ip("192.168.50.241")];
  for (const told of [[a], [], [b]]) {
    announcements.told({ type: "announced", addresses: [a, b], told });
    while (told.length > 0 && heard.length < 4) await sleep(5);
    await sleep(50);
    t.same(heard, told.length === 0 ? [] : Array(4).fill({ type: "announced", told }));
    heard.length = 0;
  }
  announcements.told({ type: "announced", told: [a] });
  announcements.close();
  await sleep(50);
  t.same(heard, [], "after the end nothing is told");
});
