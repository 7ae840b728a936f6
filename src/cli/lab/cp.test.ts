import { spawnSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { placeOf } from "./cp.ts";
import { receive } from "./received-files.ts";

t.test("which of two places is a pod's", (t) => {
  t.same(placeOf("web-1:/tmp/x", undefined), { pod: "web-1", namespace: undefined, path: "/tmp/x" });
  t.same(placeOf("prod/web-1:x", "dev"), { pod: "web-1", namespace: "prod", path: "x" });
  t.same(placeOf("web-1:x:y", "dev"), { pod: "web-1", namespace: "dev", path: "x:y" });
  for (const path of ["x", "./a:b", "/a:b", "dir/file"]) t.same(placeOf(path, "dev"), { path });
  for (const word of [":/x", "a/b/c:/x", "web:", "a/:x"])
    t.throws(() => placeOf(word, undefined), { exitCode: 2, message: /^cp [^\n]*POD:PATH/ }, word);
  t.end();
});

t.test(
  "of what a container sends only files and folders are taken, and nothing but what was asked for",
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "podwire-cp-"));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const at = (...parts: string[]): string => join(folder, ...parts);
    for (const each of ["sent/x/inner", "home", "out"]) mkdirSync(at(each), { recursive: true });
    writeFileSync(at("sent/x/inner/a"), "a\n");
    writeFileSync(at("sent/x/runs"), "#!/bin/sh\n");
    chmodSync(at("sent/x/runs"), 0o6755);
    chmodSync(at("sent/x/inner"), 0o750);
    symlinkSync(at("home"), at("sent/x/link"));
    writeFileSync(at("sent/profile"), "nobody asked\n");
    const send = (...names: string[]) => {
      const { stdout: input } = spawnSync("tar", ["cf", "-", "-C", at("sent"), "--", ...names]);
      return ([file, ...args]: readonly string[]): Promise<void> => {
        const { status } = spawnSync(file, args, { input });
        return status === 0 ? Promise.resolve() : Promise.reject(new Error(`status ${status}`));
      };
    };
    t.same(await receive("x", at("out/y"), send("x", "profile")), ["x/link"]);
    t.same(readdirSync(at("out")), ["y"], "and no folder is left behind");
    t.same(readdirSync(at("out/y")).sort(), ["inner", "runs"]);
    t.equal(lstatSync(at("out/y/runs")).mode & 0o7777, 0o755);
    t.equal(lstatSync(at("out/y/inner")).mode & 0o7777, 0o750);

    // A second one, whose file lies behind the link of the first.
    rmSync(at("sent/x/link"));
    mkdirSync(at("sent/x/link"));
    writeFileSync(at("sent/x/link/profile"), "through the link\n");
    writeFileSync(at("sent/x/inner/a"), "b\n");
    t.same(await receive("x", at("out/y"), send("x")), []);
    t.same(readdirSync(at("home")), []);
    t.equal(readFileSync(at("out/y/inner/a"), "utf8"), "b\n", "what was there is replaced");
    await t.rejects(receive("x", at("out/z"), send("profile")), { message: /^status/ });
    t.same(readdirSync(at("out")), ["y"]);
  },
);
