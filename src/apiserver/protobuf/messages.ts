// Kubernetes' messages in protobuf: each type's fields with number, name in JSON and type. Taken from the struct tags of
// k8s.io/api 0.37 (the types that clients send, and what they hold); longer than a file should be because the API is.
//
//   Type 1name:s 2!count:i …;   s text, i integer, b boolean, f number, y bytes, T Time, M MicroTime, Q Quantity,
//                               X IntOrString, R JSON, L list of texts that is a message, [T] list, {T} map by text
//   "!": zero, "" and {} mean something; "<": its fields are those of the message around it

export const MESSAGES = `
AWSElasticBlockStoreVolumeSource 1!volumeID:s 2fsType:s 3partition:i 4readOnly:b; Affinity 1!nodeAffinity:NodeAffinity
2!podAffinity:PodAffinity 3!podAntiAffinity:PodAntiAffinity; AggregationRule 1clusterRoleSelectors:[LabelSelector];
AppArmorProfile 1!type:s 2!localhostProfile:s; AttachedVolume 1!name:s 2!devicePath:s; AzureDiskVolumeSource 1!diskName:s
2!diskURI:s 3!cachingMode:s 4!fsType:s 5!readOnly:b 6!kind:s; AzureFilePersistentVolumeSource 1!secretName:s
2!shareName:s 3readOnly:b 4!secretNamespace:s; AzureFileVolumeSource 1!secretName:s 2!shareName:s 3readOnly:b; Binding
1metadata:ObjectMeta 2!target:ObjectReference; BoundObjectReference 1kind:s 2apiVersion:s 3name:s 4uid:s; CSIDriver
1metadata:ObjectMeta 2!spec:CSIDriverSpec; CSIDriverSpec 1!attachRequired:b 2!podInfoOnMount:b 3volumeLifecycleModes:[s]
4!storageCapacity:b 5!fsGroupPolicy:s 6tokenRequests:[TokenRequest] 7!requiresRepublish:b 8!seLinuxMount:b
9!nodeAllocatableUpdatePeriodSeconds:i 10!serviceAccountTokenInSecrets:b 11!preventPodSchedulingIfMissing:b; CSINode
1metadata:ObjectMeta 2!spec:CSINodeSpec 3status:CSINodeStatus; CSINodeDriver 1!name:s 2!nodeID:s 3!topologyKeys:[s]
4!allocatable:VolumeNodeResources; CSINodeSpec 1!drivers:[CSINodeDriver]; CSINodeStatus 1storageHealth:[StorageHealth];
CSIPersistentVolumeSource 1!driver:s 2!volumeHandle:s 3readOnly:b 4fsType:s 5volumeAttributes:{s}
6!controllerPublishSecretRef:SecretReference 7!nodeStageSecretRef:SecretReference 8!nodePublishSecretRef:SecretReference
9!controllerExpandSecretRef:SecretReference 10!nodeExpandSecretRef:SecretReference; CSIStorageCapacity
1metadata:ObjectMeta 2!nodeTopology:LabelSelector 3!storageClassName:s 4!capacity:Q 5!maximumVolumeSize:Q;
CSIVolumeSource 1!driver:s 2!readOnly:b 3!fsType:s 4volumeAttributes:{s} 5!nodePublishSecretRef:LocalObjectReference;
Capabilities 1add:[s] 2drop:[s]; CephFSPersistentVolumeSource 1!monitors:[s] 2path:s 3user:s 4secretFile:s
5!secretRef:SecretReference 6readOnly:b; CephFSVolumeSource 1!monitors:[s] 2path:s 3user:s 4secretFile:s
5!secretRef:LocalObjectReference 6readOnly:b; CertificateSigningRequest 1metadata:ObjectMeta
2!spec:CertificateSigningRequestSpec 3status:CertificateSigningRequestStatus; CertificateSigningRequestCondition 1!type:s
2reason:s 3message:s 4lastUpdateTime:T 5lastTransitionTime:T 6!status:s; CertificateSigningRequestSpec 1!request:y
2username:s 3uid:s 4groups:[s] 5usages:[s] 6extra:{L} 7!signerName:s 8!expirationSeconds:i;
CertificateSigningRequestStatus 1conditions:[CertificateSigningRequestCondition] 2certificate:y;
CinderPersistentVolumeSource 1!volumeID:s 2fsType:s 3readOnly:b 4!secretRef:SecretReference; CinderVolumeSource
1!volumeID:s 2fsType:s 3readOnly:b 4!secretRef:LocalObjectReference; ClientIPConfig 1!timeoutSeconds:i; ClusterRole
1metadata:ObjectMeta 2!rules:[PolicyRule] 3!aggregationRule:AggregationRule; ClusterRoleBinding 1metadata:ObjectMeta
2subjects:[Subject] 3!roleRef:RoleRef; ClusterTrustBundleProjection 1!name:s 2!signerName:s 3!labelSelector:LabelSelector
4!path:s 5!optional:b 6!user:i; Condition 1!type:s 2!status:s 3observedGeneration:i 4!lastTransitionTime:T 5!reason:s
6!message:s; ConfigMap 1metadata:ObjectMeta 2data:{s} 3binaryData:{y} 4!immutable:b; ConfigMapEnvSource
1!<:LocalObjectReference 2!optional:b; ConfigMapKeySelector 1!<:LocalObjectReference 2!key:s 3!optional:b;
ConfigMapNodeConfigSource 1!namespace:s 2!name:s 3uid:s 4resourceVersion:s 5!kubeletConfigKey:s; ConfigMapProjection
1!<:LocalObjectReference 2items:[KeyToPath] 4!optional:b; ConfigMapVolumeSource 1!<:LocalObjectReference
2items:[KeyToPath] 3!defaultMode:i 4!optional:b 5!defaultUser:i; Container 1!name:s 2image:s 3command:[s] 4args:[s]
5workingDir:s 6ports:[ContainerPort] 7env:[EnvVar] 8resources:ResourceRequirements 9volumeMounts:[VolumeMount]
10!livenessProbe:Probe 11!readinessProbe:Probe 12!lifecycle:Lifecycle 13terminationMessagePath:s 14imagePullPolicy:s
15!securityContext:SecurityContext 16stdin:b 17stdinOnce:b 18tty:b 19envFrom:[EnvFromSource] 20terminationMessagePolicy:s
21volumeDevices:[VolumeDevice] 22!startupProbe:Probe 23resizePolicy:[ContainerResizePolicy] 24!restartPolicy:s
25restartPolicyRules:[ContainerRestartRule]; ContainerExtendedResourceRequest 1!containerName:s 2!resourceName:s
3!requestName:s; ContainerImage 1!names:[s] 2sizeBytes:i; ContainerPort 1name:s 2hostPort:i 3!containerPort:i 4protocol:s
5hostIP:s; ContainerResizePolicy 1!resourceName:s 2!restartPolicy:s; ContainerResourceMetricSource 1!name:s
2!target:MetricTarget 3!container:s; ContainerResourceMetricStatus 1!name:s 2!current:MetricValueStatus 3!container:s;
ContainerRestartRule 1action:s 2!exitCodes:ContainerRestartRuleOnExitCodes; ContainerRestartRuleOnExitCodes 1operator:s
2values:[i]; ContainerState 1!waiting:ContainerStateWaiting 2!running:ContainerStateRunning
3!terminated:ContainerStateTerminated; ContainerStateRunning 1startedAt:T; ContainerStateTerminated 1!exitCode:i
2signal:i 3reason:s 4message:s 5startedAt:T 6finishedAt:T 7containerID:s; ContainerStateWaiting 1reason:s 2message:s;
ContainerStatus 1!name:s 2state:ContainerState 3lastState:ContainerState 4!ready:b 5!restartCount:i 6!image:s 7!imageID:s
8containerID:s 9!started:b 10allocatedResources:{Q} 11!resources:ResourceRequirements 12volumeMounts:[VolumeMountStatus]
13!user:ContainerUser 14allocatedResourcesStatus:[ResourceStatus] 15!stopSignal:s; ContainerUser
1!linux:LinuxContainerUser; ControllerRevision 1metadata:ObjectMeta 2!data:R 3!revision:i; CronJob 1metadata:ObjectMeta
2spec:CronJobSpec 3status:CronJobStatus; CronJobSpec 1!schedule:s 2!startingDeadlineSeconds:i 3concurrencyPolicy:s
4!suspend:b 5!jobTemplate:JobTemplateSpec 6!successfulJobsHistoryLimit:i 7!failedJobsHistoryLimit:i 8!timeZone:s;
CronJobStatus 1active:[ObjectReference] 4!lastScheduleTime:T 5!lastSuccessfulTime:T; CrossVersionObjectReference 1!kind:s
2!name:s 3apiVersion:s; DaemonEndpoint 1!Port:i; DaemonSet 1metadata:ObjectMeta 2spec:DaemonSetSpec
3status:DaemonSetStatus; DaemonSetCondition 1!type:s 2!status:s 3lastTransitionTime:T 4reason:s 5message:s; DaemonSetSpec
1!selector:LabelSelector 2!template:PodTemplateSpec 3updateStrategy:DaemonSetUpdateStrategy 4minReadySeconds:i
6!revisionHistoryLimit:i; DaemonSetStatus 1!currentNumberScheduled:i 2!numberMisscheduled:i 3!desiredNumberScheduled:i
4!numberReady:i 5observedGeneration:i 6updatedNumberScheduled:i 7numberAvailable:i 8numberUnavailable:i
9!collisionCount:i 10conditions:[DaemonSetCondition]; DaemonSetUpdateStrategy 1type:s
2!rollingUpdate:RollingUpdateDaemonSet; DeleteOptions 1!gracePeriodSeconds:i 2!preconditions:Preconditions
3!orphanDependents:b 4!propagationPolicy:s 5dryRun:[s] 6!ignoreStoreReadErrorWithClusterBreakingPotential:b; Deployment
1metadata:ObjectMeta 2spec:DeploymentSpec 3status:DeploymentStatus; DeploymentCondition 1!type:s 2!status:s 4reason:s
5message:s 6lastUpdateTime:T 7lastTransitionTime:T; DeploymentSpec 1!replicas:i 2!selector:LabelSelector
3!template:PodTemplateSpec 4strategy:DeploymentStrategy 5minReadySeconds:i 6!revisionHistoryLimit:i 7paused:b
9!progressDeadlineSeconds:i; DeploymentStatus 1observedGeneration:i 2replicas:i 3updatedReplicas:i 4availableReplicas:i
5unavailableReplicas:i 6conditions:[DeploymentCondition] 7readyReplicas:i 8!collisionCount:i 9!terminatingReplicas:i;
DeploymentStrategy 1type:s 2!rollingUpdate:RollingUpdateDeployment; DownwardAPIProjection 1items:[DownwardAPIVolumeFile];
DownwardAPIVolumeFile 1!path:s 2!fieldRef:ObjectFieldSelector 3!resourceFieldRef:ResourceFieldSelector 4!mode:i 5!user:i;
DownwardAPIVolumeSource 1items:[DownwardAPIVolumeFile] 2!defaultMode:i 3!defaultUser:i; EmptyDirVolumeSource 1medium:s
2!sizeLimit:Q 3!mode:i; Endpoint 1!addresses:[s] 2conditions:EndpointConditions 3!hostname:s 4!targetRef:ObjectReference
5deprecatedTopology:{s} 6!nodeName:s 7!zone:s 8!hints:EndpointHints; EndpointAddress 1!ip:s 2!targetRef:ObjectReference
3hostname:s 4!nodeName:s; EndpointConditions 1!ready:b 2!serving:b 3!terminating:b; EndpointHints 1forZones:[ForZone]
2forNodes:[ForNode]; EndpointPort 1name:s 2!port:i 3protocol:s 4!appProtocol:s; EndpointPort.discovery 1!name:s
2!protocol:s 3!port:i 4!appProtocol:s; EndpointSlice 1metadata:ObjectMeta 2!endpoints:[Endpoint]
3!ports:[EndpointPort.discovery] 4!addressType:s; EndpointSubset 1addresses:[EndpointAddress]
2notReadyAddresses:[EndpointAddress] 3ports:[EndpointPort]; Endpoints 1metadata:ObjectMeta 2subsets:[EndpointSubset];
EnvFromSource 1prefix:s 2!configMapRef:ConfigMapEnvSource 3!secretRef:SecretEnvSource; EnvVar 1!name:s 2value:s
3!valueFrom:EnvVarSource; EnvVarSource 1!fieldRef:ObjectFieldSelector 2!resourceFieldRef:ResourceFieldSelector
3!configMapKeyRef:ConfigMapKeySelector 4!secretKeyRef:SecretKeySelector 5!fileKeyRef:FileKeySelector; EphemeralContainer
1!<:EphemeralContainerCommon 2targetContainerName:s; EphemeralContainerCommon 1!name:s 2image:s 3command:[s] 4args:[s]
5workingDir:s 6ports:[ContainerPort] 7env:[EnvVar] 8resources:ResourceRequirements 9volumeMounts:[VolumeMount]
10!livenessProbe:Probe 11!readinessProbe:Probe 12!lifecycle:Lifecycle 13terminationMessagePath:s 14imagePullPolicy:s
15!securityContext:SecurityContext 16stdin:b 17stdinOnce:b 18tty:b 19envFrom:[EnvFromSource] 20terminationMessagePolicy:s
21volumeDevices:[VolumeDevice] 22!startupProbe:Probe 23resizePolicy:[ContainerResizePolicy] 24!restartPolicy:s
25restartPolicyRules:[ContainerRestartRule]; EphemeralVolumeSource 1!volumeClaimTemplate:PersistentVolumeClaimTemplate;
Event 1!metadata:ObjectMeta 2!involvedObject:ObjectReference 3reason:s 4message:s 5source:EventSource 6firstTimestamp:T
7lastTimestamp:T 8count:i 9type:s 10eventTime:M 11!series:EventSeries 12action:s 13!related:ObjectReference
14!reportingComponent:s 15!reportingInstance:s; Event.events 1!metadata:ObjectMeta 2!eventTime:M
3!series:EventSeries.events 4reportingController:s 5reportingInstance:s 6action:s 7reason:s 8regarding:ObjectReference
9!related:ObjectReference 10note:s 11type:s 12deprecatedSource:EventSource 13deprecatedFirstTimestamp:T
14deprecatedLastTimestamp:T 15deprecatedCount:i; EventSeries 1count:i 2lastObservedTime:M; EventSeries.events 1!count:i
2!lastObservedTime:M; EventSource 1component:s 2host:s; Eviction 1metadata:ObjectMeta 2!deleteOptions:DeleteOptions;
EvictionResponder 1!name:s 2!priority:i; ExecAction 1command:[s]; ExternalMetricSource 1!metric:MetricIdentifier
2!target:MetricTarget; ExternalMetricStatus 1!metric:MetricIdentifier 2!current:MetricValueStatus; FCVolumeSource
1targetWWNs:[s] 2!lun:i 3fsType:s 4readOnly:b 5wwids:[s]; FieldSelectorAttributes 1rawSelector:s
2requirements:[FieldSelectorRequirement]; FieldSelectorRequirement 1!key:s 2!operator:s 3values:[s]; FileKeySelector
1!volumeName:s 2!path:s 3!key:s 4!optional:b; FlexPersistentVolumeSource 1!driver:s 2fsType:s 3!secretRef:SecretReference
4readOnly:b 5options:{s}; FlexVolumeSource 1!driver:s 2fsType:s 3!secretRef:LocalObjectReference 4readOnly:b
5options:{s}; FlockerVolumeSource 1datasetName:s 2datasetUUID:s; ForNode 1!name:s; ForZone 1!name:s;
GCEPersistentDiskVolumeSource 1!pdName:s 2fsType:s 3partition:i 4readOnly:b; GRPCAction 1!port:i 2!service:s 3!mode:s;
GitRepoVolumeSource 1!repository:s 2revision:s 3directory:s; GlusterfsPersistentVolumeSource 1!endpoints:s 2!path:s
3readOnly:b 4!endpointsNamespace:s; GlusterfsVolumeSource 1!endpoints:s 2!path:s 3readOnly:b; HPAScalingPolicy 1!type:s
2!value:i 3!periodSeconds:i; HPAScalingRules 1!selectPolicy:s 2policies:[HPAScalingPolicy] 3!stabilizationWindowSeconds:i
4!tolerance:Q; HTTPGetAction 1path:s 2!port:X 3host:s 4scheme:s 5httpHeaders:[HTTPHeader] 6!protocol:s; HTTPHeader
1!name:s 2!value:s; HTTPIngressPath 1path:s 2!backend:IngressBackend 3!pathType:s; HTTPIngressRuleValue
1!paths:[HTTPIngressPath]; HorizontalPodAutoscaler 1metadata:ObjectMeta 2spec:HorizontalPodAutoscalerSpec
3status:HorizontalPodAutoscalerStatus; HorizontalPodAutoscalerBehavior 1!scaleUp:HPAScalingRules
2!scaleDown:HPAScalingRules; HorizontalPodAutoscalerCondition 1!type:s 2!status:s 3lastTransitionTime:T 4reason:s
5message:s 6!observedGeneration:i; HorizontalPodAutoscalerSpec 1!scaleTargetRef:CrossVersionObjectReference
2!minReplicas:i 3!maxReplicas:i 4metrics:[MetricSpec] 5!behavior:HorizontalPodAutoscalerBehavior;
HorizontalPodAutoscalerStatus 1!observedGeneration:i 2!lastScaleTime:T 3currentReplicas:i 4!desiredReplicas:i
5!currentMetrics:[MetricStatus] 6conditions:[HorizontalPodAutoscalerCondition]; HostAlias 1!ip:s 2hostnames:[s]; HostIP
1!ip:s; HostPathVolumeSource 1!path:s 2!type:s; IPAddress 1metadata:ObjectMeta 2spec:IPAddressSpec; IPAddressSpec
1!parentRef:ParentReference; IPBlock 1!cidr:s 2except:[s]; ISCSIPersistentVolumeSource 1!targetPortal:s 2!iqn:s 3!lun:i
4iscsiInterface:s 5fsType:s 6readOnly:b 7portals:[s] 8chapAuthDiscovery:b 10!secretRef:SecretReference
11chapAuthSession:b 12!initiatorName:s; ISCSIVolumeSource 1!targetPortal:s 2!iqn:s 3!lun:i 4iscsiInterface:s 5fsType:s
6readOnly:b 7portals:[s] 8chapAuthDiscovery:b 10!secretRef:LocalObjectReference 11chapAuthSession:b 12!initiatorName:s;
ImageVolumeSource 1reference:s 2pullPolicy:s; ImageVolumeStatus 1imageRef:s; Ingress 1metadata:ObjectMeta
2spec:IngressSpec 3status:IngressStatus; IngressBackend 3!resource:TypedLocalObjectReference
4!service:IngressServiceBackend; IngressClass 1metadata:ObjectMeta 2spec:IngressClassSpec;
IngressClassParametersReference 1!apiGroup:s 2!kind:s 3!name:s 4!scope:s 5!namespace:s; IngressClassSpec 1controller:s
2!parameters:IngressClassParametersReference; IngressLoadBalancerIngress 1ip:s 2hostname:s 4ports:[IngressPortStatus];
IngressLoadBalancerStatus 1ingress:[IngressLoadBalancerIngress]; IngressPortStatus 1!port:i 2!protocol:s 3!error:s;
IngressRule 1host:s 2!<:IngressRuleValue; IngressRuleValue 1!http:HTTPIngressRuleValue; IngressServiceBackend 1!name:s
2port:ServiceBackendPort; IngressSpec 1!defaultBackend:IngressBackend 2tls:[IngressTLS] 3rules:[IngressRule]
4!ingressClassName:s; IngressStatus 1loadBalancer:IngressLoadBalancerStatus; IngressTLS 1hosts:[s] 2secretName:s; Job
1metadata:ObjectMeta 2spec:JobSpec 3status:JobStatus; JobCondition 1!type:s 2!status:s 3lastProbeTime:T
4lastTransitionTime:T 5reason:s 6message:s; JobSchedulingConfiguration
1!schedulingPolicy:WorkloadPodGroupSchedulingPolicy 2!schedulingConstraints:WorkloadPodGroupSchedulingConstraints
3!disruptionMode:WorkloadPodGroupDisruptionMode 4resourceClaims:[WorkloadPodGroupResourceClaim]; JobSpec 1!parallelism:i
2!completions:i 3!activeDeadlineSeconds:i 4!selector:LabelSelector 5!manualSelector:b 6!template:PodTemplateSpec
7!backoffLimit:i 8!ttlSecondsAfterFinished:i 9!completionMode:s 10!suspend:b 11!podFailurePolicy:PodFailurePolicy
12!backoffLimitPerIndex:i 13!maxFailedIndexes:i 14!podReplacementPolicy:s 15!managedBy:s 16!successPolicy:SuccessPolicy
17!scheduling:JobSchedulingConfiguration; JobStatus 1conditions:[JobCondition] 2!startTime:T 3!completionTime:T 4active:i
5succeeded:i 6failed:i 7completedIndexes:s 8!uncountedTerminatedPods:UncountedTerminatedPods 9!ready:i 10!failedIndexes:s
11!terminating:i; JobTemplateSpec 1metadata:ObjectMeta 2spec:JobSpec; KeyToPath 1!key:s 2!path:s 3!mode:i 4!user:i;
LabelSelector 1matchLabels:{s} 2matchExpressions:[LabelSelectorRequirement]; LabelSelectorAttributes 1rawSelector:s
2requirements:[LabelSelectorRequirement]; LabelSelectorRequirement 1!key:s 2!operator:s 3values:[s]; Lease
1metadata:ObjectMeta 2spec:LeaseSpec; LeaseSpec 1!holderIdentity:s 2!leaseDurationSeconds:i 3!acquireTime:M 4!renewTime:M
5!leaseTransitions:i 6!strategy:s 7!preferredHolder:s; Lifecycle 1!postStart:LifecycleHandler 2!preStop:LifecycleHandler
3!stopSignal:s; LifecycleHandler 1!exec:ExecAction 2!httpGet:HTTPGetAction 3!tcpSocket:TCPSocketAction
4!sleep:SleepAction; LimitRange 1metadata:ObjectMeta 2spec:LimitRangeSpec; LimitRangeItem 1!type:s 2max:{Q} 3min:{Q}
4default:{Q} 5defaultRequest:{Q} 6maxLimitRequestRatio:{Q}; LimitRangeSpec 1!limits:[LimitRangeItem]; LinuxContainerUser
1!uid:i 2!gid:i 3supplementalGroups:[i]; LoadBalancerIngress 1ip:s 2hostname:s 3!ipMode:s 4ports:[PortStatus];
LoadBalancerStatus 1ingress:[LoadBalancerIngress]; LocalObjectReference 1name:s; LocalSubjectAccessReview
1metadata:ObjectMeta 2!spec:SubjectAccessReviewSpec 3status:SubjectAccessReviewStatus; LocalVolumeSource 1!path:s
2!fsType:s; ManagedFieldsEntry 1manager:s 2operation:s 3apiVersion:s 4!time:T 6fieldsType:s 7!fieldsV1:R 8subresource:s;
MatchCondition 1!name:s 2!expression:s; MetricIdentifier 1!name:s 2!selector:LabelSelector; MetricSpec 1!type:s
2!object:ObjectMetricSource 3!pods:PodsMetricSource 4!resource:ResourceMetricSource 5!external:ExternalMetricSource
7!containerResource:ContainerResourceMetricSource; MetricStatus 1!type:s 2!object:ObjectMetricStatus
3!pods:PodsMetricStatus 4!resource:ResourceMetricStatus 5!external:ExternalMetricStatus
7!containerResource:ContainerResourceMetricStatus; MetricTarget 1!type:s 2!value:Q 3!averageValue:Q
4!averageUtilization:i; MetricValueStatus 1!value:Q 2!averageValue:Q 3!averageUtilization:i; ModifyVolumeStatus
1targetVolumeAttributesClassName:s 2!status:s; MutatingWebhook 1!name:s 2!clientConfig:WebhookClientConfig
3rules:[RuleWithOperations] 4!failurePolicy:s 5!namespaceSelector:LabelSelector 6!sideEffects:s 7!timeoutSeconds:i
8!admissionReviewVersions:[s] 9!matchPolicy:s 10!reinvocationPolicy:s 11!objectSelector:LabelSelector
12matchConditions:[MatchCondition]; MutatingWebhookConfiguration 1metadata:ObjectMeta 2webhooks:[MutatingWebhook];
NFSVolumeSource 1!server:s 2!path:s 3readOnly:b; Namespace 1metadata:ObjectMeta 2spec:NamespaceSpec
3status:NamespaceStatus; NamespaceCondition 1!type:s 2!status:s 4lastTransitionTime:T 5reason:s 6message:s; NamespaceSpec
1finalizers:[s]; NamespaceStatus 1phase:s 2conditions:[NamespaceCondition]; NetworkPolicy 1metadata:ObjectMeta
2spec:NetworkPolicySpec; NetworkPolicyEgressRule 1ports:[NetworkPolicyPort] 2to:[NetworkPolicyPeer];
NetworkPolicyIngressRule 1ports:[NetworkPolicyPort] 2from:[NetworkPolicyPeer]; NetworkPolicyPeer
1!podSelector:LabelSelector 2!namespaceSelector:LabelSelector 3!ipBlock:IPBlock; NetworkPolicyPort 1!protocol:s 2!port:X
3!endPort:i; NetworkPolicySpec 1!podSelector:LabelSelector 2ingress:[NetworkPolicyIngressRule]
3egress:[NetworkPolicyEgressRule] 4policyTypes:[s]; Node 1metadata:ObjectMeta 2spec:NodeSpec 3status:NodeStatus;
NodeAddress 1!type:s 2!address:s; NodeAffinity 1!requiredDuringSchedulingIgnoredDuringExecution:NodeSelector
2preferredDuringSchedulingIgnoredDuringExecution:[PreferredSchedulingTerm]; NodeAllocatableMappedResources 1!name:s
2!quantity:Q; NodeAllocatableOverheadResources 1!name:s 2!perPod:Q 3!perContainer:Q; NodeAllocatableResourceClaimStatus
1!resourceClaimName:s 2containers:[s] 4mapping:[NodeAllocatableMappedResources]
5overhead:[NodeAllocatableOverheadResources]; NodeCondition 1!type:s 2!status:s 3lastHeartbeatTime:T
4lastTransitionTime:T 5reason:s 6message:s; NodeConfigSource 2!configMap:ConfigMapNodeConfigSource; NodeConfigStatus
1!assigned:NodeConfigSource 2!active:NodeConfigSource 3!lastKnownGood:NodeConfigSource 4error:s; NodeDaemonEndpoints
1kubeletEndpoint:DaemonEndpoint; NodeFeatures 1!supplementalGroupsPolicy:b; NodePodPreemptionPolicy
1disableResizePreemption:[s]; NodeRuntimeHandler 1!name:s 2!features:NodeRuntimeHandlerFeatures;
NodeRuntimeHandlerFeatures 1!recursiveReadOnlyMounts:b 2!userNamespaces:b; NodeSelector
1!nodeSelectorTerms:[NodeSelectorTerm]; NodeSelectorRequirement 1!key:s 2!operator:s 3values:[s]; NodeSelectorTerm
1matchExpressions:[NodeSelectorRequirement] 2matchFields:[NodeSelectorRequirement]; NodeSpec 1podCIDR:s 2externalID:s
3providerID:s 4unschedulable:b 5taints:[Taint] 6!configSource:NodeConfigSource 7podCIDRs:[s]
8!podPreemptionPolicy:NodePodPreemptionPolicy; NodeStatus 1capacity:{Q} 2allocatable:{Q} 3phase:s
4conditions:[NodeCondition] 5addresses:[NodeAddress] 6daemonEndpoints:NodeDaemonEndpoints 7nodeInfo:NodeSystemInfo
8images:[ContainerImage] 9volumesInUse:[s] 10volumesAttached:[AttachedVolume] 11!config:NodeConfigStatus
12runtimeHandlers:[NodeRuntimeHandler] 13!features:NodeFeatures 14declaredFeatures:[s]; NodeSwapStatus 1!capacity:i;
NodeSystemInfo 1!machineID:s 2!systemUUID:s 3!bootID:s 4!kernelVersion:s 5!osImage:s 6!containerRuntimeVersion:s
7!kubeletVersion:s 8!kubeProxyVersion:s 9!operatingSystem:s 10!architecture:s 11!swap:NodeSwapStatus
12!runningInUserNamespace:b; NonResourceAttributes 1path:s 2verb:s; NonResourceRule 1!verbs:[s] 2nonResourceURLs:[s];
ObjectFieldSelector 1apiVersion:s 2!fieldPath:s; ObjectMeta 1name:s 2generateName:s 3namespace:s 4selfLink:s 5uid:s
6resourceVersion:s 7generation:i 8creationTimestamp:T 9!deletionTimestamp:T 10!deletionGracePeriodSeconds:i 11labels:{s}
12annotations:{s} 13ownerReferences:[OwnerReference] 14finalizers:[s] 17managedFields:[ManagedFieldsEntry];
ObjectMetricSource 1!describedObject:CrossVersionObjectReference 2!target:MetricTarget 3!metric:MetricIdentifier;
ObjectMetricStatus 1!metric:MetricIdentifier 2!current:MetricValueStatus 3!describedObject:CrossVersionObjectReference;
ObjectReference 1kind:s 2namespace:s 3name:s 4uid:s 5apiVersion:s 6resourceVersion:s 7fieldPath:s; Overhead
1podFixed:{Q}; OwnerReference 1!kind:s 3!name:s 4!uid:s 5!apiVersion:s 6!controller:b 7!blockOwnerDeletion:b;
ParentReference 1group:s 2resource:s 3namespace:s 4name:s; PersistentVolume 1metadata:ObjectMeta
2spec:PersistentVolumeSpec 3status:PersistentVolumeStatus; PersistentVolumeClaim 1metadata:ObjectMeta
2spec:PersistentVolumeClaimSpec 3status:PersistentVolumeClaimStatus; PersistentVolumeClaimCondition 1!type:s 2!status:s
3lastProbeTime:T 4lastTransitionTime:T 5reason:s 6message:s; PersistentVolumeClaimSpec 1accessModes:[s]
2resources:VolumeResourceRequirements 3volumeName:s 4!selector:LabelSelector 5!storageClassName:s 6!volumeMode:s
7!dataSource:TypedLocalObjectReference 8!dataSourceRef:TypedObjectReference 9!volumeAttributesClassName:s;
PersistentVolumeClaimStatus 1phase:s 2accessModes:[s] 3capacity:{Q} 4conditions:[PersistentVolumeClaimCondition]
5allocatedResources:{Q} 7allocatedResourceStatuses:{s} 8!currentVolumeAttributesClassName:s
9!modifyVolumeStatus:ModifyVolumeStatus 10!healthStatus:VolumeHealthStatus; PersistentVolumeClaimTemplate
1metadata:ObjectMeta 2!spec:PersistentVolumeClaimSpec; PersistentVolumeClaimVolumeSource 1!claimName:s 2readOnly:b;
PersistentVolumeSource 1!gcePersistentDisk:GCEPersistentDiskVolumeSource
2!awsElasticBlockStore:AWSElasticBlockStoreVolumeSource 3!hostPath:HostPathVolumeSource
4!glusterfs:GlusterfsPersistentVolumeSource 5!nfs:NFSVolumeSource 6!rbd:RBDPersistentVolumeSource
7!iscsi:ISCSIPersistentVolumeSource 8!cinder:CinderPersistentVolumeSource 9!cephfs:CephFSPersistentVolumeSource
10!fc:FCVolumeSource 11!flocker:FlockerVolumeSource 12!flexVolume:FlexPersistentVolumeSource
13!azureFile:AzureFilePersistentVolumeSource 14!vsphereVolume:VsphereVirtualDiskVolumeSource
15!quobyte:QuobyteVolumeSource 16!azureDisk:AzureDiskVolumeSource
17!photonPersistentDisk:PhotonPersistentDiskVolumeSource 18!portworxVolume:PortworxVolumeSource
19!scaleIO:ScaleIOPersistentVolumeSource 20!local:LocalVolumeSource 21!storageos:StorageOSPersistentVolumeSource
22!csi:CSIPersistentVolumeSource; PersistentVolumeSpec 1capacity:{Q} 2!<:PersistentVolumeSource 3accessModes:[s]
4!claimRef:ObjectReference 5persistentVolumeReclaimPolicy:s 6storageClassName:s 7mountOptions:[s] 8!volumeMode:s
9!nodeAffinity:VolumeNodeAffinity 10!volumeAttributesClassName:s; PersistentVolumeStatus 1phase:s 2message:s 3reason:s
4!lastPhaseTransitionTime:T; PhotonPersistentDiskVolumeSource 1!pdID:s 2fsType:s; Pod 1metadata:ObjectMeta 2spec:PodSpec
3status:PodStatus; PodAffinity 1requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]
2preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]; PodAffinityTerm 1!labelSelector:LabelSelector
2namespaces:[s] 3!topologyKey:s 4!namespaceSelector:LabelSelector 5matchLabelKeys:[s] 6mismatchLabelKeys:[s];
PodAntiAffinity 1requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]
2preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]; PodCertificateProjection 1signerName:s
2keyType:s 3!maxExpirationSeconds:i 4credentialBundlePath:s 5keyPath:s 6certificateChainPath:s 7userAnnotations:{s}
8!user:i; PodCondition 1!type:s 2!status:s 3lastProbeTime:T 4lastTransitionTime:T 5reason:s 6message:s
7observedGeneration:i; PodDNSConfig 1nameservers:[s] 2searches:[s] 3options:[PodDNSConfigOption]; PodDNSConfigOption
1name:s 2!value:s; PodDisruptionBudget 1metadata:ObjectMeta 2spec:PodDisruptionBudgetSpec
3status:PodDisruptionBudgetStatus; PodDisruptionBudgetSpec 1!minAvailable:X 2!selector:LabelSelector 3!maxUnavailable:X
4!unhealthyPodEvictionPolicy:s; PodDisruptionBudgetStatus 1observedGeneration:i 2disruptedPods:{T} 3!disruptionsAllowed:i
4!currentHealthy:i 5!desiredHealthy:i 6!expectedPods:i 7conditions:[Condition]; PodExtendedResourceClaimStatus
1!requestMappings:[ContainerExtendedResourceRequest] 2!resourceClaimName:s; PodFailurePolicy
1!rules:[PodFailurePolicyRule]; PodFailurePolicyOnExitCodesRequirement 1!containerName:s 2!operator:s 3!values:[i];
PodFailurePolicyOnPodConditionsPattern 1!type:s 2!status:s; PodFailurePolicyRule 1!action:s
2!onExitCodes:PodFailurePolicyOnExitCodesRequirement 3onPodConditions:[PodFailurePolicyOnPodConditionsPattern]; PodIP
1!ip:s; PodOS 1!name:s; PodReadinessGate 1!conditionType:s; PodResourceClaim 1!name:s 3!resourceClaimName:s
4!resourceClaimTemplateName:s; PodResourceClaimStatus 1!name:s 2!resourceClaimName:s; PodSchedulingGate 1!name:s;
PodSchedulingGroup 1!podGroupName:s; PodSecurityContext 1!seLinuxOptions:SELinuxOptions 2!runAsUser:i 3!runAsNonRoot:b
4supplementalGroups:[i] 5!fsGroup:i 6!runAsGroup:i 7sysctls:[Sysctl] 8!windowsOptions:WindowsSecurityContextOptions
9!fsGroupChangePolicy:s 10!seccompProfile:SeccompProfile 11!appArmorProfile:AppArmorProfile 12!supplementalGroupsPolicy:s
13!seLinuxChangePolicy:s; PodSpec 1volumes:[Volume] 2!containers:[Container] 3restartPolicy:s
4!terminationGracePeriodSeconds:i 5!activeDeadlineSeconds:i 6dnsPolicy:s 7nodeSelector:{s} 8serviceAccountName:s
9serviceAccount:s 10nodeName:s 11hostNetwork:b 12hostPID:b 13hostIPC:b 14!securityContext:PodSecurityContext
15imagePullSecrets:[LocalObjectReference] 16hostname:s 17subdomain:s 18!affinity:Affinity 19schedulerName:s
20initContainers:[Container] 21!automountServiceAccountToken:b 22tolerations:[Toleration] 23hostAliases:[HostAlias]
24priorityClassName:s 25!priority:i 26!dnsConfig:PodDNSConfig 27!shareProcessNamespace:b
28readinessGates:[PodReadinessGate] 29!runtimeClassName:s 30!enableServiceLinks:b 31!preemptionPolicy:s 32overhead:{Q}
33topologySpreadConstraints:[TopologySpreadConstraint] 34ephemeralContainers:[EphemeralContainer] 35!setHostnameAsFQDN:b
36!os:PodOS 37!hostUsers:b 38schedulingGates:[PodSchedulingGate] 39resourceClaims:[PodResourceClaim]
40!resources:ResourceRequirements 41!hostnameOverride:s 43!schedulingGroup:PodSchedulingGroup
44evictionResponders:[EvictionResponder]; PodStatus 1phase:s 2conditions:[PodCondition] 3message:s 4reason:s 5hostIP:s
6podIP:s 7!startTime:T 8containerStatuses:[ContainerStatus] 9qosClass:s 10initContainerStatuses:[ContainerStatus]
11nominatedNodeName:s 12podIPs:[PodIP] 13ephemeralContainerStatuses:[ContainerStatus] 14resize:s
15resourceClaimStatuses:[PodResourceClaimStatus] 16hostIPs:[HostIP] 17observedGeneration:i
18!extendedResourceClaimStatus:PodExtendedResourceClaimStatus 19allocatedResources:{Q} 20!resources:ResourceRequirements
21nodeAllocatableResourceClaimStatuses:[NodeAllocatableResourceClaimStatus] 22volumeHealth:[PodVolumeHealth]; PodTemplate
1metadata:ObjectMeta 2template:PodTemplateSpec; PodTemplateSpec 1metadata:ObjectMeta 2spec:PodSpec; PodVolumeHealth
1!name:s 2healthConditions:[VolumeHealthCondition] 3lastTransitionTime:T; PodsMetricSource 1!metric:MetricIdentifier
2!target:MetricTarget; PodsMetricStatus 1!metric:MetricIdentifier 2!current:MetricValueStatus; PolicyRule 1!verbs:[s]
2apiGroups:[s] 3resources:[s] 4resourceNames:[s] 5nonResourceURLs:[s]; PortStatus 1!port:i 2!protocol:s 3!error:s;
PortworxVolumeSource 1!volumeID:s 2fsType:s 3readOnly:b; Preconditions 1!uid:s 2!resourceVersion:s;
PreferredSchedulingTerm 1!weight:i 2!preference:NodeSelectorTerm; PriorityClass 1metadata:ObjectMeta 2!value:i
3globalDefault:b 4description:s 5!preemptionPolicy:s; Probe 1!<:ProbeHandler 2initialDelaySeconds:i 3timeoutSeconds:i
4periodSeconds:i 5successThreshold:i 6failureThreshold:i 7!terminationGracePeriodSeconds:i; ProbeHandler
1!exec:ExecAction 2!httpGet:HTTPGetAction 3!tcpSocket:TCPSocketAction 4!grpc:GRPCAction; ProjectedVolumeSource
1!sources:[VolumeProjection] 2!defaultMode:i 3!defaultUser:i; QuobyteVolumeSource 1!registry:s 2!volume:s 3readOnly:b
4user:s 5group:s 6tenant:s; RBDPersistentVolumeSource 1!monitors:[s] 2!image:s 3fsType:s 4pool:s 5user:s 6keyring:s
7!secretRef:SecretReference 8readOnly:b; RBDVolumeSource 1!monitors:[s] 2!image:s 3fsType:s 4pool:s 5user:s 6keyring:s
7!secretRef:LocalObjectReference 8readOnly:b; ReplicaSet 1metadata:ObjectMeta 2spec:ReplicaSetSpec
3status:ReplicaSetStatus; ReplicaSetCondition 1!type:s 2!status:s 3lastTransitionTime:T 4reason:s 5message:s;
ReplicaSetSpec 1!replicas:i 2!selector:LabelSelector 3template:PodTemplateSpec 4minReadySeconds:i; ReplicaSetStatus
1!replicas:i 2fullyLabeledReplicas:i 3observedGeneration:i 4readyReplicas:i 5availableReplicas:i
6conditions:[ReplicaSetCondition] 7!terminatingReplicas:i; ReplicationController 1metadata:ObjectMeta
2spec:ReplicationControllerSpec 3status:ReplicationControllerStatus; ReplicationControllerCondition 1!type:s 2!status:s
3lastTransitionTime:T 4reason:s 5message:s; ReplicationControllerSpec 1!replicas:i 2selector:{s}
3!template:PodTemplateSpec 4minReadySeconds:i; ReplicationControllerStatus 1!replicas:i 2fullyLabeledReplicas:i
3observedGeneration:i 4readyReplicas:i 5availableReplicas:i 6conditions:[ReplicationControllerCondition];
ResourceAttributes 1namespace:s 2verb:s 3group:s 4version:s 5resource:s 6subresource:s 7name:s
8!fieldSelector:FieldSelectorAttributes 9!labelSelector:LabelSelectorAttributes; ResourceClaim 1!name:s 2request:s;
ResourceFieldSelector 1containerName:s 2!resource:s 3divisor:Q; ResourceHealth 1!resourceID:s 2health:s 6!message:s;
ResourceMetricSource 1!name:s 2!target:MetricTarget; ResourceMetricStatus 1!name:s 2!current:MetricValueStatus;
ResourceQuota 1metadata:ObjectMeta 2spec:ResourceQuotaSpec 3status:ResourceQuotaStatus; ResourceQuotaSpec 1hard:{Q}
2scopes:[s] 3!scopeSelector:ScopeSelector; ResourceQuotaStatus 1hard:{Q} 2used:{Q}; ResourceRequirements 1limits:{Q}
2requests:{Q} 3claims:[ResourceClaim]; ResourceRule 1!verbs:[s] 2apiGroups:[s] 3resources:[s] 4resourceNames:[s];
ResourceStatus 1!name:s 2resources:[ResourceHealth]; Role 1metadata:ObjectMeta 2!rules:[PolicyRule]; RoleBinding
1metadata:ObjectMeta 2subjects:[Subject] 3!roleRef:RoleRef; RoleRef 1!apiGroup:s 2!kind:s 3!name:s;
RollingUpdateDaemonSet 1!maxUnavailable:X 2!maxSurge:X; RollingUpdateDeployment 1!maxUnavailable:X 2!maxSurge:X;
RollingUpdateStatefulSetStrategy 1!partition:i 2!maxUnavailable:X; Rule 1apiGroups:[s] 2apiVersions:[s] 3resources:[s]
4!scope:s; RuleWithOperations 1operations:[s] 2!<:Rule; RuntimeClass 1metadata:ObjectMeta 2!handler:s 3!overhead:Overhead
4!scheduling:Scheduling; SELinuxOptions 1user:s 2role:s 3type:s 4level:s; Scale 1metadata:ObjectMeta 2spec:ScaleSpec
3status:ScaleStatus; ScaleIOPersistentVolumeSource 1!gateway:s 2!system:s 3!secretRef:SecretReference 4sslEnabled:b
5protectionDomain:s 6storagePool:s 7storageMode:s 8volumeName:s 9fsType:s 10readOnly:b; ScaleIOVolumeSource 1!gateway:s
2!system:s 3!secretRef:LocalObjectReference 4sslEnabled:b 5protectionDomain:s 6storagePool:s 7storageMode:s 8volumeName:s
9fsType:s 10readOnly:b; ScaleSpec 1replicas:i; ScaleStatus 1!replicas:i 2selector:s; Scheduling 1nodeSelector:{s}
2tolerations:[Toleration]; ScopeSelector 1matchExpressions:[ScopedResourceSelectorRequirement];
ScopedResourceSelectorRequirement 1!scopeName:s 2!operator:s 3values:[s]; SeccompProfile 1!type:s 2!localhostProfile:s;
Secret 1metadata:ObjectMeta 2data:{y} 3type:s 4stringData:{s} 5!immutable:b; SecretEnvSource 1!<:LocalObjectReference
2!optional:b; SecretKeySelector 1!<:LocalObjectReference 2!key:s 3!optional:b; SecretProjection 1!<:LocalObjectReference
2items:[KeyToPath] 4!optional:b; SecretReference 1name:s 2namespace:s; SecretVolumeSource 1secretName:s
2items:[KeyToPath] 3!defaultMode:i 4!optional:b 5!defaultUser:i; SecurityContext 1!capabilities:Capabilities
2!privileged:b 3!seLinuxOptions:SELinuxOptions 4!runAsUser:i 5!runAsNonRoot:b 6!readOnlyRootFilesystem:b
7!allowPrivilegeEscalation:b 8!runAsGroup:i 9!procMount:s 10!windowsOptions:WindowsSecurityContextOptions
11!seccompProfile:SeccompProfile 12!appArmorProfile:AppArmorProfile; SelfSubjectAccessReview 1metadata:ObjectMeta
2!spec:SelfSubjectAccessReviewSpec 3status:SubjectAccessReviewStatus; SelfSubjectAccessReviewSpec
1!resourceAttributes:ResourceAttributes 2!nonResourceAttributes:NonResourceAttributes; SelfSubjectReview
1metadata:ObjectMeta 2status:SelfSubjectReviewStatus; SelfSubjectReviewStatus 1userInfo:UserInfo; SelfSubjectRulesReview
1metadata:ObjectMeta 2!spec:SelfSubjectRulesReviewSpec 3status:SubjectRulesReviewStatus; SelfSubjectRulesReviewSpec
1namespace:s; Service 1metadata:ObjectMeta 2spec:ServiceSpec 3status:ServiceStatus; ServiceAccount 1metadata:ObjectMeta
2secrets:[ObjectReference] 3imagePullSecrets:[LocalObjectReference] 4!automountServiceAccountToken:b;
ServiceAccountTokenProjection 1audience:s 2!expirationSeconds:i 3!path:s 4!user:i; ServiceBackendPort 1name:s 2number:i;
ServiceCIDR 1metadata:ObjectMeta 2spec:ServiceCIDRSpec 3status:ServiceCIDRStatus; ServiceCIDRSpec 1cidrs:[s];
ServiceCIDRStatus 1conditions:[Condition]; ServicePort 1name:s 2protocol:s 3!port:i 4targetPort:X 5nodePort:i
6!appProtocol:s; ServiceReference 1!namespace:s 2!name:s 3!path:s 4!port:i; ServiceSpec 1ports:[ServicePort]
2selector:{s} 3clusterIP:s 4type:s 5externalIPs:[s] 7sessionAffinity:s 8loadBalancerIP:s 9loadBalancerSourceRanges:[s]
10externalName:s 11externalTrafficPolicy:s 12healthCheckNodePort:i 13publishNotReadyAddresses:b
14!sessionAffinityConfig:SessionAffinityConfig 17!ipFamilyPolicy:s 18clusterIPs:[s] 19ipFamilies:[s]
20!allocateLoadBalancerNodePorts:b 21!loadBalancerClass:s 22!internalTrafficPolicy:s 23!trafficDistribution:s;
ServiceStatus 1loadBalancer:LoadBalancerStatus 2conditions:[Condition]; SessionAffinityConfig 1!clientIP:ClientIPConfig;
SleepAction 1!seconds:i; StatefulSet 1metadata:ObjectMeta 2spec:StatefulSetSpec 3status:StatefulSetStatus;
StatefulSetCondition 1!type:s 2!status:s 3lastTransitionTime:T 4reason:s 5message:s; StatefulSetOrdinals 1!start:i;
StatefulSetPersistentVolumeClaimRetentionPolicy 1whenDeleted:s 2whenScaled:s; StatefulSetSpec 1!replicas:i
2!selector:LabelSelector 3!template:PodTemplateSpec 4volumeClaimTemplates:[PersistentVolumeClaim] 5!serviceName:s
6podManagementPolicy:s 7updateStrategy:StatefulSetUpdateStrategy 8!revisionHistoryLimit:i 9minReadySeconds:i
10!persistentVolumeClaimRetentionPolicy:StatefulSetPersistentVolumeClaimRetentionPolicy 11!ordinals:StatefulSetOrdinals;
StatefulSetStatus 1observedGeneration:i 2!replicas:i 3readyReplicas:i 4currentReplicas:i 5updatedReplicas:i
6currentRevision:s 7updateRevision:s 9!collisionCount:i 10conditions:[StatefulSetCondition] 11!availableReplicas:i;
StatefulSetUpdateStrategy 1type:s 2!rollingUpdate:RollingUpdateStatefulSetStrategy; StorageClass 1metadata:ObjectMeta
2!provisioner:s 3parameters:{s} 4!reclaimPolicy:s 5mountOptions:[s] 6!allowVolumeExpansion:b 7!volumeBindingMode:s
8allowedTopologies:[TopologySelectorTerm]; StorageHealth 1!name:s 2healthConditions:[StorageHealthCondition];
StorageHealthCondition 1!status:s 2!reason:s 3message:s 4!accessMode:s 5!volumeMode:s 6lastTransitionTime:T;
StorageOSPersistentVolumeSource 1volumeName:s 2volumeNamespace:s 3fsType:s 4readOnly:b 5!secretRef:ObjectReference;
StorageOSVolumeSource 1volumeName:s 2volumeNamespace:s 3fsType:s 4readOnly:b 5!secretRef:LocalObjectReference; Subject
1!kind:s 2apiGroup:s 3!name:s 4namespace:s; SubjectAccessReview 1metadata:ObjectMeta 2!spec:SubjectAccessReviewSpec
3status:SubjectAccessReviewStatus; SubjectAccessReviewSpec 1!resourceAttributes:ResourceAttributes
2!nonResourceAttributes:NonResourceAttributes 3user:s 4groups:[s] 5extra:{L} 6uid:s; SubjectAccessReviewStatus
1!allowed:b 2reason:s 3evaluationError:s 4denied:b; SubjectRulesReviewStatus 1!resourceRules:[ResourceRule]
2!nonResourceRules:[NonResourceRule] 3!incomplete:b 4evaluationError:s; SuccessPolicy 1!rules:[SuccessPolicyRule];
SuccessPolicyRule 1!succeededIndexes:s 2!succeededCount:i; Sysctl 1!name:s 2!value:s; TCPSocketAction 1!port:X 2host:s;
Taint 1!key:s 2value:s 3!effect:s 4!timeAdded:T; TokenRequest 1!audience:s 2!expirationSeconds:i;
TokenRequest.authentication 1metadata:ObjectMeta 2!spec:TokenRequestSpec 3status:TokenRequestStatus; TokenRequestSpec
1!audiences:[s] 3!boundObjectRef:BoundObjectReference 4!expirationSeconds:i 5attestations:{[s]}; TokenRequestStatus
1!token:s 2!expirationTimestamp:T; Toleration 1key:s 2operator:s 3value:s 4effect:s 5!tolerationSeconds:i;
TopologyConstraint 1!key:s; TopologySelectorLabelRequirement 1!key:s 2!values:[s]; TopologySelectorTerm
1matchLabelExpressions:[TopologySelectorLabelRequirement]; TopologySpreadConstraint 1!maxSkew:i 2!topologyKey:s
3!whenUnsatisfiable:s 4!labelSelector:LabelSelector 5!minDomains:i 6!nodeAffinityPolicy:s 7!nodeTaintsPolicy:s
8matchLabelKeys:[s]; TypedLocalObjectReference 1!apiGroup:s 2!kind:s 3!name:s; TypedObjectReference 1!apiGroup:s 2!kind:s
3!name:s 4!namespace:s; UncountedTerminatedPods 1succeeded:[s] 2failed:[s]; UserInfo 1username:s 2uid:s 3groups:[s]
4extra:{L}; ValidatingWebhook 1!name:s 2!clientConfig:WebhookClientConfig 3rules:[RuleWithOperations] 4!failurePolicy:s
5!namespaceSelector:LabelSelector 6!sideEffects:s 7!timeoutSeconds:i 8!admissionReviewVersions:[s] 9!matchPolicy:s
10!objectSelector:LabelSelector 11matchConditions:[MatchCondition]; ValidatingWebhookConfiguration 1metadata:ObjectMeta
2webhooks:[ValidatingWebhook]; Volume 1!name:s 2!<:VolumeSource; VolumeAttachment 1metadata:ObjectMeta
2!spec:VolumeAttachmentSpec 3status:VolumeAttachmentStatus; VolumeAttachmentSource 1!persistentVolumeName:s
2!inlineVolumeSpec:PersistentVolumeSpec; VolumeAttachmentSpec 1!attacher:s 2!source:VolumeAttachmentSource 3!nodeName:s;
VolumeAttachmentStatus 1!attached:b 2attachmentMetadata:{s} 3!attachError:VolumeError 4!detachError:VolumeError;
VolumeDevice 1!name:s 2!devicePath:s; VolumeError 1time:T 2message:s 3!errorCode:i; VolumeHealthCondition 1!status:s
2!reason:s 3message:s; VolumeHealthStatus 1healthConditions:[VolumeHealthCondition] 2lastTransitionTime:T; VolumeMount
1!name:s 2readOnly:b 3!mountPath:s 4subPath:s 5!mountPropagation:s 6subPathExpr:s 7!recursiveReadOnly:s
8bindMountOptions:[s]; VolumeMountStatus 1!name:s 2!mountPath:s 3readOnly:b 4!recursiveReadOnly:s
5!volumeStatus:VolumeStatus; VolumeNodeAffinity 1!required:NodeSelector; VolumeNodeResources 1!count:i; VolumeProjection
1!secret:SecretProjection 2!downwardAPI:DownwardAPIProjection 3!configMap:ConfigMapProjection
4!serviceAccountToken:ServiceAccountTokenProjection 5!clusterTrustBundle:ClusterTrustBundleProjection
6!podCertificate:PodCertificateProjection; VolumeResourceRequirements 1limits:{Q} 2requests:{Q}; VolumeSource
1!hostPath:HostPathVolumeSource 2!emptyDir:EmptyDirVolumeSource 3!gcePersistentDisk:GCEPersistentDiskVolumeSource
4!awsElasticBlockStore:AWSElasticBlockStoreVolumeSource 5!gitRepo:GitRepoVolumeSource 6!secret:SecretVolumeSource
7!nfs:NFSVolumeSource 8!iscsi:ISCSIVolumeSource 9!glusterfs:GlusterfsVolumeSource
10!persistentVolumeClaim:PersistentVolumeClaimVolumeSource 11!rbd:RBDVolumeSource 12!flexVolume:FlexVolumeSource
13!cinder:CinderVolumeSource 14!cephfs:CephFSVolumeSource 15!flocker:FlockerVolumeSource
16!downwardAPI:DownwardAPIVolumeSource 17!fc:FCVolumeSource 18!azureFile:AzureFileVolumeSource
19!configMap:ConfigMapVolumeSource 20!vsphereVolume:VsphereVirtualDiskVolumeSource 21!quobyte:QuobyteVolumeSource
22!azureDisk:AzureDiskVolumeSource 23!photonPersistentDisk:PhotonPersistentDiskVolumeSource
24!portworxVolume:PortworxVolumeSource 25!scaleIO:ScaleIOVolumeSource 26!projected:ProjectedVolumeSource
27!storageos:StorageOSVolumeSource 28!csi:CSIVolumeSource 29!ephemeral:EphemeralVolumeSource 30!image:ImageVolumeSource;
VolumeStatus 1!image:ImageVolumeStatus; VsphereVirtualDiskVolumeSource 1!volumePath:s 2fsType:s 3storagePolicyName:s
4storagePolicyID:s; WebhookClientConfig 1!service:ServiceReference 2caBundle:y 3!url:s; WeightedPodAffinityTerm
1!weight:i 2!podAffinityTerm:PodAffinityTerm; WindowsSecurityContextOptions 1!gmsaCredentialSpecName:s
2!gmsaCredentialSpec:s 3!runAsUserName:s 4!hostProcess:b; WorkloadPodGroupAllDisruptionMode ;
WorkloadPodGroupBasicSchedulingPolicy ; WorkloadPodGroupDisruptionMode 1!single:WorkloadPodGroupSingleDisruptionMode
2!all:WorkloadPodGroupAllDisruptionMode; WorkloadPodGroupGangSchedulingPolicy 1!minCount:i; WorkloadPodGroupResourceClaim
1!name:s 2!resourceClaimName:s 3!resourceClaimTemplateName:s; WorkloadPodGroupSchedulingConstraints
1topology:[TopologyConstraint]; WorkloadPodGroupSchedulingPolicy 1!basic:WorkloadPodGroupBasicSchedulingPolicy
2!gang:WorkloadPodGroupGangSchedulingPolicy; WorkloadPodGroupSingleDisruptionMode;
`;
