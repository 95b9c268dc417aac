"""What runs in a Ray cluster: a Serve application whose replicas start `registry_tui.serving` and pass requests to it.

It gets there as a package of its own with `contracts` and `serving`, so that it imports only these, the standard
library, and what Ray Serve brings. The service never imports it.
"""
