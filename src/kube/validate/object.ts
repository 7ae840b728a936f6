// Dispatch: the rules of every kind that is stored.
import type { KindInfo } from "../kinds.ts";
import type { FieldProblems } from "../manifest/field-problems.ts";
import type { KubeObject } from "../objects.ts";
import { validateClusterNetworkPolicy } from "./cluster-network-policy.ts";
import { validateConfigMap, validateSecret } from "./config-data.ts";
import { validateCronJob } from "./cron-job.ts";
import { validateCustomDefinition } from "./custom-definition.ts";
import { validateEndpointSlice } from "./endpoint-slice.ts";
import { validateEndpoints } from "./endpoints.ts";
import { validateMetadata } from "./metadata.ts";
import { validateNetworkPolicy } from "./network-policy.ts";
import { validatePod } from "./pod.ts";
import { validateDisruptionBudget } from "./rolling-update.ts";
import { validateIngress, validateIngressClass } from "./routing/ingress.ts";
import { validateService } from "./service.ts";
import { validateServiceCidr } from "./service-cidr.ts";
import { validateSigningRequest } from "./signing/signing-request.ts";
import { validateDeployment, validateNode } from "./workload.ts";
import {
  validateDaemonSet,
  validateJob,
  validateReplicaSet,
  validateReplicationController,
  validateStatefulSet,
} from "./workloads.ts";

const rules: Record<string, (object: never, problems: FieldProblems) => void> = {
  Service: validateService,
  EndpointSlice: validateEndpointSlice,
  Endpoints: validateEndpoints,
  Pod: validatePod,
  Deployment: validateDeployment,
  ReplicaSet: validateReplicaSet,
  StatefulSet: validateStatefulSet,
  DaemonSet: validateDaemonSet,
  Job: validateJob,
  CronJob: validateCronJob,
  ReplicationController: validateReplicationController,
  NetworkPolicy: validateNetworkPolicy,
  ClusterNetworkPolicy: validateClusterNetworkPolicy,
  Ingress: validateIngress,
  IngressClass: validateIngressClass,
  Node: validateNode,
  CustomResourceDefinition: validateCustomDefinition,
  ConfigMap: validateConfigMap,
  Secret: validateSecret,
  ServiceCIDR: validateServiceCidr,
  PodDisruptionBudget: validateDisruptionBudget,
  CertificateSigningRequest: validateSigningRequest,
};

/** Reports what an API server would refuse about a defaulted object whose field types are right. */
export function validateObject(object: KubeObject, info: KindInfo, problems: FieldProblems): void {
  validateMetadata(object.metadata, info, problems);
  const validate = rules[object.kind] as ((object: KubeObject, problems: FieldProblems) => void) | undefined;
  validate?.(object, problems);
}
