// What containers and volumes read of other objects: ConfigMaps, Secrets, tokens. Whoever asks again gets what is then.
import type { KubeObject } from "../../kube/objects.ts";

/** Key → bytes. */
export type Entries = ReadonlyMap<string, Uint8Array>;

export interface ConfigObjects {
  /** Undefined: there is none. */
  configMap(namespace: string, name: string): Entries | undefined;
  secret(namespace: string, name: string): Entries | undefined;
  /** A token of the service account, for whoever `audience` names; undefined: nobody here gives any. */
  token(namespace: string, serviceAccount: string, audience: string | undefined): string | undefined;
  /** What the node has, for containers without a limit. */
  readonly capacity: { readonly cpu: string; readonly memory: string; readonly ephemeralStorage: string };
}

type Get = (kind: string, key: string) => KubeObject | undefined;

interface ConfigMapLike extends KubeObject {
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}

export function configObjects(
  get: Get,
  token: ConfigObjects["token"],
  capacity: ConfigObjects["capacity"],
): ConfigObjects {
  const find = (kind: string, namespace: string, name: string): ConfigMapLike | undefined =>
    get(kind, `${namespace}/${name}`);
  return {
    configMap: (namespace, name) => {
      const found = find("ConfigMap", namespace, name);
      if (found === undefined) return undefined;
      return new Map([...entries(found.data, "utf8"), ...entries(found.binaryData, "base64")]);
    },
    secret: (namespace, name) => {
      const found = find("Secret", namespace, name);
      return found === undefined ? undefined : new Map(entries(found.data, "base64"));
    },
    token,
    capacity,
  };
}

function entries(data: Record<string, string> | undefined, encoding: BufferEncoding): [string, Buffer][] {
  return Object.entries(data ?? {}).map(([key, text]) => [key, Buffer.from(text, encoding)]);
}
