// What containers and volumes read of other objects: ConfigMaps, Secrets, Services, tokens. Whoever asks again gets what
// is then.
import type { KubeObject, Pod, Service } from "../../kube/objects.ts";

/** Key → bytes. */
export type Entries = ReadonlyMap<string, Uint8Array>;

export interface ConfigObjects {
  /** Undefined: there is none. */
  configMap(namespace: string, name: string): Entries | undefined;
  secret(namespace: string, name: string): Entries | undefined;
  /** By which a pod's programs may look for others: those of its namespace, and the API's. */
  services(namespace: string): readonly Service[];
  /** A new token of the pod's service account; undefined: nobody here gives any. */
  token(pod: Pod, wanted: TokenWanted): PodToken | undefined;
  /** What the node has, for containers without a limit. */
  readonly capacity: { readonly cpu: string; readonly memory: string; readonly ephemeralStorage: string };
}

export interface TokenWanted {
  /** Whom it is for; undefined: the API. */
  readonly audience?: string | undefined;
  readonly expirationSeconds?: number | undefined;
}

export interface PodToken {
  readonly token: string;
  /** Milliseconds since 1970: when it is time for the next one. */
  readonly renewAtMs: number;
}

type Get = (kind: string, key: string) => KubeObject | undefined;

interface ConfigMapLike extends KubeObject {
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}

export function configObjects(
  get: Get,
  { services, token, capacity }: Pick<ConfigObjects, "services" | "token" | "capacity">,
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
    ...{ services, token, capacity },
  };
}

function entries(data: Record<string, string> | undefined, encoding: BufferEncoding): [string, Buffer][] {
  return Object.entries(data ?? {}).map(([key, text]) => [key, Buffer.from(text, encoding)]);
}
