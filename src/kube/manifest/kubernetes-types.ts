// Field names and types of the Kubernetes kinds we accept, for strict decoding: `unknown field "spec.prots"`.
// One type a line, "Type: field:type …"; types are s string, i integer, b boolean, x integer or string,
// q quantity, t time, any, Name of another type, [T] list of T, {T} map of names to T.
// Transcribed from the OpenAPI schema of Kubernetes 1.30 (the test compares it with the package kubernetes-types),
// plus the fields that 1.31-1.35 added. Longer than a file should be because the API is.

const TYPES = `
  AWSElasticBlockStoreVolumeSource: fsType:s partition:i readOnly:b volumeID:s
  Affinity: nodeAffinity:NodeAffinity podAffinity:PodAffinity podAntiAffinity:PodAntiAffinity
  AppArmorProfile: localhostProfile:s type:s
  AttachedVolume: devicePath:s name:s
  AzureDiskVolumeSource: cachingMode:s diskName:s diskURI:s fsType:s kind:s readOnly:b
  AzureFileVolumeSource: readOnly:b secretName:s shareName:s
  CSIVolumeSource: driver:s fsType:s nodePublishSecretRef:LocalObjectReference readOnly:b
      volumeAttributes:{s}
  Capabilities: add:[s] drop:[s]
  CephFSVolumeSource: monitors:[s] path:s readOnly:b secretFile:s secretRef:LocalObjectReference user:s
  CinderVolumeSource: fsType:s readOnly:b secretRef:LocalObjectReference volumeID:s
  ClaimSource: resourceClaimName:s resourceClaimTemplateName:s
  ClientIPConfig: timeoutSeconds:i
  ClusterNetworkPolicy: apiVersion:s kind:s metadata:ObjectMeta spec:ClusterNetworkPolicySpec
      status:ClusterNetworkPolicyStatus
  ClusterNetworkPolicyEgressPeer: domainNames:[s] namespaces:LabelSelector networks:[s] nodes:LabelSelector
      pods:NamespacedPod
  ClusterNetworkPolicyEgressRule: action:s name:s protocols:[ClusterNetworkPolicyProtocol]
      to:[ClusterNetworkPolicyEgressPeer]
  ClusterNetworkPolicyIngressPeer: namespaces:LabelSelector pods:NamespacedPod
  ClusterNetworkPolicyIngressRule: action:s from:[ClusterNetworkPolicyIngressPeer] name:s
      protocols:[ClusterNetworkPolicyProtocol]
  ClusterNetworkPolicyProtocol: destinationNamedPort:s sctp:ClusterNetworkPolicyPorts
      tcp:ClusterNetworkPolicyPorts udp:ClusterNetworkPolicyPorts
  ClusterNetworkPolicyPorts: destinationPort:ClusterNetworkPolicyPort
  ClusterNetworkPolicyPort: number:i range:ClusterNetworkPolicyPortRange
  ClusterNetworkPolicyPortRange: end:i start:i
  ClusterNetworkPolicySpec: egress:[ClusterNetworkPolicyEgressRule] ingress:[ClusterNetworkPolicyIngressRule]
      priority:i subject:ClusterNetworkPolicySubject tier:s
  ClusterNetworkPolicyStatus: conditions:[Condition]
  ClusterNetworkPolicySubject: namespaces:LabelSelector pods:NamespacedPod
  ClusterTrustBundleProjection: labelSelector:LabelSelector name:s optional:b path:s signerName:s
  Condition: lastTransitionTime:t message:s observedGeneration:i reason:s status:s type:s
  ConfigMap: apiVersion:s binaryData:{s} data:{s} immutable:b kind:s metadata:ObjectMeta
  ConfigMapEnvSource: name:s optional:b
  ConfigMapKeySelector: key:s name:s optional:b
  ConfigMapNodeConfigSource: kubeletConfigKey:s name:s namespace:s resourceVersion:s uid:s
  ConfigMapProjection: items:[KeyToPath] name:s optional:b
  ConfigMapVolumeSource: defaultMode:i items:[KeyToPath] name:s optional:b
  Container: args:[s] command:[s] env:[EnvVar] envFrom:[EnvFromSource] image:s imagePullPolicy:s
      lifecycle:Lifecycle livenessProbe:Probe name:s ports:[ContainerPort] readinessProbe:Probe
      resizePolicy:[ContainerResizePolicy] resources:ResourceRequirements restartPolicy:s
      restartPolicyRules:[any] securityContext:SecurityContext startupProbe:Probe stdin:b stdinOnce:b
      terminationMessagePath:s terminationMessagePolicy:s tty:b volumeDevices:[VolumeDevice]
      volumeMounts:[VolumeMount] workingDir:s
  ContainerImage: names:[s] sizeBytes:i
  ContainerPort: containerPort:i hostIP:s hostPort:i name:s protocol:s
  ContainerResizePolicy: resourceName:s restartPolicy:s
  ContainerState: running:ContainerStateRunning terminated:ContainerStateTerminated
      waiting:ContainerStateWaiting
  ContainerStateRunning: startedAt:t
  ContainerStateTerminated: containerID:s exitCode:i finishedAt:t message:s reason:s signal:i startedAt:t
  ContainerStateWaiting: message:s reason:s
  ContainerStatus: allocatedResources:{q} allocatedResourcesStatus:[any] containerID:s image:s imageID:s
      lastState:ContainerState name:s ready:b resources:ResourceRequirements restartCount:i started:b
      state:ContainerState stopSignal:s user:any volumeMounts:[VolumeMountStatus]
  CronJob: apiVersion:s kind:s metadata:ObjectMeta spec:CronJobSpec status:CronJobStatus
  CronJobSpec: concurrencyPolicy:s failedJobsHistoryLimit:i jobTemplate:JobTemplateSpec schedule:s
      startingDeadlineSeconds:i successfulJobsHistoryLimit:i suspend:b timeZone:s
  CronJobStatus: active:[ObjectReference] lastScheduleTime:t lastSuccessfulTime:t
  DaemonEndpoint: Port:i
  DaemonSet: apiVersion:s kind:s metadata:ObjectMeta spec:DaemonSetSpec status:DaemonSetStatus
  DaemonSetSpec: minReadySeconds:i revisionHistoryLimit:i selector:LabelSelector template:PodTemplateSpec
      updateStrategy:DaemonSetUpdateStrategy
  DaemonSetStatus: collisionCount:i conditions:[any] currentNumberScheduled:i desiredNumberScheduled:i
      numberAvailable:i numberMisscheduled:i numberReady:i numberUnavailable:i observedGeneration:i
      updatedNumberScheduled:i
  DaemonSetUpdateStrategy: rollingUpdate:RollingUpdateDaemonSet type:s
  Deployment: apiVersion:s kind:s metadata:ObjectMeta spec:DeploymentSpec status:DeploymentStatus
  DeploymentCondition: lastTransitionTime:t lastUpdateTime:t message:s reason:s status:s type:s
  DeploymentSpec: minReadySeconds:i paused:b progressDeadlineSeconds:i replicas:i revisionHistoryLimit:i
      selector:LabelSelector strategy:DeploymentStrategy template:PodTemplateSpec
  DeploymentStatus: availableReplicas:i collisionCount:i conditions:[DeploymentCondition]
      observedGeneration:i readyReplicas:i replicas:i terminatingReplicas:i unavailableReplicas:i
      updatedReplicas:i
  DeploymentStrategy: rollingUpdate:RollingUpdateDeployment type:s
  DownwardAPIProjection: items:[DownwardAPIVolumeFile]
  DownwardAPIVolumeFile: fieldRef:ObjectFieldSelector mode:i path:s resourceFieldRef:ResourceFieldSelector
  DownwardAPIVolumeSource: defaultMode:i items:[DownwardAPIVolumeFile]
  EmptyDirVolumeSource: medium:s sizeLimit:q
  Endpoint: addresses:[s] conditions:EndpointConditions deprecatedTopology:{s} hints:EndpointHints
      hostname:s nodeName:s targetRef:ObjectReference zone:s
  EndpointAddress: hostname:s ip:s nodeName:s targetRef:ObjectReference
  EndpointConditions: ready:b serving:b terminating:b
  EndpointHints: forNodes:[ForNode] forZones:[ForZone]
  EndpointPort: appProtocol:s name:s port:i protocol:s
  EndpointSlice: addressType:s apiVersion:s endpoints:[Endpoint] kind:s metadata:ObjectMeta
      ports:[EndpointPort]
  EndpointSubset: addresses:[EndpointAddress] notReadyAddresses:[EndpointAddress] ports:[EndpointPort]
  Endpoints: apiVersion:s kind:s metadata:ObjectMeta subsets:[EndpointSubset]
  EnvFromSource: configMapRef:ConfigMapEnvSource prefix:s secretRef:SecretEnvSource
  EnvVar: name:s value:s valueFrom:EnvVarSource
  EnvVarSource: configMapKeyRef:ConfigMapKeySelector fieldRef:ObjectFieldSelector fileKeyRef:any
      resourceFieldRef:ResourceFieldSelector secretKeyRef:SecretKeySelector
  EphemeralContainer: args:[s] command:[s] env:[EnvVar] envFrom:[EnvFromSource] image:s imagePullPolicy:s
      lifecycle:Lifecycle livenessProbe:Probe name:s ports:[ContainerPort] readinessProbe:Probe
      resizePolicy:[ContainerResizePolicy] resources:ResourceRequirements restartPolicy:s
      restartPolicyRules:[any] securityContext:SecurityContext startupProbe:Probe stdin:b stdinOnce:b
      targetContainerName:s terminationMessagePath:s terminationMessagePolicy:s tty:b
      volumeDevices:[VolumeDevice] volumeMounts:[VolumeMount] workingDir:s
  EphemeralVolumeSource: volumeClaimTemplate:PersistentVolumeClaimTemplate
  ExecAction: command:[s]
  FCVolumeSource: fsType:s lun:i readOnly:b targetWWNs:[s] wwids:[s]
  FlexVolumeSource: driver:s fsType:s options:{s} readOnly:b secretRef:LocalObjectReference
  FlockerVolumeSource: datasetName:s datasetUUID:s
  ForNode: name:s
  ForZone: name:s
  GCEPersistentDiskVolumeSource: fsType:s partition:i pdName:s readOnly:b
  GRPCAction: port:i service:s
  GitRepoVolumeSource: directory:s repository:s revision:s
  GlusterfsVolumeSource: endpoints:s path:s readOnly:b
  HTTPGetAction: host:s httpHeaders:[HTTPHeader] path:s port:x scheme:s
  HTTPHeader: name:s value:s
  HTTPIngressPath: backend:IngressBackend path:s pathType:s
  HTTPIngressRuleValue: paths:[HTTPIngressPath]
  HostAlias: hostnames:[s] ip:s
  HostIP: ip:s
  HostPathVolumeSource: path:s type:s
  IPBlock: cidr:s except:[s]
  ISCSIVolumeSource: chapAuthDiscovery:b chapAuthSession:b fsType:s initiatorName:s iqn:s iscsiInterface:s
      lun:i portals:[s] readOnly:b secretRef:LocalObjectReference targetPortal:s
  Ingress: apiVersion:s kind:s metadata:ObjectMeta spec:IngressSpec status:IngressStatus
  IngressBackend: resource:TypedLocalObjectReference service:IngressServiceBackend
  IngressClass: apiVersion:s kind:s metadata:ObjectMeta spec:IngressClassSpec
  IngressClassParametersReference: apiGroup:s kind:s name:s namespace:s scope:s
  IngressClassSpec: controller:s parameters:IngressClassParametersReference
  IngressLoadBalancerIngress: hostname:s ip:s ports:[IngressPortStatus]
  IngressLoadBalancerStatus: ingress:[IngressLoadBalancerIngress]
  IngressPortStatus: error:s port:i protocol:s
  IngressRule: host:s http:HTTPIngressRuleValue
  IngressServiceBackend: name:s port:ServiceBackendPort
  IngressSpec: defaultBackend:IngressBackend ingressClassName:s rules:[IngressRule] tls:[IngressTLS]
  IngressStatus: loadBalancer:IngressLoadBalancerStatus
  IngressTLS: hosts:[s] secretName:s
  Job: apiVersion:s kind:s metadata:ObjectMeta spec:JobSpec status:JobStatus
  JobCondition: lastProbeTime:t lastTransitionTime:t message:s reason:s status:s type:s
  JobSpec: activeDeadlineSeconds:i backoffLimit:i backoffLimitPerIndex:i completionMode:s completions:i
      managedBy:s manualSelector:b maxFailedIndexes:i parallelism:i podFailurePolicy:PodFailurePolicy
      podReplacementPolicy:s selector:LabelSelector successPolicy:SuccessPolicy suspend:b
      template:PodTemplateSpec ttlSecondsAfterFinished:i
  JobStatus: active:i completedIndexes:s completionTime:t conditions:[JobCondition] failed:i
      failedIndexes:s ready:i startTime:t succeeded:i terminating:i uncountedTerminatedPods:any
  JobTemplateSpec: metadata:ObjectMeta spec:JobSpec
  KeyToPath: key:s mode:i path:s
  LabelSelector: matchExpressions:[LabelSelectorRequirement] matchLabels:{s}
  LabelSelectorRequirement: key:s operator:s values:[s]
  Lifecycle: postStart:LifecycleHandler preStop:LifecycleHandler stopSignal:s
  LifecycleHandler: exec:ExecAction httpGet:HTTPGetAction sleep:SleepAction tcpSocket:TCPSocketAction
  LoadBalancerIngress: hostname:s ip:s ipMode:s ports:[PortStatus]
  LoadBalancerStatus: ingress:[LoadBalancerIngress]
  LocalObjectReference: name:s
  ManagedFieldsEntry: apiVersion:s fieldsType:s fieldsV1:any manager:s operation:s subresource:s time:t
  NFSVolumeSource: path:s readOnly:b server:s
  Namespace: apiVersion:s kind:s metadata:ObjectMeta spec:NamespaceSpec status:NamespaceStatus
  NamespacedPod: namespaceSelector:LabelSelector podSelector:LabelSelector
  NamespaceCondition: lastTransitionTime:t message:s reason:s status:s type:s
  NamespaceSpec: finalizers:[s]
  NamespaceStatus: conditions:[NamespaceCondition] phase:s
  NetworkPolicy: apiVersion:s kind:s metadata:ObjectMeta spec:NetworkPolicySpec
  NetworkPolicyEgressRule: ports:[NetworkPolicyPort] to:[NetworkPolicyPeer]
  NetworkPolicyIngressRule: from:[NetworkPolicyPeer] ports:[NetworkPolicyPort]
  NetworkPolicyPeer: ipBlock:IPBlock namespaceSelector:LabelSelector podSelector:LabelSelector
  NetworkPolicyPort: endPort:i port:x protocol:s
  NetworkPolicySpec: egress:[NetworkPolicyEgressRule] ingress:[NetworkPolicyIngressRule]
      podSelector:LabelSelector policyTypes:[s]
  Node: apiVersion:s kind:s metadata:ObjectMeta spec:NodeSpec status:NodeStatus
  NodeAddress: address:s type:s
  NodeAffinity: preferredDuringSchedulingIgnoredDuringExecution:[PreferredSchedulingTerm]
      requiredDuringSchedulingIgnoredDuringExecution:NodeSelector
  NodeCondition: lastHeartbeatTime:t lastTransitionTime:t message:s reason:s status:s type:s
  NodeConfigSource: configMap:ConfigMapNodeConfigSource
  NodeConfigStatus: active:NodeConfigSource assigned:NodeConfigSource error:s
      lastKnownGood:NodeConfigSource
  NodeDaemonEndpoints: kubeletEndpoint:DaemonEndpoint
  NodeRuntimeHandler: features:NodeRuntimeHandlerFeatures name:s
  NodeRuntimeHandlerFeatures: recursiveReadOnlyMounts:b userNamespaces:b
  NodeSelector: nodeSelectorTerms:[NodeSelectorTerm]
  NodeSelectorRequirement: key:s operator:s values:[s]
  NodeSelectorTerm: matchExpressions:[NodeSelectorRequirement] matchFields:[NodeSelectorRequirement]
  NodeSpec: configSource:NodeConfigSource externalID:s podCIDR:s podCIDRs:[s] providerID:s taints:[Taint]
      unschedulable:b
  NodeStatus: addresses:[NodeAddress] allocatable:{q} capacity:{q} conditions:[NodeCondition]
      config:NodeConfigStatus daemonEndpoints:NodeDaemonEndpoints declaredFeatures:[s] features:any
      images:[ContainerImage] nodeInfo:NodeSystemInfo phase:s runtimeHandlers:[NodeRuntimeHandler]
      volumesAttached:[AttachedVolume] volumesInUse:[s]
  NodeSystemInfo: architecture:s bootID:s containerRuntimeVersion:s kernelVersion:s kubeProxyVersion:s
      kubeletVersion:s machineID:s operatingSystem:s osImage:s swap:any systemUUID:s
  ObjectFieldSelector: apiVersion:s fieldPath:s
  ObjectMeta: annotations:{s} creationTimestamp:t deletionGracePeriodSeconds:i deletionTimestamp:t
      finalizers:[s] generateName:s generation:i labels:{s} managedFields:[ManagedFieldsEntry] name:s
      namespace:s ownerReferences:[OwnerReference] resourceVersion:s selfLink:s uid:s
  ObjectReference: apiVersion:s fieldPath:s kind:s name:s namespace:s resourceVersion:s uid:s
  OwnerReference: apiVersion:s blockOwnerDeletion:b controller:b kind:s name:s uid:s
  PersistentVolumeClaimSpec: accessModes:[s] dataSource:TypedLocalObjectReference
      dataSourceRef:TypedObjectReference resources:VolumeResourceRequirements selector:LabelSelector
      storageClassName:s volumeAttributesClassName:s volumeMode:s volumeName:s
  PersistentVolumeClaimTemplate: metadata:ObjectMeta spec:PersistentVolumeClaimSpec
  PersistentVolumeClaimVolumeSource: claimName:s readOnly:b
  PhotonPersistentDiskVolumeSource: fsType:s pdID:s
  Pod: apiVersion:s kind:s metadata:ObjectMeta spec:PodSpec status:PodStatus
  PodAffinity: preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]
      requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]
  PodAffinityTerm: labelSelector:LabelSelector matchLabelKeys:[s] mismatchLabelKeys:[s]
      namespaceSelector:LabelSelector namespaces:[s] topologyKey:s
  PodAntiAffinity: preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]
      requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]
  PodCondition: lastProbeTime:t lastTransitionTime:t message:s observedGeneration:i reason:s status:s
      type:s
  PodDNSConfig: nameservers:[s] options:[PodDNSConfigOption] searches:[s]
  PodDNSConfigOption: name:s value:s
  PodFailurePolicy: rules:[PodFailurePolicyRule]
  PodFailurePolicyOnExitCodesRequirement: containerName:s operator:s values:[i]
  PodFailurePolicyOnPodConditionsPattern: status:s type:s
  PodFailurePolicyRule: action:s onExitCodes:PodFailurePolicyOnExitCodesRequirement
      onPodConditions:[PodFailurePolicyOnPodConditionsPattern]
  PodIP: ip:s
  PodOS: name:s
  PodReadinessGate: conditionType:s
  PodResourceClaim: name:s resourceClaimName:s resourceClaimTemplateName:s source:ClaimSource
  PodResourceClaimStatus: name:s resourceClaimName:s
  PodSchedulingGate: name:s
  PodSecurityContext: appArmorProfile:AppArmorProfile fsGroup:i fsGroupChangePolicy:s runAsGroup:i
      runAsNonRoot:b runAsUser:i seLinuxChangePolicy:s seLinuxOptions:SELinuxOptions
      seccompProfile:SeccompProfile supplementalGroups:[i] supplementalGroupsPolicy:s sysctls:[Sysctl]
      windowsOptions:WindowsSecurityContextOptions
  PodSpec: activeDeadlineSeconds:i affinity:Affinity automountServiceAccountToken:b containers:[Container]
      dnsConfig:PodDNSConfig dnsPolicy:s enableServiceLinks:b ephemeralContainers:[EphemeralContainer]
      hostAliases:[HostAlias] hostIPC:b hostNetwork:b hostPID:b hostUsers:b hostname:s hostnameOverride:s
      imagePullSecrets:[LocalObjectReference] initContainers:[Container] nodeName:s nodeSelector:{s}
      os:PodOS overhead:{q} preemptionPolicy:s priority:i priorityClassName:s
      readinessGates:[PodReadinessGate] resourceClaims:[PodResourceClaim] resources:ResourceRequirements
      restartPolicy:s runtimeClassName:s schedulerName:s schedulingGates:[PodSchedulingGate]
      securityContext:PodSecurityContext serviceAccount:s serviceAccountName:s setHostnameAsFQDN:b
      shareProcessNamespace:b subdomain:s terminationGracePeriodSeconds:i tolerations:[Toleration]
      topologySpreadConstraints:[TopologySpreadConstraint] volumes:[Volume] workloadRef:any
  PodStatus: allocatedResources:{q} conditions:[PodCondition] containerStatuses:[ContainerStatus]
      ephemeralContainerStatuses:[ContainerStatus] extendedResourceClaimStatus:any hostIP:s
      hostIPs:[HostIP] initContainerStatuses:[ContainerStatus] message:s nominatedNodeName:s
      observedGeneration:i phase:s podIP:s podIPs:[PodIP] qosClass:s reason:s resize:s
      resourceClaimStatuses:[PodResourceClaimStatus] resources:ResourceRequirements startTime:t
  PodTemplateSpec: metadata:ObjectMeta spec:PodSpec
  PortStatus: error:s port:i protocol:s
  PortworxVolumeSource: fsType:s readOnly:b volumeID:s
  PreferredSchedulingTerm: preference:NodeSelectorTerm weight:i
  Probe: exec:ExecAction failureThreshold:i grpc:GRPCAction httpGet:HTTPGetAction initialDelaySeconds:i
      periodSeconds:i successThreshold:i tcpSocket:TCPSocketAction terminationGracePeriodSeconds:i
      timeoutSeconds:i
  ProjectedVolumeSource: defaultMode:i sources:[VolumeProjection]
  QuobyteVolumeSource: group:s readOnly:b registry:s tenant:s user:s volume:s
  RBDVolumeSource: fsType:s image:s keyring:s monitors:[s] pool:s readOnly:b
      secretRef:LocalObjectReference user:s
  ReplicaSet: apiVersion:s kind:s metadata:ObjectMeta spec:ReplicaSetSpec status:ReplicaSetStatus
  ReplicaSetSpec: minReadySeconds:i replicas:i selector:LabelSelector template:PodTemplateSpec
  ReplicaSetStatus: availableReplicas:i conditions:[any] fullyLabeledReplicas:i observedGeneration:i
      readyReplicas:i replicas:i terminatingReplicas:i
  ReplicationController: apiVersion:s kind:s metadata:ObjectMeta spec:ReplicationControllerSpec
      status:ReplicationControllerStatus
  ReplicationControllerSpec: minReadySeconds:i replicas:i selector:{s} template:PodTemplateSpec
  ReplicationControllerStatus: availableReplicas:i conditions:[any] fullyLabeledReplicas:i
      observedGeneration:i readyReplicas:i replicas:i
  ResourceClaim: name:s request:s
  ResourceFieldSelector: containerName:s divisor:q resource:s
  ResourceRequirements: claims:[ResourceClaim] limits:{q} requests:{q}
  RollingUpdateDeployment: maxSurge:x maxUnavailable:x
  RollingUpdateDaemonSet: maxSurge:x maxUnavailable:x
  RollingUpdateStatefulSetStrategy: maxUnavailable:x partition:i
  SELinuxOptions: level:s role:s type:s user:s
  ScaleIOVolumeSource: fsType:s gateway:s protectionDomain:s readOnly:b secretRef:LocalObjectReference
      sslEnabled:b storageMode:s storagePool:s system:s volumeName:s
  SeccompProfile: localhostProfile:s type:s
  Secret: apiVersion:s data:{s} immutable:b kind:s metadata:ObjectMeta stringData:{s} type:s
  SecretEnvSource: name:s optional:b
  SecretKeySelector: key:s name:s optional:b
  SecretProjection: items:[KeyToPath] name:s optional:b
  SecretVolumeSource: defaultMode:i items:[KeyToPath] optional:b secretName:s
  SecurityContext: allowPrivilegeEscalation:b appArmorProfile:AppArmorProfile capabilities:Capabilities
      privileged:b procMount:s readOnlyRootFilesystem:b runAsGroup:i runAsNonRoot:b runAsUser:i
      seLinuxOptions:SELinuxOptions seccompProfile:SeccompProfile
      windowsOptions:WindowsSecurityContextOptions
  Service: apiVersion:s kind:s metadata:ObjectMeta spec:ServiceSpec status:ServiceStatus
  ServiceAccount: apiVersion:s automountServiceAccountToken:b imagePullSecrets:[LocalObjectReference] kind:s
      metadata:ObjectMeta secrets:[ObjectReference]
  ServiceAccountTokenProjection: audience:s expirationSeconds:i path:s
  ServiceBackendPort: name:s number:i
  ServiceCIDR: apiVersion:s kind:s metadata:ObjectMeta spec:ServiceCIDRSpec status:ServiceCIDRStatus
  ServiceCIDRSpec: cidrs:[s]
  ServiceCIDRStatus: conditions:[Condition]
  ServicePort: appProtocol:s name:s nodePort:i port:i protocol:s targetPort:x
  ServiceSpec: allocateLoadBalancerNodePorts:b clusterIP:s clusterIPs:[s] externalIPs:[s] externalName:s
      externalTrafficPolicy:s healthCheckNodePort:i internalTrafficPolicy:s ipFamilies:[s]
      ipFamilyPolicy:s loadBalancerClass:s loadBalancerIP:s loadBalancerSourceRanges:[s]
      ports:[ServicePort] publishNotReadyAddresses:b selector:{s} sessionAffinity:s
      sessionAffinityConfig:SessionAffinityConfig trafficDistribution:s type:s
  ServiceStatus: conditions:[Condition] loadBalancer:LoadBalancerStatus
  SessionAffinityConfig: clientIP:ClientIPConfig
  SleepAction: seconds:i
  StatefulSet: apiVersion:s kind:s metadata:ObjectMeta spec:StatefulSetSpec status:StatefulSetStatus
  StatefulSetOrdinals: start:i
  StatefulSetSpec: minReadySeconds:i ordinals:StatefulSetOrdinals persistentVolumeClaimRetentionPolicy:any
      podManagementPolicy:s replicas:i revisionHistoryLimit:i selector:LabelSelector serviceName:s
      template:PodTemplateSpec updateStrategy:StatefulSetUpdateStrategy volumeClaimTemplates:[any]
  StatefulSetStatus: availableReplicas:i collisionCount:i conditions:[any] currentReplicas:i
      currentRevision:s observedGeneration:i readyReplicas:i replicas:i updateRevision:s updatedReplicas:i
  StatefulSetUpdateStrategy: rollingUpdate:RollingUpdateStatefulSetStrategy type:s
  StorageOSVolumeSource: fsType:s readOnly:b secretRef:LocalObjectReference volumeName:s volumeNamespace:s
  SuccessPolicy: rules:[SuccessPolicyRule]
  SuccessPolicyRule: succeededCount:i succeededIndexes:s
  Sysctl: name:s value:s
  TCPSocketAction: host:s port:x
  Taint: effect:s key:s timeAdded:t value:s
  Toleration: effect:s key:s operator:s tolerationSeconds:i value:s
  TopologySpreadConstraint: labelSelector:LabelSelector matchLabelKeys:[s] maxSkew:i minDomains:i
      nodeAffinityPolicy:s nodeTaintsPolicy:s topologyKey:s whenUnsatisfiable:s
  TypedLocalObjectReference: apiGroup:s kind:s name:s
  TypedObjectReference: apiGroup:s kind:s name:s namespace:s
  Volume: awsElasticBlockStore:AWSElasticBlockStoreVolumeSource azureDisk:AzureDiskVolumeSource
      azureFile:AzureFileVolumeSource cephfs:CephFSVolumeSource cinder:CinderVolumeSource
      configMap:ConfigMapVolumeSource csi:CSIVolumeSource downwardAPI:DownwardAPIVolumeSource
      emptyDir:EmptyDirVolumeSource ephemeral:EphemeralVolumeSource fc:FCVolumeSource
      flexVolume:FlexVolumeSource flocker:FlockerVolumeSource
      gcePersistentDisk:GCEPersistentDiskVolumeSource gitRepo:GitRepoVolumeSource
      glusterfs:GlusterfsVolumeSource hostPath:HostPathVolumeSource image:any iscsi:ISCSIVolumeSource
      name:s nfs:NFSVolumeSource persistentVolumeClaim:PersistentVolumeClaimVolumeSource
      photonPersistentDisk:PhotonPersistentDiskVolumeSource portworxVolume:PortworxVolumeSource
      projected:ProjectedVolumeSource quobyte:QuobyteVolumeSource rbd:RBDVolumeSource
      scaleIO:ScaleIOVolumeSource secret:SecretVolumeSource storageos:StorageOSVolumeSource
      vsphereVolume:VsphereVirtualDiskVolumeSource
  VolumeDevice: devicePath:s name:s
  VolumeMount: mountPath:s mountPropagation:s name:s readOnly:b recursiveReadOnly:s subPath:s
      subPathExpr:s
  VolumeMountStatus: mountPath:s name:s readOnly:b recursiveReadOnly:s
  VolumeProjection: clusterTrustBundle:ClusterTrustBundleProjection configMap:ConfigMapProjection
      downwardAPI:DownwardAPIProjection podCertificate:any secret:SecretProjection
      serviceAccountToken:ServiceAccountTokenProjection
  VolumeResourceRequirements: limits:{q} requests:{q}
  VsphereVirtualDiskVolumeSource: fsType:s storagePolicyID:s storagePolicyName:s volumePath:s
  WeightedPodAffinityTerm: podAffinityTerm:PodAffinityTerm weight:i
  WindowsSecurityContextOptions: gmsaCredentialSpec:s gmsaCredentialSpecName:s hostProcess:b
      runAsUserName:s
`;

/** Types by name; each maps a field's name to its type. */
export const KUBERNETES_TYPES: ReadonlyMap<string, ReadonlyMap<string, string>> = parseTypes(TYPES);

/** Reads the notation above. A continued line is indented further than a type's first line. */
export function parseTypes(text: string): Map<string, Map<string, string>> {
  const types = new Map<string, Map<string, string>>();
  let fields = new Map<string, string>();
  for (const token of text.split(/\s+/)) {
    if (token === "") continue;
    const colon = token.indexOf(":");
    if (colon === token.length - 1) {
      fields = new Map();
      types.set(token.slice(0, -1), fields);
    } else {
      fields.set(token.slice(0, colon), token.slice(colon + 1));
    }
  }
  return types;
}
