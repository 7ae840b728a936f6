// ConfigMaps and Secrets: names of their keys, and data that is written in base64.
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type { ConfigMap, Secret } from "../objects.ts";

const KEY = /^[-._a-zA-Z0-9]+$/;
const KEY_TEXT =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  " +
  "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const SIZE_MAX_BYTES = 1_048_576;

/** Of a Secret's type, what it has to hold. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
};

export function validateConfigMap({ data = {}, binaryData = {} }: ConfigMap, problems: FieldProblems): void {
  for (const key of Object.keys(data)) {
    checkKey(["data", key], key, problems);
    if (Object.hasOwn(binaryData, key))
      problems.invalid(["data", key], key, "duplicate of key present in binaryData");
  }
  for (const [key, value] of Object.entries(binaryData)) {
    checkKey(["binaryData", key], key, problems);
    checkBase64(["binaryData", key], value, problems);
  }
  const text = Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value), 0);
  checkSize([], text + decodedBytes(binaryData), problems);
}

export function validateSecret({ data = {}, type = "" }: Secret, problems: FieldProblems): void {
  for (const [key, value] of Object.entries(data)) {
    checkKey(["data", key], key, problems);
    checkBase64(["data", key], value, problems);
  }
  for (const key of NEEDED[type] ?? [])
    if (!Object.hasOwn(data, key)) problems.add(["data", key], `data[${key}]: Required value`);
  checkSize(["data"], decodedBytes(data), problems);
}

/** What is marked as immutable stays so, and as it is. */
export function validateDataUpdate(
  next: ConfigMap | Secret,
  old: ConfigMap | Secret,
  problems: FieldProblems,
): void {
  if (next.kind === "Secret" && (next as Secret).type !== (old as Secret).type)
    problems.invalid(["type"], (next as Secret).type ?? "", "field is immutable");
  if (old.immutable !== true) return;
  if (next.immutable !== true)
    problems.forbidden(["immutable"], "field is immutable when `immutable` is set");
  for (const field of ["data", "binaryData"] as const) {
    const [a, b] = [next, old].map((each) => JSON.stringify(sorted((each as ConfigMap)[field])));
    if (a !== b) problems.forbidden([field], "field is immutable when `immutable` is set");
  }
}

function sorted(data: Readonly<Record<string, string>> = {}): [string, string][] {
  return Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1));
}

function checkKey(path: FieldPath, key: string, problems: FieldProblems): void {
  if (!KEY.test(key)) problems.invalid(path, key, KEY_TEXT);
  if (key.length > 253) problems.invalid(path, key, "must be no more than 253 characters");
  if (key === "." || key === "..") problems.invalid(path, key, `must not be '${key}'`);
}

/** In the words of Go's decoder. */
function checkBase64(path: FieldPath, value: string, problems: FieldProblems): void {
  if (BASE64.test(value.replaceAll(/[\r\n]/g, ""))) return;
  const at = value.search(/[^A-Za-z0-9+/=\r\n]/);
  problems.invalid(path, value, `illegal base64 data at input byte ${at < 0 ? value.length : at}`);
}

function checkSize(path: FieldPath, bytes: number, problems: FieldProblems): void {
  if (bytes > SIZE_MAX_BYTES)
    problems.add(path, `${path.join(".")}: Too long: may not be more than ${SIZE_MAX_BYTES} bytes`);
}

function decodedBytes(data: Readonly<Record<string, string>>): number {
  return Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value, "base64"), 0);
}
