// ConfigMaps, Secrets, namespaces and the like, from words on the command line.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { CliError, usageError } from "../../errors.ts";
import { type Draft, draft } from "./parts.ts";
import { bytesOf, dataOf, type SourceFlags } from "./sources.ts";

export interface Place {
  name: string;
  namespace?: string | undefined;
}

export function namespaceDraft(name: string): Draft {
  return draft("v1", "Namespace", { name });
}

export function serviceAccountDraft(place: Place): Draft {
  return draft("v1", "ServiceAccount", { ...place });
}

/** What is no UTF-8 goes to binaryData. */
export function configMapDraft(place: Place, flags: SourceFlags): Draft {
  const texts: Record<string, string> = {};
  const binary: Record<string, string> = {};
  for (const [key, bytes] of dataOf(`ConfigMap "${place.name}"`, flags)) {
    const text = bytes.toString("utf8");
    if (Buffer.from(text).equals(bytes)) texts[key] = text;
    else binary[key] = bytes.toString("base64");
  }
  return draft("v1", "ConfigMap", { ...place }, { ...some("data", texts), ...some("binaryData", binary) });
}

export function secretDraft(place: Place, flags: SourceFlags & { type?: string }): Draft {
  const data = dataOf(`Secret "${place.name}"`, flags);
  return secret(place, flags.type ?? "", Object.fromEntries(data));
}

export function tlsSecretDraft(place: Place, { cert, key }: { cert?: string; key?: string }): Draft {
  if (cert === undefined || key === undefined)
    throw usageError("create secret tls: key and cert must be specified: --cert FILE --key FILE");
  const [certificate, privateKey] = [bytesOf(cert), bytesOf(key)];
  let isPair: boolean;
  try {
    isPair = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey));
  } catch {
    throw new CliError(`create secret tls: ${cert}, ${key}: not a certificate and its private key in PEM`);
  }
  if (!isPair) throw new CliError("create secret tls: tls: private key does not match public key");
  return secret(place, "kubernetes.io/tls", { "tls.crt": certificate, "tls.key": privateKey });
}

export interface RegistryFlags {
  dockerServer?: string;
  dockerUsername?: string;
  dockerPassword?: string;
  dockerEmail?: string;
}

const DOCKER_HUB = "https://index.docker.io/v1/";

export function registrySecretDraft(place: Place, flags: RegistryFlags): Draft {
  const { dockerServer: server = DOCKER_HUB, dockerUsername: username, dockerPassword: password } = flags;
  if (!username || !password)
    throw usageError("create secret docker-registry: --docker-username and --docker-password are needed");
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  const email = flags.dockerEmail === undefined ? {} : { email: flags.dockerEmail };
  const config = { auths: { [server]: { username, password, ...email, auth } } };
  return secret(place, "kubernetes.io/dockerconfigjson", {
    ".dockerconfigjson": Buffer.from(JSON.stringify(config)),
  });
}

function secret(place: Place, type: string, data: Record<string, Buffer>): Draft {
  const encoded = Object.fromEntries(
    Object.entries(data).map(([key, bytes]) => [key, bytes.toString("base64")]),
  );
  return draft("v1", "Secret", { ...place }, { ...some("data", encoded), ...(type === "" ? {} : { type }) });
}

function some(field: string, map: Record<string, string>): object {
  return Object.keys(map).length === 0 ? {} : { [field]: map };
}
