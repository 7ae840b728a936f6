// ConfigMaps, Secrets, service accounts.
import type { KubeObject } from "../../../kube/objects.ts";
import { head, marks, sorted } from "./parts.ts";
import type { TabWriter } from "./tabs.ts";

type Data = Readonly<Record<string, string>>;

export interface ConfigObject extends KubeObject {
  data?: Data;
  binaryData?: Data;
  type?: string;
  imagePullSecrets?: { name: string }[];
}

const TOKEN_TYPE = "kubernetes.io/service-account-token";

export function configMapLines(w: TabWriter, object: ConfigObject): void {
  head(w, object);
  marks(w, object);
  w.line(0, "\nData\n====");
  for (const [key, text] of sorted(object.data)) w.line(0, `${key}:\n----\n${text}\n`);
  w.line(0, "\nBinaryData\n====");
  for (const [key, text] of sorted(object.binaryData)) w.line(0, `${key}: ${byteLength(text)} bytes`);
  w.line(0, "");
}

/** How much there is; what, is nobody's business but a token's. */
export function secretLines(w: TabWriter, object: ConfigObject): void {
  head(w, object);
  marks(w, object);
  w.line(0, `\nType:\t${object.type ?? ""}`);
  w.line(0, "\nData\n====");
  for (const [key, text] of sorted(object.data)) {
    const isToken = key === "token" && object.type === TOKEN_TYPE;
    w.line(0, `${key}:\t${isToken ? Buffer.from(text, "base64") : `${byteLength(text)} bytes`}`);
  }
}

function byteLength(base64: string): number {
  return Buffer.from(base64, "base64").length;
}

export function serviceAccountLines(w: TabWriter, object: ConfigObject): void {
  head(w, object);
  marks(w, object);
  const title = "Image pull secrets:";
  const names = (object.imagePullSecrets ?? []).map(({ name }) => name);
  for (const [i, name] of (names.length === 0 ? ["<none>"] : names).entries())
    w.line(0, `${i === 0 ? title : " ".repeat(title.length)}\t${name}`);
}
