// Reads policies, one JSON object a line, and writes what an API server says to each: {"errors": [...]} that it refuses it
// with, in their order, {"decode": "..."} where it cannot even read it, or {"spec": ...} as it is stored.
//
// NetworkPolicies are decoded strictly, defaulted and validated by k8s.io/kubernetes itself, ClusterNetworkPolicies by
// k8s.io/apiextensions-apiserver against the resource definition in the file that is named as the argument.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	structuraldefaulting "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	structuralpruning "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	"k8s.io/kubernetes/pkg/apis/networking/v1"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"sigs.k8s.io/yaml"
)

type verdict struct {
	Errors []string        `json:"errors,omitempty"`
	Decode string          `json:"decode,omitempty"`
	Spec   json.RawMessage `json:"spec,omitempty"`
}

func main() {
	definition, err := os.ReadFile(os.Args[1])
	must(err)
	judge := newDefinition(definition)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var object struct{ Kind string }
			must(json.Unmarshal(line, &object))
			if object.Kind == "NetworkPolicy" {
				encoder.Encode(networkPolicy(line))
			} else {
				encoder.Encode(judge.custom(line))
			}
		}
		if err == io.EOF {
			return
		}
		must(err)
	}
}

func networkPolicy(text []byte) verdict {
	codecs := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	group := schema.GroupVersion{Group: "networking.k8s.io", Version: runtime.APIVersionInternal}
	decoded, _, err := codecs.UniversalDecoder(group).Decode(text, nil, nil)
	if err != nil {
		return verdict{Decode: err.Error()}
	}
	policy := decoded.(*networking.NetworkPolicy)
	if policy.Namespace == "" {
		policy.Namespace = "default"
	}
	networkpolicy.Strategy.PrepareForCreate(context.Background(), policy)
	if errs := networkpolicy.Strategy.Validate(context.Background(), policy); len(errs) > 0 {
		return verdict{Errors: texts(errs)}
	}
	stored, err := legacyscheme.Scheme.ConvertToVersion(policy, v1.SchemeGroupVersion)
	must(err)
	return verdict{Spec: specOf(stored)}
}

type definition struct {
	structural *structuralschema.Structural
	strategy   interface {
		PrepareForCreate(context.Context, runtime.Object)
		Validate(context.Context, runtime.Object) field.ErrorList
	}
}

func newDefinition(text []byte) definition {
	var crd apiextensionsv1.CustomResourceDefinition
	must(yaml.UnmarshalStrict(text, &crd))
	version := crd.Spec.Versions[0]
	var internal apiextensions.CustomResourceValidation
	must(apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, &internal, nil))
	validator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	must(err)
	structural, err := structuralschema.NewStructural(internal.OpenAPIV3Schema)
	must(err)
	kind := schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
	strategy := customresource.NewStrategy(nil, false, kind, validator, nil, structural,
		&apiextensions.CustomResourceSubresourceStatus{}, nil, nil)
	return definition{structural, strategy}
}

func (d definition) custom(text []byte) verdict {
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(text); err != nil {
		return verdict{Decode: err.Error()}
	}
	options := structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	unknown := structuralpruning.PruneWithOptions(object.Object, d.structural, true, options)
	if len(unknown) > 0 {
		for i, path := range unknown {
			unknown[i] = fmt.Sprintf("unknown field %q", path)
		}
		return verdict{Decode: "strict decoding error: " + strings.Join(unknown, ", ")}
	}
	structuraldefaulting.PruneNonNullableNullsWithoutDefaults(object.Object, d.structural)
	d.strategy.PrepareForCreate(context.Background(), &object)
	if errs := d.strategy.Validate(context.Background(), &object); len(errs) > 0 {
		return verdict{Errors: texts(errs)}
	}
	return verdict{Spec: specOf(&object)}
}

func specOf(object runtime.Object) json.RawMessage {
	text, err := json.Marshal(object)
	must(err)
	var with struct{ Spec json.RawMessage }
	must(json.Unmarshal(text, &with))
	return with.Spec
}

func texts(errs field.ErrorList) []string {
	var list []string
	for _, err := range errs {
		list = append(list, err.Error())
	}
	return list
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
