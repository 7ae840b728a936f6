// Who signs the identities of a mesh in a lab: requests of a proxy for pods of its own node are approved and signed,
// others are denied, and say why. Only the proxies' account may ask, and the token by which it asked says which pod it
// was.
import type { Cluster } from "../../cluster/cluster.ts";
import { timeText } from "../../cluster/event-recorder.ts";
import {
  isMeshProxy,
  MESH_NAME,
  MESH_NAMESPACE,
  MESH_SIGNER,
  TRUST_DOMAIN,
} from "../../kube/mesh/mesh-names.ts";
import { readSpiffeId, type Workload } from "../../kube/mesh/spiffe.ts";
import type { KubeObject, Pod } from "../../kube/objects.ts";
import { conditionsOf, type SigningRequest } from "../../kube/validate/signing/signing-request.ts";
import { oneLine } from "../errors.ts";
import type { MeshAuthority, ReadRequest } from "./mesh-authority.ts";

const KIND = "CertificateSigningRequest";
const ACCOUNT = `system:serviceaccount:${MESH_NAMESPACE}:${MESH_NAME}`;
const EXTRA = "authentication.kubernetes.io/";
const USAGES = ["client auth", "digital signature", "key encipherment", "server auth"];
const LIFE_DEFAULT_SEC = 3600;
const ENDED = ["Failed", "Succeeded"];

export interface SignerOptions {
  readonly cluster: Cluster;
  /** Opened when there is something to sign. */
  readonly authority: () => Promise<MeshAuthority>;
  readonly certificateSec: number | undefined;
  readonly log: (line: string) => void;
}

/** Why a request is denied. */
class Denial {
  readonly reason: string;
  readonly message: string;

  constructor(reason: string, message: string) {
    this.reason = reason;
    this.message = message;
  }
}

export class MeshSigner {
  readonly #options: SignerOptions;
  readonly #atWork = new Set<string>();

  constructor(options: SignerOptions) {
    this.#options = options;
  }

  /** From now on; those that wait already, too. */
  start(): void {
    const { cluster } = this.#options;
    cluster.onChange(({ type, object }) => {
      if (object.kind === KIND && type !== "DELETED") this.#look(object as SigningRequest);
    });
    for (const object of cluster.list(KIND)) this.#look(object as SigningRequest);
  }

  #look(request: SigningRequest): void {
    const { name, uid = "" } = request.metadata;
    if (request.spec.signerName !== MESH_SIGNER || isDecided(request) || this.#atWork.has(uid)) return;
    this.#atWork.add(uid);
    this.#decide(request)
      .catch((error) => this.#options.log(`mesh: CertificateSigningRequest ${name}: ${oneLine(error)}`))
      .finally(() => this.#atWork.delete(uid));
  }

  async #decide(request: SigningRequest): Promise<void> {
    const { cluster, certificateSec = LIFE_DEFAULT_SEC } = this.#options;
    const authority = await this.#options.authority();
    const pem = Buffer.from(request.spec.request, "base64").toString("latin1");
    const read = await authority.read(pem);
    const workload = this.#judged(request, read);
    if (workload instanceof Denial) {
      this.#write(request, "Denied", workload);
      return;
    }
    const { expirationSeconds = certificateSec } = request.spec;
    const lifeMs = Math.min(certificateSec, expirationSeconds) * 1000;
    const certificate = await authority.sign(read as ReadRequest, workload, lifeMs);
    if (cluster.get(KIND, request.metadata.name)?.metadata.uid !== request.metadata.uid) return; // gone meanwhile
    const message = `for pods of ${workload.namespace}/${workload.serviceAccount} on the proxy's node`;
    this.#write(
      request,
      "Approved",
      { reason: "PodOnNode", message },
      Buffer.from(certificate).toString("base64"),
    );
  }

  /** Whom it is for, or why it is denied. */
  #judged({ spec }: SigningRequest, read: ReadRequest | undefined): Workload | Denial {
    if (spec.username !== ACCOUNT)
      return new Denial("WrongRequester", `${spec.username} asks: identities are given to ${ACCOUNT} alone`);
    const node = this.#nodeOf(spec.extra ?? {});
    if (node instanceof Denial) return node;
    const usage = (spec.usages ?? []).find((each) => !USAGES.includes(each));
    if (usage !== undefined) return new Denial("WrongUsage", `${usage} is none of ${USAGES.join(", ")}`);
    if (read === undefined) return new Denial("Malformed", "the request is no PKCS #10 that can be read");
    if (!read.isSigned) return new Denial("WrongSignature", "the request is not signed by its own key");
    if (!read.isKeyStrong)
      return new Denial("WeakKey", "its key is none of P-256, P-384, P-521, RSA of 2048 bits");
    const [name = "", ...more] = read.names;
    const workload = name.startsWith("URI ") ? readSpiffeId(name.slice("URI ".length)) : undefined;
    if (workload === undefined || more.length > 0 || workload.trustDomain !== TRUST_DOMAIN) {
      const wanted = `one URI spiffe://${TRUST_DOMAIN}/ns/NAMESPACE/sa/SERVICEACCOUNT`;
      return new Denial(
        "WrongName",
        `it asks for ${read.names.join(", ") || "no name"}: it has to be ${wanted}`,
      );
    }
    const { namespace, serviceAccount } = workload;
    const isThere = (this.#options.cluster.list("Pod", namespace) as Pod[]).some(
      (pod) =>
        pod.spec.nodeName === node &&
        (pod.spec.serviceAccountName ?? "default") === serviceAccount &&
        !ENDED.includes(pod.status.phase ?? ""),
    );
    if (isThere) return workload;
    return new Denial(
      "NoSuchPod",
      `no pod of service account ${namespace}/${serviceAccount} is on node ${node}`,
    );
  }

  /** Of the proxy that asks, by what its token said. */
  #nodeOf(extra: Readonly<Record<string, readonly string[]>>): string | Denial {
    const [name = ""] = extra[`${EXTRA}pod-name`] ?? [];
    const [uid = ""] = extra[`${EXTRA}pod-uid`] ?? [];
    if (name === "") return new Denial("NoPod", "the token that it came with is not bound to a pod");
    const pod = this.#options.cluster.get("Pod", `${MESH_NAMESPACE}/${name}`) as Pod | undefined;
    const isIt = pod?.metadata.uid === uid && isMeshProxy(pod.metadata);
    if (isIt && pod.spec.nodeName !== undefined) return pod.spec.nodeName;
    return new Denial("NoProxy", `pod ${MESH_NAMESPACE}/${name} is no proxy of the mesh on a node`);
  }

  #write(
    request: SigningRequest,
    type: "Approved" | "Denied",
    { reason, message }: { readonly reason: string; readonly message: string },
    certificate?: string,
  ): void {
    const { cluster } = this.#options;
    const now = cluster.get(KIND, request.metadata.name) as SigningRequest | undefined;
    // Somebody has decided, or taken it away, while it was looked at.
    if (now === undefined || now.metadata.uid !== request.metadata.uid || isDecided(now)) return;
    const nowText = timeText(Date.now());
    const times = { lastUpdateTime: nowText, lastTransitionTime: nowText };
    const condition = { type, status: "True", reason, message, ...times };
    const conditions = [...(now.status?.conditions ?? []), condition];
    const status = { ...now.status, conditions, ...(certificate !== undefined && { certificate }) };
    cluster.update({ ...now, status } as KubeObject);
  }
}

function isDecided(request: SigningRequest): boolean {
  return ["Approved", "Denied", "Failed"].some((type) => conditionsOf(request, type).length > 0);
}
