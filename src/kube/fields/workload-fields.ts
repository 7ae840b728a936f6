// Node affinity, and what makes pods beside Deployments. The notation is field-table.ts's.
import { parseFieldTable } from "./field-table.ts";

export const WORKLOAD_FIELDS = parseFieldTable(`
Affinity
  nodeAffinity  served
  podAffinity,podAntiAffinity  lab  pods are not drawn together or apart: the node with the fewest takes the next one
NodeAffinity
  preferredDuringSchedulingIgnoredDuringExecution  lab  the node with the fewest pods takes the next one
  requiredDuringSchedulingIgnoredDuringExecution  served
NodeSelector
  nodeSelectorTerms  served
NodeSelectorTerm
  matchExpressions,matchFields  served
NodeSelectorRequirement
  key,operator,values  served
ReplicaSet
  apiVersion,kind,metadata,spec,status  served
ReplicaSetSpec
  minReadySeconds  lab [0]  a pod that is ready counts at once
  replicas,selector,template  served
ReplicaSetStatus
  availableReplicas,fullyLabeledReplicas,readyReplicas,replicas  served
  conditions  served  ReplicaFailure, written by the lab
  observedGeneration,terminatingReplicas  kept
ReplicationController
  apiVersion,kind,metadata,spec,status  served
ReplicationControllerSpec
  minReadySeconds  lab [0]  a pod that is ready counts at once
  replicas,selector,template  served
ReplicationControllerStatus
  availableReplicas,fullyLabeledReplicas,readyReplicas,replicas  served
  conditions  served  ReplicaFailure, written by the lab
  observedGeneration  kept
StatefulSet
  apiVersion,kind,metadata,spec,status  served
StatefulSetSpec
  minReadySeconds  lab [0]  a pod that is ready counts at once
  ordinals,podManagementPolicy,replicas,selector,serviceName,template,updateStrategy  served
  persistentVolumeClaimRetentionPolicy  kept
  revisionHistoryLimit  lab [10]  there is no history
  volumeClaimTemplates  lab  there are no volumes
StatefulSetOrdinals
  start  served
StatefulSetUpdateStrategy
  rollingUpdate,type  served
RollingUpdateStatefulSetStrategy
  maxUnavailable  lab [1]  one pod at a time
  partition  served  a pod below it that is made anew gets the new template
StatefulSetStatus
  availableReplicas,currentReplicas,currentRevision,readyReplicas,replicas,updateRevision,updatedReplicas  served
  collisionCount,conditions,observedGeneration  kept
DaemonSet
  apiVersion,kind,metadata,spec,status  served
DaemonSetSpec
  minReadySeconds  lab [0]  a pod that is ready counts at once
  revisionHistoryLimit  lab [10]  there is no history
  selector,template,updateStrategy  served
DaemonSetUpdateStrategy
  rollingUpdate,type  served
RollingUpdateDaemonSet
  maxSurge  lab [0|0%]  old pods go before new ones come
  maxUnavailable  served
DaemonSetStatus
  currentNumberScheduled,desiredNumberScheduled,numberAvailable,numberMisscheduled,numberReady  served
  collisionCount,conditions,observedGeneration  kept
  numberUnavailable,updatedNumberScheduled  served
Job
  apiVersion,kind,metadata,spec,status  served
JobSpec
  activeDeadlineSeconds,backoffLimit,completionMode,completions,parallelism  served
  backoffLimitPerIndex,maxFailedIndexes  lab  failures are counted for all indexes together
  manualSelector  kept  with it a selector may be given
  managedBy  lab [kubernetes.io/job-controller]  podwire runs it all the same
  podFailurePolicy  lab  every failure counts
  podReplacementPolicy  lab [TerminatingOrFailed]  a pod that is ending is replaced at once
  selector,suspend,template,ttlSecondsAfterFinished  served
  successPolicy  lab  a Job is done when all its completions are
JobStatus
  active,completedIndexes,completionTime,conditions,failed,ready,startTime,succeeded  served
  failedIndexes,terminating,uncountedTerminatedPods  kept
JobCondition
  lastProbeTime,lastTransitionTime,message,reason,status,type  served
`);
