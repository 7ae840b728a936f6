// One certificate: a key is made, a request goes to the API, and its signer's answer is waited for.
import { webcrypto, X509Certificate } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { PodwireError } from "../../base/errors.ts";
import { MESH_NAME, MESH_SIGNER } from "../../kube/mesh/mesh-names.ts";
import type { SigningRequest } from "../../kube/validate/signing/signing-request.ts";
import type { ApiConnection, Asked } from "../../watch/api-server/connection.ts";
import type { Svid } from "./identity-source.ts";

const AT = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const USAGES = ["digital signature", "key encipherment", "client auth", "server auth"];
const ANSWER_MS = 15_000;
/** For a signer that works by hand this is too short: the next try waits again. */
const SIGNED_MS = 60_000;
const POLL_FIRST_MS = 25;
const POLL_MAX_MS = 2000;

/** Throws a PodwireError of one line. `isOver`: nobody wants it any more. */
export async function certificateFor(
  id: string,
  connection: ApiConnection,
  isOver: () => boolean,
): Promise<Svid> {
  const { key, request } = await makeRequest(id);
  const made = await ask(connection, {
    ...{ method: "POST", path: AT },
    body: {
      ...{ apiVersion: "certificates.k8s.io/v1", kind: "CertificateSigningRequest" },
      metadata: { generateName: `${MESH_NAME}-` },
      spec: { request: Buffer.from(request).toString("base64"), signerName: MESH_SIGNER, usages: USAGES },
    },
  });
  const { name, uid } = made.metadata;
  const endMs = Date.now() + SIGNED_MS;
  let waitMs = POLL_FIRST_MS;
  for (let now = made; ; waitMs = Math.min(POLL_MAX_MS, waitMs * 2)) {
    const certificate = answered(now);
    if (certificate !== undefined) return svidOf(id, key, certificate);
    if (isOver() || Date.now() > endMs)
      throw failed(`nobody has signed CertificateSigningRequest ${name} yet`);
    await sleep(waitMs);
    now = await ask(connection, { method: "GET", path: `${AT}/${name}` });
    if (now.metadata.uid !== uid) throw failed(`CertificateSigningRequest ${name} is gone`);
  }
}

/** The certificate in base64; undefined: not yet. Throws where it is refused. */
function answered({ metadata: { name }, status }: SigningRequest): string | undefined {
  const refusal = status?.conditions?.find(({ type }) => type === "Denied" || type === "Failed");
  if (refusal !== undefined) {
    const { type, reason = "", message = "" } = refusal;
    throw failed(`CertificateSigningRequest ${name}: ${[type, reason].join(" ").trim()}: ${message}`);
  }
  return (status?.certificate ?? "") === "" ? undefined : status?.certificate;
}

function svidOf(id: string, key: string, certificate: string): Svid {
  const cert = Buffer.from(certificate, "base64").toString("latin1");
  const { validTo, subjectAltName = "" } = new X509Certificate(cert);
  if (subjectAltName !== `URI:${id}`) throw failed(`what was signed is of ${subjectAltName || "nobody"}`);
  return { id, key, cert, notAfterMs: Date.parse(validTo) };
}

/** PEM, both. */
async function makeRequest(id: string): Promise<{ key: string; request: string }> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto as never);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    ...{ name: "", keys, signingAlgorithm: ALGORITHM },
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "url", value: id }], true)],
  });
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { key: x509.PemConverter.encode(key, "PRIVATE KEY"), request: request.toString("pem") };
}

function ask(connection: ApiConnection, asked: Asked): Promise<SigningRequest> {
  return new Promise((resolve, reject) => {
    let status = 0;
    const parts: Uint8Array[] = [];
    const patience = setTimeout(() => {
      call.close();
      reject(failed(`${connection.server} does not answer within ${ANSWER_MS / 1000} s`));
    }, ANSWER_MS);
    const call = connection.send(asked, {
      status: (code) => void (status = code),
      data: (chunk) => void parts.push(Uint8Array.from(chunk)),
      end: (error) => {
        clearTimeout(patience);
        if (status === 401) connection.refused();
        const body = bodyOf(Buffer.concat(parts).toString("utf8"));
        if (error === undefined && status >= 200 && status < 300 && body?.metadata !== undefined)
          resolve(body);
        else reject(failed(error ?? body?.message ?? `${connection.server} answers with status ${status}`));
      },
    });
  });
}

function bodyOf(text: string): (SigningRequest & { readonly message?: string }) | undefined {
  try {
    return JSON.parse(text) as SigningRequest;
  } catch {
    return undefined;
  }
}

function failed(message: string): PodwireError {
  return new PodwireError(message, { code: "MESH_IDENTITY" });
}
