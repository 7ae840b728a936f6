// flannel as its daemon runs on a node, with two of its backends: the program that flannel publishes needs modules of
// clouds as well. Arguments: a kubeconfig, net-conf.json, the interface, the file subnet.env; NODE_NAME says which node.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/hostgw"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: flannel KUBECONFIG NET-CONF.JSON INTERFACE SUBNET.ENV")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		log.Fatal("flannel: ", err)
	}
}

func run(ctx context.Context, kubeconfig, netConf, device, subnetFile string) error {
	leases, err := kube.NewSubnetManager(ctx, "", kubeconfig, "flannel.alpha.coreos.com", netConf, true)
	if err != nil {
		return err
	}
	settings, err := leases.GetNetworkConfig(ctx)
	if err != nil {
		return err
	}
	families, err := ipmatch.GetIPFamily(settings.EnableIPv4, settings.EnableIPv6)
	if err != nil {
		return err
	}
	uplink, err := ipmatch.LookupExtIface(device, "", "", families, ipmatch.PublicIPOpts{})
	if err != nil {
		return err
	}
	chosen, err := backend.NewManager(ctx, leases, uplink).GetBackend(settings.BackendType)
	if err != nil {
		return err
	}
	var others sync.WaitGroup
	network, err := chosen.RegisterNetwork(ctx, &others, settings)
	if err != nil {
		return err
	}
	lease := network.Lease()
	err = subnet.WriteSubnetFile(subnetFile, settings, false, lease.Subnet, lease.IPv6Subnet, network.MTU())
	if err != nil {
		return err
	}
	log.Print("flannel: running")
	network.Run(ctx)
	others.Wait()
	return nil
}
