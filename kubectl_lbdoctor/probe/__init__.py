"""The health check as the load balancer sends it, from inside the cluster: requests (pure) and transports."""
