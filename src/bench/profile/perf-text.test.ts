import t from "tap";
import { profileOf } from "./perf-text.ts";

const TEXT = `# Overhead|Command|Shared Object|Symbol
# ........
    40.00%|swapper         |[kernel.kallsyms]  |[k] pv_native_safe_halt
    30.00%|node            |[kernel.kallsyms]  |[k] copy_user_generic
    12.00%|node            |perf-77.map        |[.] LazyCompile:*forward file:///opt/x/build/src/dataplane/pipeline.js:10
     6.00%|node            |podwire.node       |[.] sum_body
     6.00%|node            |node               |[.] v8::internal::Heap::Scavenge
     6.00%|iperf3          |libc.so.6          |[.] write

`;

t.test("a profile says whose the time was, idle time apart", (t) => {
  const { parts, functions } = profileOf("tcp/overlay/pod/forward", "podwire", TEXT);
  t.same(
    parts.map(({ name, percent }) => [name, Math.round(percent)]),
    [
      ["kernel", 50],
      ["JavaScript", 20],
      ["addon", 10],
      ["V8 and Node.js", 10],
      ["sender and receiver", 10],
    ],
  );
  t.match(functions[1], { name: "*forward dataplane/pipeline.js:10" });
  t.equal(functions[0].name, "copy_user_generic");
  t.end();
});

t.test("nothing but idle cores is a profile of nothing", (t) => {
  const idle = TEXT.split("\n").slice(0, 3).join("\n");
  t.same(profileOf("x", "podwire", idle), { load: "x", subject: "podwire", parts: [], functions: [] });
  t.end();
});
