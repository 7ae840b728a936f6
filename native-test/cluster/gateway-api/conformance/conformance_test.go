// The Gateway API's own conformance tests, told which addresses a Gateway may ask for here.
package conformance

import (
	"os"
	"testing"

	v1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/conformance"
)

func TestConformance(t *testing.T) {
	options := conformance.DefaultOptions(t)
	options.UsableNetworkAddresses = addressOf("USABLE_ADDRESS")
	options.UnusableNetworkAddresses = addressOf("UNUSABLE_ADDRESS")
	conformance.RunConformanceWithOptions(t, options)
}

func addressOf(variable string) []v1.GatewaySpecAddress {
	kind := v1.IPAddressType
	return []v1.GatewaySpecAddress{{Type: &kind, Value: os.Getenv(variable)}}
}
