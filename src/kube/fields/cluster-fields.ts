// What every kind has, and the kinds around pods: Namespace, Node, Deployment. The notation is field-table.ts's.
import { parseFieldTable } from "./field-table.ts";

export const CLUSTER_FIELDS = parseFieldTable(`
ObjectMeta
  annotations,labels,name,namespace  served
  creationTimestamp,deletionTimestamp,resourceVersion,uid  served  set by the lab; files that are a dump keep theirs
  deletionGracePeriodSeconds  served
  finalizers  served  what is deleted waits for them, but for those of a cluster's own controllers
  generateName  served  makes a name where there is none, the same one each time
  generation,managedFields,selfLink  kept
  ownerReferences  served
OwnerReference
  apiVersion,controller,kind,name,uid  served
  blockOwnerDeletion  served  all that an object owns is waited for where it goes in the foreground
Namespace
  apiVersion,kind  served
  metadata  served  labels pod-security.kubernetes.io/… as in pod-security.md
  spec  lab  nothing waits for finalizers
  status  kept
Node
  apiVersion,kind,metadata,spec,status  served
NodeSpec
  configSource,externalID  lab  there is no kubelet
  podCIDR,podCIDRs,taints,unschedulable  served
  providerID  kept
Taint
  effect  served  NoExecute keeps new pods away, and leaves those that are there
  key,value  served
  timeAdded  kept
NodeStatus
  addresses  served
  allocatable,capacity,conditions,config,daemonEndpoints,declaredFeatures,features,images,nodeInfo,phase  kept
  runtimeHandlers,volumesAttached,volumesInUse  kept
NodeAddress
  address,type  served
Deployment
  apiVersion,kind,metadata,spec  served
  status  served  written by the lab
DeploymentSpec
  minReadySeconds,paused,progressDeadlineSeconds,replicas,revisionHistoryLimit  served
  selector,strategy,template  served
DeploymentStatus
  availableReplicas,readyReplicas,replicas,unavailableReplicas,updatedReplicas  served
  conditions  served  written by the lab
  observedGeneration  served
  collisionCount,terminatingReplicas  kept
DeploymentCondition
  lastTransitionTime,lastUpdateTime,message,reason,status,type  served
DeploymentStrategy
  rollingUpdate,type  served
RollingUpdateDeployment
  maxSurge,maxUnavailable  served
LabelSelector
  matchExpressions,matchLabels  served
LabelSelectorRequirement
  key,operator,values  served
`);
