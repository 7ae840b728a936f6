import t from "tap";
import { placeOf } from "./cp.ts";

t.test("which of two places is a pod's", (t) => {
  t.same(placeOf("web-1:/tmp/x", undefined), { pod: "web-1", namespace: undefined, path: "/tmp/x" });
  t.same(placeOf("prod/web-1:x", "dev"), { pod: "web-1", namespace: "prod", path: "x" });
  t.same(placeOf("web-1:x:y", "dev"), { pod: "web-1", namespace: "dev", path: "x:y" });
  for (const path of ["x", "./a:b", "/a:b", "dir/file"]) t.same(placeOf(path, "dev"), { path });
  for (const word of [":/x", "a/b/c:/x", "web:", "a/:x"])
    t.throws(() => placeOf(word, undefined), { exitCode: 2, message: /^cp [^\n]*POD:PATH/ }, word);
  t.end();
});
