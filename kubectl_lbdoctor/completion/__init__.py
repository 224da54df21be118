"""Completion on the shell: what can stand where the cursor is, for kubectl and for four shells.

`values` knows what flags and arguments can be, `kubectl_protocol` answers kubectl, `install` puts the file on PATH that
kubectl asks. What commands and flags there are is click's matter.
"""
