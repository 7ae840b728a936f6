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
  minReadySeconds,replicas,selector,template  served
ReplicaSetStatus
  availableReplicas,fullyLabeledReplicas,readyReplicas,replicas  served
  conditions  served  ReplicaFailure, written by the lab
  observedGeneration  served
  terminatingReplicas  kept
ReplicationController
  apiVersion,kind,metadata,spec,status  served
ReplicationControllerSpec
  minReadySeconds,replicas,selector,template  served
ReplicationControllerStatus
  availableReplicas,fullyLabeledReplicas,readyReplicas,replicas  served
  conditions  served  ReplicaFailure, written by the lab
  observedGeneration  served
StatefulSet
  apiVersion,kind,metadata,spec,status  served
StatefulSetSpec
  minReadySeconds,ordinals,podManagementPolicy,replicas,revisionHistoryLimit,selector,serviceName  served
  persistentVolumeClaimRetentionPolicy  kept
  template,updateStrategy  served
  volumeClaimTemplates  served  a directory of the lab's for each; claims are bound at once
StatefulSetOrdinals
  start  served
StatefulSetUpdateStrategy
  rollingUpdate,type  served
RollingUpdateStatefulSetStrategy
  maxUnavailable  lab [1]  one pod at a time
  partition  served
StatefulSetStatus
  availableReplicas,currentReplicas,currentRevision,readyReplicas,replicas,updateRevision,updatedReplicas  served
  observedGeneration  served
  collisionCount,conditions  kept
DaemonSet
  apiVersion,kind,metadata,spec,status  served
DaemonSetSpec
  minReadySeconds,revisionHistoryLimit,selector,template,updateStrategy  served
DaemonSetUpdateStrategy
  rollingUpdate,type  served
RollingUpdateDaemonSet
  maxSurge,maxUnavailable  served
DaemonSetStatus
  currentNumberScheduled,desiredNumberScheduled,numberAvailable,numberMisscheduled,numberReady  served
  observedGeneration  served
  collisionCount,conditions  kept
  numberUnavailable,updatedNumberScheduled  served
Job
  apiVersion,kind,metadata,spec,status  served
JobSpec
  activeDeadlineSeconds,backoffLimit,backoffLimitPerIndex,completionMode,completions  served
  managedBy,maxFailedIndexes,parallelism,podFailurePolicy,podReplacementPolicy  served
  manualSelector  kept  with it a selector may be given
  selector,successPolicy,suspend,template,ttlSecondsAfterFinished  served
JobStatus
  active,completedIndexes,completionTime,conditions,failed,failedIndexes,ready,startTime  served
  succeeded,terminating  served
  uncountedTerminatedPods  kept
CronJob
  apiVersion,kind,metadata,spec,status  served
CronJobSpec
  concurrencyPolicy,failedJobsHistoryLimit,jobTemplate,startingDeadlineSeconds  served
  schedule  served  five fields or a macro; @every is refused
  successfulJobsHistoryLimit,suspend  served
  timeZone  served  UTC where none is given
CronJobStatus
  active,lastScheduleTime,lastSuccessfulTime  served
JobTemplateSpec
  metadata,spec  served
PodFailurePolicy
  rules  served
PodFailurePolicyRule
  action,onExitCodes,onPodConditions  served
PodFailurePolicyOnExitCodesRequirement
  containerName,operator,values  served
PodFailurePolicyOnPodConditionsPattern
  status,type  served
SuccessPolicy
  rules  served
SuccessPolicyRule
  succeededCount,succeededIndexes  served
JobCondition
  lastProbeTime,lastTransitionTime,message,reason,status,type  served
`);
