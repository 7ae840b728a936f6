// Requests held against what k8s.io/pod-security-admission answers: refused, warned and audited in the same words. How they
// were made is told in src/kube/pod-security/testdata/README.md.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { readPodSecurity } from "../config/pod-security.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { parseDocuments } from "../kube/manifest/yaml-documents.ts";
import type { KubeObject, Pod } from "../kube/objects.ts";
import { projectRoot } from "../testing/tidy/source-tree.ts";
import { PodSecurityAdmission } from "./pod-security-admission.ts";

interface Asked {
  readonly title: string;
  readonly config?: string;
  readonly user?: string;
  readonly object: KubeObject;
  readonly old?: KubeObject;
  readonly labels: Record<string, string>;
  readonly pods?: readonly Pod[];
  readonly answer: {
    readonly allowed: boolean;
    readonly message?: string;
    readonly warnings?: readonly string[];
    readonly audit?: Record<string, string>;
  };
}

const file = join(projectRoot(), "src/kube/pod-security/testdata/admission.jsonl");
const requests = readFileSync(file, "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Asked);

/** As Go joins several errors. */
function joined(messages: readonly string[]): string {
  return messages.length === 1 ? messages[0] : `[${messages.join(", ")}]`;
}

function answerTo(asked: Asked): object {
  const problems = new FieldProblems();
  const written = asked.config === undefined ? {} : parseDocuments(asked.config)[0].value;
  const config = readPodSecurity(written, problems);
  if (problems.any) return { allowed: false, message: joined(problems.list.map(({ message }) => message)) };
  const admission = new PodSecurityAdmission(config, {
    labels: () => asked.labels,
    pods: () => asked.pods ?? [],
  });
  const { object, old, user = "" } = asked;
  const judged = admission.judge({ object, old, user });
  const texts = judged.problems.map(({ message }) => message);
  const isInvalid = object.kind === "Namespace" && texts.length > 0;
  return {
    allowed: texts.length === 0,
    message: isInvalid ? `Namespace "${object.metadata.name}" is invalid: ${joined(texts)}` : texts.join(),
    warnings: judged.warnings,
    audit: judged.audit,
  };
}

for (const asked of requests) {
  t.test(asked.title, async (t) => {
    const nothing = { message: "", warnings: [], audit: {} };
    t.same({ ...nothing, ...answerTo(asked) }, { ...nothing, ...asked.answer });
  });
}
