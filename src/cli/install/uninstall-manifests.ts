// The DaemonSet that takes from each node what the agent and `installManifests` left there, once the DaemonSet podwire is
// gone: three init containers in turn, and a container that has nothing left to do.
import { type Place, quoted } from "./manifests.ts";

export function uninstallManifests(place: Place): string {
  return HEAD + daemonSet(place, quoted(place.image));
}

const HEAD = `# Takes from every node, by a pod on each, what podwire left there, once its DaemonSet is gone. Printed by
#   podwire uninstall --print
# docs/install.md tells what comes before and after.
`;

const daemonSet = (place: Place, image: string): string => `apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: podwire-uninstall
  namespace: ${quoted(place.namespace)}
  labels: { app.kubernetes.io/name: podwire-uninstall }
spec:
  selector:
    matchLabels: { app.kubernetes.io/name: podwire-uninstall }
  updateStrategy:
    type: RollingUpdate
    rollingUpdate: { maxUnavailable: 100% }
  template:
    metadata:
      labels: { app.kubernetes.io/name: podwire-uninstall }
    spec:
      automountServiceAccountToken: false
      hostNetwork: true
      dnsPolicy: Default
      enableServiceLinks: false
      priorityClassName: system-node-critical
      terminationGracePeriodSeconds: 1
      nodeSelector: { kubernetes.io/os: linux }
      tolerations: [ { operator: Exists } ]
      initContainers:
${plain("cni", image, "podwire, cni, remove, --bin-dir, /host/bin, --conf-dir, /host/net.d")}          volumeMounts:
            - { name: cni-bin, mountPath: /host/bin }
            - { name: cni-conf, mountPath: /host/net.d }
${machine(image)}${plain("state", image, "rm, -rf, /host/run/podwire, /host/lib/podwire")}          volumeMounts:
            - { name: run, mountPath: /host/run }
            - { name: state, mountPath: /host/lib }
      # There is nothing left to do; a pod that is ready says that its node is done.
      containers:
${plain("done", image, "sleep, infinity")}      volumes:
        - { name: configuration, configMap: { name: podwire } }
        - { name: run, hostPath: { path: /run } }
        - { name: state, hostPath: { path: /var/lib } }
        - { name: cni-bin, hostPath: { path: ${quoted(place.cniBinDir)}, type: DirectoryOrCreate } }
        - { name: cni-conf, hostPath: { path: ${quoted(place.cniConfDir)}, type: DirectoryOrCreate } }
`;

const plain = (name: string, image: string, command: string): string => `        - name: ${name}
          image: ${image}
          imagePullPolicy: IfNotPresent
          command: [ ${command} ]
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: { drop: [ ALL ]${name === "done" ? "" : ", add: [ DAC_OVERRIDE ]"} }
`;

const machine = (image: string): string => `        - name: machine
          image: ${image}
          imagePullPolicy: IfNotPresent
          command: [ podwire, agent, --cleanup, --config, /etc/podwire/agent.yaml, --node-name, $(NODE_NAME) ]
          env:
            - name: NODE_NAME
              valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
          securityContext:
            privileged: true
            readOnlyRootFilesystem: true
          volumeMounts:
            - { name: configuration, mountPath: /etc/podwire, readOnly: true }
            - { name: run, mountPath: /run }
            - { name: state, mountPath: /var/lib }
`;
