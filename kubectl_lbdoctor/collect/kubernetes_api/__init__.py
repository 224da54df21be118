"""The way to the Kubernetes API: which cluster, as whom, and over which connections, by kubectl's rules."""
