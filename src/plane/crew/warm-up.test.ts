// Threads of one plane start at the same time, and the main thread collects garbage while they do.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import t from "tap";
import { collectYoung } from "../warm-up.ts";

t.test("several threads may collect their garbage at once", async (t) => {
  const rounds = 300;
  const file = new URL("../warm-up.js", import.meta.url).href;
  const work = `
    import { parentPort, workerData } from "node:worker_threads";
    const { collectYoung } = await import(workerData.file);
    for (let i = 0; i < workerData.rounds; i++) collectYoung();
    parentPort.postMessage("done");`;
  const code = new URL(`data:text/javascript,${encodeURIComponent(work)}`);
  const threads = [0, 1].map(() => new Worker(code, { workerData: { rounds, file } }));
  const ends = threads.map((thread) => once(thread, "message"));
  for (let i = 0; i < rounds; i++) {
    collectYoung();
    if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  t.same(await Promise.all(ends), [["done"], ["done"]]);
});
