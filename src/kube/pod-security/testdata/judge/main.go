// Answers questions about pod security, one JSON object a line on standard input, with k8s.io/pod-security-admission.
//
//	{"pod": …}        what each level of each version finds in a pod: {"baseline": {"v1.0": [[reason, detail], …], …}, …},
//	                  a version that finds the same as the one before it left out, "latest" always there
//	{"admission": …}  what comes of a request: {"allowed": …, "message": …, "warnings": […], "audit": {…}}
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"reflect"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/pod-security-admission/admission"
	"k8s.io/pod-security-admission/admission/api/load"
	"k8s.io/pod-security-admission/admission/api/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/metrics"
	"k8s.io/pod-security-admission/policy"
)

// One more than the last version that has a check of its own.
const lastMinor = 38

type question struct {
	Pod       *corev1.Pod
	Admission *request
}

type request struct {
	Config      string
	Operation   admissionv1.Operation
	User        string
	Subresource string
	Object      json.RawMessage
	Old         json.RawMessage
	// Of the namespace that the object is in.
	Labels map[string]string
	// Those of the namespace.
	Pods []*corev1.Pod
}

type answer struct {
	Allowed  bool              `json:"allowed"`
	Message  string            `json:"message,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
	Audit    map[string]string `json:"audit,omitempty"`
}

type kind struct {
	resource  string
	newObject func() runtime.Object
}

var kinds = map[string]kind{
	"Namespace":             {"namespaces", func() runtime.Object { return &corev1.Namespace{} }},
	"Pod":                   {"pods", func() runtime.Object { return &corev1.Pod{} }},
	"ReplicationController": {"replicationcontrollers", func() runtime.Object { return &corev1.ReplicationController{} }},
	"Deployment":            {"deployments", func() runtime.Object { return &appsv1.Deployment{} }},
	"ReplicaSet":            {"replicasets", func() runtime.Object { return &appsv1.ReplicaSet{} }},
	"StatefulSet":           {"statefulsets", func() runtime.Object { return &appsv1.StatefulSet{} }},
	"DaemonSet":             {"daemonsets", func() runtime.Object { return &appsv1.DaemonSet{} }},
	"Job":                   {"jobs", func() runtime.Object { return &batchv1.Job{} }},
}

func main() {
	evaluator := must(policy.NewEvaluator(policy.DefaultChecks(), nil))
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 1 {
			var asked question
			check(json.Unmarshal(line, &asked))
			if asked.Pod != nil {
				check(encoder.Encode(evaluate(evaluator, asked.Pod)))
			} else {
				check(encoder.Encode(admit(evaluator, asked.Admission)))
			}
		}
		if err == io.EOF {
			return
		}
		check(err)
	}
}

func evaluate(evaluator policy.Evaluator, pod *corev1.Pod) map[api.Level]map[string][][2]string {
	found := map[api.Level]map[string][][2]string{}
	for _, level := range []api.Level{api.LevelBaseline, api.LevelRestricted} {
		found[level] = map[string][][2]string{}
		var before [][2]string
		at := func(version api.Version) [][2]string {
			results := evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: version}, &pod.ObjectMeta, &pod.Spec)
			findings := [][2]string{}
			for _, result := range results {
				if !result.Allowed {
					findings = append(findings, [2]string{result.ForbiddenReason, result.ForbiddenDetail})
				}
			}
			return findings
		}
		for minor := 0; minor <= lastMinor; minor++ {
			version := api.MajorMinorVersion(1, minor)
			findings := at(version)
			if before == nil || !reflect.DeepEqual(before, findings) {
				found[level][version.String()] = findings
			}
			before = findings
		}
		found[level]["latest"] = at(api.LatestVersion())
	}
	return found
}

func admit(evaluator policy.Evaluator, asked *request) answer {
	configuration, err := load.LoadFromData([]byte(asked.Config))
	if err != nil {
		return answer{Message: err.Error()}
	}
	if wrong := validation.ValidatePodSecurityConfiguration(configuration).ToAggregate(); wrong != nil {
		return answer{Message: wrong.Error()}
	}
	world := &world{asked}
	judge := &admission.Admission{
		Configuration:   configuration,
		Evaluator:       evaluator,
		Metrics:         world,
		NamespaceGetter: world,
		PodLister:       world,
	}
	check(judge.CompleteConfiguration())
	check(judge.ValidateConfiguration())
	response := judge.Validate(context.Background(), attributesOf(asked))
	said := answer{Allowed: response.Allowed, Warnings: response.Warnings, Audit: response.AuditAnnotations}
	if response.Result != nil {
		said.Message = response.Result.Message
	}
	return said
}

func attributesOf(asked *request) *api.AttributesRecord {
	var meta struct {
		Kind     string
		Metadata struct{ Name, Namespace string }
	}
	check(json.Unmarshal(asked.Object, &meta))
	of := kinds[meta.Kind]
	object := of.newObject()
	check(json.Unmarshal(asked.Object, object))
	record := &api.AttributesRecord{
		Name:        meta.Metadata.Name,
		Namespace:   meta.Metadata.Namespace,
		Kind:        object.GetObjectKind().GroupVersionKind(),
		Subresource: asked.Subresource,
		Operation:   asked.Operation,
		Object:      object,
		Username:    asked.User,
	}
	record.Resource = schema.GroupVersionResource{
		Group: record.Kind.Group, Version: record.Kind.Version, Resource: of.resource,
	}
	if meta.Kind == "Namespace" {
		record.Namespace = record.Name // as the API server has it, also of a create
	}
	if len(asked.Old) > 0 {
		old := of.newObject()
		check(json.Unmarshal(asked.Old, old))
		record.OldObject = old
	}
	return record
}

// The cluster around a request.
type world struct{ *request }

func (w *world) GetNamespace(_ context.Context, name string) (*corev1.Namespace, error) {
	namespace := &corev1.Namespace{}
	namespace.Name, namespace.Labels = name, w.Labels
	return namespace, nil
}

func (w *world) ListPods(context.Context, string) ([]*corev1.Pod, error) { return w.Pods, nil }

func (w *world) RecordEvaluation(metrics.Decision, api.LevelVersion, metrics.Mode, api.Attributes) {}
func (w *world) RecordExemption(api.Attributes)                                                    {}
func (w *world) RecordError(bool, api.Attributes)                                                  {}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
