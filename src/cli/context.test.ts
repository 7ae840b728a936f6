import t from "tap";
import { parseManifests } from "../kube/manifest/manifest.ts";
import { type OutputForm, recordText, yamlText } from "./context.ts";

const TEXTS = [
  "yes No on OFF y N true Null ~ null 0644 0o17 08 1_000 0b11 -0b1 0x1f 1e3 1E+3 .5 1. +1 .inf -.Inf .NaN << =",
  "12:30 12:30:45 1:2.5 2026-01-01 2026-01-01T10:00:00Z - ? : [a {a &a *a !a %a @a `a |a >a 'a \"a #a a: a:b #",
].flatMap((line) => line.split(" "));
const ODD = ["", " ", " a", "a ", "a: b", "a #b", "a\nb", "a\n", "\n", "\ta", "a\tb", "é", "--- a", "..."];
const CONTROLS = ["\u007f", "a\u0085b", "\u2028", "a\u2029", "\ufeffa", "\u009f: x", "\n\u0085\n"];

t.test("what is printed as YAML is read again as it was, as kubectl reads it", async (t) => {
  const values = [...TEXTS, ...ODD, ...CONTROLS];
  const annotations = Object.fromEntries(values.map((text, i) => [`a${i}`, text]));
  const labels = { yes: "no", "1": "0x2" };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "a", annotations, labels }, spec: {} };
  const text = await yamlText({ ...pod, spec: { containers: [{ name: "c", image: "x" }] } });
  const [{ object }] = parseManifests([{ file: "a.yaml", text }]);
  t.same(object.metadata.annotations, annotations);
  t.same(object.metadata.labels, labels);
});

t.test("a record of a stream: a line of JSON, a YAML document, or lines for people", async (t) => {
  const text = async (form: OutputForm): Promise<string> =>
    (await recordText(form, (count: number) => ({ count }), String))(7);
  t.equal(await text("json"), '{"count":7}');
  t.equal(await text("yaml"), "---\ncount: 7");
  t.equal(await text("table"), "7");
});
