// When a trace of so many packets has told all of them.
import t from "tap";
import { TraceProgress } from "./stream-capture.ts";

t.test("every packet counts once, and one that waits is waited for", async (t) => {
  const story = new TraceProgress(2);
  story.add({ packet: 1 }, 0);
  story.add({ packet: 1 }, 1);
  t.equal(story.isDone(2), false, "one packet of two");
  story.add({ packet: 2, waits: true }, 3);
  t.equal(story.isDone(100), false, "its neighbour is being asked");
  story.add({ packet: 1 }, 200);
  t.equal(story.isDone(300), false);
  story.add({ packet: 2 }, 3000);
  t.equal(story.isDone(3001), true, "what became of it is told");
});

t.test("nobody waits for ever, and without a number there is no end", async (t) => {
  const story = new TraceProgress(1);
  story.add({ packet: 7, waits: true }, 0);
  t.equal(story.isDone(4999), false);
  t.equal(story.isDone(5000), true);
  const endless = new TraceProgress(0);
  endless.add({ packet: 1 }, 0);
  t.equal(endless.isDone(1e9), false);
});
