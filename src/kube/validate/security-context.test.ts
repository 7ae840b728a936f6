// What an API server refuses of security contexts before anybody asks for a level, in its own words (1.35).
import t from "tap";
import { parseManifests } from "../manifest/manifest.ts";

function problemsOf(spec: string, meta = ""): string[] {
  const text = `{ apiVersion: v1, kind: Pod, metadata: { name: a ${meta} }, spec: { ${spec} } }`;
  try {
    parseManifests([{ file: "f", text }]);
    return [];
  } catch (error) {
    return (error as Error).message.split("\n").map((line) => line.replace(/^.*?Pod "a": /, ""));
  }
}
const pod = (fields: string) => `${fields}, containers: [ { name: c, image: a } ]`;
const container = (context: string, more = "") =>
  `${more} containers: [ { name: c, image: a, securityContext: { ${context} } } ]`;
const CONTEXT = "spec.containers[0].securityContext";

const CASES: Readonly<Record<string, readonly string[]>> = {
  [pod("securityContext: { runAsUser: -1, fsGroup: 2147483648, supplementalGroups: [ 1, -2 ] }")]: [
    "spec.securityContext.fsGroup: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive",
    "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
    "spec.securityContext.supplementalGroups[1]: Invalid value: -2: must be between 0 and 2147483647, inclusive",
  ],
  [pod(
    'securityContext: { sysctls: [ { name: "", value: x }, { name: a..b }, { name: a.b }, { name: a.b } ] }',
  )]: [
    "spec.securityContext.sysctls[0].name: Required value",
    'spec.securityContext.sysctls[1].name: Invalid value: "a..b": must have at most 253 characters and match regex ' +
      "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
    'spec.securityContext.sysctls[3].name: Duplicate value: "a.b"',
  ],
  [pod(
    "hostNetwork: true, hostIPC: true, securityContext: { sysctls: [ { name: net.core.somaxconn }, { name: kernel.msgmax } ] }",
  )]: [
    "spec.securityContext.sysctls[0].name: Invalid value: \"net.core.somaxconn\": may not be specified when 'hostNetwork' is true",
    "spec.securityContext.sysctls[1].name: Invalid value: \"kernel.msgmax\": may not be specified when 'hostIPC' is true",
  ],
  [pod("hostPID: true, shareProcessNamespace: true")]: [
    "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
  ],
  [pod("securityContext: { fsGroupChangePolicy: Never }")]: [
    'spec.securityContext.fsGroupChangePolicy: Unsupported value: "Never": supported values: "Always", "OnRootMismatch"',
  ],
  [container("seccompProfile: { localhostProfile: x }, appArmorProfile: { type: Other }, procMount: Other")]:
    [
      `${CONTEXT}.procMount: Unsupported value: "Other": supported values: "Default", "Unmasked"`,
      `${CONTEXT}.seccompProfile.type: Required value: type is required when seccompProfile is set`,
      `${CONTEXT}.seccompProfile.localhostProfile: Invalid value: {"localhostProfile":"x"}: can only be set when seccomp type is Localhost`,
      `${CONTEXT}.appArmorProfile.type: Unsupported value: "Other": supported values: "Localhost", "RuntimeDefault", "Unconfined"`,
    ],
  [container("seccompProfile: { type: Localhost }, appArmorProfile: { type: Localhost }")]: [
    `${CONTEXT}.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost`,
    `${CONTEXT}.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost`,
  ],
  [container(
    'seccompProfile: { type: Localhost, localhostProfile: /a/../b }, appArmorProfile: { type: Localhost, localhostProfile: " a" }',
  )]: [
    `${CONTEXT}.seccompProfile.localhostProfile: Invalid value: "/a/../b": must be a relative path`,
    `${CONTEXT}.seccompProfile.localhostProfile: Invalid value: "/a/../b": must not contain '..'`,
    `${CONTEXT}.appArmorProfile.localhostProfile: Invalid value: " a": must not be padded with whitespace`,
  ],
  [container("procMount: Unmasked")]: [
    `${CONTEXT}.procMount: Invalid value: "Unmasked": \`hostUsers\` must be false to use \`Unmasked\``,
  ],
  [container("procMount: Unmasked", "hostUsers: false,")]: [],
  [container("privileged: true, allowPrivilegeEscalation: false")]: [
    `${CONTEXT}: Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: cannot set \`allowPrivilegeEscalation\` to false and \`privileged\` to true`,
  ],
  [pod("hostUsers: false, hostNetwork: true, hostPID: true")]: [
    "spec.hostNetwork: Forbidden: when `hostUsers` is false",
    "spec.HostPID: Forbidden: when `hostUsers` is false",
  ],
  [container("windowsOptions: { hostProcess: true }")]: [
    "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers",
  ],
  [container("windowsOptions: { hostProcess: true }", "hostNetwork: true, os: { name: windows },")]: [],
  [container("runAsUser: 1, capabilities: { drop: [ ALL ] }", "os: { name: windows }, hostUsers: true,")]: [
    "spec.hostUsers: Forbidden: cannot be set for a windows pod",
    `${CONTEXT}.capabilities: Forbidden: cannot be set for a windows pod`,
    `${CONTEXT}.runAsUser: Forbidden: cannot be set for a windows pod`,
  ],
  [container("windowsOptions: { runAsUserName: x }", "os: { name: linux },")]: [
    `${CONTEXT}.windowsOptions: Forbidden: windows options cannot be set for a linux pod`,
  ],
  [pod("os: { name: beos }")]: ['spec.os: Unsupported value: "beos": supported values: "linux", "windows"'],
  [pod("volumes: [ { name: v, emptyDir: { }, hostPath: { path: / }, nfs: { server: s, path: / } } ]")]: [
    "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
    "spec.volumes[0].nfs: Forbidden: may not specify more than 1 volume type",
  ],
};

t.test("security contexts that no API server takes", async (t) => {
  for (const [spec, wanted] of Object.entries(CASES)) t.same(problemsOf(spec), wanted, spec);
  t.match(problemsOf(pod("runtimeClassName: A_b")), [
    /^spec\.runtimeClassName: Invalid value: "A_b": a lowercase RFC 1123/,
  ]);
});

t.test("AppArmor's annotations name containers and profiles", async (t) => {
  const key = "container.apparmor.security.beta.kubernetes.io";
  const meta = `, annotations: { ${key}/c: other, ${key}/d: unconfined, ${key}/e: localhost/x }`;
  const spec = "initContainers: [ { name: e, image: a } ], containers: [ { name: c, image: a } ]";
  t.same(problemsOf(spec, meta), [
    `metadata.annotations[${key}/c]: Invalid value: "other": invalid AppArmor profile name: "other"`,
    `metadata.annotations[${key}/d]: Invalid value: "d": container not found`,
  ]);
});
