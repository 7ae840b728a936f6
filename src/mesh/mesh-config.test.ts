import t from "tap";
import { readMeshFile } from "./config.ts";

const read = (text: string, flags = {}) => readMeshFile({ file: "mesh.yaml", text }, flags);

t.test("what is left out has its default, and flags come before the file", async (t) => {
  const text = "{ source: { kubernetes: {} }, nodeName: a, agent: /x, identities: { directory: /c } }";
  t.match(read(text), {
    ...{ nodeName: "a", agent: "/x", device: "eth0", plain: "refuse", trustDomain: "cluster.local" },
    ...{ hbonePort: 15008, capturePort: 15001, accessLog: "stdout", metrics: undefined, drainSec: 30 },
    limits: { connections: 10_000, idleSec: 3600 },
  });
  t.match(read(text, { nodeName: "b", agent: "/y" }), { nodeName: "b", agent: "/y" });
});

t.test("all that is wrong is told, a line each", async (t) => {
  const cases: [text: string, lines: RegExp[]][] = [
    ["[", [/^mesh\.yaml: /]],
    ["[]", [/not a map/]],
    ["{ nodeName: a, identities: { directory: /c } }", [/source: Required/]],
    ["{ source: { kubernetes: {} } }", [/nodeName: Required/, /trustBundle: Required/]],
    [
      "{ source: { kubernetes: {} }, nodeName: a, identities: { directory: /c }, tls: {} }",
      [/unknown field "tls"/],
    ],
    [
      "{ source: { kubernetes: {} }, nodeName: a, identities: { directory: /c }, hbonePort: 15001, " +
        "metrics: { port: 1, address: x } }",
      [/metrics\.address/, /capturePort.*is hbonePort, too/],
    ],
    [
      "{ source: { kubernetes: {} }, nodeName: a, identities: { directory: /c }, plain: maybe, limits: { streams: 0 } }",
      [/plain/, /limits\.streams/],
    ],
  ];
  for (const [text, lines] of cases) {
    let message = "";
    try {
      read(text);
    } catch (error) {
      message = (error as Error).message;
      t.match(error, { code: "MESH_CONFIG" });
    }
    t.equal(message.split("\n").length, lines.length, message);
    for (const line of lines) t.match(message, line, text);
  }
});
