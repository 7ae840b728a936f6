// cyclonus: policies, and what becomes of each by its own simulation and in a cluster. Of the program that cyclonus
// publishes this has what makes and judges policies, and one thing more: a pod tries all that it is asked to in one
// command, where that program has the API server start one for each connection, 81 for every look at its nine pods.
// Called as "worker" it is what runs in the pods, in the place of cyclonus' own, which starts agnhost for each connection.
// $KUBECONFIG says which cluster.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mattfenwick/cyclonus/pkg/connectivity"
	"github.com/mattfenwick/cyclonus/pkg/connectivity/probe"
	"github.com/mattfenwick/cyclonus/pkg/generator"
	"github.com/mattfenwick/cyclonus/pkg/kube"
	"github.com/mattfenwick/cyclonus/pkg/worker"
	v1 "k8s.io/api/core/v1"
)

// Some policies name these.
var (
	namespaces = []string{"x", "y", "z"}
	pods       = []string{"a", "b", "c"}
)

const (
	port           = 80
	readySeconds   = 300
	settleSeconds  = 1
	connectSeconds = 1
	tries          = 2
	probeRetries   = 4 // on a busy machine names are not always answered within the second
)

func main() {
	if filepath.Base(os.Args[0]) == "worker" {
		jobs := flag.String("jobs", "", "connections to try, a batch of cyclonus' as JSON")
		flag.Parse()
		if err := try(*jobs); err != nil {
			log.Fatal("worker: ", err)
		}
		return
	}
	tags := flag.String("include", "", "tags of cases, by comma; all cases where left out")
	report := flag.String("junit", "", "file for what became of each")
	flag.Parse()
	if err := run(*tags, *report); err != nil {
		log.Fatal("cyclonus: ", err)
	}
}

func run(tags, report string) error {
	var include []string
	if tags != "" {
		include = strings.Split(tags, ",")
	}
	if err := generator.ValidateTags(include); err != nil {
		return err
	}
	cluster, err := kube.NewKubernetesForContext("")
	if err != nil {
		return err
	}
	protocols := []v1.Protocol{v1.ProtocolTCP}
	resources, err := probe.NewDefaultResources(
		cluster, namespaces, pods, []int{port}, protocols, nil, readySeconds, true, "")
	if err != nil {
		return err
	}
	last, err := resources.GetPod("z", "c")
	if err != nil {
		return err
	}
	interpreter := connectivity.NewInterpreter(cluster, resources, &connectivity.InterpreterConfig{
		ResetClusterBeforeTestCase:       true,
		VerifyClusterStateBeforeTestCase: true,
		KubeProbeRetries:                 probeRetries,
		PerturbationWaitSeconds:          settleSeconds,
		JobTimeoutSeconds:                connectSeconds,
		BatchJobs:                        true,
		IgnoreLoopback:                   true, // nothing closes a pod to itself
	})
	cases := generator.NewTestCaseGenerator(true, last.IP, namespaces, include, nil).GenerateTestCases()
	if len(cases) == 0 {
		return errors.New("no case has such tags")
	}
	printer := &connectivity.Printer{JunitResultsFile: report, IgnoreLoopback: true}
	for i, each := range cases {
		began := time.Now()
		result := interpreter.ExecuteTestCase(each)
		if result.Err != nil {
			return result.Err
		}
		printer.PrintTestCaseResult(result)
		fmt.Printf("case %d of %d: %.1f s: %s\n", i+1, len(cases), time.Since(began).Seconds(), each.Description)
	}
	printer.PrintSummary()
	return nil
}

// try says what became of each connection, as cyclonus' worker does.
func try(jobs string) error {
	var batch worker.Batch
	if err := json.Unmarshal([]byte(jobs), &batch); err != nil {
		return err
	}
	results := make([]*worker.Result, len(batch.Requests))
	var all sync.WaitGroup
	for i, request := range batch.Requests {
		all.Add(1)
		go func() {
			defer all.Done()
			results[i] = &worker.Result{Request: request, Error: connect(request)}
		}()
	}
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(results)
}

// connect answers why there is no connection; "": there was one.
func connect(request *worker.Request) string {
	if request.Protocol != v1.ProtocolTCP {
		return fmt.Sprintf("%s is not tried here", request.Protocol)
	}
	var err error
	for range tries {
		var connection net.Conn
		if connection, err = net.DialTimeout("tcp", request.Address(), connectSeconds*time.Second); err == nil {
			connection.Close()
			return ""
		}
	}
	return err.Error()
}
