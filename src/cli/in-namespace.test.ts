import t from "tap";
import { checkNetns, inNetns, isOwnNetns } from "./in-namespace.ts";

t.test("a command in a namespace: by ip(8) where it has a name there, else by its path", async (t) => {
  t.same(inNetns("/run/netns/web", ["ss", "-t"]), ["ip", "netns", "exec", "web", "ss", "-t"]);
  t.same(inNetns("/var/run/netns/web", ["ss"]), ["ip", "netns", "exec", "web", "ss"]);
  t.same(inNetns("/proc/7/ns/net", ["ss", "-t"]), ["nsenter", "--net=/proc/7/ns/net", "--", "ss", "-t"]);
  t.same(inNetns("/run/netns/a/b", ["ss"]), ["nsenter", "--net=/run/netns/a/b", "--", "ss"]);
});

t.test("our own namespace is known, others and what is gone are not ours", async (t) => {
  t.equal(isOwnNetns(`/proc/${process.pid}/ns/net`), true);
  t.equal(isOwnNetns("/dev/null"), false);
  t.equal(isOwnNetns("/run/netns/none-of-this-name"), false);
});

t.test("a namespace that is gone, and a number that is another process's, are refused", async (t) => {
  t.throws(() => checkNetns("/run/netns/none-of-this-name", "pod a", "do this"), {
    message: "pod a: network namespace none-of-this-name is gone: do this",
  });
  t.throws(() => checkNetns(`/proc/${process.pid}/ns/net`, "node1", ""), {
    message: new RegExp(
      `^node1: its agent's process ${process.pid} is not seen from here: run podwire where`,
    ),
  });
  t.doesNotThrow(() => checkNetns("/dev/null", "pod a", ""), "it is there");
});
