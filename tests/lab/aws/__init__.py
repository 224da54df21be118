"""The lab's AWS: moto with what it lacks (see patches.py), real health checks and a real packet filter."""
